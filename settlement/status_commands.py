# ruff: noqa: FBT002 - typer takes a command's flags as boolean parameters
"""The command that shows where the windows stand and what is due. Thin: read, print."""

import json
from typing import Annotated, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from settlement.command_line import DatabaseUrl, Json, job
from settlement.multilateral import major
from settlement.status import Status
from settlement.status import status as read_status

STATE_COLOURS: Final = {"OPEN": "green", "CLOSED": "yellow", "NETTED": "cyan", "SETTLED": "blue"}

app = typer.Typer()


@app.command(name="status")
def status_command(
    calendar: Annotated[str | None, typer.Option(help="Only this calendar.", show_default=False)] = None,
    as_json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Show where the windows stand."""
    with job(database_url) as work:
        current = read_status(work.connection, work.follower, calendar)
    if as_json:
        typer.echo(json.dumps(status_facts(current), sort_keys=True))
        return
    if not current.windows:
        typer.echo("no such windows")
        return
    console = Console()
    console.print(status_table(current))
    if current.due:
        console.print(due_table(current))
    console.print(
        f"positions follow the journal with a lag of {current.lag.batches} batches, {current.lag.seconds:.1f} s",
        highlight=False,
    )


def status_facts(current: Status) -> dict[str, object]:
    """The same as the table, for programs."""
    return {
        "lag_batches": current.lag.batches,
        "lag_seconds": round(current.lag.seconds, 3),
        "due": [
            {"participant": row.code, "due_minor": row.due_minor, "since": row.since.isoformat()} for row in current.due
        ],
        "windows": [
            {
                "calendar": row.window.calendar,
                "label": row.window.label,
                "state": row.window.state,
                "claims": row.claims,
                "gross_minor": row.gross_minor,
                "net_minor": row.net_minor,
                "saving_percent": row.saving_percent,
                "cut_number": row.window.cut_number,
            }
            for row in current.windows
        ],
    }


def status_table(current: Status) -> Table:
    """One row per window."""
    table = Table(
        title=f"{current.scheme.display_name}: settlement windows, {current.scheme.currency_code}", box=box.SIMPLE_HEAD
    )
    for heading in ("calendar", "window", "state"):
        table.add_column(heading)
    for heading in ("claims", "gross", "net", "saved %"):
        table.add_column(heading, justify="right")
    for row in current.windows:
        colour = STATE_COLOURS.get(row.window.state, "white")
        table.add_row(
            row.window.calendar,
            row.window.label,
            f"[{colour}]{row.window.state}[/]",
            f"{row.claims:,}",
            major(row.gross_minor, grouped=True),
            major(row.net_minor, grouped=True),
            row.saving_percent,
        )
    return table


def due_table(current: Status) -> Table:
    """One row for everybody of whom something is due: below zero it pays, above it is paid."""
    table = Table(title=f"due and not paid, {current.scheme.currency_code}", box=box.SIMPLE_HEAD)
    table.add_column("participant")
    table.add_column("due", justify="right")
    table.add_column("since, UTC")
    for row in current.due:
        table.add_row(row.code, major(row.due_minor, grouped=True), f"{row.since:%Y-%m-%d}")
    return table
