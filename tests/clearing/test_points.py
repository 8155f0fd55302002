"""Points on a real ledger: in the entry of the sale and of its refund, exactly once, and never below what was spent."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from threading import Barrier, Thread
from typing import Any

import pytest

from coalition.clearing import ending
from coalition.clearing.batch import Answer
from coalition.clearing.points_expiry import expiring_points, expiry_of
from coalition.clearing.sweeping import tended
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason
from coalition.storage import ledger_points, points_ends
from coalition.storage.connect import Connection, connect
from coalition.storage.pipeline import Pipeline
from coalition.storage.points_ends import PointsEndReads
from tests.clearing.desks import Hands, desk_of
from tests.clearing.house import DAY, House, accepted, reasons


@pytest.fixture(autouse=True)
def checked(house: House) -> Iterator[None]:
    yield
    house.check_books()


def held(house: House) -> int:
    return int(house.query("SELECT coalesce(sum(balance), 0)::int FROM points")[0][0])


def legs(house: House, entry_id: int) -> list[tuple[Any, ...]]:
    """Those in points, as (debit, credit, amount, unit, whether it is a claim)."""
    return house.query(
        "SELECT account_name(debit), account_name(credit), amount_minor::int, unit, window_id IS NOT NULL"
        " FROM transfers WHERE entry_id = %s AND unit >= 100 ORDER BY leg",
        entry_id,
    )


def test_points_are_earned_and_clawed_back_in_the_entries_of_the_sale_and_its_refund(house: House):
    house.add_points_programme()
    b, cafe, card = house.terminals["b"][0], house.terminals["cafe"][0], house.funded_card()
    sale = house.purchase("cafe", card, 30_000)
    sold = accepted(house.run(sale)[0])
    assert {"points": "300", "points_balance": "300"} == {
        name: sold.facts[name] for name in ("points", "points_balance")
    }
    claim = (f"CLEARING({cafe})", f"CLEARING({b})")
    assert [(f"POINTS({b})", "POINTS", 300, 100, False), (*claim, 300, 100, True)] == legs(house, sold.entry_id)
    assert [sold.again()] == house.run(sale)

    back = accepted(house.run(house.refund("cafe", sale.request_id, 10_050))[0])
    assert [("POINTS", f"POINTS({b})", 101, 100, False), (*claim[::-1], 101, 100, True)] == legs(house, back.entry_id)
    assert 199 == held(house)
    accepted(house.run(house.refund("cafe", sale.request_id, 19_950))[0])
    assert 0 == held(house)


def test_a_batch_may_sell_spend_return_and_refund(house: House):
    """Each command sees the points as those before it have left them; the farm ends below zero."""
    house.add_points_programme()
    card = house.funded_card()
    sale, spend = house.purchase("cafe", card, 30_000), house.spend_points("a", card, 200)
    commands = (
        *(sale, spend, house.spend_points("a", card, 101), house.return_points("a", spend.request_id, 50)),
        *(house.refund("cafe", sale.request_id, 30_000), house.purchase("a", card, 9_950)),
    )
    expected = [Reason.ACCEPTED] * 2 + [Reason.POINTS_TOO_FEW] + [Reason.ACCEPTED] * 3
    assert expected == reasons(house.run(*commands))
    assert -51 == held(house)
    assert [(300, 300), (200, 50), (99, 0)] == house.query(
        "SELECT points::int, given_back::int FROM points_moves ORDER BY entry_id"
    )


def test_of_rival_spends_of_the_last_points_one_wins(house: House):
    house.add_points_programme()
    card = house.funded_card()
    house.run(house.purchase("cafe", card, 10_000))
    start, answers = Barrier(8), list[Answer]()

    def take() -> None:
        start.wait()
        answers.extend(house.run(house.spend_points("cafe", card, 100)))

    threads = [Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [Reason.ACCEPTED] + [Reason.POINTS_TOO_FEW] * 7 == sorted(reasons(answers))
    assert 0 == held(house)


def test_a_spend_is_undone_by_its_reversal_and_killed_by_one_that_comes_first(house: House):
    house.add_points_programme()
    card = house.funded_card()
    house.run(house.purchase("cafe", card, 10_000))
    late, spend = house.spend_points("a", card, 60), house.spend_points("a", card, 60)
    accepted(house.run(house.reverse("a", late.request_id))[0])
    assert [Reason.KILLED] == reasons(house.run(late))
    accepted(house.run(spend)[0])
    undone = accepted(house.run(house.reverse("a", spend.request_id))[0])
    assert (Kind.REVERSAL, "60") == (undone.kind, undone.facts["points"])
    assert 100 == held(house)


def lots(house: House) -> list[tuple[Any, ...]]:
    """face, principal, what was sold, whether it ends, whether it is reversed"""
    return house.query(
        "SELECT face::int, principal::int, face_sold::int, bonus_expiry::text, is_reversed"
        " FROM lots WHERE lot_id <> (SELECT min(lot_id) FROM lots) ORDER BY lot_id"
    )


@pytest.mark.parametrize(
    ("conversion", "principal", "ends"),
    [
        ({"rate": "1/2", "minimum_points": 2}, 150, None),
        ({"rate": "1/2", "minimum_points": 2, "voucher_months": 12}, 0, "2018-01-15"),
    ],
)
def test_points_become_a_lot_once_and_an_untouched_one_is_undone(
    house: House, conversion: dict[str, Any], principal: int, ends: str | None
):
    """Stored value is paid for and a voucher ends; its lot is spent, given back and taken back as any other."""
    house.add_points_programme(conversion=conversion)
    card = house.funded_card()
    house.run(house.purchase("cafe", card, 30_000))
    asked = house.convert_points("cafe", card, 300)
    made = accepted(house.run(asked)[0])
    assert (Kind.POINTS_CONVERSION, 150, principal, "-300") == (
        *(made.kind, made.amount_minor, made.principal_minor),
        made.facts["points"],
    )
    assert [made.again()] == house.run(asked)
    assert [(150, principal, 150, ends, False)] == lots(house)
    spend = house.purchase("a", card, 90_001) if ends is None else house.purchase("a", card, 1)
    accepted(house.run(spend)[0])
    assert [Reason.LOT_TOUCHED] == reasons(house.run(house.reverse("cafe", asked.request_id)))
    accepted(house.run(house.reverse("a", spend.request_id))[0])
    undone = accepted(house.run(house.reverse("cafe", asked.request_id))[0])
    assert (-150, "300") == (undone.balance_change_minor, undone.facts["points"])
    assert [(0, 0, 150, ends, True)] == lots(house)
    assert 300 == held(house)


def test_what_points_became_and_what_it_paid_may_be_one_batch(house: House):
    house.add_points_programme(conversion={"rate": "1"})
    card = house.new_card()
    other = house.funded_card()
    house.run(house.purchase("cafe", other, 10_000))
    commands = (
        *(house.convert_points("a", other, 60), house.convert_points("a", other, 41), house.purchase("cafe", card, 1)),
        *(house.convert_points("a", other, 40), house.purchase("a", other, 100)),
    )
    expected = [Reason.ACCEPTED, Reason.POINTS_TOO_FEW, Reason.INSUFFICIENT_FUNDS, Reason.ACCEPTED, Reason.ACCEPTED]
    assert expected == reasons(house.run(*commands))


def moves(house: House) -> list[tuple[Any, ...]]:
    """points, given back, used, ended, last day, is open"""
    return house.query(
        "SELECT points::int, given_back::int, used::int, ended::int, last_day::text, is_open"
        " FROM points_moves ORDER BY entry_id"
    )


def reads(house: House) -> PointsEndReads:
    @contextmanager
    def lease() -> Iterator[Connection]:
        with connect(house.dsn(), "test") as connection:
            yield connection

    return PointsEndReads(lease)


def test_points_with_a_last_day_are_followed_from_batch_to_batch(house: House):
    """Spent, they are known by sale; returned, they are there again; ended, they are taken once, whoever asks."""
    house.add_points_programme(months=1)
    card = house.funded_card()
    sale, spend = house.purchase("cafe", card, 30_000), house.spend_points("a", card, 120)
    sold = accepted(house.run(sale)[0])
    assert "2017-02-15" == sold.facts["points_last_day"]
    house.run(house.purchase("cafe", card, 10_000), spend)
    assert [(300, 0, 120, 0), (100, 0, 0, 0), (120, 0, 0, 0)] == [row[:4] for row in moves(house)]
    house.run(house.return_points("a", spend.request_id, 20))
    house.run(house.refund("cafe", sale.request_id, 1_000), house.spend_points("a", card, 190))
    assert [(300, 10, 290, 0), (100, 0, 0, 0)] == [row[:4] for row in moves(house)[:2]]
    assert [False, True, False, False] == [row[5] for row in moves(house)]

    over = date(2017, 2, 15)
    assert [] == reads(house).due(over, None, 9)
    house.execute("UPDATE points_moves SET last_day = '2017-01-14' WHERE is_open")
    (due,) = reads(house).due(DAY, None, 9)
    assert [] == reads(house).due(DAY, due, 9)
    assert [Reason.POINTS_TOO_FEW] == reasons(house.run(house.spend_points("a", card, 1)))
    asked = expiry_of(due, DAY, 1)
    taken = accepted(house.run(asked)[0])
    assert (Kind.POINTS_EXPIRY, "-100", "0") == (taken.kind, taken.facts["points"], taken.facts["points_balance"])
    assert [taken.again()] == house.run(asked)
    assert [Reason.LOT_NOT_OPEN] == reasons(house.run(expiry_of(due, over, 1)))
    assert (100, 0, 0, 100, "2017-01-14", False) == moves(house)[1]
    assert 0 == held(house)


def test_points_that_come_back_after_their_last_day_are_taken_the_next_time(house: House):
    house.add_points_programme(months=1)
    card = house.funded_card()
    spend = house.spend_points("a", card, 100)
    house.run(house.purchase("cafe", card, 10_000), spend)
    house.execute("UPDATE points_moves SET last_day = '2017-01-14' WHERE last_day IS NOT NULL")
    house.run(house.return_points("a", spend.request_id))
    assert 100 == held(house)
    assert [Reason.POINTS_TOO_FEW] == reasons(house.run(house.spend_points("a", card, 1)))
    (due,) = reads(house).due(DAY, None, 9)
    accepted(house.run(expiry_of(due, DAY, 1))[0])
    assert 0 == held(house)


def test_the_house_takes_all_points_that_have_ended_a_page_at_a_time(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ending, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(ending, "PAGE", 2)
    house.add_points_programme(months=1)
    card = house.funded_card()
    house.run(*[house.purchase("cafe", card, 1_000) for _ in range(5)])
    house.execute("UPDATE points_moves SET last_day = '2017-01-14' WHERE points > 0")
    house.run(house.purchase("cafe", card, 1_000))

    async def serve() -> None:
        job = expiring_points(reads(house), 1, lambda: DAY)
        async with asyncio.timeout(30), tended(desk_of(Hands(house.store).open), [job]):
            while await asyncio.to_thread(held, house) != 10:
                await asyncio.sleep(0.02)

    asyncio.run(serve())
    taken = house.query("SELECT count(*)::int FROM entries WHERE kind = %s AND reason = 0", Kind.POINTS_EXPIRY)
    assert [(5,)] == taken


def test_open_points_are_found_by_their_indexes(house: House):
    """A batch that spends reads what a wallet has now, not every sale it ever made."""
    with connect(house.dsn(), "test") as connection:
        connection.execute("SET enable_seqscan = off")
        connection.execute("SET enable_bitmapscan = off")
        asked = ((ledger_points.ENDING, ("{1}", "{1}")), (points_ends.DUE, (DAY, "-infinity", 0, 4)))
        plans = ["\n".join(row[0] for row in connection.execute(f"EXPLAIN {each}", told)) for each, told in asked]
    assert "points_moves_open" in plans[0]
    assert "points_moves_ending" in plans[1]


def test_points_owed_of_one_are_repaid_with_anothers_once(house: House):
    """In one batch with what they are spent on, and declined for what is not owed any more."""
    house.add_points_programme(repays=[{"programme": "moons", "rate": "2"}])
    rule = {
        "debtor": "bar",
        "earned_at": ["b"],
        "steps": [{"from_minor": 1, "rate": "1/100"}],
        "repaid_with": [{"programme": "points", "rate": "2"}],
    }
    house.execute(
        "WITH agreement AS (INSERT INTO agreements (code, kind, create_time) VALUES ('moons', 'POINTS', now())"
        " RETURNING agreement_id) INSERT INTO agreement_versions (agreement_id, version, effective_from, content,"
        " create_time, unit) SELECT agreement_id, 1, '2017-01-01', %s, now(), 101 FROM agreement",
        json.dumps(rule),
    )
    house.execute("UPDATE config_epoch SET epoch = epoch + 1")
    card = house.funded_card()
    sale = house.purchase("b", card, 10_000)
    house.run(house.purchase("cafe", card, 30_000), sale, house.spend_points("b", card, 100, programme="moons"))
    house.run(house.refund("b", sale.request_id, 10_000))
    asked = house.repay_points("cafe", card, "moons", 60)
    commands = (asked, house.spend_points("cafe", card, 181), house.repay_points("cafe", card, "moons", 41))
    answers = house.run(*commands)
    assert [Reason.ACCEPTED, Reason.POINTS_TOO_FEW, Reason.POINTS_NOT_REPAYABLE] == reasons(answers)
    done = accepted(answers[0])
    assert [done.again()] == house.run(asked)
    b, bar = house.terminals["b"][0], house.terminals["bar"][0]
    assert [
        ("POINTS", f"POINTS({b})", 120, 100, False),
        (f"POINTS({bar})", "POINTS", 60, 101, False),
        (f"CLEARING({b})", f"CLEARING({bar})", 120, 100, True),
    ] == legs(house, done.entry_id)
    assert [(180,), (-40,)] == house.query("SELECT balance::int FROM points ORDER BY programme_id")


def test_a_sale_elsewhere_asks_nothing_of_points(house: House, monkeypatch: pytest.MonkeyPatch):
    """The hot path: without a programme, and at a participant without one, no statement and no round trip."""
    asked: list[str] = []
    execute, run = Pipeline.execute, Pipeline.run

    def watched(self: Pipeline, statement: str, *rest: Any, **more: Any) -> Any:
        asked.append(statement)
        return execute(self, statement, *rest, **more)

    def counted(self: Pipeline) -> None:
        asked.append("a round trip")
        run(self)

    card = house.funded_card()
    counts = []
    for at in ("cafe", "bar", "cafe"):
        if at == "bar":
            house.add_points_programme()
            content = '{"issuer": "chain:shop", "acquirer": "bar"}'
            house.execute(
                "WITH agreement AS (INSERT INTO agreements (code, kind, create_time)"
                " VALUES ('bar', 'ACCEPTANCE', now()) RETURNING agreement_id)"
                " INSERT INTO agreement_versions (agreement_id, version, effective_from, content, create_time)"
                f" SELECT agreement_id, 1, '2017-01-01', '{content}', now() FROM agreement"
            )
        store = house.store()
        store.warm_up()
        with monkeypatch.context() as patch:
            patch.setattr(Pipeline, "execute", watched)
            patch.setattr(Pipeline, "run", counted)
            accepted(house.run(house.purchase(at, card, 100))[0])
        store.close()
        counts.append((asked.count("a round trip"), len(set(ledger_points.PREPARED) & set(asked))))
        asked.clear()
    assert (counts[0][0], 0) == counts[0] == counts[1]
    assert (counts[0][0] + 1, 3) == counts[2], "where points are earned, one round trip and three statements more"
