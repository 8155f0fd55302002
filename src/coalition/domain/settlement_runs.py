"""A settlement run: who is instructed to pay or to be paid, what is carried forward, what the operator advances. Pure.

The sign of every amount here is the participant's: above zero it is due to it, below zero it is due from it. All money
that is due, of everybody, adds up to what lies in the bank for settlement (BANK + sum of DUE + COLLATERAL = 0, SUMS
sections 2 and 4), so what is left due after a run must not add up to less than zero: the bank would be overdrawn.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from coalition.domain.accounts import BANK, Account, AccountKind, TransferCode, Unit, due_account, kind_of, parties_of
from coalition.domain.acts import JSON, canonical
from coalition.domain.errors import CoalitionError
from coalition.domain.journal import Transfer

RUN_STATES: Final = ("PREPARED", "APPROVED", "SETTLING", "DONE", "ABORTED")
UNDER_WAY: Final = RUN_STATES[:3]

CARRIED: Final = "CARRIED"
"""Nothing is instructed: nothing is due, or less than the run's minimum. What is due joins the next run."""
WAITING: Final = "WAITING"
"""Instructed; the bank has not said what became of it."""
PAID: Final = "PAID"
FAILED: Final = "FAILED"
"""The bank refused the instruction: what was due is still due and joins the next run."""
RETURNED: Final = "RETURNED"
"""The bank took its payment back: the residue is due again and joins the next run."""
PARTY_STATES: Final = (CARRIED, WAITING, PAID, FAILED, RETURNED)


class AdvanceAboveLimit(CoalitionError):
    """The operator would have to lay out more than the run allows; amounts in minor units."""

    def __init__(self, needed_minor: int, limit_minor: int) -> None:
        super().__init__(
            f"the operator would have to advance {needed_minor} minor units for what is carried forward or was not "
            f"paid, and the limit is {limit_minor}: lower the minimum, or raise --advance-limit"
        )
        self.needed_minor = needed_minor
        self.limit_minor = limit_minor


@dataclass(frozen=True, slots=True)
class RunPolicy:
    """Minor units: below `minimum_minor` nothing is instructed; the operator advances `advance_limit_minor` at most."""

    minimum_minor: int = 0
    advance_limit_minor: int = 0


@dataclass(frozen=True, slots=True)
class PlannedParty:
    """What is due of a participant, and how much of it is instructed: all, nothing, or less for the operator."""

    participant_id: int
    due_minor: int
    instructed_minor: int

    @property
    def carried_minor(self) -> int:
        return self.due_minor - self.instructed_minor

    @property
    def state(self) -> str:
        return WAITING if self.instructed_minor else CARRIED


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One row for every participant, in order of their numbers. `advance_minor` is what the operator leaves due."""

    parties: tuple[PlannedParty, ...]
    advance_minor: int

    @property
    def collected_minor(self) -> int:
        return sum(-party.instructed_minor for party in self.parties if party.instructed_minor < 0)

    @property
    def paid_minor(self) -> int:
        return sum(party.instructed_minor for party in self.parties if party.instructed_minor > 0)


@dataclass(frozen=True, slots=True)
class Run:
    """A settlement run as it stands; amounts in minor units. `advanced_minor` came after the plan."""

    run_id: int
    state: str
    maker: str
    prepare_time: datetime
    collected_minor: int
    paid_minor: int
    advance_minor: int
    advance_limit_minor: int
    advanced_minor: int
    content_hash: bytes


@dataclass(frozen=True, slots=True)
class RunParty:
    """A participant in a run as it stands; amounts with its sign. `code` is the participant's."""

    participant_id: int
    code: str
    due_minor: int
    instructed_minor: int
    settled_minor: int
    state: str
    instruction_id: str | None


def plan_run(
    due: Mapping[int, int], operator_id: int, policy: RunPolicy, held_back: Mapping[int, int] | None = None
) -> RunPlan:
    """What to instruct of what is due, by participant number. `held_back` of a participant's due is not paid out.

    Below the minimum an amount is carried forward. Where more is carried by those who pay than by those who receive,
    the bank would be short of it: the operator leaves as much of its own due, or pays in what is missing. Nobody else
    ever does, custody least of all. Raises AdvanceAboveLimit.
    """
    free = {party: amount - (held_back or {}).get(party, 0) for party, amount in due.items()}
    instructed = {party: 0 if abs(amount) < policy.minimum_minor else amount for party, amount in free.items()}
    carried = sum(due[party] - instructed[party] for party in due)
    advance = 0
    if carried < 0:
        own_carried = due.get(operator_id, 0) - instructed.get(operator_id, 0)
        advance = own_carried - carried
        if advance > policy.advance_limit_minor:
            raise AdvanceAboveLimit(advance, policy.advance_limit_minor)
        instructed[operator_id] = due.get(operator_id, 0) - advance
    parties = (PlannedParty(party, due.get(party, 0), instructed[party]) for party in sorted(instructed))
    return RunPlan(tuple(parties), advance)


