"""The end of a terminal's day: its signed statement beside the journal's own count, recorded once.

Moves no value and corrects nothing. The journal's count is a fold that a follower keeps off the hot path, so it is
brought up to now first.
"""

import hashlib
from collections.abc import Callable
from datetime import date
from typing import Final, Protocol

from coalition.domain.acts import JSON, Act, ActAnswer
from coalition.domain.day_close import (
    DayClose,
    DayDifference,
    DayOperation,
    LastClose,
    RecordedClose,
    Total,
    Totals,
    check_follows,
    compare_operations,
    compare_totals,
    since,
)
from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason

DIFFERENCES_MAX: Final = 1_000
"""So many are kept and told; how many there are is always told."""

Verify = Callable[[bytes, bytes, bytes], bool]
"""Whether a certificate's (PEM) key made this signature over this message: (certificate, message, signature)."""


class DayBooks(Protocol):
    """One terminal's closes and counts inside the transaction of a close."""

    def last_close(self, terminal_id: int) -> LastClose: ...

    def counted(self, terminal_id: int) -> tuple[int, Totals]:
        """What is folded of the terminal ever, and the last entry_id that this can include."""

    def operations(self, terminal_id: int, after: int, up_to: int) -> list[DayOperation]:
        """The terminal's operations behind entry `after`, up to `up_to`, in the journal's order."""

    def add(self, terminal_id: int, close: RecordedClose) -> None:
        """Keep the close. A rival's of the same number is Contention."""


class DayStore(Protocol):
    """Acts exactly once; reads."""

    def perform(self, act: Act, apply: Callable[[DayBooks], dict[str, JSON]]) -> ActAnswer: ...

    def told_before(self, act: Act) -> ActAnswer | None: ...

    def day(self, terminal_id: int, business_date: date) -> tuple[Totals, Totals, LastClose]:
        """What is folded on the date, what is folded ever, and the terminal's last close."""


class DayEnd:
    """Callable from any thread. `catch_up` folds everything that was answered before it is called; blocks."""

    def __init__(self, store: DayStore, catch_up: Callable[[], object], verify: Verify) -> None:
        self._store = store
        self._catch_up = catch_up
        self._verify = verify

    def totals(self, terminal_id: int, business_date: date) -> tuple[Totals, Totals, LastClose]:
        """The terminal's totals on a date, its totals since its last close, and that close."""
        self._catch_up()
        on_date, ever, last = self._store.day(terminal_id, business_date)
        return on_date, since(ever, last.counted), last

    def close(self, act: Act, terminal_id: int, close: DayClose, signature: bytes, certificate: bytes) -> ActAnswer:
        """Record the close and answer its differences.

        Raises Refused: SIGNATURE_INVALID, DAY_CLOSE_OUT_OF_ORDER, DAY_CLOSE_CHAIN_BROKEN; none is stored.
        """
        before = self._store.told_before(act)
        if before is not None:
            return before
        if not self._verify(certificate, close.statement(), signature):
            raise Refused(Reason.SIGNATURE_INVALID, "signature")
        self._catch_up()

        def apply(books: DayBooks) -> dict[str, JSON]:
            last = books.last_close(terminal_id)
            check_follows(close, last)
            last_entry_id, counted = books.counted(terminal_id)
            differences = compare_totals(close.totals, since(counted, last.counted))
            if close.operations is not None:
                held = books.operations(terminal_id, last.last_entry_id, last_entry_id)
                differences += compare_operations(close.operations, held)
            count = len(differences)
            books.add(terminal_id, RecordedClose(close, signature, certificate, counted, last_entry_id, count))
            return {
                "terminal_id": terminal_id,
                "business_date": close.business_date.isoformat(),
                "number": close.number,
                "statement_hash": close.statement_hash().hex(),
                "previous_hash": close.previous_hash.hex(),
                "last_entry_id": last_entry_id,
                "certificate_sha256": hashlib.sha256(certificate).hexdigest(),
                "difference_count": count,
                "differences": [_told(each) for each in differences[:DIFFERENCES_MAX]],
            }

        return self._store.perform(act, apply)


def _told(difference: DayDifference) -> list[JSON]:
    """A difference as the journal keeps it: kind, request_id, the terminal's count, the journal's."""
    request_id = None if difference.request_id is None else str(difference.request_id)
    return [int(difference.kind), request_id, _numbers(difference.stated), _numbers(difference.recorded)]


def _numbers(total: Total | None) -> JSON:
    return None if total is None else list(total)
