"""A terminal's outbox: every operation is on disk before it is sent, and stays until it is answered or undone.

The terminal's own part of an `OutboxFile`, which it has for itself or shares. Makes rows; the file stores them.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from coalition.client.errors import OutboxFull
from coalition.client.outbox_file import ALONE, Future, OutboxFile
from coalition.client.outbox_rows import OPEN_STATES, Kind, OutboxRow, State
from coalition.client.outbox_schema import OPEN, RECENT, UNCOUNTED
from coalition.client.request_ids import new_request_id
from coalition.v1.operations_pb2 import Receipt

WAITING_MAX: Final = 10_000
"""Operations that may wait to be undone. A busy till loses one every second or so while the line breaks: hours."""


class Outbox:
    """The part of an open `file` that is the terminal's named `till`. `found` is what an earlier run left open.

    Raises OutboxInUse where that terminal is open already, OutboxFailed.
    """

    def __init__(
        self, file: OutboxFile, wall_ms: Callable[[], int], *, till: str = ALONE, waiting_max: int = WAITING_MAX
    ) -> None:
        self.till = till
        self.waiting = 0
        """Operations that wait to be undone; whoever undoes them keeps it."""
        self.under_way = 0
        """Operations begun and not ended in this run; whoever runs them keeps it."""
        self._file = file
        self._wall_ms = wall_ms
        self._waiting_max = waiting_max
        file.join(till, self)
        try:
            self.found = self._read(OPEN, till, json.dumps(sorted(OPEN_STATES)))
        except BaseException:
            file.leave(till)
            raise

    @property
    def path(self) -> Path:
        """The file's."""
        return self._file.path

    def begin(self, kind: Kind, amount_minor: int, sale_reference: str) -> OutboxRow:
        """A new operation with its request_id, for `write`. Raises OutboxFull."""
        if self.waiting >= self._waiting_max:
            raise OutboxFull(self.waiting)
        now_ms = self._wall_ms()
        place = self._file.next_place()
        request_id = new_request_id(now_ms=now_ms)
        return OutboxRow(place, request_id, kind, amount_minor, sale_reference, State.BEGUN, now_ms, now_ms)

    def changed(self, row: OutboxRow, state: State, reason: str = "", entry_id: int | None = None) -> OutboxRow:
        """The row in another state, for `write`. `entry_id`: as the row has it."""
        return replace(row, state=state, reason=reason, entry_id=entry_id, change_ms=self._wall_ms())

    def receipted(self, row: OutboxRow, state: State, receipt: Receipt) -> OutboxRow:
        """The row with what its receipt says, for `write`."""
        return replace(
            row,
            state=state,
            amount_minor=receipt.amount_minor,
            entry_id=receipt.entry_id,
            change_ms=self._wall_ms(),
        )

    def to_undo(self, row: OutboxRow) -> OutboxRow:
        """The row with a place in the order of undoing and a request_id for its reversal, for `write`."""
        return replace(
            self.with_new_undo_id(row),
            state=State.TO_UNDO,
            undo_place=self._file.next_undo_place(),
            change_ms=self._wall_ms(),
        )

    def with_new_undo_id(self, row: OutboxRow) -> OutboxRow:
        """The row with another request_id for its reversal: the service takes none that is weeks old."""
        return replace(row, undo_id=new_request_id(now_ms=self._wall_ms()))

    def write(self, row: OutboxRow) -> Future:
        """Ask for the row to be stored; await the answer to know that it is on disk. Rows are stored in this order.

        The future raises OutboxFailed.
        """
        return self._file.write(self.till, row)

    def keep(self, row: OutboxRow) -> None:
        """Ask for the row to be stored and do not wait: where that fails, disk keeps the state before it."""
        self.write(row).add_done_callback(lambda _: None)

    async def recent(self, limit: int) -> list[OutboxRow]:
        """The last operations begun, newest first. Raises OutboxFailed."""
        return await asyncio.to_thread(self._read, RECENT, self.till, limit)

    async def uncounted(self) -> list[OutboxRow]:
        """The operations that no recorded close has counted, in the order of their beginning. Raises OutboxFailed."""
        return await asyncio.to_thread(self._read, UNCOUNTED, self.till)

    async def transact(self, *statements: tuple[str, Sequence[object]]) -> list[list[Any]]:
        """Do statements all or none, durably, and answer the rows of each. Not for sales: it shares no sync.

        Raises OutboxFailed.
        """
        return await asyncio.to_thread(self._file.transact, statements)

    async def close(self) -> None:
        """Store what was asked for and give the terminal's place in the file up."""
        await asyncio.to_thread(self._file.flush)
        self._file.leave(self.till)

    def _read(self, query: str, *parameters: object) -> list[OutboxRow]:
        return [
            OutboxRow(place, request_id, Kind(kind), amount_minor, reference, State(state), *rest)
            for place, request_id, kind, amount_minor, reference, state, *rest in self._file.read(query, *parameters)
        ]
