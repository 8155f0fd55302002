"""Plays the failures of a till against a server and judges the answers: what any terminal, in any language, builds on.

Written from the protos alone and without the SDK, so that it sends what the SDK never would: changed bodies, reversals
of sales that were never made, deadlines of a millisecond. Every case reverses its own sales, so the card ends with what
it had. The card must be used by nobody else meanwhile.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from coalition.client.conformance_counted import COUNTED, Case, cases_of_the_member
from coalition.client.conformance_days import DAY_CASES
from coalition.client.connection import Connection
from coalition.client.day_statement import DaySigner
from coalition.client.errors import CallRefused, ClientError, ServerUnreachable
from coalition.client.player import MINOR, NOBODY, Member, Player, Surprise
from coalition.client.request_ids import new_request_id
from coalition.v1.operations_pb2 import Operation, TerminalRef

FUNDS_MINOR: Final = 20 * MINOR
"""What the card must hold before: no case spends more at a time."""
DEADLINES_S: Final = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064)
RIVALS: Final = 8
CODES_OF_NO_PHONE: Final = ("9100000000000000000000", "9100000000000000000018")
"""Well formed, of one ticket, with two passwords."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One case: what is promised, and how the server broke it; an empty `failure` is a pass."""

    name: str
    promise: str
    failure: str

    @property
    def passed(self) -> bool:
        return not self.failure


class TooLittleMoney(ClientError):
    """The card holds less than the cases need."""

    def __init__(self, balance_minor: int) -> None:
        super().__init__(f"the card holds {balance_minor} minor units here, {FUNDS_MINOR} are needed: top it up first")


def play(
    connection: Connection,
    card_number: str,
    *,
    at: TerminalRef | None = None,
    currency_code: str = "CNY",
    member: Member = NOBODY,
    sign: DaySigner | None = None,
) -> Iterator[Verdict]:
    """Play every case and yield its verdict.

    First those that need something of the `member`, as far as it is there; last those that close the terminal's day,
    where there is a key to `sign` with. Raises TooLittleMoney, and CallRefused when the card cannot be read.
    """
    player = Player(connection, card_number, at, currency_code, member, sign)
    held = player.balance_here()
    if held < FUNDS_MINOR:
        raise TooLittleMoney(held)
    for case in (*cases_of_the_member(player), *CASES, *(DAY_CASES if sign else ())):
        yield _judged(case, player)


def _judged(case: "Case", player: Player) -> Verdict:
    promise = " ".join((case.__doc__ or "").split())
    name = case.__name__.replace("_", " ")
    failure = ""
    before = player.balance()
    try:
        case(player)
    except Surprise as surprise:
        failure = str(surprise)
    except (CallRefused, ServerUnreachable) as error:
        failure = f"unexpected: {error}"
    try:
        player.clean_up()
        after = player.balance()
    except (CallRefused, ServerUnreachable, Surprise) as error:
        return Verdict(name, promise, failure or f"its sales could not be reversed: {error}")
    if after != before and not failure:
        failure = f"after reversing its sales the balance is {after - before:+d} off"
    return Verdict(name, promise, failure)


def lost_answer_then_retry(player: Player) -> None:
    """The same request again gets the same receipt, marked as replayed, and pays once."""
    request = player.purchase(1 * MINOR)
    first = player.receipt(player.send("Purchase", request))
    again = player.receipt(player.send("Purchase", request))
    player.expect(
        again.replayed and not first.replayed, "the second receipt is not marked as replayed, or the first is"
    )
    again.replayed = False
    player.expect(first == again, "the two receipts differ")
    player.expect_spent(1 * MINOR)


def retry_with_another_body(player: Player) -> None:
    """One request_id stands for one request: another amount is REQUEST_ID_REUSED and changes nothing."""
    request = player.purchase(1 * MINOR)
    player.receipt(player.send("Purchase", request))
    request.amount_minor += 1
    player.expect_refused(player.send("Purchase", request), "REQUEST_ID_REUSED")
    player.expect_spent(1 * MINOR)


def decline_then_retry(player: Player) -> None:
    """A decline is an answer like any other: the same for ever under its request_id."""
    request = player.purchase(player.balance() + 1)
    # Where card rules ask for a PIN above an amount, that is what is wrong first.
    first = player.expect_refused(player.send("Purchase", request), "INSUFFICIENT_FUNDS", "PIN_REQUIRED")
    again = player.expect_refused(player.send("Purchase", request), first.reason)
    player.expect(first.metadata["entry_id"] == again.metadata["entry_id"], "the decline was stored twice")
    player.expect_spent(0)


def a_repeated_code_means_its_ticket(player: Player) -> None:
    """A terminal may not keep a payment code's password: another one under the same ticket is the same request."""
    request = player.purchase(1 * MINOR)
    request.payment_code = CODES_OF_NO_PHONE[0]
    first = player.expect_refused(player.send("Purchase", request), "CARD_UNKNOWN")
    request.payment_code = CODES_OF_NO_PHONE[1]
    again = player.expect_refused(player.send("Purchase", request), "CARD_UNKNOWN")
    player.expect(first.metadata["entry_id"] == again.metadata["entry_id"], "the decline was stored twice")
    player.expect_spent(0)


def rivals_with_one_request_id(player: Player) -> None:
    """The same request on eight calls at once is one sale with one receipt."""
    request = player.purchase(1 * MINOR)
    with ThreadPoolExecutor(RIVALS) as pool:
        answers = list(pool.map(lambda _: player.receipt(player.send("Purchase", request)), range(RIVALS)))
    player.expect(len({answer.entry_id for answer in answers}) == 1, "there is more than one entry")
    player.expect(sum(not answer.replayed for answer in answers) == 1, "not exactly one receipt is the first")
    player.expect_spent(1 * MINOR)


