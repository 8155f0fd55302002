"""What stands for a card's number at a till: a payment code, another system's id, a phone.

The front door computes what it can (is this password fresh? whose phone is this?) and says so as *evidence*, which is
no part of what a request means: a repeated request comes with a stale code and gets its stored answer all the same. It
is judged here, under the wallet's lock and after the replay check.

A device's codes are numbered by a counter. One integer makes them single-use: the ticket of counter i lives while i is
above `used_counter`; paying with it kills it and every one before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason

NUMBER: Final = "NUMBER"
CODE: Final = "CODE"
VIRTUAL: Final = "VIRTUAL"
PHONE: Final = "PHONE"
"""The kinds of `cards.kind`: printed, a member's device, an id of another system, a phone number."""

TRIES_MAX: Final = 3
"""Wrong passwords that kill the tickets they were tried on (RELIABILITY 5.2)."""
TICKETS_AHEAD: Final = 64
"""Tickets of a device that the house keeps: so many times in a row its payment page may open without paying."""


class KeyedHashes(Protocol):
    """The part of the key ring that turns what is presented into a token."""

    def card_token(self, number: str) -> bytes: ...

    def member_token(self, kind: str, value: str) -> bytes: ...


class CodeEvidence(NamedTuple):
    """What was found out about a payment code: its device (None: no ticket known), and how its password fits.

    `drift` is what to remember of the device's clock if the code is accepted; None where the password fits no step.
    """

    card_id: int | None
    drift: int | None


class PhoneEvidence(NamedTuple):
    """The token of the PHONE credential of whoever has the phone that was said; None where nobody lets it name him."""

    handle: bytes | None


Evidence = CodeEvidence | PhoneEvidence


class PayTicket(NamedTuple):
    """A device's ticket: which of its codes it belongs to."""

    card_id: int
    counter: int


@dataclass(slots=True)
class Device:
    """A device as it stands after its wallet was locked. `is_moved`: this batch has changed it.

    `tries` wrong passwords were seen on tickets that may live yet, the highest of them `tried_counter`.
    """

    lane: int
    card_id: int
    used_counter: int
    tried_counter: int
    tries: int
    drift: int
    is_moved: bool = False

    def judge(self, ticket: PayTicket, evidence: CodeEvidence) -> None:
        """Raises Refused(PAYMENT_CODE_USED) for a dead ticket, (PAYMENT_CODE_WRONG) for a wrong or old password."""
        if ticket.counter <= self.used_counter:
            raise Refused(Reason.PAYMENT_CODE_USED)
        if evidence.drift is None:
            left = TRIES_MAX - self.tries - 1
            raise Refused(Reason.PAYMENT_CODE_WRONG, metadata={"counter": str(ticket.counter), "tries_left": str(left)})

    def count_wrong(self, ticket: PayTicket) -> None:
        """A wrong password on a live ticket. The third kills every ticket that one was tried on, and those before.

        The three are of all tickets together: whoever has seen two codes has no more tries than for one.
        """
        self.tries += 1
        self.tried_counter = max(self.tried_counter, ticket.counter)
        if self.tries >= TRIES_MAX:
            self.used_counter, self.tries = self.tried_counter, 0
        self.is_moved = True

    def use(self, ticket: PayTicket, evidence: CodeEvidence) -> Mapping[str, str]:
        """Something was paid with a judged code: its ticket and those before it are dead. What the journal keeps."""
        if evidence.drift is not None:
            self.drift = evidence.drift
        self.used_counter = ticket.counter
        if ticket.counter >= self.tried_counter:
            self.tries = 0  # none of the tickets they were seen on lives any more
        self.is_moved = True
        return {"counter": str(ticket.counter), "drift": str(self.drift)}


def number_token(hashes: KeyedHashes, number: str) -> bytes:
    """What stands for a card number (digits only)."""
    return hashes.card_token(number)


def ticket_token(hashes: KeyedHashes, ticket: str) -> bytes:
    """What stands for a payment code: its ticket, not its password, so that a repetition means the same."""
    return hashes.member_token("pay-ticket", ticket)


def virtual_token(hashes: KeyedHashes, namespace: str, subject: str) -> bytes:
    """What stands for another system's id; no namespace has a line feed."""
    return hashes.member_token("virtual-id", f"{namespace}\n{subject}")


def phone_token(hashes: KeyedHashes, phone: str) -> bytes:
    """What stands for a phone in a request's body hash. Never stored itself: it would tell who is who."""
    return hashes.member_token("phone-said", phone)


def handle_of(hashes: KeyedHashes, card_id: int) -> bytes:
    """The token of a credential that is never presented, a device's or a phone's: it tells nothing of either."""
    return hashes.member_token("credential-handle", str(card_id))


def shown_digits(card_id: int) -> str:
    """The four digits that name a credential without a number: the last of its random card id."""
    return f"{card_id % 10_000:04d}"
