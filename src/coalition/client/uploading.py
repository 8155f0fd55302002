"""Approves sales while there is no line, and tells them in their order once it is back.

A sale is approved when it is on disk, and told to the caller after that. One at a time is told, after everything that
waits to be undone: the same sale may have been tried online before, under the same reference.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from coalition.client.errors import CallRefused, ClientError, Offline, OfflineRefused, OutboxFailed
from coalition.client.line import Line
from coalition.client.offline_queue import OfflineLimits, OfflineQueue, OfflineSale
from coalition.client.outbox import Outbox
from coalition.client.outbox_rows import Kind, OutboxRow, State
from coalition.client.surroundings import Surroundings
from coalition.client.tries import Meaning, meaning_of
from coalition.client.undoing import Undoing
from coalition.v1.operations_pb2 import UploadRequest

DEADLINE_S: Final = 8.0
PAUSE_FIRST_S: Final = 1.0
PAUSE_MAX_S: Final = 30.0
# Of refusals that are not stored these say that the same sale will never be taken: a person has to see to it.
FOR_A_PERSON: Final = frozenset({"INVALID_ARGUMENT", "ALREADY_EXISTS"})


class Uploading:
    """The offline sales of one terminal. `run` is a task of whoever owns it; `limits` None: none is approved.

    `posting` is held while one is sent and its answer stored: whoever closes the day holds it meanwhile.
    """

    def __init__(
        self,
        line: Line,
        outbox: Outbox,
        undoing: Undoing,
        queue: OfflineQueue,
        limits: OfflineLimits | None,
        surroundings: Surroundings,
        posting: asyncio.Lock,
    ) -> None:
        self._line = line
        self._outbox = outbox
        self._undoing = undoing
        self._queue = queue
        self._limits = limits
        self._around = surroundings
        self._posting = posting
        self._waiting: deque[OfflineSale] = deque()
        self._one_at_a_time = asyncio.Lock()  # numbered, stored and told in one order
        self._came = asyncio.Event()
        self.idle = asyncio.Event()
        """Set while nothing waits to be told."""
        self.idle.set()

    @property
    def count(self) -> int:
        """How many sales wait to be told."""
        return len(self._waiting)

    async def open(self) -> None:
        """Take over what an earlier run left. What its caller was not told of is not approved: it is undone."""
        begun = {row.place for row in self._outbox.found if row.kind is Kind.UPLOAD}
        for sale in await asyncio.to_thread(self._queue.waiting):
            if sale.place in begun or not sale.request.request_id:
                await asyncio.to_thread(self._queue.remove, sale.place)
            else:
                self._append(sale)

    async def approve(
        self, request: UploadRequest, reference: str, complete: Callable[[UploadRequest, OutboxRow], None]
    ) -> OutboxRow:
        """Store a request, which `complete` makes complete, with its row.

        Raises OfflineRefused, OutboxFull, OutboxFailed: not approved.
        """
        async with self._one_at_a_time:
            self._check(request)
            # Begun and written in one go: rows are stored in the order of their places.
            row = self._outbox.begin(Kind.UPLOAD, request.amount_minor, reference)
            complete(request, row)
            sale = OfflineSale(row.place, request)
            try:
                await self._outbox.write(row)
                await asyncio.to_thread(self._queue.add, sale)
                await self._outbox.write(self._outbox.changed(row, State.APPROVED))
            except BaseException:
                # Whatever is on disk by now, the caller hears "not approved": so it is undone, and never told.
                self._undoing.add(row)
                with suppress(OutboxFailed):
                    await asyncio.shield(asyncio.to_thread(self._queue.remove, row.place))
                raise
            self._append(sale)
            return row

    async def run(self) -> None:
        """Tell them until cancelled."""
        while True:
            if not self._waiting:
                self.idle.set()
                self._came.clear()
                await self._came.wait()
                continue
            await self._undoing.idle.wait()
            await self._deliver(self._waiting[0])
            self._waiting.popleft()

    def _check(self, request: UploadRequest) -> None:
        if self._limits is None:
            raise OfflineRefused("this terminal may approve nothing offline", "try again when the line is back")
        known = [sale.request for sale in self._waiting]
        of_card = sum(each.amount_minor for each in known if each.card_number == request.card_number)
        of_all = sum(each.amount_minor for each in known)
        if exceeded := self._limits.exceeded(request.amount_minor, of_card, of_all):
            raise OfflineRefused(f"{exceeded} offline is exceeded", "let the member pay otherwise")

    def _append(self, sale: OfflineSale) -> None:
        self._waiting.append(sale)
        self.idle.clear()
        self._came.set()

    async def _deliver(self, sale: OfflineSale) -> None:
        """Send until the service has answered for good, and store that."""
        pause_s = PAUSE_FIRST_S
        while True:
            try:
                async with self._posting:
                    receipt = (await self._line.send("Upload", sale.request, DEADLINE_S)).receipt
                    return await self._close(sale, State.ACCEPTED, "", receipt.entry_id)
            except Offline:
                pause_s = PAUSE_FIRST_S / 2
            except ClientError as failure:
                if isinstance(failure, CallRefused) and (ended := _ended(failure)) is not None:
                    return await self._close(sale, ended, failure.reason, failure.entry_id)
            except Exception:  # noqa: BLE001, S110  a sender that dies tells nothing, for ever
                pass
            await self._around.sleep(pause_s * (1 - self._around.draw() / 2))
            pause_s = min(2 * pause_s, PAUSE_MAX_S)

    async def _close(self, sale: OfflineSale, state: State, reason: str, entry_id: int) -> None:
        """Lost in a crash, or on a full disk, it is told again at the next start, which changes nothing."""
        request = sale.request
        row = OutboxRow(
            sale.place,
            request.request_id,
            Kind.UPLOAD,
            request.amount_minor,
            request.sale_reference,
            state,
            request.occurred_time.ToMilliseconds(),
            self._around.wall_ms(),
            reason,
            entry_id=entry_id,
        )
        with suppress(OutboxFailed):
            await self._outbox.write(row)
            await asyncio.to_thread(self._queue.remove, sale.place)
        if state is State.NEEDS_HELP:
            self._undoing.needs_help[row.request_id] = row


def _ended(refusal: CallRefused) -> State | None:
    """What a refusal makes of a sale; None where it is to be told again."""
    match meaning_of(refusal):
        case Meaning.FINAL:
            return State.DECLINED
        case Meaning.REFUSED if refusal.code in FOR_A_PERSON:
            return State.NEEDS_HELP
    return None
