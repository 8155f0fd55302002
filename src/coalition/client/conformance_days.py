"""The end of a day, played against a server: the cases of `conformance` that need a terminal's key to sign with.

They close the terminal's day, three times, so its day must be nobody else's meanwhile.
"""

from collections.abc import Callable, Sequence
from typing import Final

from coalition.client.day_statement import totals_of
from coalition.client.player import MINOR, Player
from coalition.client.request_ids import new_request_id
from coalition.v1.operations_pb2 import EntryKind
from coalition.v1.terminal_pb2 import DayOperation, KindTotal

PURCHASE: Final = EntryKind.ENTRY_KIND_PURCHASE


def close_once(player: Player) -> None:
    """A close that states what the journal holds agrees; sent again it is answered the same and closes nothing more."""
    player.receipt(player.send("Purchase", player.purchase(1 * MINOR)))
    counted = player.day_totals()
    request = player.day_close(counted, counted.since_close)
    first, again = player.close_day(request), player.close_day(request)
    after = player.day_totals()
    player.expect(first.agrees, f"it differs in {first.difference_count} points")
    player.expect(again.receipt.replayed and not first.receipt.replayed, "the second answer is not marked as replayed")
    player.expect(
        again.statement_hash == first.statement_hash == after.previous_hash, "the statement's hash is another"
    )
    player.expect(after.next_number == counted.next_number + 1, f"the next number is {after.next_number}")
    player.expect(not after.since_close, "the next day does not begin with nothing")
    other = player.day_close(counted, ())
    player.expect_refused(player.send("CloseDay", other), "DAY_CLOSE_OUT_OF_ORDER")


def a_close_names_what_differs(player: Player) -> None:
    """A sale that the terminal lost, one that it invented, one of another amount: each is named, and it is closed."""
    before = player.day_totals()
    player.close_day(player.day_close(before, before.since_close))
    lost, changed = player.purchase(1 * MINOR), player.purchase(2 * MINOR)
    for each in (lost, changed):
        player.receipt(player.send("Purchase", each))
    listed = [
        DayOperation(request_id=changed.request_id, kind=PURCHASE, accepted=True, amount_minor=3 * MINOR),
        DayOperation(request_id=new_request_id(), kind=PURCHASE, accepted=True, amount_minor=4 * MINOR),
    ]
    answer = player.close_day(player.day_close(player.day_totals(), totals_of(listed), listed))
    named = {each.request_id for each in answer.differences if each.request_id}
    due = {lost.request_id, *(each.request_id for each in listed)}
    player.expect(not answer.agrees, "it agrees")
    player.expect(named == due, f"{len(named & due)} of 3 operations are named, and {len(named - due)} others")


def a_forged_close_is_refused(player: Player) -> None:
    """What the terminal's key did not sign closes nothing."""
    counted = player.day_totals()
    request = player.day_close(counted, counted.since_close)
    request.totals.append(KindTotal(kind=EntryKind.ENTRY_KIND_NETTING, accepted_count=1))
    player.expect_refused(player.send("CloseDay", request), "SIGNATURE_INVALID")
    player.expect(player.day_totals().next_number == counted.next_number, "it was recorded")


DAY_CASES: Final[Sequence[Callable[[Player], None]]] = (
    close_once,
    a_close_names_what_differs,
    a_forged_close_is_refused,
)
