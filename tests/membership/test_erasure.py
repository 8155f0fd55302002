"""Locking and erasing: what is locked is not used, what is erased opens nowhere, and the journal tells that it was."""

from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from coalition.domain.errors import StoreUnavailable
from coalition.domain.kinds import Kind
from coalition.domain.members import Reader
from coalition.domain.reasons import Reason
from tests.membership.desk import PHONE, Desk
from tests.membership.test_reading import ACCOUNT, consent, revise
from tests.offices import reason_of


def lock(desk: Desk, member_id: UUID, *, is_locked: bool = True) -> Reason:
    act = desk.house.act(Kind.MEMBER_STATE_CHANGED, is_locked=is_locked)
    return reason_of(lambda: desk.reception.erasures.set_state(act, member_id, is_locked=is_locked))


def erase(desk: Desk, member_id: UUID, request_id: UUID | None = None) -> Reason:
    act = desk.house.act(Kind.MEMBER_ERASED, request_id, member_id=str(member_id))
    return reason_of(lambda: desk.reception.erasures.erase(act, member_id))


def look(desk: Desk, member_id: UUID) -> Reason:
    reader = Reader(desk.house.operator_id, "/hq/a")
    return reason_of(lambda: desk.reception.reading.member(reader, member_id, "DISPUTE"))


def set_wallet(desk: Desk, statement: str, wallet_id: int) -> None:
    """As the owner: value is the desk's to move, and no matter of these tests."""
    with psycopg.connect(desk.house.postgres.dsn("coalition", desk.house.ledger), autocommit=True) as connection:
        connection.execute(statement, (wallet_id,))


def test_what_is_locked_is_kept_and_not_used_until_it_is_unlocked(desk: Desk):
    enrolment, number = desk.linked()
    member_id = enrolment.member_id
    assert Reason.ACCEPTED == lock(desk, member_id)
    works = (
        lambda: desk.reception.reading.member(Reader(1, "/hq/a"), member_id, "DISPUTE"),
        lambda: desk.reception.reading.by_phone(Reader(1, "/hq/a"), PHONE, "DISPUTE"),
        lambda: revise(desk, member_id, ACCOUNT),
        lambda: consent(desk, member_id, is_given=True),
    )
    assert [Reason.MEMBER_LOCKED] * 4 == [reason_of(work) for work in works]
    assert Reason.MEMBER_EXISTS == reason_of(desk.enrol), "the phone is taken still"
    assert Reason.ACCEPTED == reason_of(lambda: desk.freeze(number)), "cards and wallet go on"
    assert "张三" == desk.reception.reading.own(Reader(1, "/mg/a"), member_id)[1]["identity"]["name"]

    assert Reason.ACCEPTED == lock(desk, member_id, is_locked=False)
    assert [Reason.ACCEPTED] * 4 == [reason_of(work) for work in works]
    assert Reason.MEMBER_UNKNOWN == lock(desk, uuid4())


def test_an_erased_member_opens_nowhere_and_the_phone_is_free_again(desk: Desk):
    enrolment, number = desk.linked()
    member_id, request_id = enrolment.member_id, uuid4()
    revise(desk, member_id, ACCOUNT)
    assert Reason.ACCEPTED == erase(desk, member_id, request_id)
    assert Reason.ACCEPTED == erase(desk, member_id, request_id), "the same request, the same answer"

    view = desk.reception.reading.member(Reader(1, "/hq/a"), member_id, "DISPUTE")
    assert ("ERASED", "", "") == (view.state, view.masked_name, view.masked_phone)
    assert "REPLACED" == desk.reception.get_card(number).state
    for table in ("member_records", "member_indexes"):
        assert [] == desk.house.query(f"SELECT 1 FROM {table} WHERE member_id = %s", member_id)
    assert [] == desk.house.query("SELECT 1 FROM member_keys", database=desk.house.keydb)
    assert [("CLOSED",)] == desk.house.query("SELECT state FROM wallets")
    assert Reason.MEMBER_ERASED == lock(desk, member_id)
    assert Reason.MEMBER_ERASED == reason_of(lambda: revise(desk, member_id, ACCOUNT))
    assert Reason.MEMBER_ERASED == reason_of(lambda: desk.reception.reading.own(Reader(1, "/mg/a"), member_id))
    assert Reason.MEMBER_UNKNOWN == erase(desk, member_id), "another request"
    assert desk.enrol().member_id != member_id
    told = desk.house.query("SELECT reason FROM entries WHERE kind = %s ORDER BY entry_id", int(Kind.MEMBER_ERASED))
    assert [(Reason.ACCEPTED,), (Reason.MEMBER_UNKNOWN,)] == told


def test_a_locked_member_can_be_erased(desk: Desk):
    member_id = desk.enrol().member_id
    lock(desk, member_id)
    assert Reason.ACCEPTED == erase(desk, member_id)


def test_value_and_the_law_keep_a_member_from_being_erased(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    enrolment = desk.enrol()
    set_wallet(desk, "UPDATE wallets SET balance_minor = 1 WHERE wallet_id = %s", enrolment.wallet_id)
    assert Reason.MEMBER_HAS_VALUE == erase(desk, enrolment.member_id)
    set_wallet(
        desk,
        "UPDATE wallets SET balance_minor = 0, last_entry_id = (SELECT max(entry_id) FROM entries)"
        " WHERE wallet_id = %s",
        enrolment.wallet_id,
    )
    ((last,),) = desk.house.query("SELECT max(time) FROM batches")
    request_id = uuid4()
    monkeypatch.setattr(desk.reception.erasures, "_retention", timedelta(days=10))
    monkeypatch.setattr(desk.reception.erasures, "_clock", lambda: last + timedelta(days=10, seconds=-1))
    assert Reason.RETENTION_NOT_OVER == erase(desk, enrolment.member_id, request_id)
    assert Reason.ACCEPTED == look(desk, enrolment.member_id), "nothing was half done"
    monkeypatch.setattr(desk.reception.erasures, "_clock", lambda: last + timedelta(days=11))
    assert Reason.ACCEPTED == erase(desk, enrolment.member_id, request_id), "not stored: the same request later"


def test_an_erasure_that_a_crash_interrupted_is_finished_later(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """The act is committed, the key is still there: nobody reads, and the next start destroys it."""
    member_id = desk.enrol().member_id

    def lost(*_: object) -> None:
        raise StoreUnavailable("the key database does not answer")

    act = desk.house.act(Kind.MEMBER_ERASED, member_id=str(member_id))
    with monkeypatch.context() as broken:
        broken.setattr(type(desk.keydb), "delete", lost)
        with pytest.raises(StoreUnavailable):
            desk.reception.erasures.erase(act, member_id)
    assert 1 == len(desk.house.query("SELECT 1 FROM member_keys", database=desk.house.keydb))
    assert "" == desk.reception.reading.member(Reader(1, "/hq/a"), member_id, "DISPUTE").masked_name

    assert 1 == desk.reception.erasures.finish()
    assert [] == desk.house.query("SELECT 1 FROM member_keys", database=desk.house.keydb)
    assert [] == desk.house.query("SELECT 1 FROM member_records")
    assert 0 == desk.reception.erasures.finish()
