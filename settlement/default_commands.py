# ruff: noqa: FBT002 - typer takes a command's flags as boolean parameters
"""The commands of collateral, defaults and write-offs, thin. Said once each asks for approval, again it acts."""

from typing import Annotated

import typer

from settlement import collateral, defaulting, writing_off
from settlement.command_line import DatabaseUrl, Json, job, notary, say, told
from settlement.proposing import Result
from settlement.run_commands import amount as amount_of

app = typer.Typer()

Participant = Annotated[str, typer.Argument(metavar="PARTICIPANT", help="Code of the participant.", show_default=False)]


@app.command(name="collateral")
def collateral_command(
    participant: Participant,
    amount: Annotated[str, typer.Option(metavar="AMOUNT", help="How much the bank moved.", show_default=False)],
    reference: Annotated[str, typer.Option(help="The bank's own reference of the line.", show_default=False)],
    back: Annotated[bool, typer.Option("--back", help="It is paid back to the participant.")] = False,
    as_json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Post collateral that a participant paid in, or got back. Asks for approval; run it again once it is approved."""
    with job(database_url) as work, told(as_json):
        minor = amount_of(work.connection, amount, "--amount")
        tell(as_json, collateral.move(work.connection, participant, minor, reference, back=back, notary=notary()))


@app.command(name="default")
def default_command(
    participant: Participant,
    recovery: Annotated[
        str | None,
        typer.Option(metavar="AMOUNT", help="Hand on so much that came in of it later.", show_default=False),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="With --recovery: the bank's line that brought it; without, what is due to it is handed on.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Declare that a participant does not pay. Asks for approval; run it again once it is approved.

    Its collateral covers what it owes, whom it owed bears the rest, and it is suspended.
    """
    if reference is not None and recovery is None:
        raise typer.BadParameter("names the line that brought a --recovery", param_hint="--reference")
    with job(database_url) as work, told(as_json):
        if recovery is None:
            tell(as_json, defaulting.declare(work.connection, participant, notary=notary()))
            return
        minor = amount_of(work.connection, recovery, "--recovery")
        tell(as_json, defaulting.recover(work.connection, participant, minor, reference, notary=notary()))


@app.command(name="write-off")
def write_off_command(
    participant: Participant,
    amount: Annotated[str, typer.Option(metavar="AMOUNT", help="How much is given up.", show_default=False)],
    as_json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Give up what a participant owes and will not pay; the operator bears it. Asks for approval; run it again then.

    For residues. Who does not pay a window defaults: its collateral and those it owes come first (`default`).
    """
    with job(database_url) as work, told(as_json):
        minor = amount_of(work.connection, amount, "--amount")
        tell(as_json, writing_off.give_up(work.connection, participant, minor, notary=notary()))


def tell(as_json: bool, result: Result) -> None:  # noqa: FBT001 - handed on as typer gave it
    """Print that it was done, or what it waits for."""
    if result.approval_id is None:
        sentence = f"{result.summary}: posted"
    else:
        sentence = f"{result.summary}. It waits for approval {result.approval_id}; approved, run the same command again"
    say(as_json, {**result.body, "approval_id": result.approval_id}, sentence)
