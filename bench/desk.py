"""The desk without gRPC: large batches, and its own baseline of one transaction a purchase."""

import random
import threading
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


class Tally:
    """A sink that notes how long each batch's answers took from the batch before."""

    def __init__(self, expected: int) -> None:
        self._missing = expected
        self._last = time.perf_counter()
        self.latencies: list[float] = []
        self.complete = threading.Event()

    def deliver(self, answers: Sequence[tuple[Ticket, Answer]]) -> None:
        _accepted([answer for _, answer in answers])
        now = time.perf_counter()
        self.latencies.append(now - self._last)
        self._last = now
        self._missing -= len(answers)
        if self._missing == 0:
            self.complete.set()


def desk_alone(name: str, stores: Sequence[Store], trade: Trade, size: int, batches: int) -> Figure:
    """The desk as a server has it, fed at once with purchases that were made beforehand; batches of `size`."""
    tally = Tally(size * batches)
    work = [Ticket(trade.purchase(), tally) for _ in range(size * batches)]
    desk = Desk(stores, batch_max=size, queue_max=len(work), clock=time.monotonic, pause=time.sleep)
    started = time.perf_counter()
    desk.submit(work)
    desk.start()
    tally.complete.wait()
    seconds = time.perf_counter() - started
    desk.close()
    return figure(name, len(work), seconds, tally.latencies)


def one_transaction_per_purchase(name: str, stores: Sequence[Store], trade: Trade, each: int) -> Figure:
    """The same desk with bound 1: a transaction a purchase, on as many connections as stores."""
    work = [[trade.purchase() for _ in range(each)] for _ in stores]
    latencies: list[float] = []

    def run(store: Store, commands: Sequence[Purchase]) -> None:
        for command in commands:
            before = time.perf_counter()
            _accepted(run_batch(store, [command]))
            latencies.append(time.perf_counter() - before)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(stores, work, strict=True)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return figure(name, each * len(stores), time.perf_counter() - started, latencies)


def _accepted(answers: Sequence[object]) -> None:
    if any(getattr(answer, "reason", None) is not Reason.ACCEPTED for answer in answers):
        raise RuntimeError("a purchase of the bench was declined")
