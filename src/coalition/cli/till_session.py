"""How a command becomes a terminal: its certificate, its outbox, and what each outcome prints and exits with."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import typer
from rich.console import RenderableType

from coalition.bootstrap.addresses import SERVER, address_of
from coalition.bootstrap.pins import seal_pin
from coalition.cli.certificates import own_certificate
from coalition.cli.options import Till, read_till
from coalition.cli.output import console, print_json
from coalition.cli.session import Session, found
from coalition.cli.till_panels import Failure, failure_facts, failure_panel
from coalition.client import (
    ClientError,
    CloseFirst,
    Declined,
    NotDone,
    Offline,
    OfflineLimits,
    OutcomeUnknown,
    Terminal,
    UndoneFirst,
)

DECLINED: Final = 1
NOT_DONE: Final = 3
UNKNOWN: Final = 4

OutboxOption = Annotated[
    Path | None,
    typer.Option(
        "--outbox",
        metavar="FILE",
        help="Where the till keeps what it has begun; below var/outbox when left out. Never holds a card number.",
        show_default=False,
    ),
]


OfflineOption = Annotated[
    str | None,
    typer.Option(
        "--offline",
        metavar="SALE:CARD:ALL",
        help="What the till may approve while the line is cut, such as 50:100:1000: a sale, of one card, in all.",
        show_default=False,
    ),
]
CUT: Final = (Offline, UndoneFirst, CloseFirst, OutcomeUnknown)
"""How a sale ends that a till may approve by itself then."""


def offline_limits(session: Session, text: str | None) -> OfflineLimits | None:
    """Of --offline; None where the till may approve nothing."""
    if text is None:
        return None
    amounts = text.split(":")
    if len(amounts) != len(fields(OfflineLimits)):
        raise typer.BadParameter("--offline takes three amounts: of a sale, of one card, of all: 50:100:1000")
    return OfflineLimits(*(session.amount(each) for each in amounts))


@contextmanager
def terminal(
    session: Session, till: Till, outbox: Path | None, offline: OfflineLimits | None = None
) -> Iterator[Terminal]:
    """The terminal of --at, open. Raises CertificateMissing, OutboxInUse, OutboxFailed."""
    place = till.place
    with Terminal(
        session.server or address_of(session.settings, SERVER, session.settings.listen),
        own_certificate(session.settings, session.identity or till.identity),
        outbox=outbox or session.settings.var / "outbox" / f"{place}.sqlite",
        at=place,
        currency_code=session.settings.currency,
        pin_sealer=seal_pin,
        offline=offline,
    ) as opened:
        yield opened


def at_terminal(
    session: Session,
    at: str | None,
    outbox: Path | None,
    act: Callable[[Terminal], tuple[dict[str, Any], RenderableType]],
    offline: OfflineLimits | None = None,
) -> None:
    """Do one thing at a terminal and tell how it ended; the exit code is the outcome's."""
    try:
        with terminal(session, read_till(session, at), outbox, offline) as opened:
            facts, picture = act(opened)
    except (Declined, NotDone, OutcomeUnknown) as failure:
        tell_failure(session, failure)
        raise typer.Exit(code_of(failure)) from None
    tell(session, {"outcome": "ACCEPTED", **facts}, picture)


def tell(session: Session, facts: dict[str, Any], picture: RenderableType) -> None:
    """Print an outcome as asked for: JSON, one field of it, or for people."""
    if session.field:
        for value in found(facts, session.field):
            typer.echo(value)
    elif session.as_json:
        print_json(facts)
    else:
        console().print(picture)


def tell_failure(session: Session, failure: Failure) -> None:
    """Say that it is not paid, why, and what to do."""
    if session.as_json:
        print_json(failure_facts(failure))
    else:
        console(stderr=True).print(failure_panel(failure))


def code_of(failure: ClientError) -> int:
    """The exit code of an operation that did not end with a receipt."""
    match failure:
        case Declined():
            return DECLINED
        case OutcomeUnknown():
            return UNKNOWN
    return NOT_DONE


def read_original(text: str) -> int | str:
    """The entry or the request_id of a purchase."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        return str(UUID(text))
    except ValueError:
        raise typer.BadParameter("PURCHASE is the number of an entry, or a request_id") from None
