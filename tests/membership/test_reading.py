"""Every look at a member leaves its act before anything is told: who, whom, which groups, why, and nothing personal."""

import json
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from coalition.bootstrap.exporting import ExportNotOpened, opened_disclosure
from coalition.domain.errors import StoreUnavailable
from coalition.domain.kinds import Kind
from coalition.domain.members import Reader
from coalition.domain.reasons import Reason
from coalition.membership.disclosure_desk import OPEN_FOR, RECORDS_MAX
from coalition.membership.field_groups import Attributes, Contact, Identity, Part, RefundAccount
from coalition.membership.sealed_lines import key_hash
from keys import generate_box_key
from tests.membership.desk import PHONE, Desk
from tests.offices import NOON, dump, reason_of

KEY = generate_box_key()[1]
ACCOUNT = RefundAccount("中国银行", "6217 0000 1234 5678", "张三")


def reader(desk: Desk, actor: str = "/hq/a") -> Reader:
    return Reader(desk.house.operator_id, actor)


def leaves(desk: Desk) -> list[tuple[str, Reason, dict[str, Any]]]:
    """The acts of disclosure in the journal's order."""
    rows = desk.house.query(
        "SELECT actor, reason, answer FROM entries WHERE kind = %s ORDER BY entry_id", int(Kind.DISCLOSED)
    )
    return [(actor, Reason(reason), json.loads(bytes(answer))["answer"]) for actor, reason, answer in rows]


def revise(desk: Desk, member_id: UUID, part: Part) -> None:
    desk.reception.files.revise(desk.house.act(Kind.MEMBER_REVISED, group=part.group), member_id, part)


def consent(desk: Desk, member_id: UUID, *, is_given: bool, version: str = "2017-01") -> None:
    act = desk.house.act(Kind.CONSENT_SET, is_given=is_given)
    desk.reception.files.consent(act, member_id, "MARKETING", version, is_given=is_given)


def test_a_look_leaves_who_whom_which_groups_and_why(desk: Desk):
    member_id = desk.enrol().member_id
    desk.reception.reading.member(reader(desk), member_id, "DISPUTE")
    desk.reception.reading.by_phone(reader(desk, "/ts/b/1"), PHONE, "FRAUD_CHECK", ("contact",))

    told = {"field_groups": ["identity", "contact"], "member_ids": [str(member_id)], "purpose": "DISPUTE"}
    by_phone = {"field_groups": ["contact"], "member_ids": [str(member_id)], "purpose": "FRAUD_CHECK"}
    assert [("/hq/a", Reason.ACCEPTED, told), ("/ts/b/1", Reason.ACCEPTED, by_phone)] == leaves(desk)


def test_a_look_that_finds_nobody_is_an_act_too_and_does_not_tell_the_phone(desk: Desk):
    """Else phones could be tried out without a trace."""
    for work in (
        lambda: desk.reception.reading.by_phone(reader(desk), PHONE, "DISPUTE"),
        lambda: desk.reception.reading.member(reader(desk), uuid4(), "DISPUTE"),
    ):
        assert Reason.MEMBER_UNKNOWN == reason_of(work)

    assert [Reason.MEMBER_UNKNOWN] * 2 == [reason for _, reason, _ in leaves(desk)]
    assert PHONE.encode() not in dump(desk.house.postgres, desk.house.ledger)


