"""A card's life: issued, linked, frozen, replaced; the wallet stays, the wallet's lock comes first."""

import threading
import time
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from coalition.domain.cards import check_digit, parse_card_number
from coalition.domain.errors import Refused
from coalition.domain.kinds import Kind
from coalition.domain.members import Reader
from coalition.domain.reasons import Reason
from coalition.membership import card_desk
from coalition.membership.card_views import CardOfMember
from tests.membership.desk import Desk
from tests.offices import LANES, at_once, reason_of

GIVEN = "912345678901234" + check_digit("912345678901234")
OTHER = "4111111111111111"


def card_rows(desk: Desk) -> list[tuple[Any, ...]]:
    return desk.house.query("SELECT lane, card_id, wallet_id, last_four, state, replaced_by FROM cards ORDER BY state")


def test_an_issued_card_has_a_good_number_and_pays_nothing_yet(desk: Desk):
    answer = desk.issue()

    assert answer.number is not None
    assert answer.number == parse_card_number(answer.number)
    assert (answer.number[-4:], "ISSUED", "hq", None, None) == (
        answer.card.last_four,
        answer.card.state,
        answer.card.issuer,
        answer.card.wallet_id,
        answer.card.member_id,
    )
    assert answer.card == desk.reception.get_card(answer.number)
    assert [(answer.card.card_id % LANES,)] == desk.house.query("SELECT lane FROM cards")


def test_a_card_issued_again_has_the_same_number_though_nobody_stored_it(desk: Desk):
    """The number is derived from the request under a key, so a lost reply costs nothing."""
    request_id = uuid4()
    first, again = desk.issue(request_id=request_id), desk.issue(request_id=request_id)

    assert (False, True) == (first.replayed, again.replayed)
    assert (first.number, first.card, first.entry_id) == (again.number, again.card, again.entry_id)
    assert first.number != desk.issue().number


def test_a_number_of_our_own_that_is_taken_is_drawn_again(desk: Desk, monkeypatch):
    taken = desk.issue(OTHER)
    numbers = {0: OTHER, 1: GIVEN}
    monkeypatch.setattr(card_desk.CardDesk, "_made", lambda self, act, draw: numbers[draw])
    request_id = uuid4()

    assert [GIVEN, GIVEN] == [desk.issue(request_id=request_id).number for _ in range(2)]
    assert taken.card == desk.reception.get_card(OTHER)


def test_a_given_number_is_issued_once(desk: Desk):
    assert GIVEN == desk.issue(GIVEN).number
    assert Reason.CARD_NUMBER_TAKEN == reason_of(lambda: desk.issue(f"{GIVEN[:4]} {GIVEN[4:]}"))
    assert Reason.FIELD_INVALID == reason_of(lambda: desk.issue(GIVEN[:-1] + "0123456789"[int(GIVEN[-1]) - 1]))


def test_of_sixteen_that_issue_one_number_at_once_one_wins(desk: Desk):
    reasons = at_once([partial(reason_of, partial(desk.issue, GIVEN))] * 16)

    assert [Reason.ACCEPTED] + [Reason.CARD_NUMBER_TAKEN] * 15 == sorted(reasons)


def test_an_unknown_issuer_issues_nothing(desk: Desk):
    act = desk.house.act(Kind.CARD_ISSUED)

    assert Reason.PARTICIPANT_UNKNOWN == reason_of(lambda: desk.reception.issue_card(act, "bar"))


def test_a_linked_card_lies_in_its_wallets_lane_and_its_credential_follows(desk: Desk):
    """A purchase reads the pointer, locks the wallet, and finds the card beside it."""
    enrolment, number = desk.linked()
    lane = enrolment.wallet_id % LANES

    view = desk.reception.get_card(number)
    assert [(lane, view.card_id, enrolment.wallet_id, number[-4:], "ACTIVE", None)] == card_rows(desk)
    assert [(lane, enrolment.wallet_id, view.card_id)] == desk.house.query(
        "SELECT lane, wallet_id, card_id FROM credentials WHERE token = %s", desk.ring.card_token(number)
    )
    assert ("ACTIVE", enrolment.wallet_id, enrolment.member_id) == (view.state, view.wallet_id, view.member_id)
    shown = desk.reception.reading.member(
        Reader(desk.house.operator_id, "/hq/a"), enrolment.member_id, "COUNTER_SERVICE"
    ).cards
    assert [(view.card_id, "ACTIVE")] == [(card.card_id, card.state) for card in shown]


def test_a_link_sent_again_is_done_once(desk: Desk):
    member_id, number, request_id = desk.enrol().member_id, desk.issue(GIVEN).number, uuid4()
    assert number is not None
    first, again = desk.link(number, member_id, request_id), desk.link(number, member_id, request_id)

    assert (False, True) == (first.replayed, again.replayed)
    assert first.card == again.card


