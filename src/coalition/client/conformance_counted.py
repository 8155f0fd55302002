"""Conformance cases of what is counted or used up: offline sales, sale references, PINs, payment codes, days.

Played by conformance.py. A code and a PIN are the member's: their cases are played only where they were handed in.
"""

from collections.abc import Callable, Sequence
from typing import Final

from coalition.client.player import MINOR, Player
from coalition.client.request_ids import new_request_id
from coalition.v1.operations_pb2 import ENTRY_KIND_PURCHASE, Operation
from coalition.v1.terminal_pb2 import KindTotal

NO_PIN: Final = b"this is no PIN that anybody sealed"
Case = Callable[[Player], None]


def upload_sent_again(player: Player) -> None:
    """A sale that was approved offline is told once: the same upload again, alone or in a batch, is a replay."""
    request = player.upload(1 * MINOR)
    first = player.receipt(player.send("Upload", request))
    again = player.receipt(player.send("Upload", request))
    (batched,) = player.batch([Operation(upload=request)])
    player.expect(first.entry_id == again.entry_id == player.receipt(batched).entry_id, "it was posted again")
    player.expect(again.replayed and not first.replayed, "the second receipt is not marked as replayed")
    player.expect_spent(1 * MINOR)


def one_reference_one_sale(player: Player) -> None:
    """A sale reference stands for one sale, whatever request_id comes with it, until that sale is reversed."""
    reference = f"conformance-{new_request_id()}"
    sales = [player.purchase(1 * MINOR) for _ in range(3)]
    for sale in sales:
        sale.sale_reference = reference
    player.receipt(player.send("Purchase", sales[0]))
    player.expect_refused(player.send("Purchase", sales[1]), "SALE_REFERENCE_USED")
    player.receipt(player.send("Reverse", player.reversal(sales[0].request_id)))
    player.receipt(player.send("Purchase", sales[2]))
    player.expect_refused(player.send("Purchase", sales[1]), "SALE_REFERENCE_USED")
    player.expect_spent(1 * MINOR)


def unreadable_pin_stores_nothing(player: Player) -> None:
    """A PIN that was sealed to another key decides nothing: the same request_id pays with one sealed anew, or none."""
    request = player.purchase(1 * MINOR)
    request.sealed_pin = NO_PIN
    for _ in range(6):  # more often than wrong PINs are forgiven
        player.expect_refused(player.send("Purchase", request), "PIN_UNREADABLE", "PIN_KEY_MISSING")
    request.ClearField("sealed_pin")
    player.receipt(player.send("Purchase", request))
    player.expect_spent(1 * MINOR)


def totals_count_what_was_answered(player: Player) -> None:
    """A sale and a decline are in the totals of the next call; a repetition is not counted again."""
    before = _of(player.day_totals().since_close)
    request = player.purchase(1 * MINOR)
    for _ in range(2):
        player.receipt(player.send("Purchase", request))
    too_much = player.purchase(player.balance() + 1)
    player.expect_refused(player.send("Purchase", too_much), "INSUFFICIENT_FUNDS", "PIN_REQUIRED")
    after = _of(player.day_totals().since_close)
    grown = (
        after.accepted_count - before.accepted_count,
        after.accepted_minor - before.accepted_minor,
        after.declined_count - before.declined_count,
    )
    player.expect(grown == (1, 1 * MINOR, 1), f"purchases grew by {grown}, (1, {MINOR}, 1) was due")


def close_that_nobody_signed(player: Player) -> None:
    """A close of the day without the terminal's own signature is refused, and closes nothing."""
    number = player.day_totals().next_number
    player.expect_refused(player.close_unsigned(number), "SIGNATURE_INVALID")
    player.expect(player.day_totals().next_number == number, "the day was closed all the same")


def code_used_twice(player: Player) -> None:
    """A payment code pays once; the request that was paid with it hears its receipt again, another one nothing."""
    request, other = player.purchase(1 * MINOR), player.purchase(1 * MINOR)
    for each in (request, other):
        each.payment_code = player.payment_code
    first = player.receipt(player.send("Purchase", request))
    player.expect_refused(player.send("Purchase", other), "PAYMENT_CODE_USED")
    again = player.receipt(player.send("Purchase", request))
    player.expect(again.entry_id == first.entry_id, "the repeated request has another entry")
    player.expect_spent(1 * MINOR)


def pin_after_it_was_asked_for(player: Player) -> None:
    """PIN_REQUIRED is stored like any decline: with the PIN it is tried under a new request_id, and judged by it."""
    asking = player.purchase(player.balance() + 1)
    first = player.send("Purchase", asking)
    # Where the card rules ask for no PIN there is nothing to be asked for; one that is given is checked all the same.
    if player.expect_refused(first, "PIN_REQUIRED", "INSUFFICIENT_FUNDS").reason == "PIN_REQUIRED":
        player.expect_refused(player.send("Purchase", player.with_pin(asking)), "PIN_REQUIRED")
        anew = player.purchase(asking.amount_minor)
        declined = player.expect_refused(
            player.send("Purchase", player.with_pin(anew)),
            *("INSUFFICIENT_FUNDS", "WALLET_LIMIT_EXCEEDED", "CREDENTIAL_LIMIT_EXCEEDED", "CARD_LIMIT_EXCEEDED"),
        )
        again = player.expect_refused(player.send("Purchase", anew), declined.reason)
        player.expect(again.metadata["entry_id"] == declined.metadata["entry_id"], "the decline was stored twice")
    player.receipt(player.send("Purchase", player.with_pin(player.purchase(1 * MINOR))))
    player.expect_spent(1 * MINOR)


def _of(totals: Sequence[KindTotal]) -> KindTotal:
    return next((each for each in totals if each.kind == ENTRY_KIND_PURCHASE), KindTotal(kind=ENTRY_KIND_PURCHASE))


COUNTED: Final[Sequence[Case]] = (
    upload_sent_again,
    one_reference_one_sale,
    unreadable_pin_stores_nothing,
    totals_count_what_was_answered,
    close_that_nobody_signed,
)


def cases_of_the_member(player: Player) -> list[Case]:
    """Those that need what the member shows or types."""
    cases: list[Case] = []
    if player.payment_code:
        cases.append(code_used_twice)
    if player.has_pin:
        cases.append(pin_after_it_was_asked_for)
    return cases
