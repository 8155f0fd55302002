"""Enrolling and finding members: one member a phone, exactly once, keys first, answers masked."""

import os
from functools import partial
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from structlog.testing import capture_logs

from coalition.domain.errors import LedgerBroken, Refused, StoreUnavailable
from coalition.domain.kinds import Kind
from coalition.domain.members import Reader
from coalition.domain.reasons import Reason
from coalition.membership import phone_book as phone_book_module
from coalition.membership.profile import Profile
from coalition.programme.office import Office
from coalition.storage.programme_store import ProgrammeStore
from keys import create_ring
from tests.membership.desk import PHONE, Desk
from tests.offices import LANES, NOON, House, at_once, reason_of


def key_count(desk: Desk) -> int:
    return int(desk.house.query("SELECT count(*) FROM member_keys", database=desk.house.keydb)[0][0])


def find(desk: Desk, phone: str = PHONE):
    return desk.reception.reading.by_phone(Reader(desk.house.operator_id, "/hq/a"), phone, "COUNTER_SERVICE")


def test_a_member_gets_an_empty_wallet_in_its_lane(desk: Desk):
    enrolment = desk.enrol()

    assert [(enrolment.wallet_id % LANES, 0, "OPEN", desk.house.operator_id)] == desk.house.query(
        "SELECT lane, balance_minor, state, recruiter_id FROM wallets WHERE wallet_id = %s", enrolment.wallet_id
    )
    assert 0 < enrolment.wallet_id < 2**62
    assert 1 == key_count(desk)


def test_a_member_is_found_however_the_phone_is_typed_and_shown_masked(desk: Desk):
    enrolment = desk.enrol("138 1234 1234", "  张   三 ")
    view = find(desk, "+86-138-1234-1234")

    assert (enrolment.member_id, enrolment.wallet_id, "张*", "138****1234", "ACTIVE", "hq") == (
        view.member_id,
        view.wallet_id,
        view.masked_name,
        view.masked_phone,
        view.state,
        view.recruiter,
    )
    assert view == desk.reception.reading.member(
        Reader(desk.house.operator_id, "/hq/a"), enrolment.member_id, "DISPUTE"
    )


def test_every_look_is_logged_with_who_and_why_and_without_what(desk: Desk):
    enrolment = desk.enrol()
    with capture_logs() as logs:
        find(desk)

    assert [
        {
            "event": "member_disclosed",
            "log_level": "info",
            "actor": "/hq/a",
            "member_ids": [str(enrolment.member_id)],
            "purpose": "COUNTER_SERVICE",
        }
    ] == logs


@pytest.mark.parametrize("purpose", ["", "curiosity", "counter_service"])
def test_nobody_looks_without_a_purpose(desk: Desk, purpose):
    enrolment = desk.enrol()

    assert Reason.FIELD_INVALID == reason_of(
        lambda: desk.reception.reading.by_phone(Reader(desk.house.operator_id, "/hq/a"), PHONE, purpose)
    )
    assert Reason.FIELD_INVALID == reason_of(
        lambda: desk.reception.reading.member(Reader(desk.house.operator_id, "/hq/a"), enrolment.member_id, purpose)
    )


def test_who_is_not_enrolled_is_unknown(desk: Desk):
    desk.enrol()

    assert Reason.MEMBER_UNKNOWN == reason_of(lambda: find(desk, "13900000000"))
    assert Reason.MEMBER_UNKNOWN == reason_of(
        lambda: desk.reception.reading.member(Reader(desk.house.operator_id, "/hq/a"), uuid4(), "DISPUTE")
    )


def test_an_enrolment_sent_again_gives_the_same_member(desk: Desk):
    """The random numbers of the second try are thrown away, and its key with them."""
    request_id = uuid4()
    first, again = desk.enrol(request_id=request_id), desk.enrol(request_id=request_id)

    assert (False, True) == (first.replayed, again.replayed)
    assert (first.member_id, first.wallet_id, first.entry_id, first.time) == (
        again.member_id,
        again.wallet_id,
        again.entry_id,
        again.time,
    )
    assert 1 == key_count(desk)


def test_a_request_id_for_another_person_is_refused(desk: Desk):
    request_id = uuid4()
    desk.enrol(request_id=request_id)

    assert Reason.REQUEST_ID_REUSED == reason_of(lambda: desk.enrol("13900000000", request_id=request_id))
    assert 1 == key_count(desk)


def test_one_phone_is_one_member(desk: Desk):
    desk.enrol()
    request_id = uuid4()
    attempt = partial(desk.enrol, "0086 138-1234-1234", "李四", request_id=request_id)

    assert Reason.MEMBER_EXISTS == reason_of(attempt)
    assert Reason.MEMBER_EXISTS == reason_of(attempt)
    assert [(1,)] == desk.house.query("SELECT count(*) FROM members")
    assert 1 == key_count(desk)


def test_of_sixteen_that_enrol_one_phone_at_once_one_wins(desk: Desk):
    """No full-length hash of a phone is stored that could be unique: a lock on the short one must do."""
    reasons = at_once([partial(reason_of, partial(desk.enrol, name=f"张{n}")) for n in range(16)])

    assert [Reason.ACCEPTED] + [Reason.MEMBER_EXISTS] * 15 == sorted(reasons)
    assert [(1,)] == desk.house.query("SELECT count(*) FROM members")
    assert 1 == key_count(desk)