def test_a_card_is_linked_to_one_member_for_ever(desk: Desk):
    enrolment, number = desk.linked()
    other = desk.enrol("13900000000")

    assert Reason.CARD_ALREADY_LINKED == reason_of(lambda: desk.link(number, other.member_id))
    assert Reason.CARD_ALREADY_LINKED == reason_of(lambda: desk.link(number, enrolment.member_id))
    assert Reason.CARD_UNKNOWN == reason_of(lambda: desk.link(OTHER, other.member_id))
    assert Reason.MEMBER_UNKNOWN == reason_of(lambda: desk.link(number, uuid4()))


def test_of_many_members_that_get_one_card_at_once_one_has_it(desk: Desk):
    members = [desk.enrol(f"1390000000{n}") for n in range(8)]
    desk.issue(GIVEN)
    reasons = at_once([partial(reason_of, partial(desk.link, GIVEN, member.member_id)) for member in members])

    winner = members[reasons.index(Reason.ACCEPTED)]
    assert [Reason.ACCEPTED] + [Reason.CARD_ALREADY_LINKED] * 7 == sorted(reasons)
    assert winner.member_id == desk.reception.get_card(GIVEN).member_id


def test_a_closed_wallet_takes_no_card(desk: Desk):
    enrolment, number = desk.linked()
    with desk.house.lease()() as connection:
        connection.execute("UPDATE wallets SET state = 'CLOSED' WHERE wallet_id = %s", (enrolment.wallet_id,))
    desk.issue(GIVEN)

    assert Reason.WALLET_CLOSED == reason_of(lambda: desk.link(GIVEN, enrolment.member_id))
    assert Reason.WALLET_CLOSED == reason_of(lambda: desk.replace(number))
    assert Reason.ACCEPTED == reason_of(lambda: desk.freeze(number))


def test_a_card_is_frozen_and_lives_again(desk: Desk):
    _, number = desk.linked()

    assert "FROZEN" == desk.freeze(number).card.state
    assert "FROZEN" == desk.reception.get_card(number).state
    with pytest.raises(Refused) as caught:
        desk.freeze(number)
    assert (Reason.CARD_STATE_CONFLICT, "FROZEN") == (caught.value.reason, caught.value.metadata["state"])
    assert "ACTIVE" == desk.unfreeze(number).card.state
    assert Reason.CARD_STATE_CONFLICT == reason_of(lambda: desk.unfreeze(number))


def test_a_lost_card_is_frozen_without_its_number(desk: Desk):
    """Who has lost a card cannot read its number; the member is found by phone and shows which cards there are."""
    enrolment, number = desk.linked()
    stranger = desk.enrol("13900000000")
    card_id = desk.reception.get_card(number).card_id

    assert Reason.CARD_UNKNOWN == reason_of(lambda: desk.freeze(CardOfMember(stranger.member_id, card_id)))
    assert Reason.MEMBER_UNKNOWN == reason_of(lambda: desk.freeze(CardOfMember(uuid4(), card_id)))
    assert "FROZEN" == desk.freeze(CardOfMember(enrolment.member_id, card_id)).card.state
    assert "ACTIVE" == desk.replace(CardOfMember(enrolment.member_id, card_id)).card.state
    assert "REPLACED" == desk.reception.get_card(number).state


def test_the_journal_files_what_was_done_to_cards_under_their_wallet(desk: Desk):
    """Whose wallet it is the journal never says; an issued card has none yet, and a refused act changed none."""
    enrolment, number = desk.linked()
    desk.freeze(number)
    assert Reason.CARD_STATE_CONFLICT == reason_of(lambda: desk.freeze(number))
    old, new = desk.reception.get_card(number), desk.replace(number).card
    wallet, lane = enrolment.wallet_id, enrolment.wallet_id % LANES

    entries = desk.house.query("SELECT kind, wallet_id, card_id, lane FROM entries WHERE kind > 110 ORDER BY entry_id")
    assert [
        (Kind.CARD_ISSUED, None, old.card_id),
        (Kind.CARD_LINKED, wallet, old.card_id),
        (Kind.CARD_FROZEN, wallet, old.card_id),
        (Kind.CARD_FROZEN, None, None),
        (Kind.CARD_REPLACED, wallet, new.card_id),
    ] == [row[:3] for row in entries]
    assert {lane} == {row[3] for row in entries if row[1] is not None}
    assert [] == desk.house.query("SELECT 1 FROM entries WHERE entry_id & 1023 <> lane")


