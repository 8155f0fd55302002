"""Locking and erasing: what is locked is not used, what is erased opens nowhere, and the journal tells that it was."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from coalition.domain import approvals
from coalition.domain.errors import StoreUnavailable
from coalition.domain.kinds import Kind
from coalition.domain.members import Reader
from coalition.domain.reasons import Reason
from coalition.membership.erasure_desk import OPEN_FOR
from tests.membership.desk import PHONE, Desk
from tests.membership.test_reading import ACCOUNT, consent, revise
from tests.offices import NOON, reason_of


def lock(desk: Desk, member_id: UUID, *, is_locked: bool = True) -> Reason:
    act = desk.house.act(Kind.MEMBER_STATE_CHANGED, is_locked=is_locked)
    return reason_of(lambda: desk.reception.erasures.set_state(act, member_id, is_locked=is_locked))


def ask(desk: Desk, member_id: UUID, request_id: UUID | None = None, actor: str = "/op/hq") -> Reason:
    act = desk.house.act(Kind.ERASURE_REQUESTED, request_id, actor, member_id=str(member_id))
    return reason_of(lambda: desk.reception.erasures.request(act, member_id))


def approve(desk: Desk, member_id: UUID, request_id: UUID | None = None, actor: str = "/ap/ben") -> Reason:
    act = desk.house.act(Kind.MEMBER_ERASED, request_id, actor, member_id=str(member_id))
    return reason_of(lambda: desk.reception.erasures.approve(act, member_id))


def told(desk: Desk, kind: Kind) -> list[tuple[str, dict[str, Any]]]:
    """Who did an act of this kind, and what it tells."""
    rows = desk.house.query("SELECT actor, answer FROM entries WHERE kind = %s ORDER BY entry_id", int(kind))
    return [(actor, json.loads(bytes(answer))["answer"]) for actor, answer in rows]


def look(desk: Desk, member_id: UUID) -> Reason:
    reader = Reader(desk.house.operator_id, "/hq/a")
    return reason_of(lambda: desk.reception.reading.member(reader, member_id, "DISPUTE"))


def owner(desk: Desk, statement: str, *parameters: object) -> None:
    """As the owner: value is the desk's to move and disputes are settlement's, no matter of these tests."""
    with psycopg.connect(desk.house.postgres.dsn("coalition", desk.house.ledger), autocommit=True) as connection:
        connection.execute(statement, parameters)


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
    assert Reason.ACCEPTED == ask(desk, member_id)
    assert Reason.ACCEPTED == approve(desk, member_id, request_id)
    assert Reason.ACCEPTED == approve(desk, member_id, request_id), "the same request, the same answer"

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
    assert [Reason.MEMBER_UNKNOWN] * 2 == [ask(desk, member_id), approve(desk, member_id)], "another request"
    assert desk.enrol().member_id != member_id
    ends = desk.house.query("SELECT reason FROM entries WHERE kind = %s ORDER BY entry_id", int(Kind.MEMBER_ERASED))
    assert [(Reason.ACCEPTED,), (Reason.MEMBER_UNKNOWN,)] == ends


def test_a_locked_member_can_be_erased(desk: Desk):
    member_id = desk.enrol().member_id
    lock(desk, member_id)
    assert [Reason.ACCEPTED] * 2 == [ask(desk, member_id), approve(desk, member_id)]


def test_nothing_is_erased_before_another_person_agrees(desk: Desk):
    """RELIABILITY 5.8: dual control. The journal names both."""
    member_id = desk.enrol().member_id
    assert Reason.ERASURE_NOT_REQUESTED == approve(desk, member_id)
    assert Reason.ACCEPTED == ask(desk, member_id, actor="/op/wang")
    assert Reason.ACCEPTED == ask(desk, member_id, actor="/op/liu"), "it is one request, of who asked first"
    assert Reason.ACCEPTED == look(desk, member_id)
    assert 1 == len(desk.house.query("SELECT 1 FROM member_keys", database=desk.house.keydb))
    assert [str(member_id)] == [request.name for request in desk.reception.erasures.requests(0, 10)]
    assert Reason.APPROVER_NOT_ANOTHER == approve(desk, member_id, actor="/ap/wang"), "one person in two roles"

    assert Reason.ACCEPTED == approve(desk, member_id)
    assert ["/op/wang", "/op/wang"] == [each["requester"] for _, each in told(desk, Kind.ERASURE_REQUESTED)]
    both = {"approver": "/ap/ben", "member_id": str(member_id), "requester": "/op/wang"}
    assert [("/ap/ben", both)] == told(desk, Kind.MEMBER_ERASED)
    assert [] == desk.reception.erasures.requests(0, 10)


def test_the_tables_keep_one_person_from_erasing_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """Where the rule were broken, the constraint is not."""
    member_id = desk.enrol().member_id
    ask(desk, member_id, actor="/op/wang")
    monkeypatch.setattr(approvals, "same_person", lambda one, other: False)
    with pytest.raises(psycopg.errors.CheckViolation, match="approval_steps_check"):
        approve(desk, member_id, actor="/ap/wang")
    assert Reason.ACCEPTED == look(desk, member_id)


def test_a_request_that_nobody_agreed_to_in_time_is_over(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    member_id = desk.enrol().member_id
    assert Reason.ACCEPTED == ask(desk, member_id, actor="/mg/portal"), "the member's own wish"
    monkeypatch.setattr(desk.reception.erasures, "_clock", lambda: NOON + OPEN_FOR)
    assert Reason.ERASURE_NOT_REQUESTED == approve(desk, member_id)
    assert [Reason.ACCEPTED] * 2 == [ask(desk, member_id), approve(desk, member_id)]
    assert ["/op/hq"] == [each["requester"] for _, each in told(desk, Kind.MEMBER_ERASED)]


def test_a_sale_in_dispute_keeps_its_member_from_being_erased(desk: Desk):
    """RELIABILITY T28: erasing is no way to wipe the traces of a fraud."""
    enrolment, number = desk.linked()
    member_id = enrolment.member_id
    assert Reason.ACCEPTED == ask(desk, member_id)
    desk.freeze(number)
    owner(
        desk,
        """
        INSERT INTO disputes (dispute_id, entry_id, calendar, participant_id, against_id, amount_minor, evidence,
            evidence_sha256, opener, open_time)
        SELECT gen_random_uuid(), max(entry_id), 'monthly', 1, 2, 5, '', '', '/hq/a', now()
        FROM entries WHERE wallet_id IS NOT NULL
        """,
    )
    assert [Reason.MEMBER_HAS_DISPUTE] * 2 == [ask(desk, member_id), approve(desk, member_id)]
    owner(desk, "UPDATE disputes SET state = 'WITHDRAWN'")
    assert Reason.ACCEPTED == approve(desk, member_id)


def test_value_and_the_law_keep_a_member_from_being_erased(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    enrolment = desk.enrol()
    assert Reason.ACCEPTED == ask(desk, enrolment.member_id)
    owner(desk, "UPDATE wallets SET balance_minor = 1 WHERE wallet_id = %s", enrolment.wallet_id)
    assert Reason.MEMBER_HAS_VALUE == ask(desk, enrolment.member_id)
    assert Reason.MEMBER_HAS_VALUE == approve(desk, enrolment.member_id), "it came after the request"
    owner(
        desk,
        "UPDATE wallets SET balance_minor = 0, last_entry_id = (SELECT max(entry_id) FROM entries)"
        " WHERE wallet_id = %s",
        enrolment.wallet_id,
    )
    ((last,),) = desk.house.query("SELECT max(time) FROM batches")
    request_id = uuid4()
    monkeypatch.setattr(desk.reception.erasures, "_retention", timedelta(days=10))

    def at(time: datetime) -> None:
        monkeypatch.setattr(desk.reception.erasures, "_clock", lambda: time)

    too_early, over = last + timedelta(days=10, seconds=-1), last + timedelta(days=10)
    at(too_early)
    assert Reason.RETENTION_NOT_OVER == ask(desk, enrolment.member_id, request_id)
    at(over)
    assert Reason.ACCEPTED == ask(desk, enrolment.member_id, request_id), "not stored: the same request later"
    at(too_early)
    assert Reason.RETENTION_NOT_OVER == approve(desk, enrolment.member_id)
    assert Reason.ACCEPTED == look(desk, enrolment.member_id), "nothing was half done"
    at(over)
    assert Reason.ACCEPTED == approve(desk, enrolment.member_id)


def test_an_erasure_that_a_crash_interrupted_is_finished_later(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """The act is committed, the key is still there: nobody reads, and the next start destroys it."""
    member_id = desk.enrol().member_id

    def lost(*_: object) -> None:
        raise StoreUnavailable("the key database does not answer")

    ask(desk, member_id)
    with monkeypatch.context() as broken:
        broken.setattr(type(desk.keydb), "delete", lost)
        with pytest.raises(StoreUnavailable):
            approve(desk, member_id)
    assert 1 == len(desk.house.query("SELECT 1 FROM member_keys", database=desk.house.keydb))
    assert "" == desk.reception.reading.member(Reader(1, "/hq/a"), member_id, "DISPUTE").masked_name

    assert 1 == desk.reception.erasures.finish()
    assert [] == desk.house.query("SELECT 1 FROM member_keys", database=desk.house.keydb)
    assert [] == desk.house.query("SELECT 1 FROM member_records")
    assert 0 == desk.reception.erasures.finish()
