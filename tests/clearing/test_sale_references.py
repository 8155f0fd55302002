"""One sale reference of a terminal stands for one accepted sale, whatever request ids it came under."""

import threading
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from coalition.clearing.batch import Answer, run_batch
from coalition.domain.commands import Command
from coalition.domain.errors import Contention
from coalition.domain.reasons import Reason
from coalition.storage.journal import INSERT_DETAILED
from coalition.storage.ledger_statements import LOCK_SALES, TAKE_SALES
from coalition.storage.pipeline import Pipeline
from tests.clearing.house import House, accepted, reasons
from tests.clearing.test_uploads import check

Asked = TypeVar("Asked", bound=Command)
USED = Reason.SALE_REFERENCE_USED


def named(command: Asked, reference: str = "S-1") -> Asked:
    return replace(command, sale_reference=reference)


def references(house: House) -> list[tuple[str, int]]:
    return house.query("SELECT reference, entry_id FROM sale_references ORDER BY reference, terminal_id")


@pytest.mark.parametrize("apart", [True, False], ids=["batch after batch", "in one batch"])
def test_a_second_accepted_sale_under_a_reference_is_declined_and_told_of_the_first(house: House, apart: bool) -> None:
    """A till that made a new request_id for a sale it had sent already must not take the money twice."""
    token = house.funded_card()
    sales = [
        named(house.purchase("cafe", token, 500)),
        named(house.purchase("cafe", token, 500)),
        named(house.hold("cafe", token, 500)),
        named(house.upload("cafe", token, 500)),
        named(house.top_up("a", token, 500), "T-1"),
        named(house.top_up("a", token, 500), "T-1"),
        named(house.purchase("bar", token, 10), "S-1"),
    ]
    answers = [house.run(sale)[0] for sale in sales] if apart else house.run(*sales)

    assert [Reason.ACCEPTED, USED, USED, USED, Reason.ACCEPTED, USED, Reason.NOT_ACCEPTED_HERE] == reasons(answers)
    first = accepted(answers[0]).entry_id
    assert [{"earlier_entry_id": str(first)}] * 3 == [answer.facts for answer in answers[1:4]]  # type: ignore[union-attr]
    assert [("S-1", first), ("T-1", accepted(answers[4]).entry_id)] == references(house)
    assert [answers[0].again()] == house.run(sales[0])  # type: ignore[union-attr]
    check(house)


def test_a_decline_takes_no_reference_and_the_sale_may_be_tried_again(house: House) -> None:
    token = house.new_card()
    sale = named(house.purchase("cafe", token, 500))
    declined = house.run(sale)[0]
    house.run(house.top_up("a", token, 500))

    assert [Reason.INSUFFICIENT_FUNDS] == reasons([declined])
    assert [Reason.ACCEPTED] == reasons(house.run(named(house.purchase("cafe", token, 500))))


@pytest.mark.parametrize("apart", [True, False], ids=["batch after batch", "in one batch"])
def test_what_is_undone_gives_its_reference_free(house: House, apart: bool) -> None:
    """A till that timed out reverses and then sells anew under the same reference."""
    token = house.funded_card()
    sale, hold, voided = (
        named(house.purchase("cafe", token, 500)),
        named(house.hold("cafe", token, 500), "H-1"),
        named(house.hold("cafe", token, 500), "H-2"),
    )
    capture = named(house.capture("cafe", hold.request_id, 300), "H-1")
    commands = [
        sale,
        house.reverse("cafe", sale.request_id),
        named(house.purchase("cafe", token, 500)),
        hold,
        capture,
        house.reverse("cafe", capture.request_id),
        named(house.purchase("cafe", token, 500), "H-1"),
        voided,
        house.void("cafe", voided.request_id),
        named(house.upload("cafe", token, 500), "H-2"),
        house.reverse("cafe", sale.request_id),
        named(house.purchase("cafe", token, 500)),
    ]
    answers = [house.run(command)[0] for command in commands] if apart else house.run(*commands)

    assert [Reason.ACCEPTED] * 11 + [USED] == reasons(answers), "the second reversal frees nothing of the second sale"
    entries = [accepted(answers[place]).entry_id for place in (6, 9, 2)]
    assert list(zip(["H-1", "H-2", "S-1"], entries, strict=True)) == references(house)
    check(house)


def test_a_hold_that_expires_gives_its_reference_free_and_a_refund_does_not(house: House) -> None:
    token = house.funded_card()
    sale, hold = named(house.purchase("cafe", token, 500)), named(house.hold("cafe", token, 500, seconds=60), "H-1")
    entry = accepted(house.run(sale, hold, house.refund("cafe", sale.request_id, 500))[1]).entry_id
    again = [named(house.purchase("cafe", token, 500)), named(house.purchase("cafe", token, 500), "H-1")]
    assert [USED, USED] == reasons(house.run(*again))

    house.pass_time(entry)
    house.run(house.hold_expiry(entry))

    assert [Reason.ACCEPTED] == reasons(house.run(named(house.purchase("cafe", token, 500), "H-1")))


@pytest.mark.xdist_group("serial")
def test_rivals_with_one_sale_reference_sell_once(house: House) -> None:
    """Eight sessions, cards of their own, one terminal and reference: the key of the table is where they meet."""
    tokens = [house.funded_card() for _ in range(8)]
    answers: list[Answer] = []
    start = threading.Barrier(8)

    def sell(token: bytes) -> None:
        store = house.store()
        start.wait()
        for number in range(10):
            sales = [named(house.purchase("cafe", token, 100), f"S-{number}"), house.purchase("cafe", token, 1)]
            while True:
                try:
                    answers.extend(run_batch(store, sales)[:1])
                    break
                except Contention:
                    continue
        store.close()

    threads = [threading.Thread(target=sell, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {Reason.ACCEPTED: 10, USED: 70} == {
        reason: reasons(answers).count(reason) for reason in set(reasons(answers))
    }
    assert 10 == len(references(house))
    check(house)


def test_only_a_batch_that_names_a_reference_pays_for_references(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain purchase is the hot path: not one statement more. Else a look-up and an insert a batch."""
    token = house.funded_card()
    statements: list[str] = []
    real = Pipeline.execute

    def noted(self: Pipeline, statement: str, *parameters: Any, **options: Any) -> Any:
        statements.append(statement)
        return real(self, statement, *parameters, **options)

    monkeypatch.setattr(Pipeline, "execute", noted)
    house.run(house.purchase("cafe", token, 1), house.purchase("cafe", token, 1))
    plain = list(statements)
    statements.clear()
    house.run(named(house.purchase("cafe", token, 1)), named(house.purchase("cafe", token, 1), "S-2"))

    extra = [each for each in statements if each not in plain]
    assert [LOCK_SALES, TAKE_SALES] == extra
    assert len(plain) + 2 == len(statements)
    assert INSERT_DETAILED not in statements
