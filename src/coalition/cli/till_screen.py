"""The screen of `coalition till`: asks what to do, one operation after the other, and shows the line between them.

Without a keyboard (a pipe, a test) it reads lines. A card number is hidden while it is typed or scanned, and shown as
its last four digits afterwards; a payment code is not shown at all.
"""

import sys
from collections.abc import Callable
from typing import Final

import typer
from rich.console import Console, RenderableType
from rich.panel import Panel
from rich.status import Status

from coalition.cli.money import format_amount, format_number
from coalition.cli.options import ASK, read_card, read_code, read_pin
from coalition.cli.output import console
from coalition.cli.session import Session
from coalition.cli.till_panels import approved_panel, balance_panel, failure_panel, line_text, receipt_panel
from coalition.cli.till_session import CUT, read_original
from coalition.client import (
    CallRefused,
    Credential,
    Declined,
    NotDone,
    OutcomeUnknown,
    PaymentCode,
    ServerUnreachable,
    Terminal,
)

QUIT: Final = "q"
CODE_WORD: Final = "code"
MENU: Final = "p purchase   t top-up   r refund   b balance   l last operations   q quit"
LAST_SHOWN: Final = 8
PIN_REQUIRED: Final = "PIN_REQUIRED"
NOT_NOW: Final = "the server did not answer; nothing was changed, try again"


def screen(session: Session, till: Terminal, name: str, *, may_approve: bool) -> None:
    """Ask and do, until q or the end of input. Ctrl-C during an operation undoes it; at a question it leaves."""
    out = console()
    acts: dict[str, Callable[[], RenderableType]] = {
        "p": lambda: _purchase(session, till, out, may_approve=may_approve),
        "t": lambda: _top_up(session, till, out),
        "r": lambda: _refund(session, till, out),
        "b": lambda: _balance(till, out),
        "l": lambda: _last(till),
    }
    out.print(Panel(MENU, title=f"till {name}", expand=False))
    while True:
        out.print(line_text(till.state), style="dim")
        try:
            chosen = _ask("what").lower()[:1]
        except (EOFError, KeyboardInterrupt):
            chosen = QUIT
        if chosen == QUIT:
            break
        if chosen not in acts:
            out.print(MENU)
            continue
        _do(out, acts[chosen])
    state = till.state
    if state.waiting:
        out.print(f"{state.waiting} reversals wait; they are sent by the next start of this till, first thing")
    if state.to_upload:
        out.print(f"{state.to_upload} offline sales wait; they are uploaded by the next start of this till")


def ask_credential() -> Credential:
    """Ask for a card without showing it: its number, or "code" and the payment code of a phone, which looks the same.

    A malformed one ends the command with exit code 2.
    """
    text = _hidden("Card number, or code and the code of a phone").strip()
    if text.lower().startswith(CODE_WORD):
        return PaymentCode(read_code(text[len(CODE_WORD) :]))
    return read_card(text)


def ask_card() -> str:
    """Ask for a card number without showing it. A malformed one ends the command with exit code 2."""
    return read_card(_hidden("Card number"))


def _hidden(question: str) -> str:
    return str(typer.prompt(question, hide_input=True, err=True)) if sys.stdin.isatty() else input()


def _do(out: Console, act: Callable[[], RenderableType]) -> None:
    try:
        out.print(act())
    except (Declined, NotDone, OutcomeUnknown) as failure:
        out.print(failure_panel(failure))
    except (CallRefused, ServerUnreachable):
        out.print(NOT_NOW, style="yellow")
    except typer.BadParameter as error:
        out.print(error.message, style="yellow")
    except (KeyboardInterrupt, EOFError):
        out.print("cancelled: not paid; what was sent already is being undone", style="yellow")


def _purchase(session: Session, till: Terminal, out: Console, *, may_approve: bool) -> RenderableType:
    card, amount_minor = _card(out), _amount(session)
    currency = session.settings.currency
    paying = f"paying {format_amount(amount_minor, currency)}"
    try:
        with _thinking(out, paying):
            return receipt_panel("paid", till.purchase(card, amount_minor))
    except CUT:
        if not may_approve or not isinstance(card, str):
            raise
        return approved_panel(till.approve_offline(card, amount_minor), amount_minor, currency)
    except Declined as declined:
        if declined.reason != PIN_REQUIRED:
            raise
    # A decline is for ever: with the PIN it is a purchase of its own.
    pin = read_pin(ASK)
    with _thinking(out, paying):
        return receipt_panel("paid", till.purchase(card, amount_minor, pin=pin))


def _top_up(session: Session, till: Terminal, out: Console) -> RenderableType:
    card, amount_minor = _card(out), _amount(session)
    with _thinking(out, f"topping up {format_amount(amount_minor, session.settings.currency)}"):
        return receipt_panel("topped up", till.top_up(card, amount_minor))


def _refund(session: Session, till: Terminal, out: Console) -> RenderableType:
    original = read_original(_ask("purchase (entry or request on its receipt)"))
    amount_minor = _amount(session)
    with _thinking(out, f"refunding {format_amount(amount_minor, session.settings.currency)}"):
        return receipt_panel("refunded", till.refund(original, amount_minor))


def _balance(till: Terminal, out: Console) -> RenderableType:
    card = _card(out)
    with _thinking(out, "asking"):
        return balance_panel(till.balance(card))


def _last(till: Terminal) -> RenderableType:
    rows = till.recent(LAST_SHOWN)
    return (
        "\n".join(
            f"{row.kind.lower():9} {format_number(row.amount_minor):>12}  {row.state.lower()}"
            f"{' ' + row.reason if row.reason else ''}  {row.request_id}"
            for row in rows
        )
        or "nothing yet"
    )


def _card(out: Console) -> Credential:
    card = ask_credential()
    out.print(f"card **** {card[-4:]}" if isinstance(card, str) else "a phone's code")
    return card


def _amount(session: Session) -> int:
    return session.amount(_ask("amount"))


def _ask(what: str) -> str:
    if sys.stdin.isatty():
        return input(f"{what}> ").strip()
    return input().strip()


def _thinking(out: Console, what: str) -> Status:
    return out.status(f"{what} ...")
