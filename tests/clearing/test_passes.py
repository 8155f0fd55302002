"""Passes on a real ledger: exactly once, alone or with others; nothing is read of them where none is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Barrier, Thread
from typing import Any

import pytest

from coalition.clearing.batch import Answer
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason
from coalition.storage import ledger_passes
from coalition.storage.pipeline import Pipeline
from tests.clearing.house import House, accepted, new_request_id, reasons


@pytest.fixture(autouse=True)
def checked(house: House) -> Iterator[None]:
    yield
    house.check_books()


def left(house: House) -> list[tuple[int, int, bool]]:
    return house.query("SELECT visits, principal::int, is_open FROM passes ORDER BY pass_id")


def test_a_pass_is_sold_visited_and_a_visit_comes_back_with_one_batch_each(house: House):
    card = house.new_card()
    sale, visit = house.sell_pass("a", card), house.visit("cafe", card)
    sold = accepted(house.run(sale)[0])
    assert (Kind.PASS_SALE, 10_000, 10_000, 0, 0) == (sold.kind, *sold[4:8])
    taken = accepted(house.run(visit)[0])
    assert (3_333, {"pass": str(sold.entry_id), "visits": "1", "visits_left": "2"}) == (
        taken.amount_minor,
        {name: taken.facts[name] for name in ("pass", "visits", "visits_left")},
    )
    assert [(2, 6_667, True)] == left(house)
    assert house.run(visit) == [taken.again()]

    accepted(house.run(house.return_visit("cafe", visit.request_id))[0])
    assert [(3, 10_000, True)] == left(house)
    assert reasons(house.run(house.return_visit("cafe", visit.request_id))) == [Reason.REFUND_EXCEEDS_ORIGINAL]
    accepted(house.run(house.return_pass("a", sale.request_id))[0])
    assert [(0, 0, False)] == left(house)
    assert reasons(house.run(house.visit("cafe", card))) == [Reason.PASS_UNKNOWN]


def test_one_batch_may_sell_visit_return_and_pay_out(house: House):
    """Each command sees what those before it did, and the rows are written as the last one left them."""
    card = house.funded_card()
    sale, visit, purchase = house.sell_pass("a", card), house.visit("cafe", card, 2), house.purchase("cafe", card, 500)
    commands = (
        *(sale, visit, purchase, house.return_visit("cafe", visit.request_id)),
        *(house.visit("cafe", card, 3), house.return_pass("a", sale.request_id), house.visit("cafe", card)),
    )
    answers = house.run(*commands)
    expected = [Reason.ACCEPTED] * 5 + [Reason.LOT_NOT_OPEN, Reason.PASS_UNKNOWN]
    assert expected == reasons(answers)
    assert [(0, 0, False)] == left(house)
    assert [(2, True), (3, False)] == house.query("SELECT visits, is_returned FROM pass_visits ORDER BY entry_id")


def test_a_visit_that_arrives_after_its_reversal_is_killed_and_one_before_is_undone(house: House):
    card = house.new_card()
    house.run(house.sell_pass("a", card))
    late, made = house.visit("cafe", card), house.visit("cafe", card)
    accepted(house.run(house.reverse("cafe", late.request_id))[0])
    assert [Reason.KILLED] == reasons(house.run(late))
    accepted(house.run(made)[0])
    assert 3_333 == accepted(house.run(house.reverse("cafe", made.request_id))[0]).amount_minor
    assert 0 == accepted(house.run(house.reverse("cafe", made.request_id))[0]).amount_minor
    assert [(3, 10_000, True)] == left(house)


def test_of_many_visits_at_once_only_as_many_are_taken_as_the_pass_has(house: House):
    card = house.new_card()
    house.run(house.sell_pass("a", card))
    start, answers = Barrier(8), list[Answer]()

    def take() -> None:
        start.wait()
        answers.extend(house.run(house.visit("cafe", card)))

    threads = [Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [Reason.ACCEPTED] * 3 + [Reason.PASS_UNKNOWN] * 5 == sorted(reasons(answers))
    assert [(0, 0, False)] == left(house)


def test_the_same_request_id_with_another_count_is_refused(house: House):
    card, key = house.new_card(), new_request_id()
    house.run(house.sell_pass("a", card))
    accepted(house.run(house.visit("cafe", card, 1, key))[0])
    assert [Reason.REQUEST_ID_REUSED] == reasons(house.run(house.visit("cafe", card, 2, key)))


def test_a_batch_without_passes_asks_nothing_of_them(house: House, monkeypatch: pytest.MonkeyPatch):
    """The hot path: a purchase, even of a member who has a pass, runs none of these statements."""
    asked: list[str] = []
    execute = Pipeline.execute

    def watched(self: Pipeline, statement: str, *rest: Any, **more: Any) -> Any:
        asked.append(statement)
        return execute(self, statement, *rest, **more)

    card = house.funded_card()
    with watching(monkeypatch, watched):
        house.run(house.purchase("a", card, 100), house.top_up("a", card, 10_000))
    assert not set(ledger_passes.PREPARED) & set(asked)
    before = len(asked)
    with watching(monkeypatch, watched):
        house.run(house.sell_pass("a", card))
    assert {ledger_passes.OPEN_PASSES, ledger_passes.INSERT_PASSES} == set(ledger_passes.PREPARED) & set(asked[before:])


@contextmanager
def watching(monkeypatch: pytest.MonkeyPatch, watched: object) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(Pipeline, "execute", watched)
        yield
