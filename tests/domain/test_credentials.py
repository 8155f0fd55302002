"""The rules of a device's codes, on books in memory and with a clock that the test moves."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.domain.books import Card
from coalition.domain.credentials import CODE, PHONE, CodeEvidence, Device, PayTicket, PhoneEvidence
from coalition.domain.errors import Refused
from coalition.domain.payment_codes import code_keys, drift_after, make_code, matching_step, parse_code
from coalition.domain.reasons import Reason
from tests.domain.house import LANE, House

SEED = bytes(range(32))
KEYS = code_keys(SEED)
NOON = 1_800_000_000
"""The first second of a half minute."""
CARD_ID = 77
WRONG = CodeEvidence(CARD_ID, None)
RIGHT = CodeEvidence(CARD_ID, 0)


def device() -> Device:
    return Device(LANE, CARD_ID, used_counter=-1, tried_counter=-1, tries=0, drift=0)


@dataclass
class Till:
    """Presents codes to the rules as front door and desk do: found out, judged, then used or counted."""

    device: Device = field(default_factory=device)

    def present(self, code: str, counter: int, at: int) -> str:
        parsed = parse_code(code)
        step = matching_step(KEYS.otp_key, parsed.ticket, parsed.otp, at, self.device.drift)
        return self.judged(counter, CodeEvidence(CARD_ID, None if step is None else drift_after(step, at)))

    def judged(self, counter: int, evidence: CodeEvidence) -> str:
        ticket = PayTicket(CARD_ID, counter)
        try:
            self.device.judge(ticket, evidence)
        except Refused as refused:
            if refused.reason is Reason.PAYMENT_CODE_WRONG:
                self.device.count_wrong(ticket)
            return refused.reason.name
        self.device.use(ticket, evidence)
        return "ACCEPTED"


@pytest.mark.parametrize("shown_at", [0, 1, 15, 29])
def test_of_a_replayed_code_one_try_works_and_only_while_it_is_fresh(shown_at: int):
    """T23: the same code at 0, 1, 29, 31, 61 and 91 seconds; a photograph alone is worth nothing after a minute."""
    begin = NOON + shown_at
    code = make_code(SEED, 0, begin)
    ages = (0, 1, 29, 31, 61, 91)
    till = Till()

    assert ["ACCEPTED"] + ["PAYMENT_CODE_USED"] * 5 == [till.present(code, 0, begin + age) for age in ages]
    first_seen = {age: Till().present(code, 0, begin + age) for age in ages}
    assert "ACCEPTED" == first_seen[0] == first_seen[1] == first_seen[29]
    assert "PAYMENT_CODE_WRONG" == first_seen[61] == first_seen[91]


def test_a_clock_that_is_wrong_is_learned_from_codes_that_were_good():
    till = Till()
    behind = [till.present(make_code(SEED, n, NOON - 30 * min(n, 4)), n, NOON) for n in range(6)]
    too_far = till.present(make_code(SEED, 6, NOON - 30 * 6), 6, NOON)

    assert (["ACCEPTED"] * 6, -4, "PAYMENT_CODE_WRONG") == (behind, till.device.drift, too_far)
    assert "PAYMENT_CODE_WRONG" == till.present(make_code(SEED, 7, NOON), 7, NOON), "the window moves, it never grows"


def test_what_is_not_paid_teaches_nothing():
    till = Till()
    ticket = PayTicket(CARD_ID, 0)
    till.device.judge(ticket, CodeEvidence(CARD_ID, 1))

    assert (device(), 0) == (till.device, till.device.drift)


def test_trying_two_tickets_in_turn_does_not_begin_the_count_anew():
    """Who has photographed two codes has three tries, not three for each."""
    till = Till()

    answers = [till.judged(counter, WRONG) for counter in (3, 5, 3, 5, 3)]

    assert ["PAYMENT_CODE_WRONG"] * 3 + ["PAYMENT_CODE_USED"] * 2 == answers
    assert "ACCEPTED" == till.judged(6, RIGHT)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=40))
def test_no_ticket_pays_twice_or_outlives_three_wrong_passwords(presented: list[tuple[int, bool]]):
    till, wrong = Till(), dict.fromkeys(range(6), 0)
    paid: list[int] = []
    for counter, is_right in presented:
        answer = till.judged(counter, RIGHT if is_right else WRONG)
        if answer == "ACCEPTED":
            assert not paid or counter > max(paid)
            assert wrong[counter] < 3
            paid.append(counter)
        elif answer == "PAYMENT_CODE_WRONG":
            wrong[counter] += 1
            assert wrong[counter] <= 3
    assert len(paid) == len(set(paid))


def code_house(evidence_drift: int | None = 0) -> tuple[House, CodeEvidence]:
    house = House()
    house.terms("a")
    house.accept("a", "a")
    house.acquire("a")
    house.top_up("a", 10_000)
    card = house.books.cards[b"w"]
    house.books.cards[b"code"] = Card(CARD_ID, card.wallet_id, "ACTIVE", "0077", card.issuer_id, kind=CODE)
    house.books.tickets[b"code"] = PayTicket(CARD_ID, 0)
    house.books.devices[CARD_ID] = device()
    return house, CodeEvidence(CARD_ID, evidence_drift)


def test_a_purchase_by_code_uses_its_ticket_and_says_so_in_the_journal():
    house, evidence = code_house(1)

    done = house.purchase("a", 1_000, card="code", evidence=evidence)

    assert {"counter": "0", "drift": "1", "tier": "CODE"} == done.decision.facts
    assert (0, 1, True) == tuple(
        getattr(house.books.devices[CARD_ID], n) for n in ("used_counter", "drift", "is_moved")
    )
    with pytest.raises(Refused, match="PAYMENT_CODE_USED"):
        house.purchase("a", 1_000, card="code", evidence=evidence)


def test_a_declined_purchase_uses_nothing():
    house, evidence = code_house()

    with pytest.raises(Refused, match="INSUFFICIENT_FUNDS"):
        house.purchase("a", 1_000_000, card="code", evidence=evidence)

    assert device() == house.books.devices[CARD_ID]


@pytest.mark.parametrize(
    "evidence", [None, CodeEvidence(None, None), CodeEvidence(CARD_ID + 1, 0), PhoneEvidence(None)]
)
def test_a_ticket_the_front_door_did_not_know_pays_nothing(evidence):
    """Its password was never looked at."""
    house, _ = code_house()

    with pytest.raises(Refused, match="CARD_UNKNOWN"):
        house.purchase("a", 1_000, card="code", evidence=evidence)


def test_a_phone_takes_value_in_and_lets_none_out_without_a_pin():
    house, _ = code_house()
    house.books.cards[b"phone"] = replace(house.books.cards[b"w"], kind=PHONE)

    house.top_up("a", 1_000, card="phone")

    for operation in (house.purchase, house.hold):
        with pytest.raises(Refused, match="PIN_REQUIRED"):
            operation("a", 1_000, card="phone")


def test_evidence_is_no_part_of_what_a_request_means():
    """A till may not keep the password, so a repetition comes with another one; the ticket is what it means."""
    house, evidence = code_house()
    command = house.purchase("a", 1_000, card="code", evidence=evidence).command

    assert command.body_hash == replace(command, evidence=WRONG).body_hash  # type: ignore[call-arg]
    assert command.body_hash != replace(command, token=b"other").body_hash  # type: ignore[call-arg]
