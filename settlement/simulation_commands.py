# ruff: noqa: FBT002 - typer takes a command's flags as boolean parameters
"""The command that plays proposed agreements over past windows. Thin: read options, call the room, print."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from coalition.domain.acts import JSON
from coalition.domain.simulation_records import Declined, Float, Line, Outcome
from coalition.storage import settlement as store
from settlement import gains_picture, simulating
from settlement.command_line import Calendar, DatabaseUrl, Json, job, named, say
from settlement.errors import NeedsHuman, NothingToDo
from settlement.multilateral import major
from settlement.proposals import read_proposals

app = typer.Typer()


@app.command()
def simulate(
    file: Annotated[
        Path,
        typer.Argument(
            help="JSON: an object with code, kind (acceptance, acquiring, fees, terms) and content, or a list of them.",
            show_default=False,
        ),
    ],
    labels: Annotated[
        list[str], typer.Argument(metavar="LABEL...", help="Netted windows, such as 2017-01.", show_default=False)
    ],
    participant: Annotated[
        str | None, typer.Option(help="Tell only this participant's lines, to hand them to it.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the lines as CSV to this file.", show_default=False)] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw who would have gained and lost as SVG to this file.", show_default=False)
    ] = None,
    calendar: Calendar = "monthly",
    as_json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Play proposed agreements over past windows: who would have gained and who would have lost. Changes nothing.

    Exit code 0 with the figures, 2 if nobody's would have been others.
    """
    windows = [named(calendar, label) for label in labels]
    if len({each for each, _ in windows}) > 1:
        raise typer.BadParameter("name windows of one calendar")
    proposals = read_proposals(file)
    with job(database_url) as work:
        outcome = simulating.simulate(
            work.connection, work.follower, windows[0][0], [label for _, label in windows], proposals
        )
        currency_code = store.scheme(work.connection).currency_code
    told = outcome.of(None if participant is None else [participant])
    lines, declined = told.lines, told.declined
    if participant is not None and not lines:
        raise NeedsHuman(f"--participant {participant}: no participant has this code")
    if out is not None:
        try:
            simulating.write_lines(out, lines, told.floats)
        except OSError as error:
            raise NeedsHuman(f"--out {out} cannot be written: {error.strerror}") from error
    if picture is not None:
        drawn = gains_picture.draw(simulating.totals(lines), [label for _, label in windows], currency_code)
        try:
            picture.write_text(drawn, encoding="utf-8")
        except OSError as error:
            raise NeedsHuman(f"--picture {picture} cannot be written: {error.strerror}") from error
    if as_json:
        say(as_json, facts(told), "")
    else:
        show(lines, declined)
        show_floats(told.floats)
    if not outcome.changes_something:
        raise NothingToDo("under this proposal nobody's figures would have been others")


def facts(told: Outcome) -> dict[str, JSON]:
    """What a program reads; amounts in minor units."""
    return {
        "floats": [
            {
                "custodian": each.custodian,
                "difference_minor": each.difference_minor,
                "issuer": each.issuer,
                "real_minor": each.real_minor,
                "simulated_minor": each.simulated_minor,
                "window": each.label,
            }
            for each in told.floats
        ],
        "declined": [
            {
                "amount_minor": each.amount_minor,
                "count": each.count,
                "participant": each.participant,
                "reason": each.reason.name,
                "window": each.label,
            }
            for each in told.declined
        ],
        "lines": [
            {
                "code": line.code,
                "difference_minor": line.difference_minor,
                "participant": line.participant,
                "real_minor": line.real_minor,
                "simulated_minor": line.simulated_minor,
                "window": line.label,
            }
            for line in told.lines
        ],
    }


def show_floats(floats: Sequence[Float]) -> None:
    """Where members' money lay at the end of each window, and would have lain; nothing where it is the same."""
    if not floats:
        return
    table = Table(box=box.SIMPLE_HEAD, title="where members' money would have lain")
    for heading in ("window", "with", "value of"):
        table.add_column(heading)
    for heading in ("real", "simulated", "difference"):
        table.add_column(heading, justify="right")
    for each in floats:
        amounts = (each.real_minor, each.simulated_minor, each.difference_minor)
        told = (major(amount, grouped=True) for amount in amounts)
        table.add_row(each.label, each.custodian, each.issuer, *told)
    Console().print(table)


def show(lines: Sequence[Line], declined: Sequence[Declined]) -> None:
    """Each participant's net over all windows, with the sum of them; and what would have been declined."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("participant")
    for heading in ("real net", "simulated net", "difference"):
        table.add_column(heading, justify="right")
    rows = simulating.totals(lines)
    for row in rows:
        amounts = (row.real_minor, row.simulated_minor, row.difference_minor)
        table.add_row(row.participant, *(major(amount, grouped=True) for amount in amounts))
    if len(rows) > 1:
        table.add_section()
        sums = (sum(row.real_minor for row in rows), sum(row.simulated_minor for row in rows))
        table.add_row("all", *(major(amount, grouped=True) for amount in (*sums, sums[1] - sums[0])))
    Console().print(table)
    for each in declined:
        typer.echo(
            f"{each.label} {each.participant}: {each.count:,} sales of {major(each.amount_minor, grouped=True)} would "
            f"have been declined, {each.reason.name}; they are counted as they were"
        )