def test_nothing_is_told_where_the_act_cannot_be_written(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    member_id = desk.enrol().member_id
    opened: list[object] = []
    reading = desk.reception.reading

    def lost(*_: object) -> None:
        raise StoreUnavailable("the database does not answer")

    monkeypatch.setattr(type(desk.reception._store), "perform", lost)
    monkeypatch.setattr(reading, "_view", lambda *_: opened.append("seen"))
    with pytest.raises(StoreUnavailable):
        reading.member(reader(desk), member_id, "DISPUTE")
    assert [] == opened


def test_each_group_is_shown_masked_and_only_when_it_is_asked_for(desk: Desk):
    member_id = desk.enrol().member_id
    revise(desk, member_id, ACCOUNT)
    revise(desk, member_id, Attributes({"favourite_store": "bakery"}))
    consent(desk, member_id, is_given=True)
    glance = desk.reception.reading.member(reader(desk), member_id, "DISPUTE")
    whole = desk.reception.reading.member(
        reader(desk), member_id, "DISPUTE", ("attributes", "consents", "refund_account")
    )

    assert ("张*", "138****1234", "", (), {}) == (
        glance.masked_name,
        glance.masked_phone,
        glance.masked_account,
        glance.consents,
        glance.attributes,
    )
    assert ("", "", "**** 5678", {"favourite_store": "bakery"}) == (
        whole.masked_name,
        whole.masked_phone,
        whole.masked_account,
        whole.attributes,
    )
    assert [("MARKETING", True, "2017-01", NOON)] == [
        (each.purpose, each.is_given, each.notice_version, each.set_time) for each in whole.consents
    ]
    assert "consents,refund_account,attributes" == ",".join(leaves(desk)[-1][2]["field_groups"])


def test_a_change_is_a_new_revision_and_the_journal_has_the_hash_of_its_ciphertext(desk: Desk):
    member_id = desk.enrol().member_id
    for name in ("李四", "王五"):
        revise(desk, member_id, Identity(name, 7))
    assert "王*" == desk.reception.reading.member(reader(desk), member_id, "DISPUTE").masked_name

    stored = desk.house.query(
        "SELECT field_group, revision, encode(sha256(sealed), 'hex') FROM member_records WHERE field_group = 'identity'"
        " ORDER BY revision"
    )
    assert [1, 2, 3] == [revision for _, revision, _ in stored]
    acts = desk.house.query(
        "SELECT answer FROM entries WHERE kind = ANY(%s) ORDER BY entry_id",
        [int(Kind.MEMBER_ENROLLED), int(Kind.MEMBER_REVISED)],
    )
    told = [record for (answer,) in acts for record in json.loads(bytes(answer))["answer"]["records"]]
    assert [list(row) for row in stored] == [record for record in told if record[0] == "identity"]


def test_a_new_phone_finds_the_member_and_the_old_one_nobody(desk: Desk):
    member_id = desk.enrol().member_id
    desk.enrol("13900000001")
    revise(desk, member_id, Contact("13900000002"))

    assert member_id == desk.reception.reading.by_phone(reader(desk), "13900000002", "DISPUTE").member_id
    assert Reason.MEMBER_UNKNOWN == reason_of(lambda: desk.reception.reading.by_phone(reader(desk), PHONE, "DISPUTE"))
    assert Reason.MEMBER_EXISTS == reason_of(lambda: revise(desk, member_id, Contact("13900000001")))


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (RefundAccount("Bank", "12", "Ada"), "refund_account.number"),
        (RefundAccount("", "62170000", "Ada"), "refund_account.bank"),
        (Attributes({"Name": "x"}), "attributes"),
        (Attributes({f"a{number}": "x" for number in range(17)}), "attributes"),
        (Identity("Ada", 13), "birth_month"),
    ],
)
def test_a_part_that_is_malformed_is_refused_by_its_field(part: Part, field: str):
    with pytest.raises(Exception, match=field) as caught:
        part.normalized()
    assert field == caught.value.field  # type: ignore[attr-defined]


def test_marketing_needs_a_consent_that_was_not_taken_back(desk: Desk):
    member_id = desk.enrol().member_id

    def look() -> object:
        return desk.reception.reading.member(reader(desk), member_id, "MARKETING")

    assert Reason.CONSENT_MISSING == reason_of(look)
    consent(desk, member_id, is_given=True)
    assert Reason.ACCEPTED == reason_of(look)
    consent(desk, member_id, is_given=False, version="2017-02")
    assert Reason.CONSENT_MISSING == reason_of(look)
    assert [(2,)] == desk.house.query("SELECT max(revision) FROM member_records WHERE field_group = 'consents'")


def test_the_member_sees_who_looked_and_what_was_done_newest_first(desk: Desk):
    member_id, other = desk.enrol().member_id, desk.enrol("13900000001").member_id
    desk.reception.reading.member(reader(desk), member_id, "DISPUTE")
    desk.reception.reading.member(reader(desk), other, "DISPUTE")
    consent(desk, member_id, is_given=True)
    row, opened, cards = desk.reception.reading.own(reader(desk, "/mg/portal"), member_id)

    report = desk.reception.reading.accesses(member_id, None, 10)
    assert [
        (Kind.DISCLOSED, "/mg/portal", "OWN_ACCESS"),
        (Kind.CONSENT_SET, "/op/hq", "MARKETING"),
        (Kind.DISCLOSED, "/hq/a", "DISPUTE"),
    ] == [(access.kind, access.actor, access.told["purpose"]) for access in report]
    assert report[1:2] == desk.reception.reading.accesses(member_id, report[0].entry_id, 1)
    assert (member_id, "张三", "+8613812341234", ()) == (
        row.member_id,
        opened["identity"]["name"],
        opened["contact"]["phone"],
        cards,
    )


