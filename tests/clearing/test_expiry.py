"""The job that releases holds whose time is over: all of them, once, whatever fails and whoever else does it too."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from coalition.clearing import expiry
from coalition.clearing.expiry import expiring_holds, expiry_request_id
from coalition.clearing.sweeping import tended
from coalition.domain.errors import StoreUnavailable
from coalition.domain.journal import Outcome
from coalition.domain.kinds import Kind
from coalition.domain.wallet_lines import DueHold
from coalition.storage.connect import Connection, connect
from coalition.storage.holds import HoldReads
from tests.clearing.desks import Hands, desk_of
from tests.clearing.house import House, accepted

OPERATOR = 1


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "PAUSE_SECONDS", 0.02)


def due_holds(house: House) -> HoldReads:
    @contextmanager
    def lease() -> Iterator[Connection]:
        with connect(house.dsn(), "test") as connection:
            yield connection

    return HoldReads(lease)


def over(house: House, count: int) -> list[int]:
    """So many holds whose time is over, and one that has time."""
    token = house.funded_card()
    answers = house.run(*[house.hold("cafe", token, 100) for _ in range(count + 1)])
    entries = [accepted(answer).entry_id for answer in answers]
    for entry_id in entries[:-1]:
        house.pass_time(entry_id)
    return entries


def run_job(house: House, holds: expiry.DueHolds, done: Callable[[], bool], jobs: int = 1) -> None:
    """So many servers with a desk and a job each, until `done`, within a bound."""

    async def serve() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(jobs):
                group.create_task(one())

    async def one() -> None:
        desk = desk_of(Hands(house.store).open)
        async with asyncio.timeout(30), tended(desk, [expiring_holds(holds, OPERATOR)]):
            while not await asyncio.to_thread(done):
                await asyncio.sleep(0.02)

    asyncio.run(serve())


def all_released(house: House) -> Callable[[], bool]:
    return lambda: [] == house.query("SELECT 1 FROM holds WHERE is_open AND expire_time < now()")


def test_every_hold_is_released_when_its_time_is_over_page_by_page(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "PAGE", 4)
    entries = over(house, 11)

    run_job(house, due_holds(house), all_released(house))

    assert [(11, OPERATOR, None, None)] == house.query(
        "SELECT count(*)::int, participant_id, store_id, terminal_id FROM entries WHERE kind = %s AND reason = 0"
        " GROUP BY 2, 3, 4",
        Kind.HOLD_EXPIRY,
    )
    assert [(entries[-1], True, None)] == house.query(
        "SELECT entry_id, is_open, resolved_kind FROM holds WHERE is_open"
    )
    assert [(100,)] == house.query("SELECT reserved FROM lots")
    house.check_books()


def test_several_servers_do_it_together_and_each_hold_expires_once(house: House) -> None:
    """One request id a hold for ever: what another did already is a replay."""
    over(house, 20)

    run_job(house, due_holds(house), all_released(house), jobs=3)

    assert [(20, 20)] == house.query(
        "SELECT count(*)::int, count(DISTINCT original_entry_id)::int FROM entries WHERE kind = %s", Kind.HOLD_EXPIRY
    )
    house.check_books()


class Unreliable:
    """Fails at first; then tells of holds that have time left besides those that are over."""

    def __init__(self, holds: HoldReads, others: Sequence[DueHold]) -> None:
        self._holds = holds
        self._others = others
        self.asked = 0

    def due(self, after: DueHold | None, limit: int) -> Sequence[DueHold]:
        self.asked += 1
        if self.asked == 1:
            raise StoreUnavailable("the database rests")
        if self.asked == 2:
            raise ValueError("a bug")
        return [*self._others, *self._holds.due(after, limit)]


def test_the_job_outlives_what_fails_and_never_ends_a_hold_early(house: House) -> None:
    *gone, early = over(house, 3)
    holds = Unreliable(due_holds(house), [DueHold(early, datetime(2017, 1, 1, tzinfo=UTC))])

    run_job(house, holds, all_released(house))

    assert len(gone) == len(house.query("SELECT 1 FROM entries WHERE kind = %s", Kind.HOLD_EXPIRY))
    assert [(early,)] == house.query("SELECT entry_id FROM holds WHERE is_open")
    house.check_books()


def test_an_expirys_request_id_tells_the_holds_time_and_no_two_are_alike() -> None:
    """Requests lie in partitions by the month of their ids."""
    time = datetime(2026, 3, 4, 5, 6, 7, 891_234, tzinfo=UTC)
    ids = {expiry_request_id(DueHold(entry, time)) for entry in range(1, 1_000)}

    assert 999 == len(ids)
    assert {7} == {each.version for each in ids}
    assert {1_772_600_767_891} == {each.int >> 80 for each in ids}
    assert {"specified in RFC 4122"} == {each.variant for each in ids}


def test_a_hold_that_was_captured_meanwhile_is_left_alone(house: House) -> None:
    """The page was read before: the desk finds it resolved, which is the end of it."""
    token = house.funded_card()
    hold = house.hold("cafe", token, 500)
    held = accepted(house.run(hold)[0])
    house.run(house.capture("cafe", hold.request_id, 500))
    assert held.hold_expire_time is not None
    stale = DueHold(held.entry_id, held.hold_expire_time)

    class Stale:
        def due(self, after: DueHold | None, limit: int) -> Sequence[DueHold]:
            return [stale] if limit else []

    def is_answered() -> bool:
        return bool(house.query("SELECT 1 FROM entries WHERE request_id = %s", expiry_request_id(stale)))

    run_job(house, Stale(), is_answered)

    answer = house.query("SELECT answer FROM entries WHERE request_id = %s", expiry_request_id(stale))[0][0]
    assert "HOLD_RESOLVED" == Outcome.from_answer(bytes(answer)).reason.name
    house.check_books()
