"""One person, enrolled twice, becomes one member: cards follow, data stays as history, nothing happens by half."""

from uuid import UUID

import pytest

from coalition.domain.kinds import Kind
from coalition.domain.members import Reader
from coalition.domain.reasons import Reason
from coalition.membership.field_groups import Contact
from coalition.membership.profile import MemberView
from tests.membership.desk import Desk
from tests.offices import at_once, reason_of

OTHER = "13900000001"


def merge(desk: Desk, old: UUID, new: UUID, purpose: str = "MEMBER_REQUEST") -> int:
    act = desk.house.act(Kind.MEMBERS_MERGED, old=str(old), new=str(new))
    answer = desk.reception.merges.merge(act, old, new, purpose)
    return int(str(answer.answer["cards_moved"]))


def view(desk: Desk, member_id: UUID) -> MemberView:
    return desk.reception.reading.member(Reader(desk.house.operator_id, "/hq/a"), member_id, "DISPUTE")


def wallet(desk: Desk, wallet_id: int) -> tuple[str, int | None]:
    return desk.house.query(f"SELECT state, merged_into FROM wallets WHERE wallet_id = {wallet_id}")[0]


def test_cards_lead_to_the_other_wallet_and_the_old_one_says_where_its_value_goes(desk: Desk):
    (old, number), (new, other) = desk.linked(), desk.linked(OTHER)
    assert 1 == merge(desk, old.member_id, new.member_id)
    assert ("CLOSED", new.wallet_id) == wallet(desk, old.wallet_id)
    card = desk.reception.get_card(number)
    assert (new.member_id, new.wallet_id, "ACTIVE") == (card.member_id, card.wallet_id, card.state)
    desk.freeze(number)
    desk.freeze(other)
    rows = "SELECT count(*) FROM cards c JOIN credentials k USING (lane, card_id, wallet_id) WHERE wallet_id = "
    assert 2 == desk.house.query(f"{rows}{new.wallet_id}")[0][0]


def test_the_old_members_data_is_history_that_can_be_read_and_not_changed(desk: Desk):
    old, new = desk.enrol(), desk.enrol(OTHER)
    merge(desk, old.member_id, new.member_id)
    seen = view(desk, old.member_id)
    assert ("MERGED", new.member_id, "张*") == (seen.state, seen.merged_into, seen.masked_name)
    assert "ACTIVE" == view(desk, new.member_id).state
    act = desk.house.act(Kind.MEMBER_REVISED)
    assert Reason.MERGE_CONFLICT == reason_of(
        lambda: desk.reception.files.revise(act, old.member_id, Contact("13700000000"))
    )
    for member in (old, new):
        accesses = desk.reception.reading.accesses(member.member_id, None, 10)
        assert Kind.MEMBERS_MERGED in {access.kind for access in accesses}


def test_devices_and_phone_of_the_old_member_pay_no_more(desk: Desk):
    old, new = desk.enrol(), desk.enrol(OTHER)
    desk.reception.add_phone(desk.house.act(Kind.CREDENTIAL_ADDED, at=1), "hq", old.member_id)
    desk.reception.add_phone(desk.house.act(Kind.CREDENTIAL_ADDED, at=2), "hq", new.member_id)
    merge(desk, old.member_id, new.member_id)
    assert desk.reception.phone_handle(f"+86{OTHER}") is not None
    assert desk.reception.phone_handle("+8613812341234") is None


def test_a_verified_name_goes_along(desk: Desk):
    old, new = desk.enrol(), desk.enrol(OTHER)
    desk.reception.verify(desk.house.act(Kind.MEMBER_VERIFIED), old.member_id)
    merge(desk, old.member_id, new.member_id)
    assert view(desk, new.member_id).real_name_verified


@pytest.mark.parametrize(("state", "reason"), [("LOCKED", Reason.MEMBER_LOCKED), ("MERGED", Reason.MERGE_CONFLICT)])
def test_a_member_that_is_locked_or_was_merged_takes_part_in_no_merge(desk: Desk, state: str, reason: Reason):
    one, other, third = desk.enrol(), desk.enrol(OTHER), desk.enrol("13900000002")
    if state == "MERGED":
        merge(desk, one.member_id, third.member_id)
    else:
        act = desk.house.act(Kind.MEMBER_STATE_CHANGED)
        desk.reception.erasures.set_state(act, one.member_id, is_locked=True)
    assert reason == reason_of(lambda: merge(desk, one.member_id, other.member_id))
    assert reason == reason_of(lambda: merge(desk, other.member_id, one.member_id))


def test_what_does_not_fit_is_refused_with_the_field(desk: Desk):
    one = desk.enrol()
    assert Reason.FIELD_INVALID == reason_of(lambda: merge(desk, one.member_id, one.member_id))
    assert Reason.MEMBER_UNKNOWN == reason_of(lambda: merge(desk, one.member_id, UUID(int=1)))
    assert Reason.FIELD_INVALID == reason_of(lambda: merge(desk, one.member_id, UUID(int=1), "CURIOSITY"))


def test_two_members_that_are_merged_into_each_other_at_once_become_one(desk: Desk):
    one, other = desk.enrol(), desk.enrol(OTHER)

    def attempt(old: UUID, new: UUID) -> object:
        try:
            return merge(desk, old, new)
        except Exception as refused:  # noqa: BLE001 - told below
            return getattr(refused, "reason", refused)

    ended = at_once([lambda: attempt(one.member_id, other.member_id), lambda: attempt(other.member_id, one.member_id)])
    assert sorted(map(str, [0, Reason.MERGE_CONFLICT])) == sorted(map(str, ended))
    assert 1 == len(desk.house.query("SELECT 1 FROM wallets WHERE merged_into IS NOT NULL"))


def test_who_waits_for_merged_value_is_not_erased(desk: Desk):
    """What is under way, or lies still in the old wallet, is the member's."""
    old, new = desk.enrol(), desk.enrol(OTHER)
    merge(desk, old.member_id, new.member_id)
    desk.house.query(f"UPDATE wallets SET balance_minor = 5 WHERE wallet_id = {old.wallet_id} RETURNING 1")
    act = desk.house.act(Kind.ERASURE_REQUESTED)
    assert Reason.MEMBER_HAS_VALUE == reason_of(lambda: desk.reception.erasures.request(act, new.member_id))


def test_passes_and_points_stay_so_their_wallet_is_not_merged_and_a_pass_is_value(desk: Desk):
    """Neither moves by a merge (decisions 0037, 0038): they are used or paid out first. Points are no money."""
    old, new = desk.enrol(), desk.enrol(OTHER)
    wallet = desk.house.query(f"SELECT lane, wallet_id FROM wallets WHERE wallet_id = {old.wallet_id}")[0]
    desk.house.query("INSERT INTO points VALUES (%s, %s, 7, -3) RETURNING 1", *wallet)
    assert Reason.WALLET_HAS_POINTS == reason_of(lambda: merge(desk, old.member_id, new.member_id))
    desk.house.query(
        "INSERT INTO passes (lane, wallet_id, pass_id, issuer_id, custodian_id, seller_id, terms_id, terms_version,"
        " visits_sold, price_minor, visits, principal) VALUES (%s, %s, 1, 3, 3, 3, 1, 1, 3, 100, 2, 67) RETURNING 1",
        *wallet,
    )
    assert Reason.WALLET_HAS_PASSES == reason_of(lambda: merge(desk, old.member_id, new.member_id))
    act = desk.house.act(Kind.ERASURE_REQUESTED)
    assert Reason.MEMBER_HAS_VALUE == reason_of(lambda: desk.reception.erasures.request(act, old.member_id))
