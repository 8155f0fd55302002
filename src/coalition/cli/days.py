"""`coalition day totals` and `close`: the end of the day of a till of another maker, which counts for itself.

A till on the SDK of `coalition.client` has `coalition till day` and `close-day`.
"""

from typing import Annotated

import typer
from rich.console import Group

from coalition.cli.certificates import day_signer_of
from coalition.cli.day_file import read_day
from coalition.cli.day_panels import close_text, differences_table, recorded_table
from coalition.cli.options import At, RequestId, read_request_id, read_till
from coalition.cli.session import Session, client_command
from coalition.client import FieldRefused
from coalition.client.day_statement import sign_request
from coalition.v1.terminal_pb2 import GetDayTotalsRequest

DIFFERS = 1
day_app = typer.Typer(
    no_args_is_help=True,
    help="The end of a till's day, for tills of other makers; a till on our SDK has coalition till close-day.",
)


@day_app.command("totals", epilog="Example: coalition day totals --at cafe/main/till-1")
@client_command
def totals(
    session: Session,
    at: At = None,
    date: Annotated[
        str, typer.Option("--date", metavar="YYYY-MM-DD", help="Business date; today.", show_default=False)
    ] = "",
) -> None:
    """Show what the journal counts for a till, since its last close and on a date."""
    till = read_till(session, at)
    with session.coalition(till.identity) as connection:
        request = GetDayTotalsRequest(terminal=till.ref, business_date=date)
        answer = connection.call(connection.terminal.GetDayTotals, request)
    session.say(
        answer,
        recorded_table(
            f"since the last close, {answer.currency_code}; number {answer.next_number}", answer.since_close
        ),
        recorded_table(f"on {answer.business_date}", answer.totals),
    )


@day_app.command("close", epilog="Example: coalition day close --at cafe/main/till-1 counted.json")
@client_command
def close(
    session: Session,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help='JSON with the till\'s own count, - for standard input: {"totals": [{"kind": "PURCHASE", '
            '"accepted_count": 2, "accepted_minor": 3500, "declined_count": 1}]}; operations besides, or instead.',
        ),
    ],
    at: At = None,
    request_id: RequestId = None,
) -> None:
    """Close a till's day: its own count, signed by its key, is compared with the journal and recorded.

    It is recorded also where the two differ; nothing is corrected. Exit codes: 0 they agree; 1 they differ, or it was
    refused. To send it again after a lost answer give the same --request-id, and its number and previous_hash in FILE.
    """
    till = read_till(session, at)
    request = read_day(file)
    request.request_id = read_request_id(request_id)
    request.terminal.CopyFrom(till.ref)
    sign = day_signer_of(session.settings, session.identity or till.identity)
    with session.coalition(till.identity) as connection:
        if not (request.number and request.business_date):
            journal = connection.call(connection.terminal.GetDayTotals, GetDayTotalsRequest(terminal=till.ref))
            request.business_date = request.business_date or journal.business_date
            if not request.number:
                request.number, request.previous_hash = journal.next_number, journal.previous_hash
        try:
            sign_request(till.place, request, sign)
        except FieldRefused as refused:
            raise typer.BadParameter(f"{file}: {refused}") from None
        answer = connection.call(connection.terminal.CloseDay, request)
    text = close_text(request.number, request.business_date, answer)
    session.say(answer, text if answer.agrees else Group(text, differences_table(answer.differences)))
    if not answer.agrees:
        raise typer.Exit(DIFFERS)
