"""`coalition agreement add points` and `coalition points`: who owes members points, and where they spend them."""

from typing import Annotated

import typer

from coalition.bootstrap.pins import seal_pin
from coalition.cli.agreements import Calendar, Code, ContentFile, From, Revises, Until, add, add_app
from coalition.cli.options import (
    At,
    Pin,
    PresentedCard,
    PresentedCode,
    PresentedId,
    PresentedPhone,
    RequestId,
    read_pin,
    read_presented,
    read_request_id,
    read_till,
)
from coalition.cli.session import Session, client_command
from coalition.cli.tills import SaleReference, name_original, receipt_text
from coalition.client import Connection
from coalition.v1.operations_pb2 import (
    ConvertPointsRequest,
    Receipt,
    RepayPointsRequest,
    ReturnPointsRequest,
    SpendPointsRequest,
)
from coalition.v1.terminal_pb2 import GetPinKeyRequest

points_app = typer.Typer(no_args_is_help=True, help="Points that members have earned.")


@add_app.command(
    "points",
    epilog="Example: coalition agreement add points stars --debtor grocer --earned-at cafe --step 1:1/100 --value 1/2",
)
@client_command
def add_points(
    session: Session,
    code: Code,
    debtor: Annotated[str | None, typer.Option(help="Who owes the points.", show_default=False)] = None,
    earned_at: Annotated[
        list[str] | None, typer.Option(help="At whose sales they are earned; the debtor's.", show_default=False)
    ] = None,
    step: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FROM:RATE", help="From a sale of FROM on, RATE points for each fen of it.", show_default=False
        ),
    ] = None,
    value: Annotated[
        str | None, typer.Option(metavar="RATE", help="What a point is worth, in fen, such as 1/2.", show_default=False)
    ] = None,
    borne_by: Annotated[
        str | None,
        typer.Option(help="debtor (default) or acquirer: who pays for them when earned.", show_default=False),
    ] = None,
    spent_at: Annotated[
        list[str] | None, typer.Option(help="Who takes them; where they are earned.", show_default=False)
    ] = None,
    calendar: Calendar = None,
    months: Annotated[
        int | None, typer.Option(help="They end so many months later; they never end.", show_default=False)
    ] = None,
    repays: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE:RATE",
            help="They repay what is owed of CODE, RATE for one; it says so too.",
            show_default=False,
        ),
    ] = None,
    repaid_with: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE:RATE", help="What is owed of them CODE's repay, RATE for one.", show_default=False),
    ] = None,
    conversion_rate: Annotated[
        str | None,
        typer.Option(
            metavar="RATE", help="Members may turn them into value: what a point becomes, in fen.", show_default=False
        ),
    ] = None,
    conversion_issuer: Annotated[
        str | None, typer.Option(metavar="PARTICIPANT", help="Whose value that is; the debtor's.", show_default=False)
    ] = None,
    conversion_terms: Annotated[
        str | None, typer.Option(metavar="AGREEMENT", help="Sold under these; its only terms.", show_default=False)
    ] = None,
    conversion_minimum: Annotated[
        int | None, typer.Option(metavar="POINTS", help="Fewest at a time; 1.", show_default=False)
    ] = None,
    conversion_step: Annotated[
        int | None, typer.Option(metavar="POINTS", help="Only multiples of so many; 1.", show_default=False)
    ] = None,
    voucher_months: Annotated[
        int | None, typer.Option(help="A voucher that ends after so many months; stored value.", show_default=False)
    ] = None,
    file: ContentFile = None,
    effective_from: From = None,
    effective_until: Until = None,
    revises: Revises = None,
    request_id: RequestId = None,
) -> None:
    """Agree on points: what earns them, who owes them, what one is worth when a window is netted.

    --step 100:1/100 gives a point a yuan on sales from 100.00; the highest step reached applies to the whole sale.
    """
    options: dict[str, object] = {
        "debtor": debtor,
        "earned_at": earned_at or None,
        "steps": [earn_step(session, text) for text in step or []] or None,
        "value": value,
        "borne_by": borne_by and borne_by.upper(),
        "spent_at": spent_at or None,
        "calendar": calendar,
        "months": months,
        "repays": [_repayment("--repays", text) for text in repays or []] or None,
        "repaid_with": [_repayment("--repaid-with", text) for text in repaid_with or []] or None,
        "conversion": _told_of(
            rate=conversion_rate,
            issuer=conversion_issuer,
            terms=conversion_terms,
            minimum_points=conversion_minimum,
            step_points=conversion_step,
            voucher_months=voucher_months,
        ),
    }
    add(session, "points", code, options, file, effective_from, effective_until, revises, request_id)


def _told_of(**options: object) -> dict[str, object] | None:
    """What was said of a part of an agreement; None where nothing was."""
    return {name: value for name, value in options.items() if value is not None} or None


def _repayment(option: str, text: str) -> dict[str, object]:
    """Of "stars:3/2"; anything else ends the command with exit code 2."""
    programme, colon, rate = text.partition(":")
    if not colon:
        raise typer.BadParameter(f"{option} is CODE:RATE, such as stars:3/2")
    return {"programme": programme, "rate": rate}


def earn_step(session: Session, text: str) -> dict[str, object]:
    """Of "100:1/100"; anything else ends the command with exit code 2."""
    start, colon, rate = text.partition(":")
    if not colon:
        raise typer.BadParameter("--step is FROM:RATE, such as 100:1/100")
    return {"from_minor": session.amount(start), "rate": rate}


