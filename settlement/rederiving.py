"""The full re-derivation of a closed window: its claims summed from raw transfers, held against the fold and netting.

The check that two roads lead to the same figures. Runs while the tills trade, as often as wanted: it locks nothing,
reads the window's own journal numbers and writes nothing. Netting does not wait for it: whoever pays runs it before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from coalition.domain.accounts import AccountKind, Unit, kind_of, parties_of
from coalition.domain.ids import number_of
from coalition.followers.follower import Follower
from coalition.storage import positions as folded
from coalition.storage import settlement as store
from coalition.storage.connect import Connection
from coalition.storage.positions import Claim
from coalition.storage.rederivation import AccountPair, differing
from settlement import multilateral
from settlement.errors import BooksDiffer, NeedsHuman
from settlement.netting import account_text, code_text, cut_of


@dataclass(frozen=True, slots=True)
class Rederived:
    """A window whose claims agree with the journal; `claims` are sums by debtor, creditor, code and unit."""

    calendar: str
    label: str
    claims: int
    transfer_count: int
    gross_minor: int


def rederive(
    connection: Connection, follower: Follower, calendar: str, label: str, *, whole_journal: bool = False
) -> Rederived:
    """Sum the window's claims from the journal and compare with the fold, and with net positions where there are any.

    `whole_journal` reads every partition, and so also finds claims of this window among the numbers of others. Raises
    NeedsHuman for a window that is open or unknown, BooksDiffer naming each difference.
    """
    windows = store.windows(connection, calendar)
    window = next((each for each in windows if each.label == label), None)
    if window is None:
        raise NeedsHuman(f"calendar {calendar} has no window {label}: see `python -m settlement status`")
    if window.state == "OPEN":
        raise NeedsHuman(f"window {label} of calendar {calendar} is still open: close it first")
    ranges = own_numbers(windows, window)
    follower.catch_up(ranges[-1][1])
    pairs, claims = differing(connection, window.window_id, ranges, whole_journal=whole_journal)
    verify_claims(claims, pairs, ranges)
    claim_count, transfer_count, gross_minor = folded.totals(connection, window.window_id)
    netted = store.net_positions(connection, window.window_id)
    if netted:
        live = folded.live_positions(connection, window.window_id)
        for told in ("received_minor", "sent_minor"):
            listed_minor = sum(getattr(position, told) for position in live if position.unit == Unit.MONEY)
            if listed_minor != gross_minor:
                sentence = f"participants have {listed_minor} of {gross_minor} {told}"
                raise BooksDiffer(f"claims of {label} name strangers", [sentence])
        compare_positions(live, netted, label)
    return Rederived(calendar, label, claim_count, transfer_count, gross_minor)


def own_numbers(windows: Sequence[store.Window], window: store.Window) -> list[tuple[int, int]]:
    """The journal numbers a closed window's claims lie in, each range `after < number <= up_to`.

    From the cut of the window before it in its calendar to its own; and behind it the batches of its fees and of what
    its points are worth.
    """
    earlier = (
        each.cut_number or 0
        for each in windows
        if each.calendar_id == window.calendar_id and each.window_id < window.window_id
    )
    numbers = [(max(earlier, default=window.open_number or 0), cut_of(window))]
    for entry_id in (window.assess_entry_id, window.valuation_entry_id):
        if entry_id is not None:
            number = number_of(entry_id)
            numbers.append((number - 1, number))
    return numbers


def verify_claims(claims: Sequence[Claim], pairs: Sequence[AccountPair], ranges: Sequence[tuple[int, int]]) -> None:
    """Hold the fold against the journal itself: same keys, amounts and counts, nothing outside the window's numbers.

    Both sides are whole, or both without the keys in which the database found no difference.
    """
    differences = []
    journal = {}
    for pair in pairs:
        if kind_of(pair.debit) != AccountKind.CLEARING or kind_of(pair.credit) != AccountKind.CLEARING:
            differences.append(f"{where(pair)}: {pair.amount_minor} is in the window but is no claim")
            continue
        for number in dict.fromkeys((pair.first_number, pair.last_number)):
            if number is not None and not any(after < number <= up_to for after, up_to in ranges):
                told = ", ".join(f"{after + 1}..{up_to}" for after, up_to in ranges)
                differences.append(f"{where(pair)}: batch {number} is none of the window's, which are {told}")
        key = (parties_of(pair.debit)[0], parties_of(pair.credit)[0], pair.code, pair.unit)
        journal[key] = (pair.amount_minor, pair.transfer_count)
    fold = {
        (claim.debtor_id, claim.creditor_id, claim.code, claim.unit): (claim.amount_minor, claim.transfer_count)
        for claim in claims
    }
    for key in sorted(fold.keys() | journal.keys()):
        if fold.get(key) != journal.get(key):
            debtor, creditor, code, unit = key
            differences.append(
                f"{debtor} owes {creditor} {code_text(code)} in unit {unit}: (amount, transfers) is "
                f"{fold.get(key, (0, 0))} in the fold, {journal.get(key, (0, 0))} in the journal"
            )
    if differences:
        raise BooksDiffer("claims of the window do not agree with the journal", differences)


def where(pair: AccountPair) -> str:
    """The accounts and the code of a pair as people write them."""
    return f"{account_text(pair.debit)} -> {account_text(pair.credit)} {code_text(pair.code)}"


def verify_positions(claims: Sequence[Claim], netted: Sequence[folded.Position], label: str) -> None:
    """What netting stored follows from the claims. Raises BooksDiffer."""
    try:
        again = multilateral.net(claims, (position.participant_id for position in netted))
    except ValueError as error:
        raise BooksDiffer(f"claims of {label} name strangers", [str(error)]) from error
    compare_positions(again, netted, label)


def compare_positions(again: Sequence[folded.Position], netted: Sequence[folded.Position], label: str) -> None:
    """Positions from claims are what netting stored; whoever joined since then has none. Raises BooksDiffer."""
    known = set(netted)
    listed = {position.participant_id for position in netted}
    wrong = [
        f"participant {position.participant_id}: {position.net_minor} from claims, not as netted"
        for position in again
        if position not in known
        and (position.participant_id in listed or position.received_minor or position.sent_minor)
    ]
    missing = known - set(again)
    if wrong or missing:
        raise BooksDiffer(f"claims and net positions of {label}", wrong or ["other participants or units were netted"])
