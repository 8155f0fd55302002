"""PINs for the desk's tests: set in the ledger as reception sets them, checked by a strongroom of the test's own."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from coalition.clearing.worker import answer_all
from coalition.domain.commands import Command, Hold, Purchase
from coalition.domain.pins import PinRow, SealedPin
from coalition.domain.reasons import Reason
from coalition.storage.pins import SET_PIN
from tests.clearing.house import House

PIN, WRONG = "280619", "280618"


def tag_of(wallet_id: int, salt: bytes, pin: str) -> bytes:
    return hashlib.sha256(f"{wallet_id}|{pin}".encode() + salt).digest()


@dataclass
class Checker:
    """Opens `SEALED:<pin>` alone. `compared` are the wallets of the PINs it compared; `meanwhile` runs before each."""

    meanwhile: Callable[[], object] = lambda: None
    compared: list[int] = field(default_factory=list)

    def open(self, request_id: UUID, pin: SealedPin) -> "Opened | None":
        kind, _, plain = pin.sealed.decode().partition(":")
        return Opened(self, plain) if kind == "SEALED" else None


@dataclass
class Opened:
    checker: Checker
    pin: str

    def matches(self, row: PinRow) -> bool:
        self.checker.compared.append(row.wallet_id)
        self.checker.meanwhile()
        return row.tag == tag_of(row.wallet_id, row.salt, self.pin)


def with_pin(command: Purchase | Hold, pin: str = PIN) -> Any:
    """The command as it comes with a PIN; an empty one is unreadable."""
    return replace(command, pin=SealedPin(f"SEALED:{pin}".encode() if pin else b"noise", "cafe/main/till"))


def set_pin(house: House, token: bytes, pin: str = PIN) -> int:
    """Give the wallet of a card its PIN; the wallet."""
    ((lane, wallet_id),) = house.query("SELECT lane, wallet_id FROM credentials WHERE token = %s", token)
    house.execute(SET_PIN, lane, wallet_id, b"salt", tag_of(wallet_id, b"salt", pin), 1)
    return int(wallet_id)


def run(house: House, checker: Checker, *commands: Command, store: Any = None) -> list[Any]:
    """One batch as a worker runs it, on a session of its own; or with another store, which is closed."""
    store = store or house.store()
    try:
        return list(answer_all(store, commands, lambda _: None, checker, list))
    finally:
        store.close()


def told(answers: list[Any]) -> list[tuple[Reason, str]]:
    """The reasons, and how many tries are left where that is told."""
    return [(each.reason, dict(getattr(each, "facts", {})).get("tries_left", "")) for each in answers]


def tries(house: House, wallet_id: int) -> tuple[int, int]:
    """How many were counted since the PIN was set, and the number up to which they are forgiven."""
    ((counted, forgiven),) = house.query("SELECT tries, forgiven FROM pins WHERE wallet_id = %s", wallet_id)
    return counted, forgiven
