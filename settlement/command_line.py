# ruff: noqa: FBT001 - typer takes a command's flags as boolean parameters, and hands them on
"""What the commands of the month share: options, a way to the ledger, a seal, what to print, exit codes."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

import typer

from coalition.domain.acts import JSON
from coalition.domain.journal import Notary
from coalition.followers.follower import Follower
from coalition.storage import settlement as store
from coalition.storage.connect import Connection, connect
from coalition.storage.cursors import available
from coalition.storage.positions import POSITIONS
from settlement.errors import NothingToDo

DONE: Final = 0
HUMAN_NEEDED: Final = 1
NOTHING_TO_DO: Final = 2

LabelText = TypeVar("LabelText", str, str | None)
Calendar = Annotated[str, typer.Option(help="Code of the settlement calendar.")]
Label = Annotated[str, typer.Argument(help="Label of the window, such as 2017-01.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a sentence.")]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url", help="PostgreSQL of the ledger; without it, the one that is configured.", show_default=False
    ),
]


@dataclass(frozen=True, slots=True)
class Job:
    """What a command works with, open for as long as it runs."""

    connection: Connection
    follower: Follower


@contextmanager
def job(database_url: str | None) -> Iterator[Job]:
    """Open the ledger as the settlement role, with the database's own clock."""
    if database_url is None:
        from coalition.bootstrap.settlement import settlement_dsn  # noqa: PLC0415 - only without --database-url

        database_url = settlement_dsn()
    dsn = database_url

    def open_connection() -> Connection:
        return connect(dsn, "settlement")

    with available(), open_connection() as connection:
        yield Job(connection, Follower(POSITIONS, open_connection, lambda: store.now(connection), time.sleep))


def notary() -> Notary:
    """Who seals what a command writes in the journal."""
    from coalition.bootstrap.settlement import settlement_notary  # noqa: PLC0415 - opens the key ring, for two commands

    return settlement_notary()


def named(calendar: str, label: LabelText) -> tuple[str, LabelText]:
    """Calendar and label of a window, which may be written as receipts name it: monthly/2017-01."""
    before, slash, after = (label or "").partition("/")
    return (before, after) if slash else (calendar, label)


@contextmanager
def told(as_json: bool) -> Iterator[None]:
    """With --json, a command that has nothing to do still prints how things stand."""
    try:
        yield
    except NothingToDo as nothing:
        if as_json:
            typer.echo(json.dumps(nothing.facts, sort_keys=True))
        raise


def say(as_json: bool, facts: Mapping[str, JSON], sentence: str) -> None:
    """Print the outcome for a program or for a person."""
    typer.echo(json.dumps(dict(facts), sort_keys=True) if as_json else sentence)
