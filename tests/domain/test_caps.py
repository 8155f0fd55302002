"""Net debit caps: when a participant is stopped, and what its being stopped means for each operation."""

import pytest

from coalition.domain.agreements import parse_content
from coalition.domain.caps import Caps, is_stopped
from coalition.domain.reasons import Reason
from tests.domain.house import House
from tests.domain.test_decisions import declined


def caps(**content: object) -> Caps:
    parsed = parse_content("CAPS", {"participant": "a", **content})
    assert isinstance(parsed, Caps)
    return parsed


@pytest.mark.parametrize(
    ("owed", "was_stopped", "now"),
    [(999, False, False), (1_000, False, True), (999, True, True), (800, True, True), (799, True, False)],
)
def test_it_is_stopped_at_the_cap_and_goes_on_below_the_warning(owed: int, was_stopped: bool, now: bool):
    """Two marks: what stands at its cap must not be stopped and let go by every payment."""
    assert now is is_stopped(caps(net_debit_minor=1_000), owed, 0, was_stopped=was_stopped)


def test_collateral_adds_to_the_cap_and_is_all_of_it_where_there_is_no_credit():
    assert (1_500, 1_000) == (caps(net_debit_minor=1_000).cap(500), caps(net_debit_minor=1_000).cap(-500))
    assert 1_000 == caps(net_debit_minor=1_000, collateral_counts=False).cap(500)
    assert (500, 250) == (caps(warning_percent=50).cap(500), caps(warning_percent=50).warns_at(500))
    assert is_stopped(caps(), 0, 0, was_stopped=False)  # nothing paid in, nothing spent elsewhere


@pytest.fixture
def house() -> House:
    """A and B issue, C takes both; B's value lies with the custody; S sells A's."""
    house = House()
    house.terms("a", sellers=["a", "s"])
    house.terms("b", custody="OPERATOR_HELD")
    for issuer in "ab":
        house.accept(issuer, "c")
    house.acquire("a")
    house.acquire("c")
    house.top_up("a", 10_000)
    house.top_up("b", 10_000)
    return house


def test_value_of_who_is_stopped_is_taken_at_home_alone(house: House):
    house.stop("a")

    refused = declined(Reason.PARTICIPANT_CAPPED, house.purchase, "c", 12_001)
    assert {"participant": "a", "balance_minor": "24000", "balance_here_minor": "12000"} == refused.metadata
    declined(Reason.PARTICIPANT_CAPPED, house.hold, "c", 12_001)
    declined(Reason.INSUFFICIENT_FUNDS, house.purchase, "c", 24_001)
    assert (12_000, 12_000) == (house.here("c"), house.here("a"))
    assert {house.participants["b"].participant_id} == {
        lot.issuer_id for lot, *_ in house.purchase("c", 12_000).decision.changes
    }
    assert 12_000 == house.purchase("a", 12_000).decision.amount_minor


def test_where_it_was_never_taken_the_cap_is_not_the_reason(house: House):
    house.accept("a", "c", accepted=False)
    house.stop("a")

    declined(Reason.NOT_ACCEPTED_HERE, house.purchase, "c", 12_001)


def test_what_was_begun_is_ended_and_what_was_paid_comes_back(house: House):
    purchase, hold = house.purchase("c", 3_000), house.hold("c", 20_000)
    house.stop("a", "c")

    assert 20_000 == house.capture("c", 20_000, hold).decision.amount_minor
    assert 1_000 == house.upload("c", 1_000).decision.balance_change * -1
    assert 3_000 == house.refund("c", 3_000, purchase).decision.amount_minor


def test_who_is_stopped_sells_nobody_elses_value_and_its_own_is_cashed_by_itself(house: House):
    """Each would add to what it owes: cash that it keeps, cash that another hands out for it."""
    house.stop("a", "b", "s")

    declined(Reason.PARTICIPANT_CAPPED, house.top_up, "s", 1_000, issuer="a")
    declined(Reason.PARTICIPANT_CAPPED, house.top_up, "b", 1_000)
    assert 1_000 == house.top_up("a", 1_000).decision.amount_minor
    assert {"participant": "a"} == declined(Reason.PARTICIPANT_CAPPED, house.cash_out, "c").metadata
    assert 21_000 == house.cash_out("a").decision.amount_minor
