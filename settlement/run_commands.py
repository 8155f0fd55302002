# ruff: noqa: FBT002 - typer takes a command's flags as boolean parameters
"""The commands of a settlement run, thin: read options, call the room, print, choose the exit code."""

import time
from datetime import date
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from coalition.cli.money import parse_amount
from coalition.domain.acts import JSON
from coalition.domain.settlement_runs import RunPolicy
from coalition.storage import settlement as month
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection
from settlement import accounts, confirming, exporting, interim, run_ends, runs
from settlement.command_line import Calendar, DatabaseUrl, Json, job, notary, say, told
from settlement.errors import NeedsHuman
from settlement.multilateral import major

app = typer.Typer()

RunId = Annotated[int, typer.Argument(metavar="RUN", min=1, help="Number of the run.", show_default=False)]


@app.command()
def prepare(
    calendar: Annotated[
        str | None, typer.Option(help="Only this calendar's windows; without it every one's.", show_default=False)
    ] = None,
    minimum: Annotated[str, typer.Option(metavar="AMOUNT", help="Below it an amount is carried forward.")] = "0",
    advance_limit: Annotated[str, typer.Option(metavar="AMOUNT", help="The most that the operator advances.")] = "0",
    execution_date: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM-DD", help="When the bank is to move it; tomorrow.", show_default=False),
    ] = None,
    as_json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Prepare a run over every netted window and ask for its approval. Moves nothing."""
    with job(database_url) as work, told(as_json):
        least, most = (
            amount(work.connection, text, option)
            for text, option in ((minimum, "--minimum"), (advance_limit, "--advance-limit"))
        )
        policy = RunPolicy(least, most)
        wish = runs.Wish(calendar, policy, day(execution_date))
        answer = runs.prepare(work.connection, acts(work.connection), wish).answer
        run_id, windows = answer["run_id"], named_windows(answer["windows"])
        say(
            as_json,
            answer,
            f"run {run_id} over {windows or 'what was left due'} is prepared: collect "
            f"{major(whole(answer['collected_minor']), grouped=True)}, pay "
            f"{major(whole(answer['paid_minor']), grouped=True)}. It waits for approval {answer['approval_id']}; "
            "approvers see it with: python -m settlement inbox --as ap/NAME",
        )


@app.command()
def abort(
    run_id: RunId,
    rest: Annotated[
        bool, typer.Option("--rest", help="End a SETTLING run: what was not handed out joins the next.")
    ] = False,
    as_json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Take a run back that nothing was handed out of; its windows are CLOSED again and may be netted anew."""
    with job(database_url) as work, told(as_json):
        if rest:
            withheld = run_ends.withhold(work.connection, run_id, notary=notary())
            say(
                as_json, {"run_id": run_id, "withheld": [*withheld]}, f"withheld of run {run_id}: {', '.join(withheld)}"
            )
            return
        windows = run_ends.abort(work.connection, run_id, notary=notary())
        say(
            as_json,
            {"run_id": run_id, "windows": [*windows]},
            f"run {run_id} is aborted; {', '.join(windows) or 'no window'} is CLOSED again",
        )


@app.command(name="export")
def export_command(
    run_id: RunId,
    out: Annotated[Path, typer.Option(help="Directory for the payment files.")],
    as_json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Write the payment files of an approved run: collections at once, payments when they are covered."""
    with job(database_url) as work, told(as_json):
        exported = exporting.export(work.connection, acts(work.connection), run_id)
        try:
            paths = exporting.write(exported, out)
        except OSError as error:
            raise NeedsHuman(f"--out {out} cannot be written: {error.strerror}") from error
        waits = (
            f"\npayments wait until {major(exported.uncovered_minor, grouped=True)} more has come in: "
            "confirm the bank's result, then export again"
            if exported.uncovered_minor
            else ""
        )
        say(
            as_json,
            {
                "run_id": run_id,
                "files": [str(path) for path in paths],
                "uncovered_minor": exported.uncovered_minor,
            },
            "\n".join(str(path) for path in paths) + waits,
        )


@app.command()
def confirm(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The bank's: camt.054, pain.002 or CSV.")
    ],
    as_json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Take a bank's result into the books, line by line, all of a file or nothing."""
    with job(database_url) as work, told(as_json):
        done = confirming.confirm(work.connection, file.read_bytes(), notary=notary())
        finished = "".join(f"; run {run_id} is DONE" for run_id in done.finished)
        say(
            as_json,
            {**done.body(), "finished": [*done.finished]},
            f"{done.posted} lines posted, {done.known_before} known before{finished}",
        )


@app.command(name="accounts")
def accounts_command(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", exists=True, dir_okay=False, help=f"CSV with {', '.join(accounts.COLUMNS)} in its header."
        ),
    ],
    as_json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Set the bank accounts that runs pay to and collect from."""
    with job(database_url) as work, told(as_json):
        answer = accounts.set_accounts(work.connection, acts(work.connection), file.read_bytes()).answer
        say(as_json, answer, f"{answer['changed']} bank accounts set")


@app.command(name="interim")
def interim_command(
    threshold: Annotated[str, typer.Option(metavar="AMOUNT", help="Close if somebody owes so much or more.")],
    calendar: Calendar = "monthly",
    as_json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Close the open window before its period is over if somebody owes too much; for a timer."""
    with job(database_url) as work, told(as_json):
        closed, most = interim.close_if_exposed(
            work.connection,
            work.follower,
            calendar,
            amount(work.connection, threshold, "--threshold"),
            clock=lambda: month.now(work.connection),
            sleep=time.sleep,
            notary=notary(),
        )
        say(
            as_json,
            {
                "calendar": closed.calendar,
                "label": closed.label,
                "next_label": closed.next_label,
                "participant": most.code,
                "owed_minor": most.owed_minor,
            },
            f"{most.code} owes {major(most.owed_minor, grouped=True)}: {closed.label} is closed, "
            f"{closed.next_label} is open. Next: python -m settlement net {closed.label}",
        )


def acts(connection: Connection) -> Acts:
    """What performs an act once, sealed by the key ring."""
    known = month.scheme(connection)
    zone = ZoneInfo(known.zone)
    return Acts(known.lane_count, lambda time: time.astimezone(zone).date(), notary())


def amount(connection: Connection, text: str, option: str) -> int:
    """Minor units of an amount on the command line. Raises NeedsHuman naming the option."""
    try:
        return parse_amount(text, month.scheme(connection).currency_code)
    except ValueError as error:
        raise NeedsHuman(f"{option}: {error}") from None


def day(text: str | None) -> date | None:
    """A day on the command line. Raises NeedsHuman."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise NeedsHuman(f"--execution-date: {text!r} is no day; write it as 2017-02-03") from None


def named_windows(told: JSON) -> str:
    """The windows that an answer tells, for people."""
    pairs = told if isinstance(told, list) else []
    return ", ".join(f"{pair[0]}/{pair[1]}" for pair in pairs if isinstance(pair, list))


def whole(told: JSON) -> int:
    """A number that an answer tells."""
    return told if isinstance(told, int) else 0
