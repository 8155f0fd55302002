"""Commands: what a terminal asks of the desk, already checked for form, frozen.

A command names its card by `token`, the keyed hash of the card number; the number itself never reaches the desk.
Amounts are minor units of the scheme's currency.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from coalition.domain.kinds import Kind

HOLD_SECONDS_DEFAULT: Final = 7 * 24 * 3600
"""How long a hold lasts when nobody said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What every operation carries: who asks (`participant_id` and its terminal; `actor` is the certificate's path).

    Store and terminal are None where no till asks: headquarters, or a job of the house.
    """

    participant_id: int
    store_id: int | None
    terminal_id: int | None
    actor: str
    request_id: UUID
    amount_minor: int
    occurred_time: datetime | None = None
    sale_reference: str | None = None
    _hash: bytes | None = field(default=None, init=False, repr=False, compare=False)

    kind = Kind.PURCHASE

    @property
    def body_hash(self) -> bytes:
        """SHA-256 of what the request means; made when it is first asked for, because the front door never asks."""
        made = self._hash
        if made is None:
            made = hashlib.sha256(self._meaning()).digest()
            object.__setattr__(self, "_hash", made)
        return made

    def _meaning(self) -> bytes:
        """The bytes that must be equal for two requests of one request_id to be the same request."""
        occurred = self.occurred_time.isoformat() if self.occurred_time else ""
        common = (
            f"{self.kind.name}|{self.participant_id}|{self.terminal_id}|{self.amount_minor}|{occurred}|"
            f"{self.sale_reference or ''}|"
        )
        return common.encode() + self._particulars()

    def _particulars(self) -> bytes:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUp(Command):
    """Sell a lot of `issuer_id` to the card's wallet; `amount_minor` is what was paid to the asking participant."""

    token: bytes
    issuer_id: int
    terms_code: str | None = None

    kind = Kind.TOP_UP

    def _particulars(self) -> bytes:
        return self.token + f"|{self.issuer_id}|{self.terms_code or ''}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase(Command):
    """Spend `amount_minor` of the card's wallet at the asking participant."""

    token: bytes

    kind = Kind.PURCHASE

    def _particulars(self) -> bytes:
        return self.token


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp(Command):
    """About an earlier operation of this participant, named by its request_id or its entry_id (exactly one)."""

    original_request_id: UUID | None = None
    original_entry_id: int | None = None

    def _particulars(self) -> bytes:
        return f"{self.original_request_id or ''}|{self.original_entry_id or ''}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund(FollowUp):
    """Give back `amount_minor` of an earlier purchase or capture."""

    kind = Kind.REFUND


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUpReversal(FollowUp):
    """The money of an earlier top-up bounced: take what is left of its lot. The books know how much that is."""

    amount_minor: int = 0

    kind = Kind.TOP_UP_REVERSAL


@dataclass(frozen=True, slots=True, kw_only=True)
class BonusExpiry(Command):
    """Take the bonus of a lot whose last day is over. The books know how much that is."""

    wallet_id: int
    lot_id: int
    amount_minor: int = 0

    kind = Kind.BONUS_EXPIRY

    def _particulars(self) -> bytes:
        return f"{self.wallet_id}|{self.lot_id}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class CashOut(Command):
    """The asking participant pays the member the principal of all lots. The books know how much that is."""

    token: bytes
    amount_minor: int = 0

    kind = Kind.CASH_OUT

    def _particulars(self) -> bytes:
        return self.token


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(Command):
    """Reserve `amount_minor` of the card's wallet for a capture by the asking participant within `hold_seconds`."""

    token: bytes
    hold_seconds: int = HOLD_SECONDS_DEFAULT

    kind = Kind.HOLD

    def _particulars(self) -> bytes:
        return self.token + f"|{self.hold_seconds}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture(FollowUp):
    """Spend `amount_minor` of what an earlier hold of this participant reserved, and release the rest."""

    kind = Kind.CAPTURE


@dataclass(frozen=True, slots=True, kw_only=True)
class Void(FollowUp):
    """Release an earlier hold of this participant whole. The books know how much that is."""

    amount_minor: int = 0

    kind = Kind.VOID


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldExpiry(FollowUp):
    """Release a hold whose time is over, whoever's it is: a job of the house asks, in the operator's name."""

    amount_minor: int = 0

    kind = Kind.HOLD_EXPIRY


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolve(Command):
    """Ask what became of `request_id`: its stored answer, or it is killed now, so that it is declined for ever.

    Its request id is the one it asks for; it answers for every body.
    """

    amount_minor: int = 0

    kind = Kind.TOMBSTONE

    def _particulars(self) -> bytes:
        return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverse(FollowUp):
    """Undo an operation of this participant by its request_id, whatever became of it. The books know what that is."""

    amount_minor: int = 0

    kind = Kind.REVERSAL

    @property
    def kills(self) -> Resolve | None:
        """What is decided first where the original is unknown: it is killed. None for a reversal of itself."""
        if self.original_request_id is None or self.original_request_id == self.request_id:
            return None
        return Resolve(
            participant_id=self.participant_id,
            store_id=self.store_id,
            terminal_id=self.terminal_id,
            actor=self.actor,
            request_id=self.original_request_id,
        )
