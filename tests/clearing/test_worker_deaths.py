"""Workers end at the worst moments: every ticket gets exactly one answer, nothing is doubled, the desk goes on."""

import asyncio
import itertools
import socket
import time
from collections.abc import Sequence

import pytest

from coalition.clearing.desk import DEATHS_MAX
from coalition.clearing.queue import OVERLAP_FROM, Ticket
from coalition.domain.errors import Refused, StoreUnavailable
from coalition.domain.journal import Outcome
from coalition.domain.reasons import Reason
from tests.clearing.desks import (
    LOOPS,
    Collector,
    Hands,
    Interference,
    Run,
    Scripted,
    desk_of,
    die,
    open_desk,
    speaking,
    tickets_for,
)
from tests.clearing.house import House, accepted


async def spend_in_rounds(hands: Hands, house: House, sink: Collector, rounds: int = 6) -> list[Ticket]:
    """Five purchases a round, each round answered before the next."""
    tokens = [house.funded_card() for _ in range(rounds)]
    spent: list[Ticket] = []
    async with open_desk(hands) as desk:
        for token in tokens:
            batch = tickets_for([house.purchase("cafe", token, 10) for _ in range(5)], sink)
            desk.submit(batch)
            await sink.wait_for(batch)
            spent += batch
    return spent


def check_each_answered_once(house: House, sink: Collector, tickets: Sequence[Ticket]) -> list[Outcome]:
    """One answer a ticket, one entry an answer, no entry besides, sound books."""
    outcomes = [accepted(sink.answers[ticket]) for ticket in tickets]
    assert {1} == set(sink.told.values())
    assert set(tickets) == set(sink.told)
    stored = house.query("SELECT entry_id FROM entries WHERE kind = 2")
    assert sorted(outcome.entry_id for outcome in outcomes) == sorted(entry for (entry,) in stored)
    house.check_books()
    return outcomes


@LOOPS
@pytest.mark.parametrize("step", ["locked", "committed"])
def test_a_worker_that_dies_in_a_batch_loses_nothing_and_doubles_nothing(house: House, step: str, run: Run) -> None:
    """The next worker runs the whole batch again: what the dead one committed is told as the old answer it is."""
    sink, tickets = Collector(), []
    interference = Interference(house, step, die, lambda number: number % 3 == 1)
    hands = Hands(interference.store)

    async def trade() -> None:
        tickets.extend(await spend_in_rounds(hands, house, sink))

    run(trade())

    assert 3 <= interference.faults
    assert 1 + interference.faults == len(hands.threads)
    outcomes = check_each_answered_once(house, sink, tickets)
    told_again = interference.faults * 5 if step == "committed" else 0
    assert told_again == sum(outcome.replayed for outcome in outcomes)


@LOOPS
@pytest.mark.parametrize("heard", [0, 2, 40, -1], ids=lambda heard: f"{heard}-bytes")
def test_a_worker_that_dies_while_it_answers_has_answered_nothing(house: House, heard: int, run: Run) -> None:
    """Committed, and a part of the answers is on its way: nobody is told half a batch, nobody is told twice."""
    sink, tickets = Collector(), []
    numbers = itertools.count(1)

    def break_off(end: socket.socket, frame: bytes) -> None:
        if next(numbers) % 3 == 1:
            end.sendall(frame[:heard])
            raise ConnectionResetError
        end.sendall(frame)

    hands = Hands(house.store, speaking(break_off))

    async def trade() -> None:
        tickets.extend(await spend_in_rounds(hands, house, sink))

    run(trade())

    assert 1 + 3 <= len(hands.threads)
    check_each_answered_once(house, sink, tickets)


@LOOPS
def test_answers_that_arrive_in_pieces_are_put_together(house: House, run: Run) -> None:
    sink, tickets = Collector(), []

    def dribble(end: socket.socket, frame: bytes) -> None:
        for piece in (frame[:1], frame[1:3], frame[3:4], frame[4:9], frame[9:-1], frame[-1:]):
            end.sendall(piece)
            time.sleep(0.005)

    hands = Hands(house.store, speaking(dribble))

    async def trade() -> None:
        tickets.extend(await spend_in_rounds(hands, house, sink, rounds=2))

    run(trade())

    assert 1 == len(hands.threads)
    check_each_answered_once(house, sink, tickets)


@pytest.mark.parametrize("step", ["locked", "committed"])
def test_three_deaths_over_one_batch_make_its_outcome_unknown_and_the_desk_lives(house: House, step: str) -> None:
    """A batch that kills whoever touches it must not kill for ever; who asks again hears what became of it."""
    token, sink = house.funded_card(), Collector()
    interference = Interference(house, step, die, lambda number: number <= DEATHS_MAX)
    deadly = tickets_for([house.purchase("cafe", token, 10) for _ in range(10)], sink)
    again = tickets_for([ticket.command for ticket in deadly], sink)

    async def trade() -> None:
        async with open_desk(Hands(interference.store)) as desk:
            desk.submit(deadly)
            await sink.wait_for(deadly)
            assert DEATHS_MAX == interference.faults
            desk.submit(again)

    asyncio.run(trade())

    assert 3 == DEATHS_MAX
    assert [StoreUnavailable] * 10 == [type(sink.answers[ticket]) for ticket in deadly]
    outcomes = [accepted(sink.answers[ticket]) for ticket in again]
    assert {step == "committed"} == {outcome.replayed for outcome in outcomes}
    assert {1} == set(sink.told.values())
    assert [(10, 100)] == house.query("SELECT count(*), sum(amount_minor)::int FROM entries WHERE kind = 2")
    house.check_books()


