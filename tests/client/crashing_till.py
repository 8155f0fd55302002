"""A till that kills itself with SIGKILL at a named step of a sale. Run as a process by test_kills.py.

The steps are cut into the SDK from outside, here: the SDK itself knows nothing of them.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

from coalition.bootstrap.statements import day_signer
from coalition.client import AioTerminal, ClientCertificate, OutcomeUnknown, ServerUnreachable, State, TryRules
from coalition.client.day_closes import DayCloses
from coalition.client.line import Line
from coalition.client.outbox import Outbox

PLACE: Final = "cafe/main/till-1"
STEPS: Final = (
    "before anything is stored",
    "stored, not sent",
    "sent, not answered",
    "answered, not stored",
    "answer stored, not told",
    "told",
    "undoing stored, not sent",
    "reversal sent, not answered",
    "reversal answered, not stored",
)
DAY_STEPS: Final = ("close stored, not sent", "close sent, not answered", "close answered, not stored")


def die() -> None:
    """As a power cut would: nothing is flushed, nobody is told."""
    os.kill(os.getpid(), signal.SIGKILL)


def cut(step: str) -> None:
    """Kill this process when the sale reaches the step."""
    write, send = Outbox.write, Line.send
    dying: list[asyncio.Future[None]] = []

    def watched_write(outbox: Outbox, row: Any) -> Any:
        if step == "before anything is stored":
            die()
        if step == "answered, not stored" and row.state is State.ACCEPTED:
            die()
        if step == "reversal answered, not stored" and row.state is State.UNDONE:
            die()
        future = write(outbox, row)
        if (step, row.state) in {
            ("stored, not sent", State.BEGUN),
            ("answer stored, not told", State.ACCEPTED),
            ("undoing stored, not sent", State.TO_UNDO),
        }:
            dying.append(asyncio.ensure_future(_die_after(future)))
        return future

    add, recorded = DayCloses.add, DayCloses.recorded

    async def watched_add(closes: DayCloses, close: Any) -> None:
        await add(closes, close)
        if step == "close stored, not sent":
            die()

    async def watched_recorded(closes: DayCloses, request: Any) -> None:
        if step == "close answered, not stored":
            die()
        await recorded(closes, request)

    async def watched_send(line: Line, method: str, request: object, deadline_s: float) -> Any:
        if (step, method) in {
            ("sent, not answered", "Purchase"),
            ("reversal sent, not answered", "Reverse"),
            ("close sent, not answered", "CloseDay"),
        }:
            await send(line, method, request, deadline_s)
            die()  # The service has answered; this process never looked.
        if step == "in the service":
            asyncio.get_running_loop().call_later(0.4, die)
        if method == "Purchase" and ("undoing" in step or "reversal" in step):
            await send(line, method, request, deadline_s)
            raise ServerUnreachable(line.server, "DEADLINE_EXCEEDED", "the answer was lost")
        return await send(line, method, request, deadline_s)

    Outbox.write = watched_write  # type: ignore[method-assign,assignment]
    Line.send = watched_send  # type: ignore[method-assign,assignment]
    DayCloses.add = watched_add  # type: ignore[method-assign,assignment]
    DayCloses.recorded = watched_recorded  # type: ignore[method-assign,assignment]


async def _die_after(future: "asyncio.Future[None]") -> None:
    await future
    die()


async def sell(address: str, certificates: Path, outbox: Path, card: str, amounts: list[int]) -> None:
    """Sell, one sale after the other, and print each outcome."""
    rules = TryRules(deadline_s=0.5, total_s=1.0, pauses_s=(0.05,))
    certificate = ClientCertificate.load_folder(certificates)
    async with AioTerminal(address, certificate, outbox=outbox, rules=rules, at=PLACE) as till:
        for amount in amounts:
            try:
                receipt = await till.purchase(card, amount, sale_reference=f"S-{os.getpid()}-{amount}")
                print(json.dumps({"paid": receipt.request_id, "amount": amount}), flush=True)
            except OutcomeUnknown as lost:
                print(json.dumps({"lost": lost.request_id, "amount": amount}), flush=True)
        if "undo" in sys.argv[1] or "reversal" in sys.argv[1]:
            await till.settled(10)
        if sys.argv[1] in DAY_STEPS:
            await till.close_day(day_signer(certificates / "private.key"))


if __name__ == "__main__":
    at_step, server, folder, file = sys.argv[1:5]
    card_number = sys.stdin.readline().strip()
    if at_step != "told":
        cut(at_step)
    asyncio.run(sell(server, Path(folder), Path(file), card_number, [int(each) for each in sys.argv[5:]]))
    if at_step == "told":
        die()
