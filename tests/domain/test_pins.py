"""When a spend needs a PIN, which PINs are too weak, and how tries are counted: rules alone, no ledger."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from coalition.domain.commands import Hold, Purchase
from coalition.domain.decide import decide
from coalition.domain.errors import PinChanged, Refused
from coalition.domain.pin_rule import check_pin
from coalition.domain.pins import (
    HeldPin,
    PinEvidence,
    PinFinding,
    PinRow,
    SealedPin,
    check_pin_form,
    check_pin_strength,
    count_tries,
    forgive,
)
from coalition.domain.reasons import Reason
from tests.domain.house import House

LIMIT = 30_000
SEALED = SealedPin(b"sealed", "c/main/till")
PLACE: dict[str, Any] = {"participant_id": 3, "store_id": 3, "terminal_id": 3, "actor": "/t/a/main/till"}
WALLET = 1


@pytest.fixture
def house() -> House:
    house = House()
    house.agree("rules", "CARD_RULES", no_pin_limit_minor=LIMIT)
    house.books.pins = {WALLET: HeldPin(5, WALLET, 2, 0)}
    return house


def spend(house: House, amount: int, pin: SealedPin | PinEvidence | None, kind: str = "NUMBER") -> str:
    """What the rule says of a purchase and of a hold, which is the same."""
    card = replace(house.books.cards[b"w"], kind=kind)
    said = []
    for command in (Purchase, Hold):
        asked: Any = command(**PLACE, request_id=UUID(int=1), amount_minor=amount, token=b"w", pin=pin)
        try:
            check_pin(asked, card, house.books.wallets[WALLET], house.books)
        except Refused as refused:
            said.append(f"{refused.reason.name}{refused.metadata or ''}")
        except PinChanged:
            said.append("again")
        else:
            said.append("passes")
    assert said[0] == said[1]
    return said[0]


def found(finding: PinFinding, wallet_id: int = WALLET, revision: int = 2) -> PinEvidence:
    return PinEvidence(SEALED, finding, wallet_id, revision, 1, 4)


def test_a_code_with_a_pin_counts_as_such_for_a_purchase_and_for_a_hold(house: House) -> None:
    """It has a day limit of its own, and spends are purchases and holds (CardRules)."""
    house.terms("a")
    house.acquire("a")
    house.top_up("a", 1_000)
    token, evidence = house.code(1)
    said: dict[str, Any] = {"amount_minor": 1, "token": token.encode(), "evidence": evidence}
    commands = [
        kind(**PLACE, **said, request_id=UUID(int=1), pin=found(PinFinding.MATCHED)) for kind in (Purchase, Hold)
    ]

    assert [{"tier": "CODE_PIN"}] * 2 == [decide(command, house.books, 1).facts for command in commands]


@pytest.mark.parametrize(
    ("amount", "kind", "said"),
    [
        (LIMIT - 1, "NUMBER", "passes"),
        (LIMIT, "NUMBER", "passes"),
        (LIMIT + 1, "NUMBER", "PIN_REQUIRED"),
        (LIMIT + 1, "CODE", "PIN_REQUIRED"),
        (1, "CODE", "passes"),
        (1, "VIRTUAL", "passes"),
        (1, "PHONE", "PIN_REQUIRED"),
    ],
)
def test_a_pin_is_needed_above_the_limit_and_by_phone_always(house: House, amount: int, kind: str, said: str) -> None:
    assert said == spend(house, amount, None, kind)


def test_without_card_rules_only_a_phone_needs_a_pin() -> None:
    house = House()
    assert "passes" == spend(house, 10**9, None)
    assert "PIN_REQUIRED" == spend(house, 1, None, "PHONE")


@pytest.mark.parametrize("amount", [1, LIMIT + 1])
@pytest.mark.parametrize(
    ("pin", "said"),
    [
        (found(PinFinding.MATCHED), "passes"),
        (found(PinFinding.WRONG), "PIN_WRONG{'tries_left': '4'}"),
        (found(PinFinding.LOCKED), "PIN_LOCKED"),
        # Judged by what is not this wallet's PIN now: by another revision, another wallet's, or not at all.
        (found(PinFinding.MATCHED, revision=1), "again"),
        (found(PinFinding.MATCHED, wallet_id=9), "again"),
        (found(PinFinding.NOT_SET, revision=0), "again"),
        (SEALED, "again"),
    ],
)
def test_a_pin_that_is_given_is_checked_whatever_the_amount(
    house: House, amount: int, pin: SealedPin | PinEvidence, said: str
) -> None:
    assert said == spend(house, amount, pin)


def test_a_wallet_without_a_pin_says_so(house: House) -> None:
    house.books.pins = {}
    assert "PIN_NOT_SET" == spend(house, 1, found(PinFinding.NOT_SET, revision=0))
    assert "again" == spend(house, 1, found(PinFinding.MATCHED))


@pytest.mark.parametrize(
    ("pin", "month"),
    [
        ("000000", None),
        ("777777", None),
        ("121212", None),
        ("123123", None),
        ("123456", None),
        ("654321", None),
        ("890123", None),
        ("321098", None),
        ("850412", 4),  # year, month, day
        ("120485", 4),  # day, month, year
        ("041285", 4),  # month, day, year
        ("198504", 4),  # year and month
    ],
)
def test_what_a_thief_tries_first_is_refused(pin: str, month: int | None) -> None:
    with pytest.raises(Refused) as refused:
        check_pin_strength(pin, month, "pin")
    assert Reason.PIN_WEAK == refused.value.reason
    assert pin not in str(refused.value)


@pytest.mark.parametrize(
    ("pin", "month"), [("280619", None), ("850412", 5), ("850412", None), ("850432", 4), ("112233", None)]
)
def test_other_pins_are_taken(pin: str, month: int | None) -> None:
    check_pin_strength(pin, month, "pin")


@pytest.mark.parametrize("pin", ["", "12345", "1234567", "12345a", "１２３４５６", "12 456"])
def test_a_pin_has_six_digits(pin: str) -> None:
    with pytest.raises(Refused) as refused:
        check_pin_form(pin, "pin")
    assert Reason.FIELD_INVALID == refused.value.reason


def row(tries: int, forgiven: int = 0, wallet_id: int = WALLET) -> PinRow:
    return PinRow(5, wallet_id, 2, tries, forgiven, b"salt", b"tag", 1)


def test_tries_are_counted_in_their_order_as_far_as_they_reach() -> None:
    """Wallet 7 has none; of wallet 1 two are left, of wallet 2 all five."""
    rows = {1: row(9, 6), 2: row(6, 6, 2)}

    counted, changed = count_tries([1, 2, 7, 1, 1, 2], rows)

    assert [(1, 10, 1), (2, 7, 4), (7, 0, 0), (1, 11, 0), (1, 0, 0), (2, 8, 3)] == [
        (each.wallet_id, each.number, each.tries_left) for each in counted
    ]
    assert {1: 11, 2: 8} == {wallet: each.tries for wallet, each in changed.items()}


def test_a_right_pin_forgives_up_to_its_own_number_and_never_less_than_before() -> None:
    pins = {WALLET: HeldPin(5, WALLET, 2, 3)}

    for finding, number, forgiven in [("MATCHED", 2, 3), ("WRONG", 9, 3), ("MATCHED", 7, 7), ("MATCHED", 5, 7)]:
        forgive(PinEvidence(SEALED, PinFinding[finding], WALLET, 2, number, 0), pins)
        assert forgiven == pins[WALLET].forgiven
    forgive(PinEvidence(SEALED, PinFinding.MATCHED, WALLET, 1, 9, 0), pins)
    assert 7 == pins[WALLET].forgiven  # of a PIN that is not in use any more
