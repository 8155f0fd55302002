"""One outbox for the terminals of a till server: they share its syncs, and nothing else."""

import asyncio
import threading
from pathlib import Path

import pytest

from coalition.client import FieldRefused, Kind, OutboxFailed, OutboxFile, OutboxInUse, OutboxRow, State
from coalition.client.day_closes import DayCloses, NewClose
from coalition.client.outbox import Outbox
from coalition.client.outbox_file import PRUNE_EVERY
from coalition.v1.terminal_pb2 import CloseDayRequest

CARD = "9123456789012345"
NOW_MS = 1_700_000_000_000
FIRST, SECOND = "cafe/main/till-1", "cafe/main/till-2"


def test_each_terminal_sees_its_own_operations_and_no_other(counter):
    """What was sold at one till is not counted, shown or undone by the other."""

    async def shop() -> list[list[tuple[str, int]]]:
        async with (
            OutboxFile(counter.outbox) as file,
            counter.aio(outbox=file, at=FIRST) as one,
            counter.aio(outbox=file, at=SECOND) as two,
        ):
            await asyncio.gather(one.purchase(CARD, 100), two.purchase(CARD, 200), one.purchase(CARD, 300))
            return [sorted((row.state.value, row.amount_minor) for row in await till.recent()) for till in (one, two)]

    assert [[("ACCEPTED", 100), ("ACCEPTED", 300)], [("ACCEPTED", 200)]] == asyncio.run(shop())
    assert 100_000 - 600 == counter.stub.balance_minor


def test_terminals_for_threads_share_one_too(counter):
    """Every thread's terminal has a loop of its own: an answer wakes the one that asked."""
    with OutboxFile(counter.outbox) as file:
        tills = [counter.terminal(outbox=file, at=at).open() for at in (FIRST, SECOND)]
        sellers = [threading.Thread(target=lambda till=till: till.purchase(CARD, 100)) for till in tills * 4]
        for seller in sellers:
            seller.start()
        for seller in sellers:
            seller.join()
        counts = [len(till.recent()) for till in tills]
        for till in tills:
            till.close()

    assert [4, 4] == counts
    assert 100_000 - 800 == counter.stub.balance_minor


def test_what_a_terminal_left_open_waits_for_it_and_for_nobody_else(tmp_path: Path):
    """Another terminal's reversal would be refused, and its sale lost for the one that made it."""

    async def run() -> tuple[list[OutboxRow], list[OutboxRow], OutboxRow]:
        async with OutboxFile(tmp_path / "o") as file:
            crashed = Outbox(file, lambda: NOW_MS, till=FIRST)
            lost = crashed.begin(Kind.PURCHASE, 100, "")
            await crashed.write(lost)
        async with OutboxFile(tmp_path / "o") as file:
            other, same = Outbox(file, lambda: NOW_MS, till=SECOND), Outbox(file, lambda: NOW_MS, till=FIRST)
            return other.found, same.found, lost

    other, same, lost = asyncio.run(run())

    assert [] == other
    assert [lost] == same


def test_a_terminal_has_one_place_in_it(tmp_path: Path):
    """Twice the same till would undo what the other one has under way."""
    with OutboxFile(tmp_path / "o") as file:
        first = Outbox(file, lambda: NOW_MS, till=FIRST)
        with pytest.raises(OutboxInUse, match=FIRST):
            Outbox(file, lambda: NOW_MS, till=FIRST)
        asyncio.run(first.close())
        Outbox(file, lambda: NOW_MS, till=FIRST)


@pytest.mark.parametrize(("before", "after"), [("", FIRST), (FIRST, "")])
def test_a_file_does_not_change_hands_while_something_is_open_in_it(tmp_path: Path, before: str, after: str):
    """From one terminal's own to shared, or back: the open reversal would never be heard of again."""

    async def leave(state: State) -> None:
        async with OutboxFile(tmp_path / "o") as file:
            outbox = Outbox(file, lambda: NOW_MS, till=before)
            row = outbox.found[0] if outbox.found else outbox.begin(Kind.PURCHASE, 100, "")
            await outbox.write(outbox.changed(row, state))

    asyncio.run(leave(State.BEGUN))
    with OutboxFile(tmp_path / "o") as file, pytest.raises(OutboxFailed, match="open operations") as refused:
        Outbox(file, lambda: NOW_MS, till=after)
    asyncio.run(leave(State.UNDONE))
    with OutboxFile(tmp_path / "o") as file:
        Outbox(file, lambda: NOW_MS, till=after)

    assert "as it was opened before" in refused.value.cure


def test_in_a_shared_outbox_every_terminal_is_named(tmp_path: Path, counter):
    """Else nobody could tell whose the open operations are."""
    with pytest.raises(FieldRefused, match="at"):
        counter.aio(outbox=OutboxFile(tmp_path / "o"))


def test_the_day_of_a_terminal_ends_for_it_alone(tmp_path: Path):
    """One till's close must not forget what another has not counted yet."""

    async def run() -> tuple[int, int, int]:
        with OutboxFile(tmp_path / "o", kept_max=10) as file:
            one, two = (Outbox(file, lambda: NOW_MS, till=till) for till in (FIRST, SECOND))
            await sell(one, 5)
            await sell(two, 7)
            closes = DayCloses(one)
            through = max(row.place for row in await one.uncounted())
            close = NewClose(CloseDayRequest(request_id="c", number=1), b"h", through, [])
            await closes.add(close)
            waits_at_two = await DayCloses(two).waiting()
            await closes.recorded(close.request)
            await sell(one, PRUNE_EVERY + 10)
            assert waits_at_two is None
            old = [row for row in await one.recent(10_000) if row.place <= through]
            return len(old), len(await one.uncounted()), len(await two.uncounted())

    assert (0, PRUNE_EVERY + 10, 7) == asyncio.run(run())


async def sell(outbox: Outbox, count: int) -> None:
    """So many sales, begun and accepted in one write."""
    rows = [outbox.changed(outbox.begin(Kind.PURCHASE, 1, ""), State.ACCEPTED) for _ in range(count)]
    await asyncio.gather(*(outbox.write(row) for row in rows))
