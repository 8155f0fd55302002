"""A participant's statement of a window in figures: balances, flows by counterparty, sums by code. Pure.

`opening + received - sent = closing` holds in every unit or BooksDiffer is raised. A window's clearing account opens at
0: claims carry their window, and what earlier windows left unpaid stands on the account DUE (due_account.py).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from coalition.storage.positions import Claim, Party, Position
from settlement.cells import unit_text
from settlement.contents import Contents
from settlement.errors import BooksDiffer

OPENING_MINOR: Final = 0


@dataclass(frozen=True, slots=True)
class Flow:
    """What came from and went to one counterparty under one code, minor units of `unit`."""

    counterparty_id: int
    code: int
    unit: int
    received_minor: int
    sent_minor: int
    count: int

    @property
    def net_minor(self) -> int:
        return self.received_minor - self.sent_minor


@dataclass(frozen=True, slots=True)
class Statement:
    """One participant's window."""

    party: Party
    positions: Sequence[Position]
    flows: Sequence[Flow]

    @property
    def lines(self) -> int:
        return sum(flow.count for flow in self.flows)

    def by_counterparty(self, unit: int) -> list[Flow]:
        """Flows of a unit added up over codes, largest first; their `code` is 0."""
        return sorted(
            added((flow.counterparty_id, 0, flow) for flow in self.flows if flow.unit == unit),
            key=lambda flow: (-(flow.received_minor + flow.sent_minor), flow.counterparty_id),
        )

    def by_code(self, unit: int) -> list[Flow]:
        """Flows of a unit added up over counterparties, in order of code; their `counterparty_id` is 0."""
        return sorted(
            added((0, flow.code, flow) for flow in self.flows if flow.unit == unit), key=lambda flow: flow.code
        )


def statements(contents: Contents) -> Iterator[Statement]:
    """Every participant's, by number. Raises BooksDiffer."""
    flows: dict[int, list[Flow]] = defaultdict(list)
    for claim in contents.claims:
        flows[claim.debtor_id].append(flow_of(claim, claim.debtor_id))
        flows[claim.creditor_id].append(flow_of(claim, claim.creditor_id))
    positions: dict[int, list[Position]] = defaultdict(list)
    for position in contents.positions:
        positions[position.participant_id].append(position)
    for party in contents.parties:
        own = flows[party.participant_id]
        both = added((flow.counterparty_id, flow.code, flow) for flow in own)
        ordered = sorted(both, key=lambda flow: (flow.unit, flow.counterparty_id, flow.code))
        statement = Statement(party, positions[party.participant_id], ordered)
        check(statement)
        yield statement


def flow_of(claim: Claim, participant_id: int) -> Flow:
    """A claim as one of its parties sees it."""
    if participant_id == claim.creditor_id:
        return Flow(claim.debtor_id, claim.code, claim.unit, claim.amount_minor, 0, claim.transfer_count)
    return Flow(claim.creditor_id, claim.code, claim.unit, 0, claim.amount_minor, claim.transfer_count)


def added(flows: Iterator[tuple[int, int, Flow]]) -> list[Flow]:
    """Flows under new (counterparty, code), those that share both and the unit added up."""
    sums: dict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    for counterparty, code, flow in flows:
        total = sums[counterparty, code, flow.unit]
        total[0] += flow.received_minor
        total[1] += flow.sent_minor
        total[2] += flow.count
    return [Flow(*key, *total) for key, total in sums.items()]


def check(statement: Statement) -> None:
    """Opening and flows lead to the closing balance, in every unit."""
    sums: Mapping[int, list[int]] = defaultdict(lambda: [0, 0])
    for flow in statement.flows:
        sums[flow.unit][0] += flow.received_minor
        sums[flow.unit][1] += flow.sent_minor
    differences = [
        f"{statement.party.code}, {unit_text(position.unit)}: opening {OPENING_MINOR} + received "
        f"{sums[position.unit][0]} - sent {sums[position.unit][1]} is not closing {position.net_minor}"
        for position in statement.positions
        if OPENING_MINOR + sums[position.unit][0] - sums[position.unit][1] != position.net_minor
        or (position.received_minor, position.sent_minor) != tuple(sums[position.unit])
    ]
    if differences:
        raise BooksDiffer("a statement does not close", differences)
