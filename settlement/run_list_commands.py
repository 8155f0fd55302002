# ruff: noqa: FBT001, FBT002 - typer takes a command's flags as boolean parameters
"""The command that lists runs, and what one has for each participant. Thin: read, print."""

from collections.abc import Sequence
from typing import Annotated, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from coalition.domain.acts import JSON
from coalition.domain.settlement_runs import Run
from coalition.storage import runs as store
from coalition.storage.connect import Connection
from settlement.command_line import DatabaseUrl, Json, job, say
from settlement.errors import NeedsHuman
from settlement.multilateral import major

RUNS_SHOWN: Final = 12

app = typer.Typer()


@app.command(name="runs")
def runs_command(
    run_id: Annotated[
        int | None, typer.Argument(metavar="RUN", min=1, help="Show what it has for everybody.", show_default=False)
    ] = None,
    as_json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Show the newest runs, or what one has for each participant."""
    with job(database_url) as work:
        connection = work.connection
        if run_id is None:
            found = store.list_runs(connection, None, RUNS_SHOWN)
            facts: list[JSON] = [run_facts(connection, run) for run in found]
            rows = [
                (
                    str(run.run_id),
                    run.state,
                    windows_of(connection, run.run_id),
                    major(run.collected_minor, grouped=True),
                    major(run.paid_minor, grouped=True),
                    run.maker,
                )
                for run in found
            ]
            show(as_json, {"runs": facts}, ("run", "state", "windows", ">collected", ">paid", "maker"), rows)
            return
        run = store.read_run(connection, run_id)
        if run is None:
            raise NeedsHuman(f"there is no run {run_id}: see `python -m settlement runs`")
        parties = store.run_parties(connection, run_id)
        told_parties: list[JSON] = [
            {
                "participant": party.code,
                "due_minor": party.due_minor,
                "instructed_minor": party.instructed_minor,
                "settled_minor": party.settled_minor,
                "state": party.state,
                "instruction_id": party.instruction_id,
            }
            for party in parties
        ]
        show(
            as_json,
            {**run_facts(connection, run), "parties": told_parties},
            ("participant", ">due", ">instructed", ">settled", "state", "instruction"),
            [
                (
                    party.code,
                    major(party.due_minor, grouped=True),
                    major(party.instructed_minor, grouped=True),
                    major(party.settled_minor, grouped=True),
                    party.state,
                    party.instruction_id or "",
                )
                for party in parties
            ],
        )


def run_facts(connection: Connection, run: Run) -> dict[str, JSON]:
    """A run for programs."""
    return {
        "run_id": run.run_id,
        "state": run.state,
        "windows": [f"{window.calendar}/{window.label}" for window in store.run_windows(connection, run.run_id)],
        "maker": run.maker,
        "collected_minor": run.collected_minor,
        "paid_minor": run.paid_minor,
        "advance_minor": run.advance_minor,
        "advance_limit_minor": run.advance_limit_minor,
        "content_hash": run.content_hash.hex(),
    }


def windows_of(connection: Connection, run_id: int) -> str:
    """The windows of a run for people."""
    return ", ".join(f"{window.calendar}/{window.label}" for window in store.run_windows(connection, run_id))


def show(as_json: bool, facts: dict[str, JSON], headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """A table for people, the facts for programs. A heading that begins with > is of numbers."""
    if as_json:
        say(as_json, facts, "")
        return
    table = Table(box=box.SIMPLE_HEAD)
    for heading in headings:
        table.add_column(heading.removeprefix(">"), justify="right" if heading.startswith(">") else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
