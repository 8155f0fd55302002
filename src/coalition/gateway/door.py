"""The gateway put together: notebook, outbox, calls, counter and listener, from opening the port to its orderly end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from coalition.gateway.codes import CURRENCY_NUMBERS
from coalition.gateway.counter import Calls, Counter
from coalition.gateway.errors import GatewayError
from coalition.gateway.listener import Bounds, Listener, TlsFiles
from coalition.gateway.message import Codec
from coalition.gateway.notebook import Notebook
from coalition.gateway.outbox import Outbox
from coalition.gateway.tills import Tills

NOTEBOOK_FILE: Final = "iso8583.sqlite"


class Service(Calls, Protocol):
    """The coalition's service, and how to leave it."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What a gateway is made of. `state` is the directory of its notebook, `server` the coalition's host:port."""

    listen: str
    server: str
    identity: str
    tills: Tills
    state: Path
    zone: ZoneInfo
    currency_code: str
    encoding: str = "ascii"
    tpdu: bool = False
    answer_seconds: float = 8.0
    tls: TlsFiles | None = None
    bounds: Bounds = field(default_factory=Bounds)


@asynccontextmanager
async def open_gateway(
    plan: Plan,
    *,
    calls: Service,
    clock: Callable[[], datetime],
    now_ms: Callable[[], int],
    new_id: Callable[[], str],
) -> AsyncIterator[str]:
    """A gateway that serves; yields its address. Raises GatewayError when it cannot start.

    `calls` is the coalition's service and closed at the end; `new_id` makes a request id of version 7.
    """
    if plan.currency_code not in CURRENCY_NUMBERS:
        known = ", ".join(sorted(CURRENCY_NUMBERS))
        raise GatewayError(
            f"ISO 8583 amounts in {plan.currency_code} are not served; the scheme currency is one of {known}"
        )
    tls = plan.tls.context() if plan.tls else None
    notebook = Notebook(plan.state / NOTEBOOK_FILE, new_id, now_ms)
    try:
        outbox = Outbox(notebook, calls, plan.answer_seconds)
        counter = Counter(
            tills=plan.tills,
            notebook=notebook,
            outbox=outbox,
            calls=calls,
            clock=clock,
            zone=plan.zone,
            currency_code=plan.currency_code,
            identity=plan.identity,
            answer_seconds=plan.answer_seconds,
        )
        listener = Listener(counter.answer, Codec(plan.encoding, tpdu=plan.tpdu), plan.bounds, tls)
        delivering = asyncio.create_task(outbox.deliver_for_ever())
        try:
            await listener.open(plan.listen)
            yield listener.address
        finally:
            await listener.close()
            delivering.cancel()
            with suppress(asyncio.CancelledError):
                await delivering
    finally:
        await calls.close()
        notebook.close()
