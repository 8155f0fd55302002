"""A stream under its bounds: left alone too long it ends, answers that nobody reads end it, and nobody sends too fast.

The servicer reads its requests here and sees an end when a bound was met; the gate asks afterwards whether it was one.
One timer looks at both directions now and then: a timer for each message would cost more than the message.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from coalition.server.limits import Share
from coalition.server.validation import Unreadable

LOOKS: Final = 4
"""A bound is met at most a quarter of its time late."""
ROOM_SECONDS: Final = 0.02
WAIT_SECONDS_MAX: Final = 1.0


class BoundStream:
    """Iterates the requests of one stream. `still_welcome` raises Refused when the caller is to be sent away.

    Belongs to the task that answers the stream: made there, closed there.
    """

    def __init__(
        self,
        requests: AsyncIterator[Any],
        share: Share,
        still_welcome: Callable[[], None],
        *,
        idle_seconds: float,
        stall_seconds: float,
    ) -> None:
        self._requests = aiter(requests)
        self._share = share
        self._still_welcome = still_welcome
        self._idle_seconds = idle_seconds
        self._stall_seconds = stall_seconds
        self._loop = asyncio.get_running_loop()
        self._answering = asyncio.current_task()
        self._reading: asyncio.Task[Any] | None = None
        self._reads_since = self._writes_since = 0.0
        self._idle = False
        self._under_way = 0
        self._look_seconds = min(idle_seconds, stall_seconds) / LOOKS
        self._timer = self._loop.call_later(self._look_seconds, self._look)
        self.is_stalled = False
        """Answers were not read in time, and the answering task was cancelled for it."""
        self._failure: Refused | None = None

    def __aiter__(self) -> "BoundStream":
        return self

    async def __anext__(self) -> Any:
        request = await self._next()
        try:
            self._check(request)
        except Refused as refused:
            raise self._end(refused) from None
        await self._turn()
        self._share.begin(1)
        self._under_way += 1
        return request

    def write_begins(self) -> None:
        """An answer is being handed to the caller."""
        self._writes_since = self._loop.time()

    def write_ends(self) -> None:
        """The answer is on its way."""
        self._writes_since = 0.0
        if self._under_way:
            self._under_way -= 1
            self._share.end(1)

    def close(self) -> None:
        """The stream is over: nobody waits for what has no answer yet."""
        self._timer.cancel()
        self._share.end(self._under_way)
        self._under_way = 0

    def check_end(self) -> None:
        """Raise why the requests ended, when it was not their sender who ended them."""
        if self._failure is not None:
            raise self._failure

    def _check(self, request: Any) -> None:
        if isinstance(request, Unreadable):
            raise Refused(request.reason, metadata=request.metadata)
        self._still_welcome()

    async def _turn(self) -> None:
        """Wait until the sender may: its own flow control slows it, nothing it sent is refused or piles up here."""
        while seconds := self._share.wait(1):  # noqa: ASYNC110  time passes by itself, nobody could set an event
            await asyncio.sleep(min(seconds, WAIT_SECONDS_MAX))
        while not self._share.has_room(1):  # noqa: ASYNC110  seldom, and an event for each of many streams costs more
            await asyncio.sleep(ROOM_SECONDS)

    async def _next(self) -> Any:
        if self._failure is not None:
            raise StopAsyncIteration
        self._reading, self._reads_since = asyncio.current_task(), self._loop.time()
        try:
            return await anext(self._requests)
        except asyncio.CancelledError:
            if not self._idle or self._reading is None:
                raise
            self._reading.uncancel()
            raise self._end(Refused(Reason.STREAM_IDLE)) from None
        finally:
            self._reading = None

    def _end(self, failure: Refused) -> StopAsyncIteration:
        self._failure = failure
        return StopAsyncIteration()

    def _look(self) -> None:
        """The timer's: end what has waited too long."""
        now = self._loop.time()
        if self._reading is not None and now - self._reads_since >= self._idle_seconds and not self._under_way:
            self._idle = True
            self._reading.cancel()
        if self._writes_since and now - self._writes_since >= self._stall_seconds and self._answering is not None:
            self.is_stalled = True
            self._answering.cancel()
            return
        self._timer = self._loop.call_later(self._look_seconds, self._look)
