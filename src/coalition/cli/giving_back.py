"""`coalition refund`, `return-top-up`, `reverse-top-up`, `cash-out`: what goes back to a member, or is taken back."""

from typing import Annotated, Final

import typer

from coalition.cli.options import (
    At,
    Pin,
    Presented,
    RequestId,
    read_pin,
    read_request_id,
    read_till,
    seal_into,
)
from coalition.cli.session import OPERATOR, Session, client_command
from coalition.cli.tills import Amount, name_original, receipt_text
from coalition.v1.operations_pb2 import (
    CashOutRequest,
    RefundRequest,
    ReturnedGoods,
    ReturnTopUpRequest,
    ReverseTopUpRequest,
)

GOODS: Final = {
    "kept": ReturnedGoods.RETURNED_GOODS_KEPT,
    "passed-on": ReturnedGoods.RETURNED_GOODS_PASSED_ON,
}


@client_command
def refund(
    session: Session,
    original: Annotated[
        str, typer.Argument(metavar="PURCHASE", help="Entry of the purchase as its receipt says, or its request_id.")
    ],
    amount: Amount,
    at: At = None,
    goods: Annotated[
        str | None,
        typer.Option(
            help="Of a purchase made at another merchant: 'kept' here, or 'passed-on' to where they were bought.",
            show_default=False,
        ),
    ] = None,
    request_id: RequestId = None,
) -> None:
    """Give AMOUNT of a purchase back to the wallet it was paid from. Several refunds may share a purchase."""
    if goods is not None and goods not in GOODS:
        raise typer.BadParameter(f"--goods is one of {', '.join(GOODS)}")
    till = read_till(session, at)
    request = RefundRequest(
        request_id=read_request_id(request_id),
        terminal=till.ref,
        returned_goods=GOODS[goods] if goods else ReturnedGoods.RETURNED_GOODS_UNSPECIFIED,
        amount_minor=session.amount(amount),
        currency_code=session.settings.currency,
    )
    name_original(request, original, "PURCHASE")
    with session.coalition(till.identity) as connection:
        answer = connection.call(connection.terminal.Refund, request)
    session.say(answer, receipt_text("Refunded", answer.receipt))


@client_command
def return_top_up(
    session: Session,
    original: Annotated[
        str, typer.Argument(metavar="TOP_UP", help="Entry of the top-up as its receipt says, or its request_id.")
    ],
    at: At = None,
    request_id: RequestId = None,
) -> None:
    """Take an untouched top-up back, whole, and pay the member out. Nothing of it may be spent or held."""
    till = read_till(session, at)
    request = ReturnTopUpRequest(request_id=read_request_id(request_id), terminal=till.ref)
    name_original(request, original, "TOP_UP")
    with session.coalition(till.identity) as connection:
        answer = connection.call(connection.terminal.ReturnTopUp, request)
    session.say(answer, receipt_text("To be paid out", answer.receipt))


@client_command
def reverse_top_up(
    session: Session,
    original: Annotated[
        str, typer.Argument(metavar="TOP_UP", help="Entry of the top-up as its receipt says, or its request_id.")
    ],
    at: At = None,
    request_id: RequestId = None,
) -> None:
    """The money of a top-up bounced: take what is left of it. Without --at as headquarters (--as hq/grocer)."""
    request = ReverseTopUpRequest(request_id=read_request_id(request_id))
    identity = OPERATOR
    if at is not None or (session.identity or "").startswith("t/"):
        till = read_till(session, at)
        identity = till.identity
        request.terminal.CopyFrom(till.ref)
    name_original(request, original, "TOP_UP")
    with session.coalition(identity) as connection:
        answer = connection.call(connection.terminal.ReverseTopUp, request)
    session.say(answer, receipt_text("Taken back", answer.receipt))


@client_command
def cash_out(
    session: Session,
    presented: Presented = Presented(),
    at: At = None,
    pin: Pin = None,
    close: Annotated[bool, typer.Option("--close", help="Close the wallet; it still takes refunds.")] = False,
    request_id: RequestId = None,
) -> None:
    """Pay the member the principal of the whole wallet in cash; what is left of the bonus goes back."""
    till = read_till(session, at)
    request = CashOutRequest(
        request_id=read_request_id(request_id),
        terminal=till.ref,
        **presented.field(),
        close_wallet=close,
    )
    typed = read_pin(pin)
    with session.coalition(till.identity) as connection:
        seal_into(connection, request, typed, till)
        answer = connection.call(connection.terminal.CashOut, request)
    closed = "; the wallet is closed" if answer.receipt.wallet_closed else ""
    session.say(answer, receipt_text("To be paid out", answer.receipt) + closed)
