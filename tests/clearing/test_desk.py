"""The desk: fair, bounded, answers after the commit, survives what the database does to it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from coalition.clearing.queue import Answer, FairQueue, Ticket
from coalition.domain.commands import Command
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason
from tests.clearing.desks import Collector, Hands, Interference, kill_backends, lose_the_answer, open_desk, tickets_for
from tests.clearing.house import House, accepted


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
    tickets = tickets_for([house.purchase("a", bytes([number]) * 32, 1) for number in range(1, 8)], sink)
    queue.put(tickets[:1])
    assert tickets[:1] == queue.take(10)
    queue.put(tickets[1:3])

    assert [] == queue.take(10)
    queue.put(tickets[3:4])
    assert tickets[1:4] == queue.take(10)
    queue.put(tickets[4:5])
    assert [] == queue.take(10)
    queue.done(tickets[:1])
    queue.done(tickets[1:4])
    assert tickets[4:5] == queue.take(10)


def test_a_queue_is_idle_when_nothing_waits_and_nothing_is_under_way(house: House) -> None:
    """A desk that drains must not hang up on a batch."""
    queue = FairQueue(10)
    tickets = tickets_for([house.purchase("a", b"\x01" * 32, 1)], Collector())

    assert queue.is_idle
    queue.put(tickets)
    assert not queue.is_idle
    queue.take(10)
    assert not queue.is_idle
    queue.done(tickets)
    assert queue.is_idle


def test_late_and_cancelled_commands_are_dropped_only_until_taken(house: House) -> None:
    """What was dropped neither holds up its wallet nor the desk's end."""
    token, sink = house.funded_card(), Collector()
    late, cancelled, live, after = tickets_for([house.purchase("cafe", token, 100) for _ in range(4)], sink)
    late.deadline = time.monotonic() - 1
    cancelled.cancelled = True

    async def trade() -> None:
        async with open_desk(Hands(house.store)) as desk:
            desk.submit([late, cancelled])
            await sink.wait_for([late, cancelled])
            desk.submit([live])
            await asyncio.sleep(0)
            assert not desk.queue
            live.cancelled = True  # too late: a worker has it
            await sink.wait_for([live])
            desk.submit([after])

    asyncio.run(trade())

    dropped = [answer.reason for answer in (sink.answers[late], sink.answers[cancelled]) if isinstance(answer, Refused)]
    assert [Reason.DEADLINE_PASSED] * 2 == dropped
    accepted(sink.answers[live])
    accepted(sink.answers[after])
    assert [(2,)] == house.query("SELECT count(*) FROM entries WHERE kind = 2")
    assert {1} == set(sink.told.values())


def test_of_a_batch_only_the_late_are_dropped(house: House) -> None:
    """And what waits for the stream of a late one goes on afterwards."""
    token, sink = house.funded_card(), Collector()
    tickets = tickets_for([house.purchase("cafe", token, 1 + number) for number in range(9)], sink)
    for ticket in tickets[::3]:
        ticket.deadline = time.monotonic() - 1
        ticket.stream = "late"
    behind = Ticket(house.purchase("cafe", token, 10), sink, stream="late")

    async def trade() -> None:
        async with open_desk(Hands(house.store)) as desk:
            desk.submit(tickets)
            await sink.wait_for(tickets)
            desk.submit([behind])

    asyncio.run(trade())

    assert [index % 3 == 0 for index in range(9)] == [isinstance(sink.answers[each], Refused) for each in tickets]
    amounts = [accepted(sink.answers[each]).amount_minor for index, each in enumerate(tickets) if index % 3]
    assert [2, 3, 5, 6, 8, 9] == amounts
    accepted(sink.answers[behind])


def test_closing_answers_what_waits_and_refuses_what_comes_after(house: House) -> None:
    token, sink = house.funded_card(), Collector()
    tickets = tickets_for([house.purchase("cafe", token, 10) for _ in range(300)], sink)

    async def trade() -> None:
        async with open_desk(Hands(house.store)) as desk:
            desk.submit(tickets)
        desk.submit(tickets[:1])

    with pytest.raises(Refused) as refused:
        asyncio.run(trade())

    assert Reason.SERVER_DRAINING == refused.value.reason
    assert 300 == sum(accepted(sink.answers[ticket]).amount_minor == 10 for ticket in tickets)
    assert 3 >= sink.deliveries


