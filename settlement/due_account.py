"""What is due of each participant once a window is netted: what was due before, every payment and loss since, and this
window's net.

`opening + lines = closing` holds for everybody, or BooksDiffer is raised: the lines are the journal's own legs, opening
and closing what is kept of what is due. It begins behind the netting before, of the same calendar, and ends with the
window's own: each account opens where the one before closed, and the same window gives the same account for ever.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from coalition.domain.accounts import AccountKind, TransferCode, kind_of, parties_of
from coalition.domain.default import held_back
from coalition.domain.errors import LedgerBroken
from coalition.domain.kinds import Kind
from coalition.domain.settlement_runs import DueLine, due_since
from coalition.storage.connect import Connection
from coalition.storage.defaults import all_losses
from coalition.storage.due_account import DueLeg, due_legs, netting_before
from coalition.storage.settlement_entries import due_lines
from settlement.cells import kind_text
from settlement.contents import Contents
from settlement.errors import BooksDiffer


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One change of what is due, with the participant's sign: above zero it is due to it.

    `item` is one of a few words (due_table.WORDS), `about` a window, a run, a bank's reference or a participant.
    """

    entry_id: int
    post_time: datetime
    business_date: date
    item: str
    about: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class DueAccount:
    """A participant's account from one netting to the next; its last line is this window's net, if it is not 0.

    Of `closing_minor`, `held_back_minor` is not paid out: others bear a loss of the participant.
    """

    opening_minor: int
    lines: Sequence[AccountLine]
    net_minor: int
    closing_minor: int
    held_back_minor: int
    due_since: datetime | None

    @property
    def carried_minor(self) -> int:
        """What earlier windows left due when this one was netted."""
        return self.closing_minor - self.net_minor


def due_accounts(connection: Connection, contents: Contents) -> dict[int, DueAccount]:
    """The account of every participant of the window, by number. Raises BooksDiffer."""
    window = contents.window
    if window.netting_entry_id is None:
        raise LedgerBroken(f"window {contents.name} is {window.state} and was never netted")
    with connection.transaction():
        after = netting_before(connection, window.calendar_id, window.calendar, window.netting_entry_id)
        opening, closing = due_lines(connection, after), due_lines(connection, window.netting_entry_id)
        losses = all_losses(connection, window.netting_entry_id)
    lines = lines_of(due_legs(connection, after, window.netting_entry_id), contents.codes)
    held = held_back({each: total(own) for each, own in closing.items()}, losses)
    accounts = {
        each: account_of(
            total(opening.get(each, ())),
            lines.get(each, []),
            closing.get(each, []),
            window.netting_entry_id,
            held.get(each, 0),
        )
        for each in contents.codes
    }
    check(accounts, lines, contents.codes)
    return accounts


def account_of(
    opening_minor: int, lines: Sequence[AccountLine], due: Sequence[DueLine], netting_entry_id: int, held_minor: int
) -> DueAccount:
    """An account whose closing balance is what the lines of `due` add up to."""
    net = sum(line.amount_minor for line in lines if line.entry_id == netting_entry_id)
    return DueAccount(opening_minor, lines, net, total(due), held_minor, due_since(due))


def check(
    accounts: Mapping[int, DueAccount], lines: Mapping[int, Sequence[AccountLine]], codes: Mapping[int, str]
) -> None:
    """Opening and lines lead to the closing balance, and nobody has a line who is no part of the window."""
    differences = [
        f"{codes[each]}: opening {account.opening_minor} + lines {sum(line.amount_minor for line in account.lines)} "
        f"is not closing {account.closing_minor}"
        for each, account in accounts.items()
        if account.opening_minor + sum(line.amount_minor for line in account.lines) != account.closing_minor
    ]
    differences += [f"participant {each} is no part of the window" for each in sorted(lines.keys() - accounts.keys())]
    if differences:
        raise BooksDiffer("what is due does not follow from the journal", differences)


def lines_of(legs: Iterable[DueLeg], codes: Mapping[int, str]) -> dict[int, list[AccountLine]]:
    """The legs as each of their participants sees them, in journal order; of one entry those of one item added up."""
    sums: dict[int, dict[tuple[int, str, str], int]] = defaultdict(lambda: defaultdict(int))
    entries: dict[int, DueLeg] = {}
    for leg in legs:
        entries[leg.entry_id] = leg
        for account, sign in ((leg.debit, -1), (leg.credit, 1)):
            if kind_of(account) is AccountKind.DUE:
                participant, _ = parties_of(account)
                item, about = meaning(leg, participant, sign * leg.amount_minor, codes)
                sums[participant][leg.entry_id, item, about] += sign * leg.amount_minor
    return {
        participant: [
            AccountLine(entry, entries[entry].post_time, entries[entry].business_date, item, about, amount)
            for (entry, item, about), amount in own.items()
        ]
        for participant, own in sums.items()
    }


def meaning(leg: DueLeg, participant: int, amount_minor: int, codes: Mapping[int, str]) -> tuple[str, str]:
    """What a leg is to one of its participants: the item, and what it is about."""
    told = leg.told
    if leg.kind in {Kind.NETTING, Kind.NETTING_REVERSAL}:
        window = f"{told['calendar']}/{told['label']}"
        return (kind_text(leg.kind), window if leg.kind == Kind.NETTING else f"{window}, run {told['run_id']} aborted")
    if leg.code == TransferCode.OPERATOR_ADVANCE:
        return "ADVANCE", f"run {told['run_id']}"
    if leg.kind in {Kind.SETTLEMENT_PAYMENT, Kind.SETTLEMENT_RETURN}:
        paid = "PAID_IN" if amount_minor > 0 else "PAID_OUT"
        return (paid if leg.kind == Kind.SETTLEMENT_PAYMENT else "RETURNED"), bank_line(told)
    if leg.code == TransferCode.COLLATERAL:
        return "COLLATERAL", "covers what was not paid"
    other = told.get("participant_id")
    is_own = other == participant
    if leg.code == TransferCode.LOSS_SHARE:
        recovered = "recovered_minor" in told
        if is_own:
            return ("HANDED_ON", "to those who bore it") if recovered else ("LOSS_SHARE", "borne by others")
        return ("RECOVERY" if recovered else "LOSS_SHARE"), f"of {codes.get(other or 0, '')}"
    if leg.code == TransferCode.WRITE_OFF:
        return "WRITE_OFF", "borne by the operator" if is_own else f"of {codes.get(other or 0, '')}"
    return kind_text(leg.kind), f"entry {leg.entry_id}"


def total(lines: Iterable[DueLine]) -> int:
    """What is due after these lines."""
    return sum(line.amount_minor for line in lines)


def bank_line(told: Mapping[str, object]) -> str:
    """The run and the bank's reference; a line that no run asked for has the reference alone, a return its cause."""
    parts = [f"run {told['run_id']}" if "run_id" in told else "", str(told.get("bank_reference", ""))]
    return ", ".join(part for part in (*parts, str(told.get("cause", ""))) if part)