def payment(participant_id: int, amount_minor: int, *, returned: bool = False) -> Transfer:
    """What the bank's line posts; `amount_minor` with the participant's sign, never 0.

    In `BANK->DUE(p)`, out `DUE(p)->BANK`; a returned payment is the inverse (SUMS section 4).
    """
    outward = (amount_minor > 0) is not returned
    code = TransferCode.SETTLEMENT_RETURN if returned else TransferCode.SETTLEMENT_PAYMENT
    debit, credit = _bank_legs(due_account(participant_id), outward=outward)
    return Transfer(debit, credit, abs(amount_minor), code)


def advance(operator_id: int, amount_minor: int) -> Transfer:
    """`BANK->DUE(H)`: the operator laid out what the bank paid and nobody had paid in yet."""
    return Transfer(BANK, due_account(operator_id), amount_minor, TransferCode.OPERATOR_ADVANCE)


def due_changes(transfers: Iterable[Transfer]) -> dict[int, int]:
    """How much more is due to (above zero) or from each participant after these legs, of those with a change."""
    return changes_of(transfers, AccountKind.DUE)


def changes_of(transfers: Iterable[Transfer], kind: AccountKind) -> dict[int, int]:
    """By how much each participant's account of this kind changed, credits less debits, of those with a change.

    In money: what other units are worth is due as money (SUMS section 5).
    """
    changes: dict[int, int] = {}
    for transfer in transfers:
        if transfer.unit is not Unit.MONEY:
            continue
        for account, sign in ((transfer.debit, -1), (transfer.credit, 1)):
            if kind_of(account) is kind:
                participant, _ = parties_of(account)
                changes[participant] = changes.get(participant, 0) + sign * transfer.amount_minor
    return {participant: change for participant, change in changes.items() if change}


@dataclass(frozen=True, slots=True)
class DueLine:
    """One change of what is due of a participant, and when it was posted."""

    amount_minor: int
    time: datetime


def due_since(lines: Sequence[DueLine]) -> datetime | None:
    """Since when what is left of these lines, oldest first, has been due; None where nothing is.

    Payments settle the oldest dues first, whatever instruction they were made for.
    """
    left = sum(line.amount_minor for line in lines)
    if left == 0:
        return None
    sign = 1 if left > 0 else -1
    for line in reversed(lines):
        if line.amount_minor * sign > 0:
            left -= line.amount_minor
            if left * sign <= 0:
                return line.time
    raise AssertionError("unreachable: lines of one sign add up to at least what is left")


def instruction_id(period: str, run_id: int, participant_id: int) -> str:
    """What the bank carries through to its result: unique per period, run and participant, at most 35 characters.

    Of the SWIFT character set that every bank passes on; the period is shortened, the numbers alone are unique.
    """
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in period)
    return f"{plain[:13]}-R{run_id}-P{participant_id}"


def content_of(
    *,
    deployment: str,
    run_id: int,
    currency_code: str,
    prepare_time: datetime,
    execution_date: date,
    policy: RunPolicy,
    plan: RunPlan,
    windows: Sequence[tuple[str, str]],
    parties: Mapping[int, Mapping[str, JSON]],
    operator: Mapping[str, JSON],
) -> bytes:
    """All that is approved of a run and all that its files are made of, as canonical bytes.

    `windows` are (calendar, label), `parties` what is known of each participant: code, name, account.
    """
    period = max((label for _, label in windows), default="residue")
    rows: list[JSON] = [
        {
            **parties[party.participant_id],
            "participant_id": party.participant_id,
            "due_minor": party.due_minor,
            "instructed_minor": party.instructed_minor,
            "instruction_id": instruction_id(period, run_id, party.participant_id) if party.instructed_minor else None,
        }
        for party in plan.parties
    ]
    return canonical(
        {
            "advance_limit_minor": policy.advance_limit_minor,
            "advance_minor": plan.advance_minor,
            "currency_code": currency_code,
            "deployment": deployment,
            "execution_date": execution_date.isoformat(),
            "minimum_minor": policy.minimum_minor,
            "operator": dict(operator),
            "parties": rows,
            "period": period,
            "prepare_time": prepare_time.isoformat(timespec="seconds"),
            "run_id": run_id,
            "windows": [[calendar, label] for calendar, label in windows],
        }
    )


def content_hash(content: bytes) -> bytes:
    """What an approval of the run is bound to."""
    return hashlib.sha256(content).digest()


def _bank_legs(due: Account, *, outward: bool) -> tuple[Account, Account]:
    return (due, BANK) if outward else (BANK, due)
