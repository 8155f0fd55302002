"""`coalition events`: what happened, for whom it concerns: told here or handed on to an HTTP door, from a cursor on."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from coalition.cli.options import read_text
from coalition.cli.output import console, enum_name, print_json, time_text, to_json
from coalition.cli.session import Session, client_command
from coalition.client import Connection, NotDone
from coalition.client.webhooks import PAUSES, Door, SecretMalformed, hand_on, posted, read_key
from coalition.v1.events_pb2 import Event, GetEventsRequest, GetEventsResponse

PAGE: Final = 100
LOOK_SECONDS: Final = 1.0
PLAIN_HTTP: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@client_command
def events(
    session: Session,
    cursor: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Go on where this file says, and keep in it how far.", show_default=False),
    ] = None,
    after: Annotated[str, typer.Option(metavar="EVENT", help="Only those behind this event.", show_default=False)] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Go on with what happens from now on.")] = False,
    to: Annotated[
        str | None, typer.Option(metavar="URL", help="Hand each on to this HTTPS door.", show_default=False)
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(metavar="@FILE", help="What signs them: whsec_... in a file, or -.", show_default=False),
    ] = None,
) -> None:
    """Tell what happened, oldest first: a participant's or (op/..., mg/...) everybody's settlement or members.

    Each is told at least once and in order; with --cursor none is passed over, whatever stops in between. With --json a
    line is one event.
    """
    door = read_door(to, secret)
    if cursor is not None:
        after = read_cursor(cursor) or after
    with session.coalition() as connection:
        for page in told(connection, after, wait=wait):
            for event in page.events:
                if door is not None:
                    deliver(door, event, wait=wait)
                elif session.as_json:
                    print_json(to_json(event))
                else:
                    console().print(sentence(session, event), soft_wrap=True)
                if cursor is not None and door is not None:
                    keep_cursor(cursor, event.event_id)
            if cursor is not None:
                keep_cursor(cursor, page.next_after)


def told(connection: Connection, after: str, *, wait: bool) -> Iterator[GetEventsResponse]:
    """Page after page behind a cursor, to the end or, waiting, without one."""
    while True:
        page = connection.call(connection.events.GetEvents, GetEventsRequest(after=after, page_size=PAGE))
        yield page
        if page.next_after == after:
            if not wait:
                return
            time.sleep(LOOK_SECONDS)
        after = page.next_after


def deliver(door: Door, event: Event, *, wait: bool) -> None:
    """Hand one on until it is taken. Raises NotDone where nobody waits for ever and it was not."""
    body = event_bytes(event)
    taken = hand_on(
        door,
        event.event_id,
        body,
        attempts_max=None if wait else len(PAUSES),
        clock=time.time,
        sleep=time.sleep,
        post=posted,
        failed=lambda why: console(stderr=True).print(f"event {event.event_id} was not taken: {why}"),
    )
    if not taken:
        raise NotDone(
            f"event {event.event_id} is not taken by its receiver",
            "run the same command again: it goes on where --cursor stands",
        )


def event_bytes(event: Event) -> bytes:
    """An event as a receiver of webhooks gets it: type, timestamp and data, as Standard Webhooks advises."""
    import json

    data = to_json(event)
    said = {"type": enum_name(event, "kind").lower(), "timestamp": data["time"], "data": data}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def sentence(session: Session, event: Event) -> str:
    """One line for people."""
    about = event.member_id or event.about or event.participant
    if event.kind and event.HasField("wallet_entry"):
        line = event.wallet_entry
        what = f"{enum_name(line, 'kind')} {session.money(line.balance_change_minor)} at {line.participant}"
        what += f", points {line.points:+} of {line.points_programme}" if line.points else ""
    elif event.HasField("lot"):
        what = f"lot {event.lot.lot_id} of {event.lot.issuer}, {session.money(event.lot.face_minor)}"
        what += f", bonus ends {event.lot.bonus_expiry_date}" if event.lot.bonus_expiry_date else ""
        what += f", owed by {event.successor} now" if event.successor else ""
    elif event.HasField("points"):
        what = f"{event.points.points} points of {event.points.programme}, last day {event.points.last_day}"
    else:
        run = f"run {event.run_id}" if event.run_id else ""
        amount = session.money(event.amount_minor) if event.amount_minor else ""
        parts = (event.window, run, event.dispute_id, event.successor, event.state, amount)
        what = " ".join(part for part in parts if part)
    return f"{event.event_id} {time_text(event.time)} {enum_name(event, 'kind')} {about or 'all'}: {what}"


def read_door(url: str | None, secret: str | None) -> Door | None:
    """Where to hand on to; None without --to. What is wrong ends the command with exit code 2, and is not repeated."""
    if (url is None) != (secret is None):
        raise typer.BadParameter("--to and --secret belong together: nobody takes what is not signed")
    if url is None or secret is None:
        return None
    parts = urlsplit(url)
    if parts.scheme != "https" and (parts.scheme != "http" or parts.hostname not in PLAIN_HTTP):
        raise typer.BadParameter("--to is an https:// URL; http:// on this machine alone")
    if not secret.startswith(("-", "@")):
        raise typer.BadParameter("--secret is @FILE or -: one typed here is seen by every process")
    try:
        return Door(url, read_key(read_text(secret, "--secret")))
    except SecretMalformed as error:
        raise typer.BadParameter(f"--secret: {error}") from None


def read_cursor(path: Path) -> str:
    """What was kept; empty where nothing was yet."""
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError):
        raise typer.BadParameter("--cursor FILE: the file cannot be read, or holds no cursor") from None


def keep_cursor(path: Path, cursor: str) -> None:
    """Keep how far it was told, so that a machine that dies has the old one or the new one."""
    written = path.with_name(f"{path.name}.new")
    try:
        with written.open("w", encoding="ascii") as file:
            file.write(f"{cursor}\n")
            file.flush()
            os.fsync(file.fileno())
        written.replace(path)
    except OSError:
        raise typer.BadParameter("--cursor FILE: it cannot be written there") from None
