"""A sponsor's limit beyond which the issuer bears the bonus, on a real ledger: exact, however many sell at once."""

import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from coalition.bootstrap.clock import utc_now
from coalition.clearing.batch import run_batch
from coalition.domain.commands import TopUp
from coalition.domain.events import EventKind
from coalition.followers.follower import Follower
from coalition.followers.sponsors import limited_sponsors
from coalition.storage.connect import connect
from coalition.storage.ledger_sponsors import HOLD
from coalition.storage.pipeline import Pipeline
from tests.clearing.house import House, accepted

LIMIT = 15_000
CONTENT = {
    "issuer": "a",
    "sellers": ["a"],
    "tiers": [{"from_minor": 1, "bonus": "1/5"}],
    "sponsor": "bar",
    "sponsor_share": "1/2",
    "sponsor_limit_minor": LIMIT,
    "when_used_up": "ISSUER",
}


def agree(house: House, **more: Any) -> None:
    """Store a sells with a bonus of a fifth, half of it the bar's, 150.00 at most; in force from the next batch on."""
    house.execute(
        "WITH agreement AS (INSERT INTO agreements (code, kind, create_time) VALUES ('held', 'TERMS', now())"
        " RETURNING agreement_id) INSERT INTO agreement_versions (agreement_id, version, effective_from, content,"
        " create_time) SELECT agreement_id, 1, '2017-01-01', %s, now() FROM agreement",
        json.dumps(CONTENT | more),
    )
    house.execute("UPDATE config_epoch SET epoch = epoch + 1")


def sale(house: House, token: bytes, amount: int) -> TopUp:
    return replace(house.top_up("a", token, amount), terms_code="held")


def lots(house: House) -> list[tuple[int, int | None]]:
    """Bonus and the sponsor's own part of each lot sold under these terms, in the order of the journal."""
    return house.query(
        "SELECT face_sold - principal_sold, sponsored FROM lots JOIN agreements ON agreement_id = terms_id"
        " WHERE code = 'held' ORDER BY lot_id"
    )


def taken_on(house: House) -> int:
    """By the lots themselves, held against what is kept of them."""
    told = sum((bonus + 1) // 2 if own is None else own for bonus, own in lots(house))
    assert [(told,)] == house.query("SELECT taken_on_minor FROM sponsored_held")
    return told


def claims_of(house: House, debtor: str) -> int:
    account = 4 << 48 | house.terminals[debtor][0] << 24
    return int(house.query("SELECT coalesce(sum(amount_minor), 0)::bigint FROM transfers WHERE debit = %s AND code = 2",
                           account)[0][0])  # fmt: skip


def test_the_limit_is_crossed_within_a_batch_and_the_issuer_bears_the_rest(house: House) -> None:
    """Bonuses of 200.00 three times: of the sponsor's 100.00 each, 100.00, 50.00 and nothing are taken on."""
    agree(house)
    token = house.new_card()
    for answer in house.run(*(sale(house, token, 100_000) for _ in range(3))):
        assert 20_000 == accepted(answer).bonus_minor

    assert [(20_000, None), (20_000, 5_000), (20_000, 0)] == lots(house)
    assert LIMIT == taken_on(house)
    bought = house.purchase("cafe", token, 360_000)
    accepted(house.run(bought)[0])
    assert (15_000, 45_000) == (claims_of(house, "bar"), claims_of(house, "a"))
    accepted(house.run(house.refund("cafe", bought.request_id, 360_000))[0])
    assert 60_000 == claims_of(house, "cafe")
    house.check_books()


def test_a_store_that_learns_of_the_terms_within_its_batch_holds_them_all_the_same(house: House) -> None:
    """Its programme is of before the agreement: the number is taken again, behind the lock."""
    token, store = house.new_card(), house.store()
    accepted(run_batch(store, [house.top_up("a", token, 10_000)])[0])
    agree(house)
    for _ in range(2):
        accepted(run_batch(store, [sale(house, token, 100_000)])[0])
    store.close()

    assert [(20_000, None), (20_000, 5_000)] == lots(house)
    assert LIMIT == taken_on(house)


def test_points_that_become_a_voucher_use_the_limit_too(house: House) -> None:
    """B owes the points and sells under terms whose sponsor is the bar, 2.25 at most: 400 and 100 fen, half each."""
    agree(house, issuer="b", sellers=["b"], sponsor_limit_minor=225)
    house.add_points_programme(conversion={"rate": "1", "voucher_months": 12}, spent_at=["cafe"])
    token = house.funded_card(100_000)
    accepted(house.run(house.purchase("cafe", token, 60_000))[0])
    for points in (400, 100):
        accepted(house.run(house.convert_points("cafe", token, points))[0])

    assert [(400, None), (100, 25)] == lots(house)
    assert 225 == taken_on(house)
    house.check_books()


def test_the_sponsor_is_told_once_that_its_limit_is_reached_and_the_bonus_goes_on(house: House) -> None:
    agree(house)
    token = house.new_card()
    accepted(house.run(sale(house, token, 200_000))[0])
    follower = Follower(limited_sponsors(), lambda: connect(house.dsn()), utc_now, time.sleep)
    for _ in range(2):
        follower.catch_up()
        assert 20_000 == accepted(house.run(sale(house, token, 100_000))[0]).bonus_minor

    assert [(True, LIMIT)] == house.query("SELECT is_reached, borne_minor FROM sponsors_reached")
    assert [(EventKind.SPONSOR_REACHED, LIMIT)] == house.query("SELECT kind, owed_minor FROM cap_notices")


@pytest.mark.xdist_group("serial")
def test_many_desks_at_once_use_the_limit_up_to_the_fen_and_in_the_order_of_the_journal(house: House) -> None:
    agree(house)
    tokens = [house.new_card() for _ in range(6)]
    start = threading.Barrier(len(tokens))

    def sell(token: bytes) -> None:
        store = house.store()
        start.wait()
        for number in range(8):
            commands = [sale(house, token, 3_003 + number), house.top_up("a", token, 10_000)]
            for answer in run_batch(store, commands):
                accepted(answer)
        store.close()

    threads = [threading.Thread(target=sell, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert LIMIT == taken_on(house)
    left = LIMIT
    for bonus, own in lots(house):
        part = min((bonus + 1) // 2, left)
        assert (None if part == (bonus + 1) // 2 else part) == own
        left -= part
    assert 96 == len(lots(house))
    house.check_books()


def test_a_batch_that_sells_nothing_of_the_kind_holds_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tills' way is as short as it was, for every other command and where no such terms are agreed on."""
    asked: list[str] = []
    execute = Pipeline.execute

    def seen(self: Pipeline, statement: str, *arguments: Any, **named: Any) -> Any:
        asked.append(statement)
        return execute(self, statement, *arguments, **named)

    monkeypatch.setattr(Pipeline, "execute", seen)
    token = house.funded_card()
    agree(house)
    accepted(house.run(house.purchase("cafe", token, 100), house.top_up("b", token, 10_000))[0])
    assert HOLD not in asked
    accepted(house.run(sale(house, token, 100))[0])

    assert HOLD in asked
