"""The outbox: what it has confirmed is on disk, what it cannot store is not sent, and it stays small."""

import asyncio
import resource
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from coalition.client import Kind, OutboxFailed, OutboxFull, OutcomeUnknown, State, TryRules
from coalition.client.day_closes import DayCloses, NewClose
from coalition.client.outbox import Outbox
from coalition.client.outbox_file import DAY_MAX_MS, PRUNE_EVERY, OutboxFile
from coalition.client.outbox_rows import OutboxRow
from coalition.client.outbox_schema import OPERATIONS
from coalition.v1.operations_pb2 import Receipt
from coalition.v1.terminal_pb2 import CloseDayRequest

CARD = "9123456789012345"
NOW_MS = 1_700_000_000_000


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow: as a full disk answers, an error at the write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_is_confirmed_is_synced_to_disk(tmp_path: Path):
    """Synchronous FULL and a write-ahead log: a confirmed write outlives a power cut."""

    async def look() -> tuple[int, str, str]:
        async with OutboxFile(tmp_path / "o") as file:
            names = ("synchronous", "journal_mode", "locking_mode")
            return tuple(file.read(f"PRAGMA {name}")[0][0] for name in names)

    assert (2, "wal", "exclusive") == asyncio.run(look())


def test_only_its_owner_may_read_it_whatever_it_was_before(tmp_path: Path):
    """Amounts and references are nobody else's business."""
    path = tmp_path / "deep" / "o"

    async def open_and_close() -> None:
        async with OutboxFile(path):
            pass

    asyncio.run(open_and_close())
    path.chmod(0o644)
    asyncio.run(open_and_close())

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)


def test_an_outbox_of_another_version_or_of_garbage_is_refused(tmp_path: Path):
    """Guessing at another version's rows could lose a reversal."""
    newer, garbage = tmp_path / "newer", tmp_path / "garbage"
    with sqlite3.connect(newer) as database:
        database.execute("PRAGMA user_version = 9")
    garbage.write_bytes(b"no database at all" * 100)

    with pytest.raises(OutboxFailed, match="another version"):
        OutboxFile(newer).open()
    with pytest.raises(OutboxFailed):
        OutboxFile(garbage).open()


def test_what_cannot_be_stored_is_not_sent(counter):
    """A full disk at the till: refused before anything left, and the till goes on when there is room."""
    with counter.terminal() as till:
        till.purchase(CARD, 100)
        with full_disk(), pytest.raises(OutboxFailed) as failed:
            till.purchase(CARD, 200)
        till.purchase(CARD, 300)

    assert "see to the disk" in failed.value.cure
    assert 100_000 - 400 == counter.stub.balance_minor
    assert ["Purchase", "Purchase"] == counter.stub.methods()


def test_a_receipt_that_cannot_be_stored_is_undone(counter):
    """The disk still says begun, and the next start would reverse the sale: the caller must not call it paid."""
    arrived, let_go = threading.Event(), threading.Event()

    def hold(when: str, name: str, _: object) -> None:
        if (when, name) == ("after", "Purchase"):
            arrived.set()
            let_go.wait(30)

    counter.stub.fault = hold
    with counter.terminal(rules=TryRules()) as till:
        failed: list[BaseException] = []

        def sell() -> None:
            try:
                till.purchase(CARD, 100)
            except OutcomeUnknown as error:
                failed.append(error)

        seller = threading.Thread(target=sell)
        seller.start()
        assert arrived.wait(30)
        with full_disk():
            let_go.set()
            seller.join()
        assert 1 == len(failed)
        assert till.settled(30)

    assert 100_000 == counter.stub.balance_minor


def test_nothing_is_sent_before_it_is_on_disk_and_nothing_told_before_its_answer_is(counter):
    """A slow disk shows the order: the request leaves after the first sync, the receipt is told after the second."""
    told: list[int] = []
    with counter.terminal(rules=TryRules()) as till:
        till.balance(CARD)
        disk = till._aio._file._using
        answered = threading.Event()
        disk.acquire()
        seller = threading.Thread(target=lambda: told.append(till.purchase(CARD, 100).amount_minor))
        seller.start()
        time.sleep(0.2)
        sent_without_disk = counter.stub.methods()

        def stop_the_disk(when: str, name: str, _: object) -> None:
            if (when, name) == ("after", "Purchase"):
                disk.acquire()
                answered.set()

        counter.stub.fault = stop_the_disk
        disk.release()
        assert answered.wait(30)
        time.sleep(0.2)
        told_without_disk = list(told)
        disk.release()
        seller.join()

    assert [] == sent_without_disk
    assert [] == told_without_disk
    assert [100] == told


def test_a_full_outbox_refuses_new_sales(counter):
    """Thousands of reversals wait: something is wrong that more sales would only make worse."""
    counter.stub.fault = lambda *_: grpc.StatusCode.UNAVAILABLE
    with counter.terminal() as till:
        till._aio._outbox._waiting_max = 1
        with pytest.raises(OutcomeUnknown):
            till.purchase(CARD, 100)
        with pytest.raises(OutboxFull) as full:
            till.purchase(CARD, 100)

    assert 1 == full.value.waiting


