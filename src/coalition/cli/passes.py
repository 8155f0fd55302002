"""`coalition agreement add passes` and `coalition pass`: visits that members pay for beforehand."""

from typing import Annotated

import typer

from coalition.cli.agreements import CUSTODIES, Calendar, Code, Made, add, add_app
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
from coalition.cli.session import Session, client_command
from coalition.cli.tills import FUNDINGS, Amount, SaleReference, name_original, receipt_text
from coalition.v1.operations_pb2 import (
    Receipt,
    ReturnPassRequest,
    ReturnVisitRequest,
    SellPassRequest,
    VisitPassRequest,
)

pass_app = typer.Typer(no_args_is_help=True, help="Visits that members pay for beforehand.")
PassName = Annotated[
    str, typer.Option("--pass", metavar="AGREEMENT", help="Which pass, where there are several.", show_default=False)
]


@add_app.command(
    "passes",
    epilog="Example: coalition agreement add passes ten-baths --issuer spa --price 500 --visits 10 --months 12",
)
@client_command
def add_passes(
    session: Session,
    code: Code,
    issuer: Annotated[str | None, typer.Option(help="Who owes the visits.", show_default=False)] = None,
    price: Annotated[str | None, typer.Option(metavar="AMOUNT", help="What it costs.", show_default=False)] = None,
    visits: Annotated[int | None, typer.Option(help="How many visits it has.", show_default=False)] = None,
    months: Annotated[int | None, typer.Option(help="How long it lasts; for ever.", show_default=False)] = None,
    custody: Annotated[str | None, typer.Option(help="issuer (default) or operator.", show_default=False)] = None,
    seller: Annotated[list[str] | None, typer.Option(help="Who sells it; the issuer.", show_default=False)] = None,
    honoured_at: Annotated[
        list[str] | None,
        typer.Option(help="Where, of those that take the issuer's value; at all of them.", show_default=False),
    ] = None,
    seller_commission: Annotated[
        str | None, typer.Option(metavar="RATE", help="What the issuer pays a seller; nothing.", show_default=False)
    ] = None,
    calendar: Calendar = None,
    made: Made = Made(),
) -> None:
    """Agree on a pass that an issuer sells: so many visits for so much, paid beforehand. CODE is its name."""
    if custody is not None and custody not in CUSTODIES:
        raise typer.BadParameter(f"--custody is one of {', '.join(CUSTODIES)}")
    options = {
        "issuer": issuer,
        "custody": CUSTODIES[custody] if custody else None,
        "sellers": seller or None,
        "price_minor": session.amount(price) if price else None,
        "visits": visits,
        "months": months,
        "honoured_at": honoured_at or None,
        "seller_commission": seller_commission,
        "calendar": calendar,
    }
    add(session, "passes", code, options, *made)


@pass_app.command("sell", epilog="Example: coalition pass sell --at spa/main/till-1 --card @card.txt 500.00")
@client_command
def sell(
    session: Session,
    price: Amount,
    presented: Presented = Presented(),
    at: At = None,
    issuer: Annotated[
        str, typer.Option(metavar="PARTICIPANT", help="Whose pass is sold; the till's own.", show_default=False)
    ] = "",
    name: PassName = "",
    funding: Annotated[str, typer.Option(help=f"How it is paid: {', '.join(FUNDINGS)}.", show_default=False)] = "cash",
    reference: SaleReference = "",
    request_id: RequestId = None,
) -> None:
    """Sell a pass to a member, for its price."""
    if funding not in FUNDINGS:
        raise typer.BadParameter(f"--funding is one of {', '.join(FUNDINGS)}")
    till = read_till(session, at)
    request = SellPassRequest(
        request_id=read_request_id(request_id),
        terminal=till.ref,
        **presented.field(),
        amount_minor=session.amount(price),
        currency_code=session.settings.currency,
        issuer=issuer,
        funding=FUNDINGS[funding],
        sale_reference=reference,
        pass_code=name,
    )
    with session.coalition(till.identity) as connection:
        answer = connection.call(connection.terminal.SellPass, request)
    session.say(answer, _told("Sold a pass for", answer.receipt))


@pass_app.command("visit", epilog="Example: coalition pass visit --at spa/main/till-1 --card @card.txt")
@client_command
def visit(
    session: Session,
    visits: Annotated[int, typer.Argument(metavar="[VISITS]", help="How many come in; one.")] = 1,
    presented: Presented = Presented(),
    at: At = None,
    pin: Pin = None,
    name: PassName = "",
    reference: SaleReference = "",
    request_id: RequestId = None,
) -> None:
    """Take VISITS of a member's pass at this till's merchant."""
    till = read_till(session, at)
    request = VisitPassRequest(
        request_id=read_request_id(request_id),
        terminal=till.ref,
        **presented.field(),
        visit_count=visits,
        sale_reference=reference,
        pass_code=name,
    )
    typed = read_pin(pin)
    with session.coalition(till.identity) as connection:
        seal_into(connection, request, typed, till)
        answer = connection.call(connection.terminal.VisitPass, request)
    session.say(answer, _told("Visited for", answer.receipt))


@pass_app.command("return-visit", epilog="Example: coalition pass return-visit --at spa/main/till-1 4194305")
@client_command
def return_visit(
    session: Session,
    original: Annotated[str, typer.Argument(metavar="VISIT", help="Entry of the visit, or its request_id.")],
    at: At = None,
    request_id: RequestId = None,
) -> None:
    """Give the visits of an entry back to their pass."""
    till = read_till(session, at)
    request = ReturnVisitRequest(request_id=read_request_id(request_id), terminal=till.ref)
    name_original(request, original, "VISIT")
    with session.coalition(till.identity) as connection:
        answer = connection.call(connection.terminal.ReturnVisit, request)
    session.say(answer, _told("Given back", answer.receipt))


@pass_app.command("pay-out", epilog="Example: coalition pass pay-out --at spa/main/till-1 4194305")
@client_command
def pay_out(
    session: Session,
    original: Annotated[str, typer.Argument(metavar="SALE", help="Entry that sold the pass, or its request_id.")],
    at: At = None,
    request_id: RequestId = None,
) -> None:
    """Pay the member what is left of a pass, also of one that has ended; it is over then."""
    till = read_till(session, at)
    request = ReturnPassRequest(request_id=read_request_id(request_id), terminal=till.ref)
    name_original(request, original, "SALE")
    with session.coalition(till.identity) as connection:
        answer = connection.call(connection.terminal.ReturnPass, request)
    session.say(answer, _told("To be paid out", answer.receipt))


def _told(what: str, receipt: Receipt) -> str:
    until = f", until {receipt.pass_last_day}" if receipt.pass_last_day and receipt.visits_left else ""
    return f"{receipt_text(what, receipt)}; pass {receipt.pass_entry_id} has {receipt.visits_left} visits left{until}"