@pytest.mark.parametrize("step", ["locked", "committed"])
def test_streams_keep_their_order_although_workers_die(house: House, step: str) -> None:
    """Two workers, batches under way at once, every fourth try ends with its worker."""
    tokens, sink = [house.funded_card() for _ in range(6)], Collector()
    interference = Interference(house, step, die, lambda number: number % 4 == 2)
    streams = {
        name: [Ticket(house.purchase("cafe", tokens[(n * 7 + k) % 6], 1), sink, stream=name) for n in range(200)]
        for k, name in enumerate("abc")
    }

    async def trade() -> None:
        async with open_desk(Hands(interference.store), workers=2, batch_max=64) as desk:
            for parts in zip(*streams.values(), strict=True):
                desk.submit(parts)

    asyncio.run(trade())

    assert 3 <= interference.faults
    check_each_answered_once(house, sink, [ticket for tickets in streams.values() for ticket in tickets])
    for tickets in streams.values():
        ids = [accepted(sink.answers[ticket]).entry_id for ticket in tickets]
        assert sorted(ids) == ids


@LOOPS
def test_a_worker_that_dies_idle_is_replaced_and_the_batch_it_was_just_given_is_not_lost(
    house: House, run: Run
) -> None:
    """The desk may write to a worker before it hears that it is dead."""
    token, sink = house.funded_card(), Collector()
    tickets = tickets_for([house.purchase("cafe", token, 10) for _ in range(10)], sink)
    hands = Hands(house.store)

    async def trade() -> None:
        async with open_desk(hands) as desk:
            for half in (tickets[:5], tickets[5:]):
                hands.ends[-1].shutdown(socket.SHUT_RDWR)
                desk.submit(half)
                await sink.wait_for(half)

    run(trade())

    assert 3 == len(hands.threads)
    check_each_answered_once(house, sink, tickets)


def test_a_desk_that_closes_waits_for_a_worker_to_answer_what_it_took(house: House) -> None:
    """Its only worker dies while the desk drains: another is started for the rest."""
    token, sink = house.funded_card(), Collector()
    interference = Interference(house, "committed", die, lambda number: number == 2)
    tickets = tickets_for([house.purchase("cafe", token, 10) for _ in range(150)], sink)

    async def trade() -> None:
        async with open_desk(Hands(interference.store), batch_max=50) as desk:
            desk.submit(tickets)

    asyncio.run(trade())

    assert 1 == interference.faults
    check_each_answered_once(house, sink, tickets)


def test_while_no_worker_can_be_started_what_waits_waits_and_a_full_queue_says_so(house: House) -> None:
    token, sink = house.funded_card(), Collector()
    tickets = tickets_for([house.purchase("cafe", token, 10) for _ in range(10)], sink)
    hands = Hands(house.store)
    failures = iter([OSError("no process left"), StoreUnavailable("not ready")])

    def start() -> socket.socket:
        if hands.threads and (failure := next(failures, None)):
            raise failure
        return hands.open()

    async def trade() -> None:
        async with desk_of(start, queue_max=15) as desk:
            hands.ends[0].shutdown(socket.SHUT_RDWR)
            await asyncio.sleep(0.05)
            desk.submit(tickets)
            with pytest.raises(Refused) as refused:
                desk.submit(tickets_for([house.purchase("cafe", token, 10) for _ in range(6)], Collector()))
            assert Reason.QUEUE_FULL == refused.value.reason
            await sink.wait_for(tickets)

    asyncio.run(trade())

    assert next(failures, None) is None
    check_each_answered_once(house, sink, tickets)


def test_nothing_of_its_wallets_and_streams_overtakes_a_batch_whose_worker_died(house: House) -> None:
    """They are busy until it is answered: while it waits for another worker, and while that one runs it."""
    cards = (number.to_bytes(32, "big") for number in itertools.count(1))
    card, sink, workers = next(cards), Collector(), Scripted()
    first = Ticket(house.purchase("a", card, 1), sink, stream="s")
    same = [
        Ticket(house.purchase("a", card, 2), sink),
        Ticket(house.purchase("a", next(cards), 3), sink, stream="s"),
    ]

    def others() -> list[Ticket]:
        return tickets_for([house.purchase("a", next(cards), 1) for _ in range(OVERLAP_FROM)], sink)

    async def trade() -> None:
        async with desk_of(workers.open, workers=2, batch_max=1_000) as desk:
            desk.submit([first])
            one, batch = await workers.next_batch()
            desk.submit(others())
            two, beside = await workers.next_batch()
            workers.die(one)
            desk.submit([*same, *others()])
            three, again = await workers.next_batch()
            assert [first.command] == batch == again
            workers.answer(two, beside)
            two, beside = await workers.next_batch()
            assert OVERLAP_FROM == len(beside)
            assert not {ticket.command for ticket in same} & set(beside), "it was overtaken"
            workers.answer(two, beside)
            workers.answer(three, again)
            two, batch = await workers.next_batch()
            assert [ticket.command for ticket in same] == batch
            workers.answer(two, batch)

    asyncio.run(trade())

    assert {1} == set(sink.told.values())
    assert 3 + 2 * OVERLAP_FROM == len(sink.told)
