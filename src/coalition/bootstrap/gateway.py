"""What `coalition gateway` runs: mapping file and certificates read, the ISO 8583 door open until it is told to stop.

Opens no database and no key ring: beside the coalition's server it needs its certificates alone.
"""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from coalition.bootstrap.addresses import SERVER, address_of, announced
from coalition.bootstrap.clock import unix_milliseconds, utc_now
from coalition.bootstrap.identities import certificate
from coalition.client import new_request_id
from coalition.config import Settings
from coalition.domain.errors import CoalitionError
from coalition.gateway.calls import Pem, TerminalCalls
from coalition.gateway.door import Plan, open_gateway
from coalition.gateway.errors import GatewayError
from coalition.gateway.listener import TlsFiles
from coalition.gateway.tills import is_identity, load_tills
from coalition.log import set_up_log

GATEWAY: Final = "gateway.json"
STATE: Final = "gateway"
log = structlog.get_logger(__name__)


class GatewayRefused(CoalitionError):
    """The gateway cannot start; the message names the cause and its cure."""


def plan_of(
    settings: Settings,
    *,
    tills: Path,
    identity: str,
    listen: str,
    server: str | None,
    encoding: str,
    tpdu: bool,
    answer_seconds: float,
    state: Path | None,
    tls: tuple[Path, Path, Path | None] | None,
) -> Plan:
    """Everything a gateway is made of, checked. Raises GatewayRefused."""
    identity = identity.strip("/")
    if not is_identity(identity):
        raise GatewayRefused("--as is ts/PARTICIPANT-OR-CHAIN/NAME or t/PARTICIPANT/STORE/TERMINAL")
    try:
        mapping = load_tills(tills, identity)
    except GatewayError as error:
        raise GatewayRefused(str(error)) from None
    for each in sorted({identity, *(till.identity for till in mapping.values())}):
        pem_of(settings)(each)
    return Plan(
        listen=listen,
        server=server or address_of(settings, SERVER, settings.listen),
        identity=identity,
        tills=mapping,
        state=state or settings.var / STATE,
        zone=ZoneInfo(settings.zone),
        currency_code=settings.currency,
        encoding=encoding,
        tpdu=tpdu,
        answer_seconds=answer_seconds,
        tls=TlsFiles(*tls) if tls else None,
    )


def pem_of(settings: Settings) -> Callable[[str], Pem]:
    """Finds the certificate of an identity. What it returns raises StrongroomRefused."""

    def found(identity: str) -> Pem:
        files = certificate(settings, f"/{identity}")
        return Pem(files.cert.read_bytes(), files.key.read_bytes(), files.chain.read_bytes())

    return found


def gateway(settings: Settings, plan: Plan, say: Callable[[str], None] = print) -> int:
    """Serve until SIGTERM or SIGINT; the process's exit code. Raises GatewayRefused when it cannot start."""
    set_up_log(settings.log_level)
    try:
        asyncio.run(_serve(settings, plan, say))
    except GatewayError as error:
        raise GatewayRefused(str(error)) from None
    return 0


async def _serve(settings: Settings, plan: Plan, say: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    calls = TerminalCalls(plan.server, pem_of(settings))
    async with open_gateway(
        plan, calls=calls, clock=utc_now, now_ms=unix_milliseconds, new_id=new_request_id
    ) as address:
        with announced(settings, GATEWAY, address):
            say(f"gateway listens on {address} for {len(plan.tills)} tills and speaks to {plan.server}")
            say("Ctrl-C stops it; what was noted stays")
            log.info("gateway_started", address=address, tills=len(plan.tills), encoding=plan.encoding)
            await stop.wait()
            say("stopping: messages that came are answered first")
    log.info("gateway_stopped")
