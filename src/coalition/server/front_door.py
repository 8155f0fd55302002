"""The front door as a thread: an event loop of its own on which a built server runs until it is closed.

The main thread stays free for signals and for the embedded databases, which belong to it. One loop a process: several
loops of grpc.aio disturb each other.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext

import structlog
import uvloop

from coalition.server.assembly import DRAIN_SECONDS, Credentials, Server, build
from coalition.server.identity import Identities
from coalition.server.interceptor import Observe
from coalition.server.limits import Limits
from coalition.server.revocations import Revocations
from coalition.server.terminal import TerminalServicer
from coalition.server.tracing import Tracer

log = structlog.get_logger(__name__)


class FrontDoor:
    """`make_servicers` is called on the loop, so that servicers may keep it.

    `desk` lives on the loop too: it is opened before the first call and closed after the last has its answer.
    """

    def __init__(
        self,
        make_servicers: Callable[[], Sequence[object]],
        credentials: Credentials,
        identities: Identities,
        listen: str,
        *,
        desk: AbstractAsyncContextManager[object] | None = None,
        options: Sequence[tuple[str, int]] = (),
        limits: Limits | None = None,
        revocations: Revocations | None = None,
        observe: Observe | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._desk = desk or nullcontext()
        self._make_servicers = make_servicers
        self._credentials = credentials
        self._identities = identities
        self._listen = listen
        self._options = options
        self._limits = limits
        self._revocations = revocations
        self._observe = observe
        self._tracer = tracer
        self._thread = threading.Thread(target=self._run, name="front door", daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave: asyncio.Event | None = None
        self._seconds = DRAIN_SECONDS
        self.address = ""
        self.server: Server | None = None

    def open(self) -> str:
        """Serve; the address bound, host:port. Raises AddressTaken, RulesIncomplete, and what keeps the desk shut."""
        self._thread.start()
        self._ready.wait()  # not forever: what opening waits for, the desk's workers, is bounded itself
        if self._failure is not None:
            raise self._failure
        return self.address

    def close(self, seconds: float = DRAIN_SECONDS) -> None:
        """Drain: no new calls, those in the house end within `seconds`, then the desk."""
        if self._thread.ident is None:
            return
        self._seconds = seconds
        if self._loop is not None and self._leave is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            self._failure = error
            if self._ready.is_set():
                log.exception("front_door_broke")
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._leave = asyncio.get_running_loop(), asyncio.Event()
        async with self._desk:
            servicers = self._make_servicers()
            self.server = server = build(
                servicers,
                self._credentials,
                self._identities,
                listen=self._listen,
                options=self._options,
                limits=self._limits,
                revocations=self._revocations,
                observe=self._observe,
                tracer=self._tracer,
            )
            try:
                await server.start()
                self.address = f"{self._listen.rpartition(':')[0]}:{server.port}"
                self._ready.set()
                await self._leave.wait()
            finally:
                for servicer in servicers:
                    if isinstance(servicer, TerminalServicer):
                        servicer.end_streams()
                await server.drain(self._seconds)
