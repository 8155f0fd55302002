"""`coalition till day`, `close-day` and `receipts`: the end of the day of a till that runs on `coalition.client`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group

from coalition.cli.certificates import day_signer_of
from coalition.cli.day_panels import close_text, differences_table, totals_table
from coalition.cli.options import At, read_till
from coalition.cli.output import console, print_json, to_json
from coalition.cli.session import Session, client_command
from coalition.cli.till import till_app
from coalition.cli.till_panels import failure_facts
from coalition.cli.till_session import UNKNOWN, OutboxOption, code_of, tell, terminal
from coalition.client import CloseWaits, Declined, NotDone

DIFFERS = 1
"""Exit code of a close in which till and journal differ."""


@till_app.command("day", epilog="Example: coalition till day --at cafe/main/till-1")
@client_command
def day(session: Session, at: At = None, outbox: OutboxOption = None) -> None:
    """Show what this till counts since its last close beside what the journal counts. Changes nothing."""
    with _outcome(session), terminal(session, read_till(session, at), outbox) as opened:
        told = opened.day_totals()
    facts = {
        "business_date": told.business_date,
        "number": told.number,
        "agrees": told.agrees,
        "waiting": told.waiting,
        "ours": [to_json(each) for each in told.ours],
        "theirs": [to_json(each) for each in told.theirs],
    }
    agree = "till and journal agree" if told.agrees else "till and journal DIFFER"
    waits = f"; {told.waiting} operations wait to be undone or uploaded" if told.waiting else ""
    title = f"close {told.number} is next, {told.currency_code}: {agree}{waits}"
    tell(session, facts, totals_table(title, told.ours, told.theirs))


@till_app.command("close-day", epilog="Example: coalition till close-day --at cafe/main/till-1")
@client_command
def close_day(
    session: Session,
    at: At = None,
    outbox: OutboxOption = None,
    date: Annotated[
        str, typer.Option("--date", metavar="YYYY-MM-DD", help="What the day is called; today.", show_default=False)
    ] = "",
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait until nothing is left to undo or upload.")] = 10.0,
    leave_waiting: Annotated[
        bool, typer.Option("--leave-waiting", help="Close over what still waits: it belongs to the next close.")
    ] = False,
) -> None:
    """Close the till's day: its own count, signed, is compared with the journal and recorded with every difference.

    It is recorded also where the two differ; nothing is corrected. A close that got no answer is sent again, the same,
    by this till's next command. Exit codes: 0 they agree; 1 they differ, or the close was declined; 3 nothing was
    closed; 4 it is stored and has no answer yet.
    """
    till = read_till(session, at)
    sign = day_signer_of(session.settings, session.identity or till.identity)
    with _outcome(session), terminal(session, till, outbox) as opened:
        opened.settled(wait)
        closed = opened.close_day(sign, business_date=date, leave_waiting=leave_waiting)
    facts = {"number": closed.number, "business_date": closed.business_date, **to_json(closed.answer)}
    text = close_text(closed.number, closed.business_date, closed.answer)
    tell(session, facts, text if closed.agrees else Group(text, differences_table(closed.answer.differences)))
    if not closed.agrees:
        raise typer.Exit(DIFFERS)


@till_app.command("receipts", epilog="Example: coalition till receipts --at cafe/main/till-1 --out receipts")
@client_command
def receipts(
    session: Session,
    at: At = None,
    outbox: OutboxOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write each as a file, ENTRY.json, for coalition audit."),
    ] = None,
) -> None:
    """Fetch the sealed receipts of everything this till was answered, and keep them in its outbox.

    Whoever holds one finds a log that has lost the sale: coalition audit verify --receipts DIR, coalition audit
    exchange FILE. Exit codes: 0 all are kept; 1 the coalition does not know an answer any more that it gave.
    """
    with _outcome(session), terminal(session, read_till(session, at), outbox) as opened:
        told = opened.keep_receipts()
        kept = opened.receipts()
    if out is not None:
        from coalition.bootstrap.bundling import sealed_receipt

        out.mkdir(parents=True, exist_ok=True)
        for each in kept:
            (out / f"{each.leaf.entry_id}.json").write_text(sealed_receipt(each).to_text(), encoding="utf-8")
    text = f"{told.fetched} receipts fetched, {len(kept)} kept" + (f", written to {out}" if out else "")
    lost = "".join(f"\nLOST: the coalition does not know its answer to request {each} any more" for each in told.lost)
    tell(session, {"fetched": told.fetched, "kept": len(kept), "lost": list(told.lost)}, text + lost)
    if told.lost:
        raise typer.Exit(DIFFERS)


@contextmanager
def _outcome(session: Session) -> Iterator[None]:
    """Say how it failed, as asked for; the exit code is the failure's."""
    try:
        yield
    except (Declined, NotDone) as failure:
        _say(session, failure_facts(failure), str(failure))
        raise typer.Exit(code_of(failure)) from None
    except CloseWaits as waits:
        _say(session, {"outcome": "WAITS", "number": waits.number, "request_id": waits.request_id}, str(waits))
        raise typer.Exit(UNKNOWN) from None


def _say(session: Session, facts: dict[str, object], text: str) -> None:
    if session.as_json:
        print_json(facts)
    else:
        console(stderr=True).print(text, style="bold red", soft_wrap=True)