def reverse_an_answered_sale(player: Player) -> None:
    """A reversal gives the whole amount back."""
    request = player.purchase(2 * MINOR)
    player.receipt(player.send("Purchase", request))
    reversed_ = player.receipt(player.send("Reverse", player.reversal(request.request_id)))
    player.expect(reversed_.amount_minor == 2 * MINOR, f"it gave back {reversed_.amount_minor}")
    player.expect_spent(0)


def reverse_before_the_original(player: Player) -> None:
    """A reversal of a request_id nobody has seen is accepted with amount 0."""
    reversed_ = player.receipt(player.send("Reverse", player.reversal(new_request_id())))
    player.expect(reversed_.amount_minor == 0, f"it gave back {reversed_.amount_minor}")
    player.expect_spent(0)


def late_original_after_its_reversal(player: Player) -> None:
    """An original that arrives after its reversal is declined (KILLED) for ever."""
    request = player.purchase(1 * MINOR)
    player.receipt(player.send("Reverse", player.reversal(request.request_id)))
    for _ in range(2):
        player.expect_refused(player.send("Purchase", request), "KILLED")
    player.expect_spent(0)


def reverse_twice(player: Player) -> None:
    """The same reversal again is a replay; another of the same original finds nothing left. Money comes back once."""
    request = player.purchase(2 * MINOR)
    player.receipt(player.send("Purchase", request))
    reversal = player.reversal(request.request_id)
    first = player.receipt(player.send("Reverse", reversal))
    again = player.receipt(player.send("Reverse", reversal))
    other = player.receipt(player.send("Reverse", player.reversal(request.request_id)))
    player.expect(again.replayed and again.entry_id == first.entry_id, "the same reversal was not replayed")
    player.expect(other.amount_minor == 0, f"another reversal gave back {other.amount_minor} again")
    player.expect_spent(0)


def resolve_a_known_request(player: Player) -> None:
    """Resolve tells the stored receipt of a sale, and posts nothing."""
    request = player.purchase(1 * MINOR)
    receipt = player.receipt(player.send("Purchase", request))
    told = player.receipt(player.resolve(request.request_id))
    player.expect(told.entry_id == receipt.entry_id, "another entry was told")
    player.expect_spent(1 * MINOR)


def resolve_an_unknown_request(player: Player) -> None:
    """Resolve kills a request_id that never arrived: the sale can no longer happen behind the till's back."""
    request = player.purchase(1 * MINOR)
    player.expect_refused(player.resolve(request.request_id), "KILLED")
    player.expect_refused(player.send("Purchase", request), "KILLED")
    player.expect_refused(player.resolve(request.request_id), "KILLED")
    player.expect_spent(0)


def batch_with_duplicates(player: Player) -> None:
    """In a batch each operation stands alone: a duplicate is a replay, a changed one is refused, others are posted."""
    one, two = player.purchase(1 * MINOR), player.purchase(2 * MINOR)
    changed = player.copy(one)
    changed.amount_minor += 1
    results = player.batch([Operation(purchase=each) for each in (one, one, two, changed)])
    first, again, other = (player.receipt(result) for result in results[:3])
    player.expect(first.entry_id == again.entry_id != other.entry_id, "the duplicate has an entry of its own")
    player.expect_refused(results[3], "REQUEST_ID_REUSED")
    player.expect_spent(3 * MINOR)


def deadline_in_the_middle(player: Player) -> None:
    """However early the caller stops waiting, the same request again tells one outcome and pays once."""
    requests = [player.purchase(1 * MINOR) for _ in DEADLINES_S]
    for request, deadline_s in zip(requests, DEADLINES_S, strict=True):
        player.abandon("Purchase", request, deadline_s)
    for request in requests:
        player.receipt(player.send("Purchase", request))
    player.expect_spent(len(requests) * MINOR)


def capture_once(player: Player) -> None:
    """A hold is captured once; the rest is released, and neither a second capture nor a void finds it open."""
    hold = player.authorization(5 * MINOR)
    player.receipt(player.send("Authorize", hold))
    player.receipt(player.send("Capture", player.capture(hold.request_id, 2 * MINOR)))
    player.expect_refused(player.send("Capture", player.capture(hold.request_id, 1 * MINOR)), "HOLD_RESOLVED")
    player.expect_refused(player.send("Void", player.void(hold.request_id)), "HOLD_RESOLVED")
    player.expect_spent(2 * MINOR)


def void_once(player: Player) -> None:
    """A voided hold spends nothing and cannot be captured."""
    hold = player.authorization(5 * MINOR)
    player.receipt(player.send("Authorize", hold))
    player.receipt(player.send("Void", player.void(hold.request_id)))
    player.expect_refused(player.send("Capture", player.capture(hold.request_id, 1 * MINOR)), "HOLD_RESOLVED")
    player.expect_spent(0)


CASES: Final[Sequence[Case]] = (
    lost_answer_then_retry,
    retry_with_another_body,
    decline_then_retry,
    a_repeated_code_means_its_ticket,
    rivals_with_one_request_id,
    reverse_an_answered_sale,
    reverse_before_the_original,
    late_original_after_its_reversal,
    reverse_twice,
    resolve_a_known_request,
    resolve_an_unknown_request,
    batch_with_duplicates,
    deadline_in_the_middle,
    capture_once,
    void_once,
    *COUNTED,
)
