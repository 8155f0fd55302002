"""Arguments that several commands share, and how they are read: the till, the card, the request id."""

import json
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer

from coalition.bootstrap.pins import seal_pin
from coalition.cli.session import Session
from coalition.client import Connection, new_request_id
from coalition.v1.member_pb2 import CardOfMember
from coalition.v1.operations_pb2 import TerminalRef, VirtualId
from coalition.v1.terminal_pb2 import GetPinKeyRequest

CARD_DIGITS_MIN: Final = 12
CARD_DIGITS_MAX: Final = 22
PIN_DIGITS: Final = 6
ASK: Final = "ask"
CODE_DIGITS: Final = 22
TERMINAL_ELEMENTS: Final = 3

At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TILL",
        help="Participant, store and terminal, such as cafe/main/till-1; the command speaks as that terminal unless "
        "--as names a till server.",
        show_default=False,
    ),
]
CardNumber = Annotated[
    str,
    typer.Option(
        "--card",
        metavar="NUMBER",
        help="Card number; @FILE reads it from a file, - from standard input; asked for when left out. "
        "A number typed here stays in the history of the shell.",
        prompt="Card number",
        hide_input=True,
        show_default=False,
    ),
]
Pin = Annotated[
    str | None,
    typer.Option(
        "--pin",
        metavar="ask|-|@FILE",
        help="The member's PIN, where one is needed: ask for it, or read it from standard input or a file. Never typed "
        "here, where the history of the shell would keep it.",
        show_default=False,
    ),
]
# A card that may be named without its number, because it was lost.
AnyCard = Annotated[
    str | None,
    typer.Option(
        "--card",
        metavar="NUMBER",
        help="Card number; @FILE reads it from a file, - from standard input; asked for when left out with --member. "
        "A number typed here stays in the history of the shell.",
        show_default=False,
    ),
]
# What may be presented at a till: a card, or one of three that stand for it.
PresentedCard = Annotated[
    str | None,
    typer.Option(
        "--card",
        metavar="NUMBER",
        help="Card number; @FILE reads it from a file, - from standard input; asked for when nothing is presented. "
        "A number typed here stays in the history of the shell.",
        show_default=False,
    ),
]
PresentedCode = Annotated[
    str | None,
    typer.Option(
        "--code",
        metavar="DIGITS",
        help="The payment code that the member's phone shows, instead of a card; @FILE or - read it.",
        show_default=False,
    ),
]
PresentedPhone = Annotated[
    str | None,
    typer.Option(
        "--phone", metavar="FILE", help="The member's phone number, instead of a card: @FILE or -.", show_default=False
    ),
]
PresentedId = Annotated[
    str | None,
    typer.Option(
        "--id",
        metavar="FILE",
        help='Another system\'s id, instead of a card: @FILE or - with JSON {"namespace": "...", "subject": "..."}.',
        show_default=False,
    ),
]
MemberOfCard = Annotated[
    str | None,
    typer.Option(
        "--member",
        metavar="MEMBER_ID",
        help="Whose the card is, where its number is not at hand; with --card-id.",
        show_default=False,
    ),
]
CardId = Annotated[
    int | None,
    typer.Option(
        "--card-id", metavar="N", help="Which of the member's cards; member show lists them.", show_default=False
    ),
]
RequestId = Annotated[
    str | None,
    typer.Option(
        "--request-id",
        metavar="UUID",
        help="Send an earlier command again, after a lost answer: nothing is posted twice.",
        show_default=False,
    ),
]


class Presented(NamedTuple):
    """What may be presented at a till: one of these; a card is asked for where nothing is."""

    card: PresentedCard = None
    code: PresentedCode = None
    phone: PresentedPhone = None
    virtual_id: PresentedId = None

    def field(self) -> dict[str, Any]:
        """The field of a request that says what was presented."""
        return read_presented(*self)


@dataclass(frozen=True, slots=True)
class Till:
    """Where an operation is made, and who says so."""

    ref: TerminalRef
    identity: str

    @property
    def place(self) -> str:
        """Such as cafe/main/till-1."""
        return f"{self.ref.participant}/{self.ref.store}/{self.ref.terminal}"


def read_till(session: Session, at: str | None) -> Till:
    """The till of --at, or of --as t/PARTICIPANT/STORE/TERMINAL."""
    own = session.identity.removeprefix("t/") if session.identity and session.identity.startswith("t/") else None
    text = at or own
    if text is None:
        raise typer.BadParameter("say which till: --at PARTICIPANT/STORE/TERMINAL, such as --at cafe/main/till-1")
    elements = text.strip("/").split("/")
    if len(elements) != TERMINAL_ELEMENTS or not all(elements):
        raise typer.BadParameter("--at is PARTICIPANT/STORE/TERMINAL, such as cafe/main/till-1")
    participant, store, terminal = elements
    return Till(
        TerminalRef(participant=participant, store=store, terminal=terminal), f"t/{participant}/{store}/{terminal}"
    )