def test_one_request_sent_by_sixteen_at_once_enrols_one_member(desk: Desk):
    request_id = uuid4()
    enrolments = at_once([partial(desk.enrol, request_id=request_id)] * 16)

    assert 1 == len({enrolment.member_id for enrolment in enrolments})
    assert 15 == sum(enrolment.replayed for enrolment in enrolments)
    assert 1 == key_count(desk)


@pytest.fixture
def narrow(house: House, tmp_path: Path) -> Desk:
    """A desk whose index was planned for four members, so that it has one bit."""
    return Desk(house, create_ring(tmp_path / "narrow", random=os.urandom, members=4))


def test_members_that_share_a_blind_index_are_told_apart(narrow: Desk):
    """The index is short on purpose; only the opened record decides."""
    phones = [f"1390000000{n}" for n in range(6)]
    members = {phone: narrow.enrol(phone).member_id for phone in phones}

    assert len(narrow.house.query("SELECT DISTINCT value FROM member_indexes")) <= 2
    assert members == {phone: find(narrow, phone).member_id for phone in phones}
    assert Reason.MEMBER_UNKNOWN == reason_of(lambda: find(narrow, "13900000009"))


def test_an_index_that_has_become_too_short_stops_instead_of_opening_everybody(narrow: Desk, monkeypatch):
    monkeypatch.setattr(phone_book_module, "CANDIDATES_MAX", 2)

    def enrol_seven() -> None:
        for n in range(7):
            narrow.enrol(f"1390000000{n}")

    with pytest.raises(LedgerBroken, match="re-index"):
        enrol_seven()


@pytest.mark.parametrize(
    ("field", "profile"),
    [
        ("name", Profile("", PHONE)),
        ("name", Profile("x" * 121, PHONE)),
        ("name", Profile("a\x00b", PHONE)),
        ("phone", Profile("张三", "12345")),
        ("birth_month", Profile("张三", PHONE, 13)),
        ("birth_month", Profile("张三", PHONE, 0)),
    ],
)
def test_a_malformed_profile_names_the_field_and_stores_nothing(desk: Desk, field, profile):
    with pytest.raises(Refused) as caught:
        desk.reception.enrol(desk.house.act(Kind.MEMBER_ENROLLED), profile, "hq")

    assert (Reason.FIELD_INVALID, field) == (caught.value.reason, caught.value.field)
    assert [] == desk.house.query("SELECT 1 FROM requests")
    assert 0 == key_count(desk)


def test_an_unknown_or_suspended_recruiter_enrols_nobody(desk: Desk):
    office = Office(ProgrammeStore(desk.house.lease(), desk.house.acts()), lambda: NOON)
    office.create_participant(desk.house.act(Kind.PARTICIPANT_CREATED), "cafe", "Cafe", "ALLIANCE")
    office.set_participant_state(desk.house.act(Kind.PARTICIPANT_STATE_CHANGED), "cafe", "SUSPENDED")

    assert Reason.PARTICIPANT_UNKNOWN == reason_of(lambda: desk.enrol(recruiter="bar"))
    assert Reason.SUSPENDED == reason_of(lambda: desk.enrol(recruiter="cafe"))
    assert 0 == key_count(desk)


def test_without_the_key_database_nobody_is_enrolled(desk: Desk, monkeypatch):
    """The key comes first: a sealed record must never be without its key."""

    def silent(*_):
        raise StoreUnavailable("the database does not answer")

    monkeypatch.setattr(desk.keydb, "put", silent)
    with pytest.raises(StoreUnavailable):
        desk.enrol()

    assert [] == desk.house.query("SELECT 1 FROM members UNION ALL SELECT 1 FROM requests")


def test_a_key_that_nobody_got_is_harmless(desk: Desk, monkeypatch):
    """The server may die between the key and the member."""

    def lost(*_):
        raise StoreUnavailable("the database does not answer")

    store = desk.reception._store
    with monkeypatch.context() as broken:
        broken.setattr(type(store), "perform", lost)
        with pytest.raises(StoreUnavailable):
            desk.enrol()
    assert 1 == key_count(desk)

    desk.enrol()
    assert 2 == key_count(desk)


def test_a_member_whose_key_is_destroyed_can_be_read_by_nobody(desk: Desk):
    enrolment = desk.enrol()
    desk.keydb.delete(enrolment.member_id)

    view = desk.reception.reading.member(Reader(desk.house.operator_id, "/hq/a"), enrolment.member_id, "MEMBER_REQUEST")
    assert ("", "") == (view.masked_name, view.masked_phone)
    assert Reason.MEMBER_UNKNOWN == reason_of(lambda: find(desk))
    assert Reason.ACCEPTED == reason_of(desk.enrol)


def test_the_server_may_not_change_a_stored_key(desk: Desk):
    desk.enrol()

    with desk.house.lease(desk.house.keydb)() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("UPDATE member_keys SET kek_version = 2")


def test_no_wrapped_key_is_in_the_ledger(desk: Desk):
    """Else each backup of the ledger would keep what erasing must destroy."""
    assert [] == desk.house.query("SELECT table_name FROM information_schema.tables WHERE table_name = 'member_keys'")


def test_the_journal_does_not_say_whose_a_wallet_is(desk: Desk):
    """Auditors read the journal; only the members table joins a member to a wallet."""
    enrolment, _ = desk.linked()
    answers = [bytes(row[0]).decode() for row in desk.house.query("SELECT answer FROM entries")]

    assert any(str(enrolment.member_id) in answer for answer in answers)
    assert not any(str(enrolment.member_id) in answer and str(enrolment.wallet_id) in answer for answer in answers)
