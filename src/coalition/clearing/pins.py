"""PINs of a batch: each try is counted and the count committed, and only then is it compared (RELIABILITY P26).

A crash between the two costs a try and buys no guess; a hundred tries at once on several servers are compared as often
as they could be counted. Nothing is counted for a request that has its answer already. What was found goes with the
command into the batch, where it is judged under the wallet's lock. Batches without a PIN never come here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeAlias
from uuid import UUID

from coalition.domain.commands import Command, Paying
from coalition.domain.errors import PinChanged, Refused
from coalition.domain.pins import CountedTry, PinEvidence, PinRow, SealedPin
from coalition.domain.reasons import Reason

Key: TypeAlias = tuple[int, UUID]
Asked: TypeAlias = Command | Refused
"""A command, or what is said in its place without asking the books."""


class OpenedPin(Protocol):
    """A PIN that the strongroom has opened and keeps to itself."""

    def matches(self, row: PinRow) -> bool: ...


class PinChecker(Protocol):
    """Opens sealed PINs; what it opens never leaves it."""

    def open(self, request_id: UUID, pin: SealedPin) -> OpenedPin | None:
        """None where it is not sealed to a key of this house, or not for this request at this terminal."""


class PinCounts(Protocol):
    """What of a store is needed here. Raises Contention and StoreUnavailable; tries may have been counted even so."""

    def unanswered(self, commands: Sequence[Command]) -> set[Key]:
        """Those (participant, request_id) that have no stored answer."""

    def count_tries(self, commands: Sequence[Paying]) -> Mapping[Key, CountedTry]:
        """Count and commit one try for each command that has no stored answer and whose card leads to a wallet."""


def carries_pin(asked: Asked) -> bool:
    """Whether its PIN is still to be compared."""
    return type(getattr(asked, "pin", None)) is SealedPin


def compared(counts: PinCounts, checker: PinChecker, batch: Sequence[Asked]) -> list[Asked]:
    """The batch with what was found of its PINs; one whose PIN is unreadable becomes PIN_UNREADABLE.

    A PIN of a card that leads nowhere stays as it is, and so does that of a request that is answered already or comes
    a second time: none of them is compared.
    """
    opened: dict[Key, tuple[Paying, SealedPin, OpenedPin | None]] = {}
    seen: set[Key] = set()
    for asked in batch:
        if isinstance(asked, Refused):
            continue
        if _key(asked) not in seen and isinstance(asked, Paying) and isinstance(asked.pin, SealedPin):
            opened[_key(asked)] = (asked, asked.pin, checker.open(asked.request_id, asked.pin))
        seen.add(_key(asked))
    unreadable = [command for command, _, pin in opened.values() if pin is None]
    readable = [command for command, _, pin in opened.values() if pin is not None]
    refused = counts.unanswered(unreadable) if unreadable else set()
    found: dict[Key, Asked] = {key: Refused(Reason.PIN_UNREADABLE, "sealed_pin") for key in refused}
    for key, tried in (counts.count_tries(readable) if readable else {}).items():
        command, sealed, pin = opened[key]
        matches = bool(tried.row is not None and tried.number and pin is not None and pin.matches(tried.row))
        found[key] = replace(command, pin=tried.evidence(sealed, matches=matches))
    # Each but the first of a request id is a repetition, which is told what the first is told.
    return [asked if isinstance(asked, Refused) else found.pop(_key(asked), asked) for asked in batch]


def to_compare_again(batch: Sequence[Asked], changed: PinChanged) -> list[Asked]:
    """The batch with the PIN of one request sealed as it came, because it was compared with what is gone."""
    return [
        replace(asked, pin=asked.pin.sealed)
        if isinstance(asked, Paying) and asked.request_id == changed.request_id and isinstance(asked.pin, PinEvidence)
        else asked
        for asked in batch
    ]


def _key(command: Command) -> Key:
    return command.participant_id, command.request_id
