"""A terminal's own count of its day, from its outbox: what it believes the journal holds of it since the last close.

What was undone without being answered is asked for by Resolve: only the journal knows whether the original had arrived.
Asking kills nothing that could still happen: an operation that is undone has no effect any more.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

from coalition.client.errors import CallRefused, Declined
from coalition.client.outbox import Outbox
from coalition.client.outbox_rows import Kind, OutboxRow, State
from coalition.client.tries import KILLED
from coalition.v1.operations_pb2 import EntryKind, TerminalRef
from coalition.v1.terminal_pb2 import DayOperation, ResolveRequest, ResolveResponse

ENTRY_KINDS: Final = {
    Kind.TOP_UP: EntryKind.ENTRY_KIND_TOP_UP,
    Kind.PURCHASE: EntryKind.ENTRY_KIND_PURCHASE,
    Kind.REFUND: EntryKind.ENTRY_KIND_REFUND,
    Kind.AUTHORIZE: EntryKind.ENTRY_KIND_HOLD,
    Kind.CAPTURE: EntryKind.ENTRY_KIND_CAPTURE,
    Kind.VOID: EntryKind.ENTRY_KIND_VOID,
    Kind.RETURN_TOP_UP: EntryKind.ENTRY_KIND_TOP_UP_RETURN,
    Kind.REVERSE_TOP_UP: EntryKind.ENTRY_KIND_TOP_UP_REVERSAL,
    Kind.CASH_OUT: EntryKind.ENTRY_KIND_CASH_OUT,
    Kind.SELL_PASS: EntryKind.ENTRY_KIND_PASS_SALE,
    Kind.VISIT_PASS: EntryKind.ENTRY_KIND_PASS_VISIT,
    Kind.RETURN_VISIT: EntryKind.ENTRY_KIND_VISIT_RETURN,
    Kind.RETURN_PASS: EntryKind.ENTRY_KIND_PASS_RETURN,
    Kind.SPEND_POINTS: EntryKind.ENTRY_KIND_POINTS_SPEND,
    Kind.RETURN_POINTS: EntryKind.ENTRY_KIND_POINTS_RETURN,
    Kind.CONVERT_POINTS: EntryKind.ENTRY_KIND_POINTS_CONVERSION,
    Kind.REPAY_POINTS: EntryKind.ENTRY_KIND_POINTS_REPAYMENT,
    Kind.UPLOAD: EntryKind.ENTRY_KIND_UPLOAD,
}
NOT_COUNTED_YET: Final = frozenset({State.BEGUN, State.APPROVED, State.TO_UNDO})
"""What becomes of these is not known: they belong to a later close."""
DECLINED_REVERSALS: Final = "SELECT request_id FROM declined_reversals WHERE till = ? ORDER BY rowid"
TOO_OLD: Final = "REQUEST_ID_TOO_OLD"


class DayCount:
    """Counts the rows of `outbox`; `ask` sends a request until it is answered: (method, request)."""

    def __init__(self, outbox: Outbox, ask: Callable[[str, Any], Awaitable[Any]], terminal: TerminalRef | None) -> None:
        self._outbox = outbox
        self._ask = ask
        self._terminal = terminal
        self._found: dict[str, list[DayOperation]] = {}

    async def operations(self, rows: Iterable[OutboxRow]) -> list[DayOperation]:
        """What the journal should hold of these rows, and the reversals that it declined.

        Raises OutboxFailed, Declined, NotDone, CallRefused, ServerUnreachable.
        """
        counted = [each for row in rows for each in await self._of(row)]
        (declined,) = await self._outbox.transact((DECLINED_REVERSALS, (self._outbox.till,)))
        return counted + [_declined(request_id, EntryKind.ENTRY_KIND_REVERSAL) for (request_id,) in declined]

    async def _of(self, row: OutboxRow) -> Sequence[DayOperation]:
        kind = ENTRY_KINDS[row.kind]
        known = _known(row, kind)
        if known is not None:
            return known
        found = await self._asked(row.request_id, kind)
        if row.state in {State.UNDONE, State.NEEDS_HELP} and row.is_reversible and row.undo_id:
            return [*found, *await self._asked(row.undo_id, EntryKind.ENTRY_KIND_REVERSAL)]
        return found

    async def _asked(self, request_id: str, kind: EntryKind.ValueType) -> list[DayOperation]:
        """What the journal holds under a request_id; nothing where it is too old to be asked for."""
        if request_id not in self._found:
            self._found[request_id] = await self._resolved(request_id, kind)
        return self._found[request_id]

    async def _resolved(self, request_id: str, kind: EntryKind.ValueType) -> list[DayOperation]:
        try:
            answer: ResolveResponse = await self._ask(
                "Resolve", ResolveRequest(request_id=request_id, terminal=self._terminal)
            )
        except Declined as refused:
            if refused.reason == TOO_OLD:
                return []
            raise
        if answer.result.HasField("receipt"):
            return [_accepted(request_id, kind, answer.result.receipt.amount_minor)]
        return [_declined(request_id, kind, CallRefused.from_status(answer.result.error).reason)]


def _known(row: OutboxRow, kind: EntryKind.ValueType) -> list[DayOperation] | None:
    """What is known of a row without asking; None where the journal has to be asked."""
    if row.state in NOT_COUNTED_YET or row.state is State.NOT_DONE:
        return []
    if row.state in {State.ACCEPTED, State.STANDS}:
        # An outbox of an earlier release kept no amount of a void or a return, and no entry of anything.
        is_known = row.entry_id is not None or row.amount_minor
        return [_accepted(row.request_id, kind, row.amount_minor)] if is_known else None
    if row.entry_id is None:
        return None
    return [_declined(row.request_id, kind, row.reason)] if row.entry_id else []


def _accepted(request_id: str, kind: EntryKind.ValueType, amount_minor: int) -> DayOperation:
    return DayOperation(request_id=request_id, kind=kind, accepted=True, amount_minor=amount_minor)


def _declined(request_id: str, kind: EntryKind.ValueType, reason: str = "") -> DayOperation:
    """A decline; a request_id that was killed before its operation came is an entry of another kind."""
    return DayOperation(request_id=request_id, kind=EntryKind.ENTRY_KIND_TOMBSTONE if reason == KILLED else kind)
