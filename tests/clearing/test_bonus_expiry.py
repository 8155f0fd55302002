"""The job that takes bonuses whose last day is over: all of them, once, and principal never."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta

import pytest

from coalition.clearing import ending
from coalition.clearing.bonus_expiry import expiring_bonuses
from coalition.clearing.ending import Ended
from coalition.clearing.sweeping import tended
from coalition.domain.errors import StoreUnavailable
from coalition.domain.kinds import Kind
from coalition.domain.wallet_lines import DueBonus
from coalition.storage.bonuses import DUE, BonusReads
from coalition.storage.connect import Connection, connect
from tests.clearing.desks import Hands, desk_of
from tests.clearing.house import DAY, House, accepted

OPERATOR = 1
YESTERDAY = DAY - timedelta(days=1)
LATER = DAY + timedelta(days=400)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(ending, "PAGE", 4)


def bonuses(house: House) -> BonusReads:
    @contextmanager
    def lease() -> Iterator[Connection]:
        with connect(house.dsn(), "test") as connection:
            yield connection

    return BonusReads(lease)


def lots(house: House, *last_days: date) -> list[bytes]:
    """A card with one lot of 10000 + 2000 each, whose bonus ends on that day."""
    cards = [house.new_card() for _ in last_days]
    for card, day in zip(cards, last_days, strict=True):
        (sold,) = house.run(house.top_up("a", card, 10_000))
        house.execute("UPDATE lots SET bonus_expiry = %s WHERE lot_id = %s", day, accepted(sold).entry_id)
    return cards


def run_job(
    house: House,
    due: Ended[DueBonus],
    done: Callable[[], bool],
    jobs: int = 1,
    today: Callable[[], date] = lambda: DAY,
) -> None:
    """So many servers with a desk and a job each, until `done`, within a bound."""

    async def one() -> None:
        async with (
            asyncio.timeout(30),
            tended(desk_of(Hands(house.store).open), [expiring_bonuses(due, OPERATOR, today)]),
        ):
            while not await asyncio.to_thread(done):
                await asyncio.sleep(0.02)

    async def serve() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(jobs):
                group.create_task(one())

    asyncio.run(serve())


def taken(house: House) -> int:
    return int(house.query("SELECT count(*) FROM entries WHERE kind = %s AND reason = 0", Kind.BONUS_EXPIRY)[0][0])


def test_every_bonus_is_taken_the_day_after_its_last_by_several_servers_once(house: House) -> None:
    """One request id a lot and date: what another server did already is a replay."""
    lots(house, *[YESTERDAY] * 6, DAY, LATER)

    run_job(house, bonuses(house), lambda: taken(house) == 6, jobs=3)

    assert [(10_000, 10_000, 6), (12_000, 10_000, 2)] == house.query(
        "SELECT face, principal, count(*)::int FROM lots GROUP BY 1, 2 ORDER BY 1"
    )
    assert [(6, 6, 6)] == house.query(
        "SELECT count(*)::int, count(DISTINCT original_entry_id)::int, count(wallet_id)::int FROM entries"
        " WHERE kind = %s AND participant_id = %s AND terminal_id IS NULL AND amount_minor = 2000",
        Kind.BONUS_EXPIRY,
        OPERATOR,
    )
    house.check_books()


def test_a_bonus_behind_a_hold_is_asked_for_again_on_another_day(house: House) -> None:
    (card,) = lots(house, YESTERDAY)
    hold = house.hold("cafe", card, 100)
    house.run(hold)
    days = [DAY]

    run_job(house, bonuses(house), lambda: asked(house) == 1, today=lambda: days[-1])
    assert 0 == taken(house)
    house.run(house.void("cafe", hold.request_id))
    days.append(DAY + timedelta(days=1))
    run_job(house, bonuses(house), lambda: taken(house) == 1, today=lambda: days[-1])

    house.check_books()


def asked(house: House) -> int:
    return int(house.query("SELECT count(*) FROM entries WHERE kind = %s", Kind.BONUS_EXPIRY)[0][0])


def test_a_sweep_that_fails_is_made_again_and_a_whole_one_is_not(house: House) -> None:
    lots(house, YESTERDAY)
    reads = bonuses(house)

    class Unreliable:
        asked = 0

        def due(self, day: date, after: DueBonus | None, limit: int) -> Sequence[DueBonus]:
            self.asked += 1
            if self.asked <= 2:
                raise StoreUnavailable("the database rests") if self.asked == 1 else ValueError("a bug")
            return reads.due(day, after, limit)

    unreliable = Unreliable()
    run_job(house, unreliable, lambda: taken(house) == 1)
    calls = unreliable.asked
    run_job(house, unreliable, lambda: unreliable.asked > calls)

    assert calls + 2 > unreliable.asked  # nothing is due any more: one look a business date, by each server
    house.check_books()


def test_a_page_is_found_by_its_index(house: House) -> None:
    """The job reads what is due and not every lot there ever was."""
    lots(house, YESTERDAY)
    with connect(house.dsn(), "test") as connection:
        connection.execute("SET enable_seqscan = off")
        plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN {DUE}", (DAY, "-infinity", 0, 4)))

    assert "lots_bonus" in plan