def test_members_in_clear_need_two_people_and_end_after_fifteen_minutes(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    member_ids = [desk.enrol(f"1390000000{number}").member_id for number in range(2)]
    disclosures, asker = desk.reception.disclosures, reader(desk, "/op/hq")
    act = desk.house.act(Kind.DISCLOSURE_REQUESTED)
    private_key, key = generate_box_key()
    told = disclosures.request(act, member_ids, ("contact",), "DISPUTE", key).answer
    disclosure_id = UUID(str(told["disclosure_id"]))
    assert told == disclosures.request(act, member_ids, ("contact",), "DISPUTE", key).answer

    def open_as(who: Reader) -> Reason:
        return reason_of(lambda: disclosures.open(who, disclosure_id))

    def approve_as(actor: str) -> Reason:
        approval = desk.house.act(Kind.DISCLOSURE_APPROVED, by=actor)
        return reason_of(lambda: disclosures.approve(replace(approval, actor=actor), disclosure_id))

    assert Reason.APPROVAL_MISSING == open_as(asker)
    assert [Reason.APPROVER_NOT_ANOTHER] * 3 == [approve_as(actor) for actor in ("/op/hq", "/op/eve", "/ap/hq")]
    assert Reason.APPROVAL_MISSING == open_as(asker)
    assert Reason.ACCEPTED == approve_as("/ap/ben")
    assert Reason.DISCLOSURE_UNKNOWN == approve_as("/ap/ben2"), "approved once"
    assert Reason.DISCLOSURE_UNKNOWN == open_as(reader(desk, "/op/eve")), "only who asked"
    boxes = disclosures.open(asker, disclosure_id)
    assert b"1390000000" not in b"".join(boxes)
    expected = [
        {"contact": {"phone": f"+861390000000{number}"}, "member_id": str(member_id)}
        for number, member_id in enumerate(member_ids)
    ]
    assert expected == opened_disclosure(private_key, str(disclosure_id), boxes)
    for other_key, other_id in ((generate_box_key()[0], disclosure_id), (private_key, uuid4())):
        with pytest.raises(ExportNotOpened):
            opened_disclosure(other_key, str(other_id), boxes)
    facts = leaves(desk)[-1][2]
    assert [str(member_id) for member_id in member_ids] == facts["member_ids"]
    assert key_hash(key) == facts["recipient_key_sha256"] == told["recipient_key_sha256"]

    monkeypatch.setattr(disclosures, "_clock", lambda: NOON + OPEN_FOR - timedelta(seconds=1))
    assert Reason.ACCEPTED == open_as(asker)
    monkeypatch.setattr(disclosures, "_clock", lambda: NOON + OPEN_FOR)
    assert Reason.APPROVAL_MISSING == open_as(asker)


def test_a_disclosure_names_twenty_members_at_most(desk: Desk):
    member_id = desk.enrol().member_id
    request = desk.reception.disclosures.request
    for member_ids in ([], [uuid4() for _ in range(RECORDS_MAX + 1)]):
        act = desk.house.act(Kind.DISCLOSURE_REQUESTED)
        assert Reason.FIELD_INVALID == reason_of(partial(request, act, member_ids, ("contact",), "DISPUTE", KEY))
    act = desk.house.act(Kind.DISCLOSURE_REQUESTED)
    assert Reason.FIELD_INVALID == reason_of(lambda: request(act, [member_id], ("contact",), "DISPUTE", bytes(32)))
    assert Reason.MEMBER_UNKNOWN == reason_of(lambda: request(act, [member_id, uuid4()], ("contact",), "DISPUTE", KEY))


def test_what_a_release_without_keys_was_asked_is_not_shown(desk: Desk):
    """It would be in clear; it is asked for again."""
    request = desk.reception.disclosures.request
    act = desk.house.act(Kind.DISCLOSURE_REQUESTED)
    told = request(act, [desk.enrol().member_id], ("contact",), "DISPUTE", KEY).answer
    disclosure_id = UUID(str(told["disclosure_id"]))
    with psycopg.connect(desk.house.postgres.dsn("coalition", desk.house.ledger), autocommit=True) as connection:
        connection.execute("UPDATE disclosures SET recipient_key = ''")
    approval = desk.house.act(Kind.DISCLOSURE_APPROVED, actor="/ap/ben")
    assert Reason.DISCLOSURE_UNKNOWN == reason_of(lambda: desk.reception.disclosures.approve(approval, disclosure_id))
    assert Reason.DISCLOSURE_UNKNOWN == reason_of(
        lambda: desk.reception.disclosures.open(reader(desk, "/op/hq"), disclosure_id)
    )


def test_a_look_that_was_refused_is_in_the_members_report_with_its_purpose(desk: Desk):
    """Who tries to see what may not be seen is just what a member wants to know."""
    member_id = desk.enrol().member_id
    assert Reason.CONSENT_MISSING == reason_of(
        lambda: desk.reception.reading.by_phone(reader(desk), PHONE, "MARKETING")
    )
    state = desk.house.act(Kind.MEMBER_STATE_CHANGED)
    desk.reception.erasures.set_state(state, member_id, is_locked=True)
    assert Reason.MEMBER_LOCKED == reason_of(lambda: desk.reception.reading.member(reader(desk), member_id, "DISPUTE"))
    told = [
        (Reason(access.reason), access.told["metadata"]["purpose"], access.actor)  # type: ignore[index,call-overload]
        for access in desk.reception.reading.accesses(member_id, None, 10)
        if access.kind == Kind.DISCLOSED
    ]
    assert [(Reason.MEMBER_LOCKED, "DISPUTE", "/hq/a"), (Reason.CONSENT_MISSING, "MARKETING", "/hq/a")] == told


def test_a_look_at_nobody_is_in_nobodys_report(desk: Desk):
    assert Reason.MEMBER_UNKNOWN == reason_of(lambda: desk.reception.reading.member(reader(desk), uuid4(), "DISPUTE"))
    assert [] == desk.house.query("SELECT 1 FROM member_acts")
