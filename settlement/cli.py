# ruff: noqa: FBT002 - typer takes a command's flags as boolean parameters
"""The commands of the month, thin: read options, call the room, print, choose the exit code.

Exit codes are a contract with timers and scripts: 0 done, 2 nothing to do, 1 a human is needed (wrong usage too).
Never prints a connection string: it may hold a password.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from coalition.domain.errors import CoalitionError
from coalition.storage import settlement as store
from settlement import (
    calendars,
    closing,
    default_commands,
    due,
    inbox_commands,
    netting,
    paper_commands,
    run_commands,
    simulation_commands,
)
from settlement.cells import timestamp
from settlement.command_line import (
    DONE,
    HUMAN_NEEDED,
    NOTHING_TO_DO,
    Calendar,
    DatabaseUrl,
    Json,
    Label,
    job,
    named,
    notary,
    say,
    told,
)
from settlement.errors import NothingToDo
from settlement.multilateral import major
from settlement.status import Status
from settlement.status import status as read_status

STATE_COLOURS: Final = {"OPEN": "green", "CLOSED": "yellow", "NETTED": "cyan", "SETTLED": "blue"}

app = typer.Typer(
    name="settlement",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="""The month of the coalition: close a window, net it, report it.

    A month takes three commands, in this order:

    python -m settlement close 2017-01  (nothing enters January any more, February is open)

    python -m settlement net 2017-01  (one position for each participant, posted)

    python -m settlement report 2017-01 --out january

    And at any time after the close: rederive, which sums the month once more from the journal's every transfer.

    Then it is paid: prepare, approve (by the approvers), export, confirm. Each may be run again: what is done stays
    done. Exit codes: 0 done, 2 nothing to do, 1 a human is needed.""",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        app(args=arguments, prog_name="python -m settlement")
    except NothingToDo as nothing:
        return finish(NOTHING_TO_DO, str(nothing))
    except CoalitionError as error:
        return finish(HUMAN_NEEDED, str(error))
    except SystemExit as ended:
        # The parser ends with 2 on wrong usage; here 2 means that there was nothing to do.
        return HUMAN_NEEDED if ended.code else DONE
    return DONE


def finish(code: int, sentence: str) -> int:
    """Say on stderr why there is nothing on stdout."""
    typer.echo(sentence, err=True)
    return code


@app.command()
def close(
    label: Annotated[
        str | None,
        typer.Argument(help="Label of the window to close; without it, the open one if its period is over."),
    ] = None,
    calendar: Calendar = "monthly",
    next_label: Annotated[
        str | None, typer.Option(help="Label of the window that opens; by default the next period.")
    ] = None,
    as_json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Close a window and open the next: takes milliseconds, while the tills go on."""
    calendar, label = named(calendar, label)
    with job(database_url) as work, told(as_json):
        closed = closing.close(
            work.connection,
            calendar,
            label=label,
            following=next_label,
            clock=lambda: store.now(work.connection),
            sleep=time.sleep,
            notary=notary(),
        )
        say(
            as_json,
            {
                "calendar": closed.calendar,
                "label": closed.label,
                "next_label": closed.next_label,
                "close_time": timestamp(closed.close_time),
                "cut_number": closed.cut_number,
            },
            f"{closed.label} is closed at batch {closed.cut_number}; {closed.next_label} is open. "
            f"Next: python -m settlement net {closed.label}",
        )


@app.command()
def net(label: Label, calendar: Calendar = "monthly", as_json: Json = False, database_url: DatabaseUrl = None) -> None:
    """Net a closed window: store and post one position for each participant."""
    calendar, label = named(calendar, label)
    with job(database_url) as work, told(as_json):
        done = netting.net(work.connection, work.follower, calendar, label, notary=notary())
        say(
            as_json,
            {
                "calendar": done.calendar,
                "label": done.label,
                "participants": done.participants,
                "gross_minor": done.gross_minor,
                "net_minor": done.net_minor,
                "saving_percent": done.saving_percent,
                "netting_entry_id": done.netting_entry_id,
            },
            f"{done.label} is netted for {done.participants} participants: "
            f"gross {major(done.gross_minor, grouped=True)}, "
            f"net {major(done.net_minor, grouped=True)}, {done.saving_percent} % saved; positions sum to zero. "
            f"Next: python -m settlement report {done.label} --out {done.label}",
        )


@app.command(name="due")
def due_command(as_json: Json = False, database_url: DatabaseUrl = None) -> None:
    """Close every window whose period is over, in all calendars: what a timer runs."""
    with job(database_url) as work, told(as_json):
        closed = due.close_due(
            work.connection, clock=lambda: store.now(work.connection), sleep=time.sleep, notary=notary()
        )
        if as_json:
            typer.echo(json.dumps({"closed": [each.answer() for each in closed]}, sort_keys=True))
            return
        for each in closed:
            typer.echo(f"{each.calendar}/{each.label} is closed at batch {each.cut_number}; {each.next_label} is open.")


@app.command(name="late")
def late_command(
    label: Label, calendar: Calendar = "monthly", as_json: Json = False, database_url: DatabaseUrl = None
) -> None:
    """List the offline sales of a window that happened before its period and were told in it."""
    calendar, label = named(calendar, label)
    with job(database_url) as work:
        sales = due.late_sales(work.connection, calendar, label)
    if as_json:
        facts = [asdict(sale) | {"occurred_time": timestamp(sale.occurred_time)} for sale in sales]
        typer.echo(json.dumps({"late": facts}, sort_keys=True))
        return
    for sale in sales:
        typer.echo(
            f"{sale.entry_id}  {sale.participant}/{sale.terminal}  {timestamp(sale.occurred_time)}  "
            f"{major(sale.amount_minor, grouped=True)}"
        )
    total = major(sum(sale.amount_minor for sale in sales), grouped=True)
    typer.echo(f"{len(sales)} late sales, {total} in all: their claims lie in {calendar}/{label}")


@app.command(name="open-calendar")
def open_calendar_command(
    code: Annotated[str, typer.Argument(help="Its code, such as daily.")],
    cadence: Annotated[str, typer.Argument(help="monthly, weekly, daily or manual.")],
    first_label: Annotated[
        str | None, typer.Option(help="Label of its first window; that of today.", show_default=False)
    ] = None,
    as_json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Open another calendar with its first window; agreements may name it from then on."""
    with job(database_url) as work, told(as_json):
        opened = calendars.open_calendar(
            work.connection,
            code,
            cadence.upper(),
            clock=lambda: store.now(work.connection),
            notary=notary(),
            first_label=first_label,
        )
        say(
            as_json,
            {"calendar": opened.calendar, "label": opened.label},
            f"Calendar {opened.calendar} is open with its window {opened.label}; agreements name it by --calendar.",
        )


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


app.add_typer(paper_commands.app)

app.add_typer(simulation_commands.app)
app.add_typer(run_commands.app)
app.add_typer(inbox_commands.app)
app.add_typer(default_commands.app)


@app.command(name="serve")
def serve_command() -> None:
    """Serve SettlementService to headquarters at settlement_listen, until it is stopped."""
    from coalition.config import load_settings  # noqa: PLC0415 - the other commands start in a fraction of the time
    from settlement.serve import serve  # noqa: PLC0415 - the same: it opens the front door's libraries

    raise typer.Exit(serve(load_settings()))


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
