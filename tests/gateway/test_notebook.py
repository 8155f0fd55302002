"""The notebook: one message has one request_id, for as long as repeats are taken, and only one gateway writes it."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from coalition.gateway.errors import NotebookUnavailable
from coalition.gateway.group_commit import GROUP_MAX
from coalition.gateway.notebook import DAY_MS, KEEP_DAYS, REPEAT_DAYS, Notebook
from coalition.gateway.traces import Trace, Undone
from tests.gateway.gateways import is_private

TRACE = Trace("M1", "T1", "000001", "000000000001", "0630120000", "0630040000")
Answer = TypeVar("Answer")


class Clock:
    now_ms = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(tmp_path: Path, clock: Clock) -> Iterator[Callable[[], Notebook]]:
    """Opens the notebook, as often as a gateway starts."""
    numbers = itertools.count(1)
    books: list[Notebook] = []

    def open_again() -> Notebook:
        while books:
            books.pop().close()
        books.append(Notebook(tmp_path / "state" / "book.sqlite", lambda: f"id-{next(numbers):04d}", clock))
        return books[0]

    yield open_again
    while books:
        books.pop().close()


def run(work: Awaitable[Answer]) -> Answer:
    async def all_of_it() -> Answer:
        return await work

    return asyncio.run(all_of_it())


def test_a_message_has_one_id_through_restarts(opened: Callable[[], Notebook]):
    first = run(opened().operation(TRACE, 1))

    assert first == run(opened().operation(replace(TRACE, sent_time="0630040005"), 2))


@pytest.mark.parametrize("name", ["merchant_id", "terminal_id", "stan", "reference", "local_time"])
def test_a_message_that_differs_in_any_part_of_its_trace_is_another(name: str, opened: Callable[[], Notebook]):
    book = opened()
    first = run(book.operation(TRACE, 1))

    assert (
        first.request_id != run(book.operation(replace(TRACE, **{name: "1" * len(getattr(TRACE, name))}), 1)).request_id
    )


def test_the_same_trace_after_the_time_of_repeats_is_a_new_message(opened: Callable[[], Notebook], clock: Clock):
    book = opened()
    first = run(book.operation(TRACE, 1))
    clock.now_ms += REPEAT_DAYS * DAY_MS - 1
    assert first == run(book.operation(TRACE, 1))
    clock.now_ms += 1

    assert first != run(book.operation(TRACE, 1))


@pytest.mark.parametrize("time", [TRACE.local_time, TRACE.sent_time])
def test_a_reversal_before_its_original_gives_it_the_id_it_will_have(time: str, opened: Callable[[], Notebook]):
    named = replace(TRACE, reference="", local_time=time, sent_time=time)
    _, undone = run(opened().reversal(replace(TRACE, stan="000002"), named, 1))

    late = run(opened().operation(TRACE, 7))

    assert (undone.request_id, Undone.MAYBE, 7) == (late.request_id, late.undone, late.occurred_s)
    assert late == run(opened().operation(TRACE, 9))


def test_a_refused_reversal_frees_its_original_unless_another_waits(opened: Callable[[], Notebook]):
    book = opened()
    noted = run(book.operation(TRACE, 1))
    run(book.queue(noted.request_id, "cafe/main/till-1", "ts/cafe/gateway"))
    run(book.settle(noted.request_id, accepted=False))
    assert Undone.MAYBE is run(book.undone(noted.request_id))
    (waiting,) = run(book.waiting())
    run(book.delivered(waiting, refused="WALLET_CLOSED"))

    assert Undone.NO is run(book.undone(noted.request_id))
    assert [] == run(book.waiting())


def test_what_is_undone_stays_undone(opened: Callable[[], Notebook]):
    book = opened()
    noted = run(book.operation(TRACE, 1))
    run(book.settle(noted.request_id, accepted=True))
    run(book.settle(noted.request_id, accepted=False))

    assert Undone.YES is run(book.undone(noted.request_id))


def test_an_original_waits_in_the_outbox_once(opened: Callable[[], Notebook]):
    book = opened()
    noted = run(book.operation(TRACE, 1))
    for _ in range(3):
        run(book.queue(noted.request_id, "cafe/main/till-1", "ts/cafe/gateway"))

    assert 1 == len(run(book.waiting()))


def test_a_refused_reversal_does_not_keep_a_new_one_out(opened: Callable[[], Notebook]):
    """A refund that gets no answer twice: the second time its original must not stay marked for ever."""
    book = opened()
    noted = run(book.operation(TRACE, 1))
    for _ in range(2):
        run(book.queue(noted.request_id, "cafe/main/till-1", "ts/cafe/gateway"))
        (waiting,) = run(book.waiting())
        run(book.delivered(waiting, refused="ORIGINAL_NOT_REVERSIBLE"))

    assert Undone.NO is run(book.undone(noted.request_id))


def test_old_notes_are_forgotten_and_newer_ones_kept(opened: Callable[[], Notebook], clock: Clock):
    book = opened()
    run(book.operation(TRACE, 1))
    clock.now_ms += KEEP_DAYS * DAY_MS
    kept = replace(TRACE, stan="000009")
    run(book.operation(kept, 1))
    clock.now_ms += 1

    assert 1 == run(book.forget())
    assert run(book.original(TRACE)) is None
    assert run(book.original(kept)) is not None


def test_many_at_once_share_commits_and_each_gets_its_own_id(opened: Callable[[], Notebook]):
    book = opened()

    async def many() -> list[Any]:
        return await asyncio.gather(*(book.operation(replace(TRACE, stan=f"{n:06d}"), 1) for n in range(3 * GROUP_MAX)))

    assert 3 * GROUP_MAX == len({each.request_id for each in run(many())})


def test_a_second_gateway_on_the_same_notebook_is_refused(opened: Callable[[], Notebook], tmp_path: Path, clock: Clock):
    opened()

    with pytest.raises(NotebookUnavailable, match="is another gateway using it"):
        Notebook(tmp_path / "state" / "book.sqlite", lambda: "id", clock)


def test_what_is_no_notebook_is_refused(tmp_path: Path, clock: Clock):
    file = tmp_path / "book.sqlite"
    file.write_bytes(b"not a database" * 100)

    with pytest.raises(NotebookUnavailable):
        Notebook(file, lambda: "id", clock)


def test_only_the_owner_may_read_it(opened: Callable[[], Notebook], tmp_path: Path):
    run(opened().operation(TRACE, 1))

    assert is_private(tmp_path / "state")
