"""`coalition top-up`, `pay`, `balance`, `entries`: what a till does, one at a time."""

from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from coalition.cli.money import format_amount, format_number
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
from coalition.cli.output import enum_name, table, time_text
from coalition.cli.sale_file import read_sale
from coalition.cli.session import Session, client_command, pages
from coalition.v1.operations_pb2 import (
    Funding,
    PurchaseRequest,
    Receipt,
    TopUpRequest,
)
from coalition.v1.terminal_pb2 import GetBalanceRequest, ListEntriesRequest

Amount = Annotated[str, typer.Argument(metavar="AMOUNT", help="Such as 300.00")]
FUNDINGS: Final = {
    # Not said, so that the request of a plain top-up is the one it always was.
    "cash": Funding.FUNDING_UNSPECIFIED,
    "bank-transfer": Funding.FUNDING_BANK_TRANSFER,
    "debit-card": Funding.FUNDING_DEBIT_CARD,
    "credit-card": Funding.FUNDING_CREDIT_CARD,
}
SaleReference = Annotated[
    str, typer.Option("--reference", help="The merchant's own reference; no personal data.", show_default=False)
]


@client_command
def top_up(
    session: Session,
    amount: Amount,
    presented: Presented = Presented(),
    at: At = None,
    issuer: Annotated[
        str, typer.Option(metavar="PARTICIPANT", help="Whose value is sold; the till's own.", show_default=False)
    ] = "",
    terms: Annotated[
        str, typer.Option(metavar="AGREEMENT", help="Under which terms; the only ones in force.", show_default=False)
    ] = "",
    funding: Annotated[str, typer.Option(help=f"How it is paid: {', '.join(FUNDINGS)}.", show_default=False)] = "cash",
    reference: SaleReference = "",
    request_id: RequestId = None,
) -> None:
    """Sell stored value: the member pays AMOUNT at the till, the bonus comes on top."""
    if funding not in FUNDINGS:
        raise typer.BadParameter(f"--funding is one of {', '.join(FUNDINGS)}")
    till = read_till(session, at)
    request = TopUpRequest(
        request_id=read_request_id(request_id),
        terminal=till.ref,
        **presented.field(),
        amount_minor=session.amount(amount),
        currency_code=session.settings.currency,
        issuer=issuer,
        terms=terms,
        funding=FUNDINGS[funding],
        sale_reference=reference,
    )
    with session.coalition(till.identity) as connection:
        answer = connection.call(connection.terminal.TopUp, request)
    session.say(answer, receipt_text("Topped up", answer.receipt))


@client_command
def pay(
    session: Session,
    amount: Amount,
    presented: Presented = Presented(),
    at: At = None,
    pin: Pin = None,
    reference: SaleReference = "",
    items: Annotated[
        Path | None,
        typer.Option(
            "--items", metavar="FILE", help="JSON with the items sold and the tenders of the sale.", show_default=False
        ),
    ] = None,
    request_id: RequestId = None,
) -> None:
    """Pay AMOUNT by card at a till, whole or not at all; above the no-PIN limit with the member's PIN."""
    till = read_till(session, at)
    sale = read_sale(items) if items else PurchaseRequest()
    request = PurchaseRequest(
        request_id=read_request_id(request_id),
        terminal=till.ref,
        **presented.field(),
        amount_minor=session.amount(amount),
        currency_code=session.settings.currency,
        sale_reference=reference,
        items=sale.items,
        tenders=sale.tenders,
    )
    typed = read_pin(pin)
    with session.coalition(till.identity) as connection:
        seal_into(connection, request, typed, till)
        answer = connection.call(connection.terminal.Purchase, request)
    session.say(answer, receipt_text("Paid", answer.receipt))


@client_command
def balance(
    session: Session,
    presented: Presented = Presented(),
    at: At = None,
) -> None:
    """Show what the wallet of a card holds, and how much of it this till's merchant accepts."""
    till = read_till(session, at)
    request = GetBalanceRequest(terminal=till.ref, **presented.field())
    with session.coalition(till.identity) as connection:
        answer = connection.call(connection.terminal.GetBalance, request)
    held = answer.balance
    session.say(
        answer,
        f"card **** {held.card_last_four}, {enum_name(held, 'card_state')}",
        f"  balance {session.money(held.balance_minor)}: "
        f"principal {format_number(held.principal_minor)}, bonus {format_number(held.bonus_minor)}",
        f"  accepted here {session.money(held.balance_here_minor)}",
        *(f"  {each.points} points of {each.programme}" for each in held.points),
    )


@client_command
def entries(
    session: Session,
    presented: Presented = Presented(),
    at: At = None,
    limit: Annotated[int, typer.Option(min=1, help="Most lines to show.")] = 50,
) -> None:
    """List what was done with a card at this till's merchant, newest first."""
    till = read_till(session, at)
    request = ListEntriesRequest(terminal=till.ref, **presented.field())
    with session.coalition(till.identity) as connection:
        rows = list(pages(connection, connection.terminal.ListEntries, request, "entries", limit=limit))
    session.say(
        rows,
        table(
            f"{len(rows)} entries, {session.settings.currency}",
            ("entry", "time, UTC", "kind", "declined for", ">amount", ">change", ">balance", "at", "reference"),
            (
                (
                    str(row.entry_id),
                    time_text(row.post_time),
                    enum_name(row, "kind"),
                    "" if row.reason == "ACCEPTED" else row.reason,
                    format_number(row.amount_minor),
                    format_number(row.balance_change_minor),
                    format_number(row.balance_minor) if row.reason == "ACCEPTED" else "",
                    "/".join(filter(None, (row.store, row.terminal))),
                    row.sale_reference,
                )
                for row in rows
            ),
        ),
    )


def name_original(request: Any, original: str, metavar: str) -> None:
    """Name an earlier operation in a request as it was typed; anything else ends the command with exit code 2."""
    if original.isascii() and original.isdigit():
        request.original_entry_id = int(original)
        return
    try:
        request.original_request_id = str(UUID(original))
    except ValueError:
        raise typer.BadParameter(f"{metavar} is the number of an entry, or a request_id") from None


def receipt_text(verb: str, receipt: Receipt) -> str:
    """A receipt for people."""
    currency = receipt.currency_code
    parts = f"principal {format_number(receipt.principal_minor)}, bonus {format_number(receipt.bonus_minor)}"
    again = " (posted before; nothing was posted again)" if receipt.replayed else ""
    balance = f"balance {format_amount(receipt.balance_minor, currency)}"
    here = f"accepted here {format_amount(receipt.balance_here_minor, currency)}"
    short = ""
    if receipt.shortfall_minor:
        short = f", shortfall {format_number(receipt.shortfall_minor)} borne by {receipt.shortfall_bearer}"
    windows = f", window {', '.join(receipt.window_labels)}" if receipt.window_labels else ""
    return "\n".join(
        (
            f"{verb} {format_amount(receipt.amount_minor, currency)}: {parts}{short}{again}",
            f"  card **** {receipt.card_last_four}, {balance}, {here}",
            f"  entry {receipt.entry_id}{windows}, request {receipt.request_id}",
            *([_points_text(receipt)] if receipt.points_programme else []),
        )
    )


def _points_text(receipt: Receipt) -> str:
    until = f", these until {receipt.points_last_day}" if receipt.points_last_day else ""
    return f"  points {receipt.points:+}{until}, {receipt.points_balance} of {receipt.points_programme} now"
