"""Undoes what was never answered: delivers queued reversals and resolutions in order, for ever.

One at a time, because a capture has to be undone before its authorization, and a card's second sale before its first
would be told a wrong balance. What the service refuses for good is set aside for a person; nothing is dropped.
"""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from coalition.client.errors import CallRefused, ClientError, Offline, OutboxFailed
from coalition.client.line import Line
from coalition.client.outbox import Outbox
from coalition.client.outbox_rows import OutboxRow, State
from coalition.client.outbox_schema import DECLINED_REVERSAL
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
    """The queue of one terminal, oldest first. `run` is a task of whoever owns it.

    `posting` is held while one is sent and its answer stored: whoever closes the day holds it meanwhile.
    """

    def __init__(
        self,
        line: Line,
        outbox: Outbox,
        terminal: TerminalRef | None,
        surroundings: Surroundings,
        posting: asyncio.Lock,
    ) -> None:
        self._line = line
        self._outbox = outbox
        self._terminal = terminal
        self._surroundings = surroundings
        self._posting = posting
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
            self._outbox.keep(self._outbox.changed(row, State.UNDONE, row.reason, row.entry_id))
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
                async with self._posting:
                    return await self._close(await self._undone(row))
            except Offline as failure:
                # It was waited for, and is noticed as soon as it is back: no reason to grow slower.
                self.last_failure, pause_s = str(failure), PAUSE_FIRST_S / 2
            except CallRefused as failure:
                self.last_failure = str(failure)
                row = await self._refused(row, failure)
                if row.state is State.NEEDS_HELP:
                    return await self._close(row)
            except ClientError as failure:
                self.last_failure = str(failure)
            except Exception as failure:  # noqa: BLE001  a sender that dies delivers nothing, for ever
                self.last_failure = type(failure).__name__
            await self._surroundings.sleep(pause_s * (1 - self._surroundings.draw() / 2))
            pause_s = min(2 * pause_s, PAUSE_MAX_S)

    async def _refused(self, row: OutboxRow, refusal: CallRefused) -> OutboxRow:
        """The row for a person where the service will never undo it, or for another try."""
        is_for_a_person = refusal.reason in FOR_A_PERSON
        if not is_for_a_person and meaning_of(refusal) not in {Meaning.FINAL, Meaning.REFUSED}:
            return row
        # A stored decline is the answer to its request_id for ever, and an old one is taken no more; what made it so (a
        # suspension, a clock) may pass. On disk before it is sent: the close of the day asks what became of it.
        if is_for_a_person:
            tried = replace(self._outbox.changed(row, State.NEEDS_HELP, refusal.reason), undo_id="")
        else:
            tried = self._outbox.with_new_undo_id(row)
        with suppress(OutboxFailed):
            if refusal.entry_id and row.is_reversible:
                await self._outbox.transact((DECLINED_REVERSAL, (row.undo_id, self._outbox.till)))
            await self._outbox.write(tried)
        return tried

    async def _close(self, closed: OutboxRow) -> None:
        if closed.state is State.NEEDS_HELP:
            self.needs_help[closed.request_id] = closed
        # Lost in a crash, or on a full disk, it is done again at the next start, which changes nothing.
        with suppress(OutboxFailed):
            await self._outbox.write(closed)

    async def _undone(self, row: OutboxRow) -> OutboxRow:
        """Undo it, and answer its row as it is then. Raises ClientError."""
        if row.is_reversible:
            request = ReverseRequest(
                request_id=row.undo_id, terminal=self._terminal, original_request_id=row.request_id
            )
            await self._line.send("Reverse", request, DEADLINE_S)
            return self._outbox.changed(row, State.UNDONE)
        result: Any = (
            await self._line.send(
                "Resolve", ResolveRequest(request_id=row.request_id, terminal=self._terminal), DEADLINE_S
            )
        ).result
        if result.HasField("receipt"):
            return self._outbox.receipted(row, State.STANDS, result.receipt)
        refusal = CallRefused.from_status(result.error)
        return self._outbox.changed(row, State.UNDONE, refusal.reason, refusal.entry_id)
