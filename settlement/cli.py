# ruff: noqa: FBT002 - typer takes a command's flags as boolean parameters
"""The commands of the month, thin: read options, call the room, print, choose the exit code.

Exit codes are a contract with timers and scripts: 0 done, 2 nothing to do, 1 a human is needed (wrong usage too).
Never prints a connection string: it may hold a password.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

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
    run_list_commands,
    simulation_commands,
    status_commands,
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


app.add_typer(status_commands.app)
app.add_typer(paper_commands.app)
app.add_typer(simulation_commands.app)
app.add_typer(run_commands.app)
app.add_typer(run_list_commands.app)
app.add_typer(inbox_commands.app)
app.add_typer(default_commands.app)


@app.command(name="serve")
def serve_command() -> None:
    """Serve SettlementService to headquarters at settlement_listen, until it is stopped."""
    from coalition.config import load_settings  # noqa: PLC0415 - the other commands start in a fraction of the time
    from settlement.serve import serve  # noqa: PLC0415 - the same: it opens the front door's libraries

    raise typer.Exit(serve(load_settings()))