def test_a_sink_that_fails_does_not_stop_the_desk(house: House) -> None:
    class Broken:
        def deliver(self, _: Sequence[tuple[Ticket, Answer]]) -> None:
            raise ZeroDivisionError

    token, sink = house.funded_card(), Collector()
    commands = [house.purchase("cafe", token, 1) for _ in range(3)]
    tickets = [Ticket(commands[0], Broken()), *tickets_for(commands[1:], sink)]

    async def trade() -> None:
        async with open_desk(Hands(house.store)) as desk:
            desk.submit(tickets[:2])
            accepted((await sink.wait_for(tickets[1:2]))[0])
            desk.submit(tickets[2:])

    asyncio.run(trade())

    accepted(sink.answers[tickets[2]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Poison(Command):
    """A command that our own code cannot handle: a bug."""

    kind = Kind.PURCHASE

    def _particulars(self) -> bytes:
        raise ZeroDivisionError("not to be told")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(Command):
    """A command no rule decides."""

    kind = Kind.PURCHASE

    def _particulars(self) -> bytes:
        return b""


@pytest.mark.parametrize("kind", [Poison, Unknown])
def test_a_command_that_breaks_the_rules_fails_alone(house: House, kind: type[Command]) -> None:
    """A deterministic error halves the batch until only the culprit is left; its neighbours commit."""
    token, sink = house.funded_card(), Collector()
    commands: list[Command] = [house.purchase("cafe", token, 10) for _ in range(20)]
    commands[13] = kind(**house._common("cafe", 10, None))
    tickets = tickets_for(commands, sink)

    async def trade() -> None:
        async with open_desk(Hands(house.store)) as desk:
            desk.submit(tickets)

    asyncio.run(trade())

    answers = [sink.answers[ticket] for ticket in tickets]
    assert isinstance(answers[13], LedgerBroken)
    assert "not to be told" not in str(answers[13])
    assert 19 == sum(not isinstance(answer, Exception) for answer in answers)
    assert [(119_810,)] == house.query("SELECT balance_minor FROM wallets")
    house.check_books()


@pytest.mark.parametrize(("step", "fault"), [("locked", kill_backends), ("committed", lose_the_answer)])
def test_a_broken_connection_neither_loses_nor_doubles(house: House, step: str, fault: Callable[[House], None]) -> None:
    """The whole batch runs again: the claim tells whether the first try had committed."""
    tokens, sink = [house.funded_card() for _ in range(4)], Collector()
    interference = Interference(house, step, fault, lambda number: number % 2 == 0)
    tickets: list[Ticket] = []

    async def trade() -> None:
        hands = Hands(interference.store)
        async with open_desk(hands) as desk:
            for round_number in range(20):
                batch = tickets_for([house.purchase("cafe", tokens[round_number % 4], 10) for _ in range(5)], sink)
                desk.submit(batch)
                await sink.wait_for(batch)
                tickets.extend(batch)
            assert 1 == len(hands.threads), "a worker ended"

    asyncio.run(trade())

    assert 5 <= interference.faults
    assert 100 == len({accepted(sink.answers[ticket]).entry_id for ticket in tickets})
    assert [(100, 1000)] == house.query("SELECT count(*), sum(amount_minor)::int FROM entries WHERE kind = 2")
    house.check_books()


def test_two_workers_of_a_desk_keep_each_stream_in_order(house: House) -> None:
    """Streams of many wallets, batches under way at once: entries of a stream are numbered as they were put."""
    tokens, sink = [house.funded_card() for _ in range(6)], Collector()
    streams = {
        name: [Ticket(house.purchase("cafe", tokens[(n * 7 + k) % 6], 1), sink, stream=name) for n in range(300)]
        for k, name in enumerate("abc")
    }

    async def trade() -> None:
        async with open_desk(Hands(house.store), workers=2, batch_max=64) as desk:
            for parts in zip(*streams.values(), strict=True):
                desk.submit(parts)

    asyncio.run(trade())

    for tickets in streams.values():
        ids = [accepted(sink.answers[ticket]).entry_id for ticket in tickets]
        assert sorted(ids) == ids
    house.check_books()


def test_batches_of_overlapping_desks_are_numbered_in_conflict_order(house: House) -> None:
    """Of one wallet, each entry's stored balance follows from the one before it in journal order."""
    token, sink = house.funded_card(), Collector()
    tickets = tickets_for([house.purchase("cafe", token, 1 + number % 7) for number in range(200)], sink)

    async def trade() -> None:
        async with AsyncExitStack() as closing:
            desks = [await closing.enter_async_context(open_desk(Hands(house.store), batch_max=16)) for _ in range(4)]
            for number, ticket in enumerate(tickets):
                desks[number % 4].submit([ticket])

    asyncio.run(trade())

    outcomes = sorted((accepted(sink.answers[ticket]) for ticket in tickets), key=lambda outcome: outcome.entry_id)
    balance = 120_000
    for outcome in outcomes:
        balance -= outcome.amount_minor
        assert balance == outcome.balance_minor
    house.check_books()