def test_an_unknown_or_unlinked_card_is_neither_frozen_nor_replaced(desk: Desk):
    desk.issue(GIVEN)

    for change in (desk.freeze, desk.unfreeze, desk.replace):
        assert Reason.CARD_NOT_LINKED == reason_of(partial(change, GIVEN))
        assert Reason.CARD_UNKNOWN == reason_of(partial(change, OTHER))
    assert Reason.CARD_UNKNOWN == reason_of(lambda: desk.reception.get_card(OTHER))


@pytest.mark.parametrize("frozen", [False, True])
def test_a_replaced_card_is_dead_and_the_wallet_stays(desk: Desk, frozen):
    enrolment, number = desk.linked()
    if frozen:
        desk.freeze(number)
    request_id = uuid4()
    answer, again = desk.replace(number, request_id=request_id), desk.replace(number, request_id=request_id)

    assert answer.number is not None
    assert (answer.number, answer.card) == (again.number, again.card)
    old, new = desk.reception.get_card(number), desk.reception.get_card(answer.number)
    assert ("REPLACED", new.card_id) == (old.state, old.replaced_by)
    assert ("ACTIVE", enrolment.wallet_id, enrolment.member_id, "hq") == (
        new.state,
        new.wallet_id,
        new.member_id,
        new.issuer,
    )
    assert {enrolment.wallet_id % LANES} == {row[0] for row in card_rows(desk)}
    for change in (desk.freeze, desk.unfreeze, desk.replace):
        assert Reason.CARD_REPLACED == reason_of(partial(change, number))


def test_a_card_is_replaced_by_one_from_stock_or_by_a_new_number(desk: Desk):
    enrolment, number = desk.linked()
    stock = desk.issue(GIVEN)
    replaced = desk.replace(number, GIVEN)
    assert (stock.card.card_id, GIVEN, enrolment.wallet_id) == (
        replaced.card.card_id,
        replaced.number,
        replaced.card.wallet_id,
    )

    assert OTHER == desk.replace(GIVEN, OTHER).number
    assert Reason.CARD_ALREADY_LINKED == reason_of(lambda: desk.replace(OTHER, GIVEN))
    assert Reason.CARD_ALREADY_LINKED == reason_of(lambda: desk.replace(OTHER, OTHER))
    assert "ACTIVE" == desk.reception.get_card(OTHER).state


def test_of_sixteen_that_replace_one_card_at_once_one_wins(desk: Desk):
    _, number = desk.linked()
    reasons = at_once([partial(reason_of, partial(desk.replace, number))] * 16)

    assert [Reason.ACCEPTED] + [Reason.CARD_REPLACED] * 15 == sorted(reasons)
    assert ["ACTIVE", "REPLACED"] == [row[4] for row in card_rows(desk)]


@pytest.mark.parametrize("change", ["freeze", "replace", "link"])
def test_a_change_of_a_card_waits_for_the_wallet(desk: Desk, change):
    """A desk decides under the wallet's lock: a freeze that did not wait could be acknowledged before a purchase."""
    enrolment, number = desk.linked()
    desk.issue(GIVEN)
    works = {
        "freeze": partial(desk.freeze, number),
        "replace": partial(desk.replace, number),
        "link": partial(desk.link, GIVEN, enrolment.member_id),
    }
    done = threading.Event()
    before = card_rows(desk)

    def run() -> None:
        works[change]()
        done.set()

    with desk.house.lease()() as teller:
        with teller.transaction():
            teller.execute(
                "SELECT 1 FROM wallets WHERE lane = %s AND wallet_id = %s FOR UPDATE",
                (enrolment.wallet_id % LANES, enrolment.wallet_id),
            )
            thread = threading.Thread(target=run)
            thread.start()
            while not desk.house.query(
                "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'", desk.house.ledger
            ):
                assert not done.is_set()
                time.sleep(0.01)
            # It waits for the wallet, and holds no card meanwhile: a purchase may read it.
            teller.execute("SELECT 1 FROM cards FOR UPDATE NOWAIT")
            assert before == card_rows(desk)
        thread.join()

    assert done.is_set()
    assert before != card_rows(desk)


def test_freezes_and_thaws_at_once_leave_one_of_the_two_states(desk: Desk):
    _, number = desk.linked()
    at_once([partial(reason_of, partial(work, number)) for work in (desk.freeze, desk.unfreeze) * 8])

    frozen, thawed = (
        desk.house.query("SELECT count(*) FROM entries WHERE kind = %s AND reason = 0", kind)[0][0]
        for kind in (Kind.CARD_FROZEN, Kind.CARD_UNFROZEN)
    )
    assert frozen - thawed == (1 if desk.reception.get_card(number).state == "FROZEN" else 0)
