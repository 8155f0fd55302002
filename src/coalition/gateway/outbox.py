"""Reversals that must still be delivered, one till after another in the order they were noted, until each is answered.

One till's trouble does not hold up another's. What is refused for good is kept in the notebook and told to the log:
then the original stands, and its terminal learns so by repeating it.
"""

import asyncio
from typing import Any, Final, Protocol

import structlog

from coalition.gateway.errors import Declined, NoAnswer, NotebookUnavailable
from coalition.gateway.notebook import Notebook
from coalition.gateway.tills import Till
from coalition.gateway.traces import Noted, Waiting
from coalition.gateway.translate import Act, Details, Seat, request_of

FIRST_PAUSE_S: Final = 0.2
PAUSE_MAX_S: Final = 15.0
FORGET_SECONDS: Final = 3600.0
AT_ONCE_MAX: Final = 16
"""Tills whose reversals are under way at the same time."""
GATE_REASONS: Final = frozenset(
    {
        "CERTIFICATE_REVOKED",
        "IDENTITY_MALFORMED",
        "NO_CERTIFICATE",
        "PERMISSION_DENIED",
        "TERMINAL_OF_OTHER_STORE",
        "TERMINAL_SUSPENDED",
        "TERMINAL_UNKNOWN",
        "UNIMPLEMENTED",
    }
)
"""Refusals of the gate, not of the reversal: HQ may let the till in again, the server be renewed: sent again."""
SUSPENDED: Final = "SUSPENDED"
"""The same said by the journal, which keeps it under the request_id: sent again under a new one."""
log = structlog.get_logger(__name__)


class Sends(Protocol):
    """The service."""

    async def send(self, identity: str, method: str, request: Any, seconds: float) -> Any: ...


class Outbox:
    """`answer_seconds` is how long one delivery may take."""

    def __init__(self, notebook: Notebook, calls: Sends, answer_seconds: float) -> None:
        self._notebook = notebook
        self._calls = calls
        self._seconds = answer_seconds
        self._news = asyncio.Event()

    async def put(self, original_request_id: str, till: Till, reversal: Noted | None = None) -> None:
        """Note a reversal: the terminal's own, or one that the gateway makes. Raises NotebookUnavailable."""
        await self._notebook.queue(original_request_id, till.path, till.identity, reversal)
        log.warning(
            "gateway_reversal_queued",
            till=till.path,
            original_request_id=original_request_id,
            made_by="terminal" if reversal else "gateway",
        )
        self._news.set()

    async def deliver_for_ever(self) -> None:
        """Deliver what waits, now and whenever something is put; until cancelled."""
        loop = asyncio.get_running_loop()
        pause_s, forget_at = FIRST_PAUSE_S, loop.time()
        while True:
            self._news.clear()
            try:
                if loop.time() >= forget_at and not await self._notebook.forget():
                    forget_at = loop.time() + FORGET_SECONDS
                waiting = await self._notebook.waiting()
                gone = await self._deliver(waiting)
            except NotebookUnavailable as error:
                log.warning("gateway_notebook_unavailable", cause=str(error))
                waiting, gone = [], 0
                await asyncio.sleep(PAUSE_MAX_S)
            if waiting and gone < len(waiting):
                pause_s = FIRST_PAUSE_S if gone else min(pause_s * 2, PAUSE_MAX_S)
                await asyncio.sleep(pause_s)
            elif not waiting:
                pause_s = FIRST_PAUSE_S
                await self._wait_for_news(max(forget_at - loop.time(), FIRST_PAUSE_S))

    async def _wait_for_news(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return

    async def _deliver(self, waiting: list[Waiting]) -> int:
        """Try the first of every till; how many were answered."""
        gone = 0
        for at in range(0, len(waiting), AT_ONCE_MAX):
            answered = await asyncio.gather(*(self._deliver_one(each) for each in waiting[at : at + AT_ONCE_MAX]))
            gone += sum(answered)
            if not any(answered):
                break  # nobody there: the rest would wait as long
        return gone

    async def _deliver_one(self, waiting: Waiting) -> bool:
        details = Details(waiting.request_id, waiting.occurred_s, original_request_id=waiting.original_request_id)
        request = request_of(Act.REVERSE, details, Seat(Till(waiting.till, waiting.identity), "", ""))
        refused = ""
        try:
            await self._calls.send(waiting.identity, Act.REVERSE.value, request, self._seconds)
        except NoAnswer:
            return False
        except Declined as declined:
            if declined.reason == SUSPENDED:
                await self._notebook.renew(waiting)
            if declined.reason in {SUSPENDED, *GATE_REASONS}:
                log.warning("gateway_reversal_shut_out", till=waiting.till, reason=declined.reason)
                return False
            refused = declined.reason
        await self._notebook.delivered(waiting, refused)
        if refused:
            log.error(
                "gateway_reversal_refused",
                till=waiting.till,
                original_request_id=waiting.original_request_id,
                reason=refused,
            )
        else:
            log.info("gateway_reversal_delivered", till=waiting.till, original_request_id=waiting.original_request_id)
        return True
