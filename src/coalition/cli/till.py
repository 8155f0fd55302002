"""`coalition till`: a terminal in the terminal, for a counter and for scripts, on the SDK of `coalition.client`.

Unlike `coalition pay`, which sends one request, it is a till: what it begins is on disk first, is sent again when the
line breaks, and is undone when no answer can be had, by this run or by the next. Never takes a card from the command
line, where the history of the shell would keep it.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from coalition.cli.money import format_number
from coalition.cli.options import At, Pin, read_card, read_code, read_pin, read_till
from coalition.cli.output import table
from coalition.cli.session import Session, client_command
from coalition.cli.till_panels import approved_panel, balance_panel, line_text, message_facts, receipt_panel
from coalition.cli.till_screen import ask_credential, screen
from coalition.cli.till_session import (
    CUT,
    NOT_DONE,
    OfflineOption,
    OutboxOption,
    at_terminal,
    offline_limits,
    read_original,
    tell,
    terminal,
)
from coalition.client import Credential, NotDone, PaymentCode, Terminal
from coalition.v1.operations_pb2 import Receipt

till_app = typer.Typer(
    help="""A terminal: scan or type a card, an amount, see the receipt. It works through network cuts.

    Without a command it asks what to do, one operation after the other, and shows the line: online or not, and how many
    reversals wait. With a command it does one thing, for scripts. The card comes from standard input or a file, never
    from the command line.

    What it begins is stored before it is sent (in var/outbox; never a card number), sent again by the same request id
    when the answer is lost, and reversed when no answer comes within half a minute: now, or first thing by the next
    command of this till. With --offline it approves sales by itself while the line is cut, and uploads them in order
    once it is back; until then their card numbers lie beside the outbox.

    Exit codes: 0 accepted; 1 declined; 2 wrong command line; 3 not done, nothing was sent or taken; 4 the answer was
    lost: treat it as not paid, its reversal is on its way. Only 0 means paid.
    """,
)

Card = Annotated[
    str | None,
    typer.Option(
        "--card",
        metavar="-|@FILE",
        help="- reads the card number from standard input, @FILE from a file; asked for when left out.",
        show_default=False,
    ),
]
Code = Annotated[
    str | None,
    typer.Option(
        "--code",
        metavar="DIGITS",
        help="The payment code that the member's phone shows, instead of a card; @FILE or - read it.",
        show_default=False,
    ),
]
Amount = Annotated[str, typer.Option("--amount", metavar="AMOUNT", help="Such as 12.30", show_default=False)]
Reference = Annotated[
    str, typer.Option("--reference", help="The merchant's own reference; no personal data.", show_default=False)
]
Answer = tuple[dict[str, Any], RenderableType]


@till_app.callback(invoke_without_command=True, epilog="Example: coalition till --at cafe/main/till-1")
@client_command
def till(
    session: Session,
    context: typer.Context,
    at: At = None,
    outbox: OutboxOption = None,
    offline: OfflineOption = None,
) -> None:
    """Run the screen of a till until it is left; nothing when a command follows."""
    if context.invoked_subcommand is not None:
        if at or outbox or offline or session.identity or session.server or session.as_json or session.field:
            raise typer.BadParameter("write options after the command: coalition till balance --at cafe/main/till-1")
        return
    place = read_till(session, at)
    try:
        limits = offline_limits(session, offline)
        with terminal(session, place, outbox, limits) as opened:
            screen(session, opened, place.identity.removeprefix("t/"), may_approve=limits is not None)
    except NotDone as failure:  # The outbox is in use or cannot be written.
        raise typer.BadParameter(str(failure)) from None


@till_app.command("purchase", epilog="Example: coalition till purchase --at cafe/main/till-1 --card - --amount 12.30")
@client_command
def purchase(
    session: Session,
    amount: Amount,
    card: Card = None,
    code: Code = None,
    pin: Pin = None,
    at: At = None,
    reference: Reference = "",
    outbox: OutboxOption = None,
    offline: OfflineOption = None,
) -> None:
    """Pay by card, the whole amount or nothing. Declined for PIN_REQUIRED: once more, with --pin.

    Outcome APPROVED_OFFLINE where the line is cut and the till approved the sale of a card by --offline.
    """
    amount_minor, number, typed = session.amount(amount), read_presented(card, code), read_pin(pin)
    limits = offline_limits(session, offline)

    def act(opened: Terminal) -> Answer:
        try:
            return _posted("paid", opened.purchase(number, amount_minor, sale_reference=reference, pin=typed))
        except CUT:
            if limits is None or not isinstance(number, str):
                raise
            request_id = opened.approve_offline(number, amount_minor, sale_reference=reference)
            picture = approved_panel(request_id, amount_minor, session.settings.currency)
            return {"outcome": "APPROVED_OFFLINE", "request_id": request_id}, picture

    at_terminal(session, at, outbox, act, limits)


@till_app.command("top-up", epilog="Example: coalition till top-up --at grocer/main/till-1 --card - --amount 100")
@client_command
def top_up(
    session: Session,
    amount: Amount,
    card: Card = None,
    code: Code = None,
    at: At = None,
    issuer: Annotated[
        str, typer.Option(metavar="PARTICIPANT", help="Whose value is sold; the till's own.", show_default=False)
    ] = "",
    terms: Annotated[
        str, typer.Option(metavar="AGREEMENT", help="Under which terms; the only ones in force.", show_default=False)
    ] = "",
    reference: Reference = "",
    outbox: OutboxOption = None,
) -> None:
    """Sell stored value: the member pays the amount, the bonus comes on top."""
    amount_minor, number = session.amount(amount), read_presented(card, code)

    def act(opened: Terminal) -> Answer:
        sold = opened.top_up(number, amount_minor, issuer=issuer, terms=terms, sale_reference=reference)
        return _posted("topped up", sold)

    at_terminal(session, at, outbox, act)


@till_app.command("refund", epilog="Example: coalition till refund --at cafe/main/till-1 4194305 --amount 5.00")
@client_command
def refund(
    session: Session,
    original: Annotated[
        str, typer.Argument(metavar="PURCHASE", help="Entry of the purchase as its receipt says, or its request_id.")
    ],
    amount: Amount,
    at: At = None,
    outbox: OutboxOption = None,
) -> None:
    """Give a purchase back, whole or in part."""
    amount_minor, sale = session.amount(amount), read_original(original)

    def act(opened: Terminal) -> Answer:
        return _posted("refunded", opened.refund(sale, amount_minor))

    at_terminal(session, at, outbox, act)


@till_app.command("balance", epilog="Example: coalition till balance --at cafe/main/till-1 --card @card.txt")
@client_command
def balance(session: Session, card: Card = None, code: Code = None, at: At = None, outbox: OutboxOption = None) -> None:
    """Show what a card holds, and how much of it is accepted here."""
    number = read_presented(card, code)

    def act(opened: Terminal) -> Answer:
        held = opened.balance(number)
        return message_facts("balance", held), balance_panel(held)

    at_terminal(session, at, outbox, act)


@till_app.command("line", epilog="Example: coalition till line --at cafe/main/till-1 --wait 60")
@client_command
def line(
    session: Session,
    at: At = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait until nothing is left to undo.")] = 10.0,
    outbox: OutboxOption = None,
) -> None:
    """Deliver what waits to be undone, uploaded or recorded, and show the line; exit code 3 while something waits."""
    with terminal(session, read_till(session, at), outbox) as opened:
        opened.settled(wait)
        state = opened.state
    facts = {
        "is_online": state.is_online,
        "waiting": state.waiting,
        "to_upload": state.to_upload,
        "closing": state.closing,
        "needs_help": [row.request_id for row in state.needs_help],
        "last_failure": state.last_failure,
    }
    tell(session, facts, line_text(state))
    if state.waiting or state.to_upload or state.closing:
        raise typer.Exit(NOT_DONE)


@till_app.command("recent", epilog="Example: coalition till recent --at cafe/main/till-1 --limit 5")
@client_command
def recent(
    session: Session,
    at: At = None,
    limit: Annotated[int, typer.Option(min=1, help="Most operations to show.")] = 20,
    outbox: OutboxOption = None,
) -> None:
    """List the last operations of this till and what became of them, newest first; also after a crash."""
    with terminal(session, read_till(session, at), outbox) as opened:
        rows = opened.recent(limit)
    shown = table(
        f"{len(rows)} operations, {session.settings.currency}",
        ("begun, UTC", "kind", ">amount", "state", "reason", "reference", "request"),
        (
            (
                datetime.fromtimestamp(row.begin_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S"),
                row.kind,
                format_number(row.amount_minor),
                row.state,
                row.reason,
                row.sale_reference,
                row.request_id,
            )
            for row in rows
        ),
    )
    tell(session, {"operations": [asdict(row) for row in rows]}, shown)


@till_app.command("dismiss", epilog="Example: coalition till dismiss --at cafe/main/till-1 REQUEST_ID")
@client_command
def dismiss(
    session: Session,
    request_id: Annotated[str, typer.Argument(metavar="REQUEST_ID", help="As till recent shows it: NEEDS_HELP.")],
    at: At = None,
    outbox: OutboxOption = None,
) -> None:
    """Say that a person has seen to an operation which the service would not undo."""
    with terminal(session, read_till(session, at), outbox) as opened:
        if not opened.dismiss(request_id):
            raise typer.BadParameter("no operation with this request id needs a person; see coalition till recent")


def read_presented(card: str | None, code: str | None) -> Credential:
    """The card of --card, or the code of --code; asked for when both are left out."""
    if code is None:
        return ask_credential() if card is None else read_own_card(card)
    if card is not None:
        raise typer.BadParameter("present one thing: --card or --code")
    return PaymentCode(read_code(code))


def read_own_card(text: str) -> str:
    """The card of --card, which is - or @FILE."""
    if text != "-" and not text.startswith("@"):
        raise typer.BadParameter("--card is - or @FILE: a number typed here stays in the history of the shell")
    return read_card(text)


def _posted(title: str, receipt: Receipt) -> Answer:
    return message_facts("receipt", receipt), receipt_panel(title, receipt)
