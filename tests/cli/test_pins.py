"""PINs on the command line: asked for, read, never typed there and never told back."""

import json
from datetime import date
from pathlib import Path

import pytest

from coalition.domain.kinds import Kind
from tests.house import House

CAFE = "cafe/main/till-1"
GROCER = "store-a/main/till-1"


@pytest.fixture
def card(house: House, tmp_path: Path) -> Path:
    """The number of a fresh member's card, in a file."""
    file = tmp_path / "card.txt"
    file.write_text(house.new_card())
    return file


@pytest.fixture(scope="module", autouse=True)
def _rules(house: House) -> None:
    """A PIN is needed above 20 yuan."""
    act = house.act(Kind.AGREEMENT_CREATED, code="rules")
    house.office.create_agreement(act, "rules", "CARD_RULES", {"no_pin_limit_minor": 2_000}, date(2026, 1, 1))


@pytest.fixture
def member_with_pin(coalition, house, card) -> str:
    """The member of the card, with 100 yuan and the PIN 280619."""
    coalition("till", "top-up", "--at", GROCER, "--card", f"@{card}", "--amount", "100")
    member = str(house.reception.get_card(card.read_text()).member_id)
    assert "is set" in coalition("member", "pin", member, typed="280619\n280619\n").out
    return member


def test_a_pin_is_asked_for_where_it_is_needed(coalition, card, member_with_pin, tmp_path):
    """From a file, from standard input, or asked for; the screen asks by itself when it is told PIN_REQUIRED."""
    pin = tmp_path / "pin.txt"
    pin.write_text("280619\n")
    sale = ("till", "purchase", "--at", CAFE, "--card", f"@{card}", "--amount", "20.01", "--json")
    without = coalition(*sale)
    wrong = coalition(*sale[:-1], "--pin", "-", typed="280618\n")
    paid = [coalition(*sale, "--pin", f"@{pin}"), coalition(*sale, "--pin", "-", typed="280619\n")]
    once = coalition("pay", "--at", CAFE, "--card", f"@{card}", "--pin", "ask", "20.01", typed="280619\n")
    shown = coalition("till", "--at", CAFE, typed=f"p\n{card.read_text()}\n20.01\n280619\nq\n")

    assert (1, "PIN_REQUIRED") == (without.code, json.loads(without.out)["reason"])
    assert (1, True) == (wrong.code, "tries left 4" in wrong.err)
    assert [0, 0, 0] == [each.code for each in (*paid, once)]
    assert "paid" in shown.out
    assert "declined" not in shown.out
    for each in (without, wrong, *paid, once, shown):
        assert "28061" not in each.out + each.err


def test_two_pins_that_differ_and_weak_ones_are_not_set(coalition, member_with_pin):
    differ = coalition("member", "pin", member_with_pin, typed="280619\n280618\n")
    weak = coalition("member", "pin", member_with_pin, typed="123456\n123456\n")

    assert (2, 1) == (differ.code, weak.code)
    assert "PIN_WEAK" in weak.err
    assert "123456" not in weak.err + weak.out


@pytest.mark.parametrize("said", ["280619", "@/nowhere", "-"])
def test_a_pin_on_the_command_line_or_of_another_form_is_refused(coalition, card, said):
    """The refusal does not repeat it."""
    refused = coalition("pay", "--at", CAFE, "--card", f"@{card}", "--pin", said, "20.01", typed="28061\n")

    assert 2 == refused.code
    assert "28061" not in refused.err + refused.out