def test_closed_operations_are_forgotten_in_time_and_open_ones_never(tmp_path: Path):
    """A till that runs for years keeps a small file; what waits for a person stays."""
    now_ms = [NOW_MS]

    async def fill() -> list[OutboxRow]:
        file = OutboxFile(tmp_path / "o", kept_max=10).open()
        outbox = Outbox(file, lambda: now_ms[0])
        stuck = outbox.begin(Kind.PURCHASE, 1, "")
        await outbox.write(outbox.changed(outbox.to_undo(stuck), State.NEEDS_HELP, "WALLET_CLOSED"))
        await sell(outbox, PRUNE_EVERY + 10)
        now_ms[0] += DAY_MAX_MS + 1
        await sell(outbox, PRUNE_EVERY + 20)
        left = await outbox.recent(10_000)
        file.close()
        return left

    *kept, stuck = asyncio.run(fill())

    assert State.NEEDS_HELP is stuck.state
    # What is younger than a day may be is kept whatever its number, so that it can be counted.
    assert {now_ms[0]} == {row.begin_ms for row in kept}
    assert PRUNE_EVERY + 20 == len(kept)


def test_the_day_is_kept_until_it_is_closed_and_what_it_carries_over_until_the_next_close(tmp_path: Path):
    """A till must be able to count its day, however many sales it had."""

    async def fill() -> tuple[int, list[int]]:
        file = OutboxFile(tmp_path / "o", kept_max=10).open()
        outbox = Outbox(file, lambda: NOW_MS)
        carried = outbox.begin(Kind.PURCHASE, 1, "")
        await outbox.write(outbox.to_undo(carried))
        await sell(outbox, PRUNE_EVERY + 10)
        before = len(await outbox.uncounted())
        closes = DayCloses(outbox)
        close = NewClose(CloseDayRequest(request_id="c", number=1), b"h", before, [carried.place])
        await closes.add(close)
        await sell(outbox, PRUNE_EVERY)
        unanswered = len(await outbox.recent(10_000))
        await closes.recorded(close.request)
        await outbox.write(outbox.changed(carried, State.UNDONE))
        await sell(outbox, PRUNE_EVERY)
        left = [row.place for row in await outbox.recent(10_000)]
        file.close()
        return unanswered, left

    unanswered, left = asyncio.run(fill())

    assert 2 * PRUNE_EVERY + 11 == unanswered
    assert [1] == [place for place in left if place <= PRUNE_EVERY + 11]
    assert 2 * PRUNE_EVERY + 1 == len(left)


@pytest.mark.parametrize("version", [1, 2])
def test_an_outbox_of_an_earlier_release_is_migrated_with_all_it_holds(tmp_path: Path, version: int):
    """An update must not lose a reversal; what it did not know of an entry is not guessed."""
    path = tmp_path / "old"
    with sqlite3.connect(path) as database:
        database.execute(OPERATIONS.replace(", entry_id INTEGER", ""))
        row = (1, "id-1", "VOID", 0, "S-1", "TO_UNDO", NOW_MS, NOW_MS, "", 7, "undo-1")
        database.execute(f"INSERT INTO operations VALUES ({', '.join('?' * len(row))})", row)
        database.execute(f"PRAGMA user_version = {version}")
    database.close()

    async def look() -> tuple[list[OutboxRow], list[OutboxRow]]:
        async with OutboxFile(path) as file:
            outbox = Outbox(file, lambda: NOW_MS)
            found = outbox.found
            await outbox.write(outbox.receipted(found[0], State.STANDS, Receipt(entry_id=9, amount_minor=300)))
        async with OutboxFile(path) as file:
            return found, await Outbox(file, lambda: NOW_MS).uncounted()

    found, rows = asyncio.run(look())

    assert [OutboxRow(*row[:2], Kind.VOID, 0, "S-1", State.TO_UNDO, NOW_MS, NOW_MS, "", 7, "undo-1")] == found
    assert [(300, State.STANDS, 9)] == [(each.amount_minor, each.state, each.entry_id) for each in rows]


async def sell(outbox: Outbox, count: int) -> None:
    """So many sales, begun and accepted in one write."""
    rows = [outbox.changed(outbox.begin(Kind.PURCHASE, 1, ""), State.ACCEPTED) for _ in range(count)]
    await asyncio.gather(*(outbox.write(row) for row in rows))


def test_sixty_four_sales_at_once_need_few_syncs(tmp_path: Path):
    """One sync serves all that wait for it, of all tills of the file; printed for the curious, bounded loosely."""

    async def write() -> tuple[int, float]:
        file = OutboxFile(tmp_path / "o").open()
        tills = [Outbox(file, lambda: NOW_MS, till=f"shop-{number}/main/till") for number in range(16)]
        groups = 0
        store = file._store

        def counted(database, group) -> None:
            nonlocal groups
            groups += 1
            store(database, group)

        file._store = counted  # type: ignore[method-assign]
        started = time.perf_counter()

        async def client(outbox: Outbox) -> None:
            for _ in range(20):
                row = outbox.begin(Kind.PURCHASE, 1, "")
                await outbox.write(row)
                await outbox.write(outbox.changed(row, State.ACCEPTED))

        await asyncio.gather(*(client(tills[number % 16]) for number in range(64)))
        elapsed = time.perf_counter() - started
        file.close()
        return groups, elapsed

    groups, elapsed = asyncio.run(write())
    print(f"{64 * 20 * 2} writes in {groups} syncs, {elapsed:.3f} s")

    assert groups < 64 * 20 * 2 / 8
