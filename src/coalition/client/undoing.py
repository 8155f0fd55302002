"""Undoes what was never answered: delivers queued reversals and resolutions in order, for ever.

One at a time, because a capture has to be undone before its authorization, and a card's second sale before its first
would be told a wrong balance. What the service refuses for good is set aside for a person; nothing is dropped.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any, Final

from coalition.client.errors import CallRefused, ClientError, Offline, OutboxFailed
from coalition.client.line import Line
from coalition.client.outbox import Outbox
from coalition.client.outbox_rows import OutboxRow, State
from coalition.client.surroundings import Surroundings
from coalition.client.tries import Meaning, meaning_of
from coalition.v1.operations_pb2 import ReverseRequest, TerminalRef
from coalition.v1.terminal_pb2 import ResolveRequest

DEADLINE_S: Final = 8.0
PAUSE_FIRST_S: Final = 1.0
PAUSE_MAX_S: Final = 30.0
# The service knows the operation and will never undo it by a reversal.
FOR_A_PERSON: Final = frozenset({"ORIGINAL_NOT_REVERSIBLE", "ORIGINAL_UNKNOWN", "WALLET_CLOSED", "FIELD_INVALID"})


class Undoing:
    """The queue of one terminal, oldest first. `run` is a task of whoever owns it."""

    def __init__(self, line: Line, outbox: Outbox, terminal: TerminalRef | None, surroundings: Surroundings) -> None:
        self._line = line
        self._outbox = outbox
        self._terminal = terminal
        self._surroundings = surroundings
        self._queue: deque[OutboxRow] = deque()
        self._came = asyncio.Event()
        self.needs_help: dict[str, OutboxRow] = {}
        """What a person has to undo, by its request_id."""
        self.idle = asyncio.Event()
        """Set while nothing waits."""
        self.recovered = asyncio.Event()
        """Set once everything an earlier run left open is undone."""
        self.last_failure = ""
        """Why the oldest is not undone yet; empty when nothing waits."""
        self._left = self._take_over(outbox.found)

    @property
    def waiting(self) -> tuple[OutboxRow, ...]:
        """What waits, oldest first."""
        return tuple(self._queue)

    def add(self, row: OutboxRow) -> None:
        """Queue an operation whose answer was lost. Until that is stored, BEGUN on disk says the same."""
        self._append(self._outbox.to_undo(row))

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            if not self._queue:
                self.last_failure = ""
                self.idle.set()
                self._came.clear()
                await self._came.wait()
                continue
            await self._deliver(self._queue[0])
            self._queue.popleft()
            self._outbox.waiting = len(self._queue)
            self._left = max(0, self._left - 1)
            if not self._left:
                self.recovered.set()

    def dismiss(self, request_id: str) -> bool:
        """A person has seen to it. Answers whether there was one such."""
        row = self.needs_help.pop(request_id, None)
        if row is not None:
            self._outbox.keep(self._outbox.changed(row, State.UNDONE, row.reason))
        return row is not None

    def _take_over(self, found: list[OutboxRow]) -> int:
        """Queue what an earlier run left: first what waited already, in its order, then what was begun."""
        self.needs_help.update((row.request_id, row) for row in found if row.state is State.NEEDS_HELP)
        for row in sorted((row for row in found if row.state is State.TO_UNDO), key=lambda row: row.undo_place):
            self._append(row, is_stored=True)
        for row in found:
            if row.state is State.BEGUN:
                self.add(row)
        if not self._queue:
            self.recovered.set()
            self.idle.set()
        return len(self._queue)

    def _append(self, row: OutboxRow, *, is_stored: bool = False) -> None:
        if not is_stored:
            self._outbox.keep(row)
        self._queue.append(row)
        self._outbox.waiting = len(self._queue)
        self.idle.clear()
        self._came.set()

    async def _deliver(self, row: OutboxRow) -> None:
        """Send until the service has answered for good, and store that."""
        pause_s = PAUSE_FIRST_S
        while True:
            try:
                state, reason = await (self._reverse(row) if row.is_reversible else self._resolve(row))
            except Offline as failure:
                # It was waited for, and is noticed as soon as it is back: no reason to grow slower.
                self.last_failure, pause_s = str(failure), PAUSE_FIRST_S / 2
            except ClientError as failure:
                self.last_failure = str(failure)
                if isinstance(failure, CallRefused) and failure.reason in FOR_A_PERSON:
                    return await self._close(row, State.NEEDS_HELP, failure.reason)
                if meaning_of(failure) in {Meaning.FINAL, Meaning.REFUSED}:
                    # A stored decline is the answer to its request_id for ever, and an old one is taken no more; what
                    # made it so (a suspension, a clock) may pass.
                    row = self._outbox.with_new_undo_id(row)
            except Exception as failure:  # noqa: BLE001  a sender that dies delivers nothing, for ever
                self.last_failure = type(failure).__name__
            else:
                return await self._close(row, state, reason)
            await self._surroundings.sleep(pause_s * (1 - self._surroundings.draw() / 2))
            pause_s = min(2 * pause_s, PAUSE_MAX_S)

    async def _close(self, row: OutboxRow, state: State, reason: str) -> None:
        closed = self._outbox.changed(row, state, reason)
        if state is State.NEEDS_HELP:
            self.needs_help[row.request_id] = closed
        # Lost in a crash, or on a full disk, it is done again at the next start, which changes nothing.
        with suppress(OutboxFailed):
            await self._outbox.write(closed)

    async def _reverse(self, row: OutboxRow) -> tuple[State, str]:
        request = ReverseRequest(request_id=row.undo_id, terminal=self._terminal, original_request_id=row.request_id)
        await self._line.send("Reverse", request, DEADLINE_S)
        return State.UNDONE, ""

    async def _resolve(self, row: OutboxRow) -> tuple[State, str]:
        request = ResolveRequest(request_id=row.request_id, terminal=self._terminal)
        result: Any = (await self._line.send("Resolve", request, DEADLINE_S)).result
        if result.HasField("receipt"):
            return State.STANDS, ""
        return State.UNDONE, CallRefused.from_status(result.error).reason
