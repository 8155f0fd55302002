"""The desk without gRPC: fed with purchases by its own queue, answered by its own worker processes."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from bench.figures import Figure, figure
from bench.house import PRINCIPAL_MINOR, Seat, card_number
from coalition.clearing.batch import run_batch
from coalition.clearing.desk import Desk
from coalition.clearing.queue import Answer, Ticket
from coalition.clearing.store import Store
from coalition.client import new_request_id
from coalition.domain.commands import Purchase, TopUp
from coalition.domain.reasons import Reason

Token = Callable[[str], bytes]


class Trade:
    """Makes commands of random cards at random tills."""

    def __init__(self, seats: Sequence[Seat], members: int, token: Token, seed: int) -> None:
        self._seats = seats
        self._tokens = [token(card_number(index)) for index in range(members)]
        self._draw = random.Random(seed)

    def purchase(self) -> Purchase:
        seat = self._draw.choice(self._seats)
        return Purchase(
            participant_id=seat.participant_id,
            store_id=seat.store_id,
            terminal_id=seat.terminal_id,
            actor=seat.path,
            request_id=UUID(new_request_id()),
            amount_minor=self._draw.randint(100, 900),
            token=self._draw.choice(self._tokens),
        )

    def top_ups(self) -> list[TopUp]:
        """One for every card."""
        commands = []
        for index, token in enumerate(self._tokens):
            seat = self._seats[index % len(self._seats)]
            commands.append(
                TopUp(
                    participant_id=seat.participant_id,
                    store_id=seat.store_id,
                    terminal_id=seat.terminal_id,
                    actor=seat.path,
                    request_id=UUID(new_request_id()),
                    amount_minor=PRINCIPAL_MINOR,
                    token=token,
                    issuer_id=seat.participant_id,
                )
            )
        return commands


def sell_lots(store: Store, trade: Trade) -> None:
    """Top every card up, by the desk's own batches."""
    commands = trade.top_ups()
    for start in range(0, len(commands), 1024):
        answers = run_batch(store, commands[start : start + 1024])
        if any(answer.reason is not Reason.ACCEPTED for answer in answers):
            raise RuntimeError("a top-up of the bench was declined")


class Watch:
    """Observes a desk: how long each batch took from its worker being handed it to its answers."""

    def __init__(self) -> None:
        self.latencies: list[float] = []

    def batch(self, size: int, oldest_wait_seconds: float, seconds: float) -> None:  # noqa: ARG002  a desk tells all
        self.latencies.append(seconds)

    def answers(self, answers: Sequence[tuple[Ticket, Answer]]) -> None:
        """Told to the sink."""


class Tally:
    """A sink that counts answers down."""

    def __init__(self, expected: int) -> None:
        self._missing = expected
        self.complete = asyncio.Event()

    def deliver(self, answers: Sequence[tuple[Ticket, Answer]]) -> None:
        _accepted([answer for _, answer in answers])
        self._missing -= len(answers)
        if self._missing == 0:
            self.complete.set()


async def through(desk: Desk, watch: Watch, name: str, trade: Trade, count: int) -> Figure:
    """An open desk that `watch` observes, fed at once with `count` purchases made beforehand."""
    tally = Tally(count)
    watch.latencies.clear()
    work = [Ticket(trade.purchase(), tally) for _ in range(count)]
    started = time.perf_counter()
    desk.submit(work)
    await tally.complete.wait()
    return figure(name, count, time.perf_counter() - started, watch.latencies[:])


def _accepted(answers: Sequence[object]) -> None:
    if any(getattr(answer, "reason", None) is not Reason.ACCEPTED for answer in answers):
        raise RuntimeError("a purchase of the bench was declined")