@points_app.command("spend", epilog="Example: coalition points spend --at cafe/main/till-1 --card @card.txt 200")
@client_command
def spend(
    session: Session,
    points: Annotated[int, typer.Argument(metavar="POINTS", help="How many.")],
    card: PresentedCard = None,
    code: PresentedCode = None,
    phone: PresentedPhone = None,
    virtual_id: PresentedId = None,
    at: At = None,
    pin: Pin = None,
    programme: Annotated[
        str, typer.Option(metavar="AGREEMENT", help="Whose points, where several are taken.", show_default=False)
    ] = "",
    reference: SaleReference = "",
    request_id: RequestId = None,
) -> None:
    """Take POINTS in payment at this till's merchant."""
    till = read_till(session, at)
    request = SpendPointsRequest(
        request_id=read_request_id(request_id),
        terminal=till.ref,
        **read_presented(card, code, phone, virtual_id),
        points=points,
        programme=programme,
        sale_reference=reference,
    )
    typed = read_pin(pin)
    with session.coalition(till.identity) as connection:
        _seal(connection, request, typed, till.place)
        answer = connection.call(connection.terminal.SpendPoints, request)
    session.say(answer, _told(session, "Points spent", answer.receipt))


@points_app.command("return", epilog="Example: coalition points return --at cafe/main/till-1 4194305")
@client_command
def give_back(
    session: Session,
    original: Annotated[str, typer.Argument(metavar="SPEND", help="Entry that spent them, or its request_id.")],
    points: Annotated[int, typer.Option("--points", help="How many; all that is left.", show_default=False)] = 0,
    at: At = None,
    request_id: RequestId = None,
) -> None:
    """Give points that were spent back."""
    till = read_till(session, at)
    request = ReturnPointsRequest(request_id=read_request_id(request_id), terminal=till.ref, points=points)
    name_original(request, original, "SPEND")
    with session.coalition(till.identity) as connection:
        answer = connection.call(connection.terminal.ReturnPoints, request)
    session.say(answer, _told(session, "Points given back", answer.receipt))


@points_app.command("convert", epilog="Example: coalition points convert --at cafe/main/till-1 --card @card.txt 200")
@client_command
def convert(
    session: Session,
    points: Annotated[int, typer.Argument(metavar="POINTS", help="How many.")],
    card: PresentedCard = None,
    code: PresentedCode = None,
    phone: PresentedPhone = None,
    virtual_id: PresentedId = None,
    at: At = None,
    pin: Pin = None,
    programme: Annotated[
        str, typer.Option(metavar="AGREEMENT", help="Whose points, where several are taken.", show_default=False)
    ] = "",
    request_id: RequestId = None,
) -> None:
    """Turn POINTS into value of the same wallet, as their programme has agreed."""
    till = read_till(session, at)
    request = ConvertPointsRequest(
        request_id=read_request_id(request_id),
        terminal=till.ref,
        **read_presented(card, code, phone, virtual_id),
        points=points,
        programme=programme,
    )
    typed = read_pin(pin)
    with session.coalition(till.identity) as connection:
        _seal(connection, request, typed, till.place)
        answer = connection.call(connection.terminal.ConvertPoints, request)
    what = receipt_text("Points converted", answer.receipt)
    session.say(answer, f"{what}\n  {abs(answer.receipt.points)} points of {answer.receipt.points_programme}")


@points_app.command("repay", epilog="Example: coalition points repay --at cafe/main/till-1 --card @card.txt stars 200")
@client_command
def repay(
    session: Session,
    owed: Annotated[str, typer.Argument(metavar="AGREEMENT", help="Of which points are owed.")],
    points: Annotated[int, typer.Argument(metavar="POINTS", help="How many of them; all.", show_default=False)] = 0,
    card: PresentedCard = None,
    code: PresentedCode = None,
    phone: PresentedPhone = None,
    virtual_id: PresentedId = None,
    at: At = None,
    pin: Pin = None,
    programme: Annotated[
        str, typer.Option("--with", metavar="AGREEMENT", help="Whose points repay them.", show_default=False)
    ] = "",
    request_id: RequestId = None,
) -> None:
    """Repay points that the member owes with points of another programme, as both have agreed."""
    till = read_till(session, at)
    request = RepayPointsRequest(
        request_id=read_request_id(request_id),
        terminal=till.ref,
        **read_presented(card, code, phone, virtual_id),
        points=points,
        programme=programme,
        owed_programme=owed,
    )
    typed = read_pin(pin)
    with session.coalition(till.identity) as connection:
        _seal(connection, request, typed, till.place)
        answer = connection.call(connection.terminal.RepayPoints, request)
    receipt = answer.receipt
    repaid = f"{receipt.repaid_points} of {receipt.repaid_points_programme}, {receipt.repaid_points_balance} now"
    session.say(answer, f"{_told(session, 'Points repaid', receipt)}\n  for {repaid}")


def _seal(
    connection: Connection,
    request: SpendPointsRequest | ConvertPointsRequest | RepayPointsRequest,
    typed: str | None,
    place: str,
) -> None:
    """Seal the PIN that was typed, if one was, into the request."""
    if typed is not None:
        key = connection.call(connection.terminal.GetPinKey, GetPinKeyRequest())
        request.sealed_pin = seal_pin(key.public_key, typed, request.request_id, place)


def _told(session: Session, what: str, receipt: Receipt) -> str:
    worth = session.money(receipt.points_worth_minor)
    return f"{receipt_text(what, receipt)}\n  {abs(receipt.points)} points of {receipt.points_programme}, worth {worth}"
