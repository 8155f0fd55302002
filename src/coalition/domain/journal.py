"""What is written down: transfers, entries, and the answer a client gets for ever."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from coalition.domain.accounts import Account, TransferCode, Unit
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Transfer(NamedTuple):
    """`debit -> credit amount`: it cannot be unbalanced. A claim carries the window it was made in."""

    debit: Account
    credit: Account
    amount_minor: int
    code: TransferCode
    window_id: int | None = None
    unit: Unit = Unit.MONEY


class AllocationRow(NamedTuple):
    """A draw of a lot (`original_entry_id` None), or what a refund or reversal of that entry put back.

    A hold's are what it reserves, of no principal: nothing is drawn before the capture.
    """

    lot_id: int
    place: int
    face: int
    principal: int
    agreement_id: int | None
    agreement_version: int | None
    original_entry_id: int | None = None


@dataclass(slots=True)
class Entry:
    """One row of the journal with its legs. `answer` is the stored reply, canonical bytes."""

    lane: int
    entry_id: int
    kind: Kind
    reason: Reason
    participant_id: int
    request_id: UUID
    body_hash: bytes
    actor: str
    amount_minor: int
    business_date: date
    answer: bytes
    store_id: int | None = None
    terminal_id: int | None = None
    wallet_id: int | None = None
    card_id: int | None = None
    original_entry_id: int | None = None
    agreement_id: int | None = None
    agreement_version: int | None = None
    occurred_time: datetime | None = None
    sale_reference: str | None = None
    transfers: Sequence[Transfer] = ()
    allocations: Sequence[AllocationRow] = ()


@dataclass(frozen=True, slots=True)
class Seal:
    """What proves a batch: one leaf an entry, their Merkle root, and the signature, made when it is asked for.

    Signing takes as long as the database takes for a few inserts: ask once they are under way.
    """

    leaves: list[bytes]
    root: bytes
    signature: Callable[[], bytes]


class Notary(Protocol):
    """Seals a batch before it is committed (audit room and key ring, put together by bootstrap)."""

    def seal(self, number: int, time: datetime, entries: Sequence[Entry]) -> Seal: ...


Sign = Callable[[bytes], bytes]


NO_FACTS: Final[Mapping[str, str]] = {}


class Outcome(NamedTuple):
    """The answer to a command. Equal for ever under its request_id, but for `replayed`.

    `balance_change_minor` is what it did to the balance, where the kind and the amounts do not say it already (None).
    """

    reason: Reason
    entry_id: int
    post_time: datetime
    kind: Kind
    amount_minor: int
    principal_minor: int = 0
    bonus_minor: int = 0
    balance_minor: int = 0
    balance_here_minor: int = 0
    last_four: str = ""
    facts: Mapping[str, str] = NO_FACTS
    window_labels: tuple[str, ...] = ()
    replayed: bool = False
    hold_expire_time: datetime | None = None
    balance_change_minor: int | None = None

    def to_answer(self) -> bytes:
        """The stored form: a JSON array whose order is fixed (fields are only ever appended)."""
        micros = micros_of(self.post_time)
        facts = json.dumps(dict(self.facts), sort_keys=True, separators=(",", ":")) if self.facts else "{}"
        labels = _labels_json(self.window_labels)
        appended = ""
        if self.hold_expire_time is not None or self.balance_change_minor is not None:
            until = "null" if self.hold_expire_time is None else micros_of(self.hold_expire_time)
            change = "null" if self.balance_change_minor is None else self.balance_change_minor
            appended = f",{until},{change}"
        return (
            f"[{self.reason:d},{self.entry_id},{micros},{self.kind:d},{self.amount_minor},{self.principal_minor},"
            f"{self.bonus_minor},{self.balance_minor},{self.balance_here_minor},"
            f'"{self.last_four}",{facts},{labels}{appended}]'
        ).encode()

    def again(self) -> "Outcome":
        """The same answer, told a second time."""
        return self._replace(replayed=True)

    @classmethod
    def from_answer(cls, answer: bytes) -> "Outcome":
        """A stored answer, told again: equal to the first but for `replayed`."""
        reason, entry_id, micros, kind, amount, principal, bonus, balance, here, last_four, facts, *appended = (
            json.loads(answer)
        )
        labels, until, change = (*appended, None, None, None)[:3]
        return cls(
            Reason(reason),
            entry_id,
            _from_micros(micros),
            Kind(kind),
            amount,
            principal,
            bonus,
            balance,
            here,
            last_four,
            facts,
            tuple(labels or ()),
            replayed=True,
            hold_expire_time=None if until is None else _from_micros(until),
            balance_change_minor=change,
        )


@lru_cache(maxsize=256)
def _labels_json(labels: tuple[str, ...]) -> str:
    """The same few windows all month."""
    return json.dumps(labels, separators=(",", ":"))


def micros_of(moment: datetime) -> int:
    """Microseconds since 1970, UTC; integers throughout."""
    delta = moment - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def _from_micros(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)
