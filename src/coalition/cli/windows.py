"""`coalition windows`, `positions`, `claims`: where the month stands. Closing and netting: `python -m settlement`."""

from collections.abc import Sequence
from typing import Annotated

import typer

from coalition.cli.money import format_number
from coalition.cli.output import enum_name, table, time_text
from coalition.cli.session import Session, client_command, pages
from coalition.v1.settlement_pb2 import (
    ListClaimsRequest,
    ListPositionsRequest,
    ListPositionsResponse,
    ListWindowsRequest,
    Position,
    Window,
)

Calendar = Annotated[str, typer.Option(metavar="CODE", help="Settlement calendar.")]
Label = Annotated[
    str, typer.Option("--window", metavar="LABEL", help="Such as 2017-01; the open one.", show_default=False)
]


@client_command
def windows(
    session: Session,
    calendar: Annotated[str, typer.Option(metavar="CODE", help="Only this calendar.", show_default=False)] = "",
) -> None:
    """List the settlement windows, newest first."""
    with session.settlement() as connection:
        request = ListWindowsRequest(calendar=calendar)
        rows = list(pages(connection, connection.settlement.ListWindows, request, "windows"))
    session.say(
        rows,
        table(
            f"{len(rows)} windows",
            ("window", "state", "opened, UTC", "closed, UTC", "netted, UTC"),
            (
                (
                    name_of(row),
                    enum_name(row, "state"),
                    time_text(row.open_time),
                    time_text(row.close_time) if row.HasField("close_time") else "",
                    time_text(row.net_time) if row.HasField("net_time") else "",
                )
                for row in rows
            ),
        ),
    )


@client_command
def positions(session: Session, window: Label = "", calendar: Calendar = "monthly") -> None:
    """Show what each participant has to receive and to send in a window so far. All positions add up to zero."""
    answers: list[ListPositionsResponse] = []
    rows: list[Position] = []
    calendar, window = named(calendar, window)
    request = ListPositionsRequest(calendar=calendar, label=window, page_size=1000)
    with session.settlement() as connection:
        while True:
            answers.append(connection.call(connection.settlement.ListPositions, request))
            rows.extend(answers[-1].positions)
            request.page_token = answers[-1].next_page_token
            if not request.page_token:
                break
    whole = answers[0]
    if len(answers) > 1:
        whole.ClearField("positions")
        whole.positions.extend(rows)
        whole.next_page_token = ""
    session.say(
        whole,
        table(
            f"{name_of(whole.window)} is {enum_name(whole.window, 'state')}: positions, {session.settings.currency}",
            ("participant", ">to receive", ">to send", ">net position"),
            (
                (
                    row.participant,
                    format_number(row.received_minor),
                    format_number(row.sent_minor),
                    format_number(row.net_position_minor),
                )
                for row in rows
            ),
        ),
        closing_line(whole.lag_batches, rows),
    )


@client_command
def claims(
    session: Session,
    window: Label = "",
    calendar: Calendar = "monthly",
    participant: Annotated[
        str, typer.Option(metavar="CODE", help="Only where it owes or is owed.", show_default=False)
    ] = "",
) -> None:
    """List who owes whom in a window, and what for."""
    calendar, window = named(calendar, window)
    with session.settlement() as connection:
        request = ListClaimsRequest(calendar=calendar, label=window, participant=participant)
        rows = list(pages(connection, connection.settlement.ListClaims, request, "claims"))
    session.say(
        rows,
        table(
            f"{len(rows)} claims, {session.settings.currency}",
            ("debtor", "creditor", "for", ">amount", ">transfers"),
            (
                (
                    row.debtor,
                    row.creditor,
                    enum_name(row, "code"),
                    format_number(row.amount_minor),
                    f"{row.transfer_count:,}",
                )
                for row in rows
            ),
        ),
    )


def closing_line(lag_batches: int, rows: Sequence[Position]) -> str:
    """What stands below the positions: their sum, when they are everybody's, and whether they are complete."""
    state = f"{lag_batches} batches are not in it yet" if lag_batches else "complete"
    if len(rows) == 1:
        return state
    return f"sum of the net positions {format_number(sum(row.net_position_minor for row in rows))}; {state}"


def named(calendar: str, window: str) -> tuple[str, str]:
    """Calendar and label of --window, which may be written as `coalition windows` prints it: monthly/2017-01."""
    before, slash, label = window.partition("/")
    return (before, label) if slash else (calendar, window)


def name_of(window: Window) -> str:
    """A window as receipts name it."""
    return f"{window.calendar}/{window.label}"
