"""Commands: what a terminal asks of the desk, already checked for form, frozen.

A command names its card by `token`, the keyed hash of the card number; the number itself never reaches the desk. Amounts are
minor units of the scheme's currency.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from coalition.domain.kinds import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What every operation carries: who asks (`participant_id` and its terminal; `actor` is the certificate's path)."""

    participant_id: int
    store_id: int
    terminal_id: int
    actor: str
    request_id: UUID
    amount_minor: int
    occurred_time: datetime | None = None
    sale_reference: str | None = None
    body_hash: bytes = field(init=False)

    kind = Kind.PURCHASE

    def __post_init__(self) -> None:
        object.__setattr__(self, "body_hash", hashlib.sha256(self._meaning()).digest())

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
    """Sell a lot of `issuer_id` to the card's wallet; `amount_minor` is the principal paid to the asking participant."""

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
class Refund(Command):
    """Give back `amount_minor` of an earlier purchase, named by its request_id or its entry_id (exactly one)."""

    original_request_id: UUID | None = None
    original_entry_id: int | None = None

    kind = Kind.REFUND

    def _particulars(self) -> bytes:
        return f"{self.original_request_id or ''}|{self.original_entry_id or ''}".encode()
