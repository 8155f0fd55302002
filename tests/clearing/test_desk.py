"""The desk: fair, bounded, answers after the commit, survives what the database does to it."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from coalition.clearing.desk import Desk
from coalition.clearing.queue import Answer, FairQueue, Ticket
from coalition.clearing.store import Batch, Store
from coalition.domain.commands import Command
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason
from tests.clearing.house import House, accepted


class Collector:
    """A sink that remembers what it was given, in order."""

    def __init__(self) -> None:
        self.answers: dict[Ticket, Answer] = {}
        self.deliveries = 0
        self._changed = threading.Condition()

    def deliver(self, answers: Sequence[tuple[Ticket, Answer]]) -> None:
        with self._changed:
            self.deliveries += 1
            self.answers.update(answers)
            self._changed.notify_all()

    def wait_for(self, tickets: Sequence[Ticket], seconds: float = 30) -> list[Answer]:
        with self._changed:
            assert self._changed.wait_for(lambda: all(ticket in self.answers for ticket in tickets), seconds)
            return [self.answers[ticket] for ticket in tickets]


@contextmanager
def open_desk(store: Store, queue_max: int = 1000) -> Iterator[Desk]:
    desk = Desk([store], batch_max=256, queue_max=queue_max, clock=time.monotonic, pause=time.sleep)
    desk.start()
    try:
        yield desk
    finally:
        desk.close()


def tickets_for(commands: Sequence[Command], sink: Collector) -> list[Ticket]:
    return [Ticket(command, sink) for command in commands]


def test_a_flood_of_one_identity_does_not_push_others_back(house: House) -> None:
    """One line an identity, served in turn: the quiet terminal is in the first batch."""
    token, sink = b"\x01" * 32, Collector()
    flood = tickets_for([house.purchase("a", token, 1) for _ in range(50)], sink)
    quiet = tickets_for([house.purchase("cafe", token, 1)], sink)
    queue = FairQueue(1000)
    queue.put(flood)
    queue.put(quiet)

    taken = queue.take(10)

    assert quiet[0] in taken
    assert flood[:9] == [ticket for ticket in taken if ticket is not quiet[0]]


def test_a_full_queue_refuses_all_of_a_request_and_keeps_none(house: House) -> None:
    sink = Collector()
    queue = FairQueue(10)
    queue.put(tickets_for([house.purchase("a", b"\x01" * 32, 1) for _ in range(8)], sink))

    with pytest.raises(Refused) as refused:
        queue.put(tickets_for([house.purchase("a", b"\x01" * 32, 1) for _ in range(3)], sink))

    assert Reason.QUEUE_FULL == refused.value.reason
    assert 8 == len(queue)


def test_a_second_batch_leaves_busy_wallets_and_streams_alone(house: House) -> None:
    """What waits for a wallet or a stream under way keeps its place; everything else goes on at once."""
    sink, queue = Collector(), FairQueue(1000, overlap_from=1)
    one, two, three, four = (bytes([number]) * 32 for number in range(1, 5))
    first = Ticket(house.purchase("a", one, 1), sink, stream="s")
    same_wallet = Ticket(house.purchase("a", one, 2), sink)
    same_stream = Ticket(house.purchase("a", two, 3), sink, stream="s")
    behind_it = Ticket(house.purchase("a", three, 4), sink, stream="s")
    free = Ticket(house.purchase("a", four, 5), sink)
    queue.put([first])
    assert [first] == queue.take(10)
    queue.put([same_wallet, same_stream, behind_it, free])

    assert [free] == queue.take(10)
    queue.done([first])
    assert [same_wallet, same_stream, behind_it] == queue.take(10)
    assert 0 == len(queue)


def test_few_operations_wait_for_the_batch_under_way(house: House) -> None:
    """Below the threshold a second batch would only make both smaller."""
    sink, queue = Collector(), FairQueue(1000, overlap_from=3)
    tickets = tickets_for([house.purchase("a", bytes([number]) * 32, 1) for number in range(1, 6)], sink)
    queue.put(tickets[:1])
    queue.take(10)
    queue.put(tickets[1:3])
    taken: list[Ticket] = []
    taker = threading.Thread(target=lambda: taken.extend(queue.take(10)))
    taker.start()
    taker.join(0.2)
    assert [] == taken

    queue.put(tickets[3:])
    taker.join(5)

    assert tickets[1:] == taken


def test_late_and_cancelled_commands_are_dropped_only_until_taken(house: House) -> None:
    token, sink = house.funded_card(), Collector()
    late, cancelled, live = tickets_for([house.purchase("cafe", token, 100) for _ in range(3)], sink)
    late.deadline = time.monotonic() - 1
    cancelled.cancelled = True

    with open_desk(house.store()) as desk:
        desk.submit([late, cancelled, live])
        answers = sink.wait_for([late, cancelled, live])

    dropped = [answer.reason for answer in answers[:2] if isinstance(answer, Refused)]
    assert [Reason.DEADLINE_PASSED] * 2 == dropped
    accepted(answers[2])
    assert [(1,)] == house.query("SELECT count(*) FROM entries WHERE kind = 2")


def test_closing_answers_what_waits_and_refuses_what_comes_after(house: House) -> None:
    token, sink = house.funded_card(), Collector()
    tickets = tickets_for([house.purchase("cafe", token, 10) for _ in range(300)], sink)

    with open_desk(house.store()) as desk:
        desk.submit(tickets)
    with pytest.raises(Refused) as refused:
        desk.submit(tickets[:1])

    assert Reason.SERVER_DRAINING == refused.value.reason
    assert 300 == sum(accepted(sink.answers[ticket]).amount_minor == 10 for ticket in tickets)
    assert 3 >= sink.deliveries


@dataclass(frozen=True, slots=True, kw_only=True)
class Poison(Command):
    """A command no rule decides: our own bug."""

    kind = Kind.PURCHASE

    def _particulars(self) -> bytes:
        return b"poison"


def test_a_command_that_breaks_the_rules_fails_alone(house: House) -> None:
    """A deterministic error halves the batch until only the culprit is left; its neighbours commit."""
    token, sink = house.funded_card(), Collector()
    commands: list[Command] = [house.purchase("cafe", token, 10) for _ in range(20)]
    commands[13] = Poison(**house._common("cafe", 10, None))
    tickets = tickets_for(commands, sink)

    with open_desk(house.store()) as desk:
        desk.submit(tickets)
        answers = sink.wait_for(tickets)

    assert isinstance(answers[13], LedgerBroken)
    assert 19 == sum(not isinstance(answer, Exception) for answer in answers)
    assert [(119_810,)] == house.query("SELECT balance_minor FROM wallets")
    house.check_books()


class Interfering:
    """A store whose n-th batches meet a fault at a named step, as the network and the database give them."""

    def __init__(self, house: House, step: str, fault: Callable[[House], None], every: int) -> None:
        self._house = house
        self._store = house.store()
        self._step = step
        self._fault = fault
        self._every = every
        self._batches = 0
        self.faults = 0

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        self._batches += 1
        strike = self._batches % self._every == 0
        with self._store.batch() as batch:
            yield _Striking(batch, self, strike)

    def strike(self, step: str) -> None:
        if step == self._step:
            self.faults += 1
            self._fault(self._house)

    def close(self) -> None:
        self._store.close()


class _Striking:
    def __init__(self, batch: Any, owner: Interfering, strike: bool) -> None:
        self._batch, self._owner, self._strike = batch, owner, strike

    def prefetch(self, commands: Sequence[Command]) -> Any:
        prefetched = self._batch.prefetch(commands)
        if self._strike:
            self._owner.strike("locked")
        return prefetched

    def write(self, *parts: Any) -> None:
        self._batch.write(*parts)
        if self._strike:
            self._owner.strike("committed")


def kill_backends(house: House) -> None:
    house.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'coalition desk'"
        " AND datname = current_database()"
    )


def lose_the_answer(house: House) -> None:
    """The batch committed, but the connection broke before the desk heard of it."""
    from coalition.domain.errors import StoreUnavailable

    raise StoreUnavailable("lost in COMMIT")


@pytest.mark.parametrize(("step", "fault"), [("locked", kill_backends), ("committed", lose_the_answer)])
def test_a_broken_connection_neither_loses_nor_doubles(house: House, step: str, fault: Callable[[House], None]) -> None:
    """The whole batch runs again: the claim tells whether the first try had committed."""
    tokens, sink = [house.funded_card() for _ in range(4)], Collector()
    store = Interfering(house, step, fault, every=2)
    tickets: list[Ticket] = []

    with open_desk(store) as desk:
        for round_number in range(20):
            batch = tickets_for([house.purchase("cafe", tokens[round_number % 4], 10) for _ in range(5)], sink)
            desk.submit(batch)
            sink.wait_for(batch)
            tickets += batch

    assert 5 <= store.faults
    assert 100 == len({accepted(sink.answers[ticket]).entry_id for ticket in tickets})
    assert [(100, 1000)] == house.query("SELECT count(*), sum(amount_minor)::int FROM entries WHERE kind = 2")
    house.check_books()


def test_two_threads_of_a_desk_keep_each_stream_in_order(house: House) -> None:
    """Streams of many wallets, batches under way at once: entries of a stream are numbered as they were put."""
    tokens, sink = [house.funded_card() for _ in range(6)], Collector()
    desk = Desk([house.store(), house.store()], batch_max=64, queue_max=5000, clock=time.monotonic, pause=time.sleep)
    streams = {
        name: [Ticket(house.purchase("cafe", tokens[(n * 7 + k) % 6], 1), sink, stream=name) for n in range(300)]
        for k, name in enumerate("abc")
    }
    for parts in zip(*streams.values(), strict=True):
        desk.submit(parts)
    desk.start()
    for tickets in streams.values():
        sink.wait_for(tickets)
    desk.close()

    for tickets in streams.values():
        ids = [accepted(sink.answers[ticket]).entry_id for ticket in tickets]
        assert sorted(ids) == ids
    house.check_books()


def test_batches_of_overlapping_desks_are_numbered_in_conflict_order(house: House) -> None:
    """Of one wallet, each entry's stored balance follows from the one before it in journal order."""
    token, sink = house.funded_card(), Collector()
    stores = [house.store() for _ in range(4)]
    desks = [Desk([store], batch_max=16, queue_max=1000, clock=time.monotonic, pause=time.sleep) for store in stores]
    tickets = []
    for desk in desks:
        desk.start()
    for number in range(200):
        ticket = Ticket(house.purchase("cafe", token, 1 + number % 7), sink)
        tickets.append(ticket)
        desks[number % 4].submit([ticket])
    sink.wait_for(tickets)
    for desk in desks:
        desk.close()

    outcomes = sorted((accepted(sink.answers[ticket]) for ticket in tickets), key=lambda outcome: outcome.entry_id)
    balance = 120_000
    for outcome in outcomes:
        balance -= outcome.amount_minor
        assert balance == outcome.balance_minor
    house.check_books()
