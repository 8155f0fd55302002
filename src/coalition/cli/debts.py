"""`coalition debt list|repay|propose-write-off|write-off`: what members owe for sales that were approved offline."""

from typing import Annotated

import typer

from coalition.cli.money import format_number
from coalition.cli.options import RequestId, read_request_id
from coalition.cli.output import table
from coalition.cli.session import Session, client_command, pages
from coalition.v1.member_debts_pb2 import (
    ListDebtsRequest,
    ProposeDebtWriteOffRequest,
    RepayDebtRequest,
    WriteOffDebtRequest,
)

debt_app = typer.Typer(no_args_is_help=True, help="What members owe for sales that were approved offline.")
Entry = Annotated[int, typer.Argument(metavar="ENTRY", help="Entry of the sale, as `coalition debt list` shows it.")]
Amount = Annotated[str, typer.Argument(metavar="AMOUNT", help="Such as 300.00")]


@debt_app.command("list", epilog="Example: coalition debt list --as hq/cafe")
@client_command
def list_debts(
    session: Session,
    bearer: Annotated[str, typer.Option(help="Only those that this participant bears.", show_default=False)] = "",
    settled: Annotated[bool, typer.Option("--settled", help="Also those that are paid, given up or undone.")] = False,
) -> None:
    """List what members owe, oldest first; headquarters see what they bear or sold."""
    with session.settlement() as connection:
        request = ListDebtsRequest(bearer=bearer, settled=settled)
        rows = list(pages(connection, connection.settlement.ListDebts, request, "debts"))
    session.say(
        rows,
        table(
            f"{len(rows)} debts, {session.settings.currency}",
            (
                "sale",
                "date",
                "sold by",
                "borne by",
                ">short",
                ">returned",
                ">paid",
                ">given up",
                ">owed",
                ">credit",
            ),
            (
                (
                    str(row.entry_id),
                    row.business_date,
                    row.acquirer,
                    row.bearer,
                    format_number(row.shortfall_minor),
                    format_number(row.returned_minor),
                    format_number(row.repaid_minor),
                    format_number(row.written_off_minor),
                    format_number(row.owed_minor),
                    format_number(row.credit_minor),
                )
                for row in rows
            ),
        ),
    )


@debt_app.command("repay", epilog="Example: coalition debt repay --as hq/cafe 4194305 12.00 --reference R-77")
@client_command
def repay_debt(
    session: Session,
    entry: Entry,
    amount: Amount,
    at: Annotated[str, typer.Option(help="Who took the money; the caller.", show_default=False)] = "",
    back: Annotated[bool, typer.Option("--back", help="Given back of what the member paid too much.")] = False,
    reference: Annotated[
        str, typer.Option(help="How the counter calls it; no personal data.", show_default=False)
    ] = "",
    request_id: RequestId = None,
) -> None:
    """Record that a member paid AMOUNT of what it owes; who took it owes it to who bears the debt."""
    request = RepayDebtRequest(
        request_id=read_request_id(request_id),
        entry_id=entry,
        amount_minor=session.amount(amount),
        participant=at,
        back=back,
        reference=reference,
    )
    with session.settlement() as connection:
        answer = connection.call(connection.settlement.RepayDebt, request)
    session.say(
        answer, f"{'Given back' if back else 'Paid'}; the member owes {format_number(answer.owed_minor)} still."
    )


@debt_app.command("propose-write-off", epilog="Example: coalition debt propose-write-off --as hq/cafe 4194305 12.00")
@client_command
def propose_debt_write_off(session: Session, entry: Entry, amount: Amount, request_id: RequestId = None) -> None:
    """Propose to give up AMOUNT; it waits for the approval of others, and `write-off` carries it out."""
    request = ProposeDebtWriteOffRequest(
        request_id=read_request_id(request_id), entry_id=entry, amount_minor=session.amount(amount)
    )
    with session.settlement() as connection:
        answer = connection.call(connection.settlement.ProposeDebtWriteOff, request)
    session.say(answer, f"Approval {answer.approval_id} was asked for.")


@debt_app.command("write-off", epilog="Example: coalition debt write-off --as hq/cafe 4194305 12.00")
@client_command
def write_off_debt(session: Session, entry: Entry, amount: Amount, request_id: RequestId = None) -> None:
    """Give up what was approved: nobody asks the member for it any more."""
    request = WriteOffDebtRequest(
        request_id=read_request_id(request_id), entry_id=entry, amount_minor=session.amount(amount)
    )
    with session.settlement() as connection:
        answer = connection.call(connection.settlement.WriteOffDebt, request)
    session.say(answer, f"Given up; the member owes {format_number(answer.owed_minor)} still.")
