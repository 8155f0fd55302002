"""The value of merged wallets: it arrives, once, across lanes, whatever is killed between the halves."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from coalition.clearing import merging
from coalition.clearing.merging import arrival, moving_merged_value, sending
from coalition.clearing.sweeping import tended
from coalition.storage.connect import Connection, connect
from coalition.storage.merge_reads import MergeReads
from tests.clearing.desks import Hands, desk_of
from tests.clearing.house import House, accepted

OPERATOR = 1


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "PAUSE_SECONDS", 0.02)


def merges_of(house: House) -> MergeReads:
    @contextmanager
    def lease() -> Iterator[Connection]:
        with connect(house.dsn(), "test") as connection:
            yield connection

    return MergeReads(lease)


def wallet_of(house: House, token: bytes) -> int:
    return int(house.query("SELECT wallet_id FROM credentials WHERE token = %s", token)[0][0])


def merge(house: House, old: int, new: int) -> None:
    house.execute("UPDATE wallets SET state = 'CLOSED', merged_into = %s WHERE wallet_id = %s", new, old)


def balances(house: House, *wallets: int) -> list[int]:
    return [
        int(house.query("SELECT balance_minor FROM wallets WHERE wallet_id = %s", wallet)[0][0]) for wallet in wallets
    ]


def transit(house: House) -> int:
    """What stands on all TRANSIT accounts."""
    rows = house.query(
        "SELECT coalesce(sum(CASE WHEN credit >> 48 = 8 THEN amount_minor ELSE -amount_minor END), 0) FROM transfers"
        " WHERE credit >> 48 = 8 OR debit >> 48 = 8"
    )
    return int(rows[0][0])


def run_job(house: House, done: Callable[[], bool], jobs: int = 1) -> None:
    """So many servers with a desk and a job each, until `done`, within a bound."""

    async def serve() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(jobs):
                group.create_task(one())

    async def one() -> None:
        desk = desk_of(Hands(house.store).open)
        async with asyncio.timeout(30), tended(desk, [moving_merged_value(merges_of(house), OPERATOR)]):
            while not await asyncio.to_thread(done):
                await asyncio.sleep(0.02)

    asyncio.run(serve())


def two_wallets(house: House) -> tuple[bytes, int, bytes, int]:
    """Two funded members in two lanes, the first with two lots."""
    old, new = house.funded_card(), house.funded_card()
    accepted(house.run(house.top_up("a", old, 7_000))[0])
    first, second = wallet_of(house, old), wallet_of(house, new)
    assert first % 64 != second % 64
    return old, first, new, second


def test_all_lots_of_a_merged_wallet_arrive_in_the_other_and_a_refund_follows(house: House):
    old, first, new, second = two_wallets(house)
    purchase = house.purchase("cafe", old, 5_000)
    accepted(house.run(purchase)[0])
    worth = sum(balances(house, first, second))
    merge(house, first, second)
    run_job(house, lambda: balances(house, first, second) == [0, worth] and transit(house) == 0, jobs=2)
    accepted(house.run(house.refund("cafe", purchase.request_id, 2_000))[0])
    run_job(house, lambda: balances(house, first, second) == [0, worth + 2_000] and transit(house) == 0, jobs=2)
    sums = "SELECT sum(face) FROM lots WHERE wallet_id = %s"
    assert (0, worth + 2_000) == tuple(int(house.query(sums, wallet)[0][0]) for wallet in (first, second))
    halves = house.query(
        "SELECT kind, count(*) FROM entries WHERE kind IN (30, 31) AND reason = 0 GROUP BY 1 ORDER BY 1"
    )
    assert halves[0][1] == halves[1][1]
    paid = accepted(house.run(house.purchase("cafe", new, worth + 2_000))[0])
    assert 0 == paid.balance_minor


def test_what_was_sent_before_a_server_was_killed_arrives_when_one_is_back(house: House):
    _, first, _, second = two_wallets(house)
    worth = sum(balances(house, first, second))
    merge(house, first, second)
    left = merges_of(house).left_behind(10)
    sent = house.run(*[sending(each, OPERATOR) for each in left])
    assert 2 == len([accepted(answer) for answer in sent])
    assert worth == sum(balances(house, first, second)) + transit(house)
    assert transit(house) > 0
    run_job(house, lambda: balances(house, first, second) == [0, worth])
    assert 0 == transit(house)


def test_each_half_is_done_once_whoever_asks_again(house: House):
    _, first, _, second = two_wallets(house)
    worth = sum(balances(house, first, second))
    merge(house, first, second)
    merges = merges_of(house)
    halves = [sending(each, OPERATOR) for each in merges.left_behind(10)]
    house.run(*halves)
    under_way = [arrival(each, OPERATOR) for each in merges.under_way(10)]
    for _ in range(2):
        assert {True} == {accepted(answer).replayed for answer in house.run(*halves)}
        house.run(*under_way)
    assert [0, worth] == balances(house, first, second)
    assert [] == list(merges.under_way(10))
    assert [] == list(merges.left_behind(10))