def read_card(text: str) -> str:
    """The digits of a card number given as itself, as @FILE or as -; spaces between them are left out."""
    if text == "-":
        text = sys.stdin.readline()
    elif text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            raise typer.BadParameter("--card @FILE: the file cannot be read, or holds no card number") from None
    digits = "".join(text.split())
    if not (digits.isascii() and digits.isdigit() and CARD_DIGITS_MIN <= len(digits) <= CARD_DIGITS_MAX):
        raise typer.BadParameter(f"a card number has {CARD_DIGITS_MIN} to {CARD_DIGITS_MAX} digits")
    return digits


def read_pin(source: str | None) -> str | None:
    """The PIN of --pin, six digits; None without one. Trouble ends the command with exit code 2 and repeats nothing."""
    if source is None:
        return None
    if source == ASK:
        text = typer.prompt("PIN", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    elif source == "-":
        text = sys.stdin.readline()
    elif source.startswith("@"):
        try:
            text = Path(source[1:]).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            raise typer.BadParameter("--pin @FILE: the file cannot be read, or holds no PIN") from None
    else:
        raise typer.BadParameter("--pin is ask, - or @FILE: a PIN typed here stays in the history of the shell")
    digits = str(text).strip()
    if len(digits) != PIN_DIGITS or not (digits.isascii() and digits.isdigit()):
        raise typer.BadParameter(f"a PIN has {PIN_DIGITS} digits")
    return digits


def seal_into(connection: Connection, request: Any, typed: str | None, till: Till) -> None:
    """Put a PIN into a request, sealed to the server's key; nothing where none was typed."""
    if typed is not None:
        key = connection.call(connection.terminal.GetPinKey, GetPinKeyRequest())
        request.sealed_pin = seal_pin(key.public_key, typed, request.request_id, till.place)


def read_presented(card: str | None, code: str | None, phone: str | None, virtual_id: str | None) -> dict[str, Any]:
    """The field of a request that says what was presented; a card is asked for where nothing was."""
    if sum(each is not None for each in (card, code, phone, virtual_id)) > 1:
        raise typer.BadParameter("present one thing: --card, --code, --phone or --id")
    if code is not None:
        return {"payment_code": read_code(code)}
    if phone is not None:
        if phone != "-" and not phone.startswith("@"):
            raise typer.BadParameter("--phone is @FILE or -: a number typed here is seen by every process")
        return {"phone": read_text(phone, "--phone")}
    if virtual_id is not None:
        return {"virtual_id": read_virtual_id(virtual_id)}
    return {"card_number": read_card(card or typer.prompt("Card number", hide_input=True, err=True))}


def read_code(text: str) -> str:
    """The digits of a payment code given as itself, as @FILE or as -; spaces between them are left out."""
    if text == "-" or text.startswith("@"):
        text = read_text(text, "--code")
    digits = "".join(text.split())
    if not (digits.isascii() and digits.isdigit() and len(digits) == CODE_DIGITS):
        raise typer.BadParameter(f"a payment code has {CODE_DIGITS} digits")
    return digits


def read_virtual_id(text: str) -> VirtualId:
    """An id from a file or standard input: it is personal, and arguments are seen by every process."""
    form = '@FILE, or - for standard input, with JSON {"namespace": "...", "subject": "..."}'
    if text != "-" and not text.startswith("@"):
        raise typer.BadParameter(f"--id is {form}")
    try:
        told = json.loads(read_text(text, "--id"))
        return VirtualId(namespace=told["namespace"], subject=told["subject"])
    except (ValueError, TypeError, KeyError):
        raise typer.BadParameter(f"--id is {form}") from None


def read_text(text: str, option: str) -> str:
    """What @FILE holds, or - reads from standard input, without blanks around it."""
    try:
        return (sys.stdin.read() if text == "-" else Path(text[1:]).read_text(encoding="utf-8")).strip()
    except (OSError, UnicodeDecodeError):
        raise typer.BadParameter(f"{option} @FILE: the file cannot be read, or holds no text") from None


def read_any_card(card: str | None, member: str | None, card_id: int | None) -> dict[str, Any]:
    """The fields of a request that names a card by its number, or by its member and id."""
    if (member is None) is not (card_id is None) or (card is not None and member is not None):
        raise typer.BadParameter("name the card by --card, or by --member and --card-id")
    if member is not None and card_id is not None:
        return {"card_of_member": CardOfMember(member_id=member, card_id=card_id)}
    return {"card_number": read_card(card or typer.prompt("Card number", hide_input=True, err=True))}


def write_card(path: Path, number: str) -> None:
    """Write a card number to a new file that only its owner can read."""
    try:
        path.touch(mode=stat.S_IRUSR | stat.S_IWUSR, exist_ok=False)
        path.write_text(number + "\n", encoding="ascii")
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}; the card is issued, its number is lost") from None


def read_request_id(text: str | None) -> str:
    """The id given, or a new one."""
    return text or new_request_id()
