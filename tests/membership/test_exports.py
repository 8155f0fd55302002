"""Moving out: sealed to a recipient whom two people know, page by page, once told in the journal and to each member."""

import base64
import json
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from coalition.bootstrap.exporting import ExportNotOpened, opened_export
from coalition.domain.kinds import Kind
from coalition.domain.members import PROFILE_GROUPS, Reader
from coalition.domain.reasons import Reason
from coalition.membership import export_desk
from coalition.membership.export_desk import ExportPage
from coalition.membership.field_groups import Attributes, RefundAccount
from coalition.membership.sealed_lines import key_hash
from keys import generate_box_key
from tests.membership.desk import Desk
from tests.offices import dump, reason_of

GROUPS = ("identity", "contact", "refund_account")
PHONES = tuple(f"1390000{number:04}" for number in range(7))


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_desk, "PAGE", 3)


def ask(desk: Desk, key: bytes, groups: tuple[str, ...] = GROUPS, purpose: str = "MEMBER_REQUEST") -> UUID:
    act = replace(desk.house.act(Kind.EXPORT_REQUESTED, groups=list(groups)), actor="/op/ann")
    return UUID(str(desk.reception.exports.request(act, groups, purpose, key).answer["export_id"]))


def approve(desk: Desk, export_id: UUID, key: bytes, actor: str = "/ap/ben") -> None:
    act = replace(desk.house.act(Kind.EXPORT_APPROVED), actor=actor)
    desk.reception.exports.approve(act, export_id, key_hash(key))


def reader(desk: Desk, actor: str = "/op/ann") -> Reader:
    return Reader(desk.house.operator_id, actor)


def fetch(desk: Desk, export_id: UUID) -> list[tuple[str, ExportPage]]:
    pages: list[tuple[str, ExportPage]] = []
    after = export_desk.NOBODY
    while not pages or not pages[-1][1].is_last:
        page = desk.reception.exports.page(reader(desk), export_id, after)
        pages.append((str(after), page))
        after = page.last_member_id
    return pages


def written(export_id: UUID, pages: list[tuple[str, ExportPage]]) -> list[str]:
    """As the command line writes it."""
    return [
        json.dumps(
            {
                "after": after,
                "boxes": [base64.b64encode(box).decode() for box in page.boxes],
                "export_id": str(export_id),
            }
        )
        for after, page in pages
    ]


def test_a_member_with_much_to_tell_goes_over_several_boxes(desk: Desk):
    """All that field groups may hold is more than a box does."""
    member_id = desk.enrol(PHONES[0], name="\U00020000" * 120).member_id
    much = Attributes({f"{'a' * 30}{number:02}": "\U00020000" * 64 for number in range(16)})
    desk.reception.files.revise(desk.house.act(Kind.MEMBER_REVISED), member_id, much)
    private_key, public_key = generate_box_key()
    export_id = ask(desk, public_key, groups=PROFILE_GROUPS)
    approve(desk, export_id, public_key)
    pages = fetch(desk, export_id)
    assert 2 == sum(len(page.boxes) for _, page in pages)
    (told,) = opened_export(private_key, written(export_id, pages))
    assert dict(much.values) == told["attributes"]


def test_all_active_members_leave_and_only_the_recipient_reads_them(desk: Desk):
    members = [desk.enrol(phone, name="王小明") for phone in PHONES]
    account = RefundAccount("ICBC", "622200001111", "王小明")
    desk.reception.files.revise(desk.house.act(Kind.MEMBER_REVISED), members[0].member_id, account)
    desk.reception.erasures.set_state(desk.house.act(Kind.MEMBER_STATE_CHANGED), members[6].member_id, is_locked=True)
    private_key, public_key = generate_box_key()
    export_id = ask(desk, public_key)
    approve(desk, export_id, public_key)
    pages = fetch(desk, export_id)
    assert [3, 3] == [page.members for _, page in pages]

    told = {each["member_id"]: each for each in opened_export(private_key, written(export_id, pages))}
    assert {str(each.member_id) for each in members[:6]} == told.keys(), "who is locked stays"
    first = told[str(members[0].member_id)]
    assert ("王小明", f"+86{PHONES[0]}") == (first["identity"]["name"], first["contact"]["phone"])
    assert ("622200001111", members[0].wallet_id) == (first["refund_account"]["number"], first["wallet_id"])
    with pytest.raises(ExportNotOpened):
        list(opened_export(generate_box_key()[0], written(export_id, pages)))


def test_a_page_that_is_missing_moved_or_anothers_is_noticed(desk: Desk):
    for phone in PHONES:
        desk.enrol(phone)
    private_key, public_key = generate_box_key()
    export_id = ask(desk, public_key)
    approve(desk, export_id, public_key)
    lines = written(export_id, fetch(desk, export_id))
    moved = json.loads(lines[0])
    moved["boxes"] = json.loads(lines[1])["boxes"]
    other = lines[0].replace(str(export_id), str(UUID(int=1)))
    for wrong in (lines[1:], lines[:-1], [lines[0], *lines], [json.dumps(moved), *lines[1:]], [other, *lines[1:]], []):
        with pytest.raises(ExportNotOpened):
            list(opened_export(private_key, wrong))


def test_it_takes_another_person_in_another_role_who_knows_the_recipients_key(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    desk.enrol()
    _, public_key = generate_box_key()
    _, other_key = generate_box_key()
    export_id = ask(desk, public_key)
    look = lambda actor="/op/ann": desk.reception.exports.page(reader(desk, actor), export_id)  # noqa: E731
    assert Reason.APPROVAL_MISSING == reason_of(look)
    assert Reason.APPROVER_NOT_ANOTHER == reason_of(lambda: approve(desk, export_id, public_key, "/op/eve"))
    assert Reason.APPROVER_NOT_ANOTHER == reason_of(lambda: approve(desk, export_id, public_key, "/ap/ann"))
    assert Reason.EXPORT_KEY_DIFFERS == reason_of(lambda: approve(desk, export_id, other_key))
    approve(desk, export_id, public_key)
    assert Reason.EXPORT_UNKNOWN == reason_of(lambda: approve(desk, export_id, public_key)), "once"
    assert Reason.EXPORT_UNKNOWN == reason_of(lambda: look("/op/eve"))
    assert 1 == look().members
    monkeypatch.setattr(export_desk, "OPEN_FOR", timedelta(0))
    assert Reason.APPROVAL_MISSING == reason_of(look)


def test_what_cannot_be_exported_is_refused_with_the_field(desk: Desk):
    _, key = generate_box_key()
    for wrong in (bytes(32), key[:31], b""):
        assert Reason.FIELD_INVALID == reason_of(lambda wrong=wrong: ask(desk, wrong))  # type: ignore[misc]
    assert Reason.FIELD_INVALID == reason_of(lambda: ask(desk, key, ("device",)))
    assert Reason.FIELD_INVALID == reason_of(lambda: ask(desk, key, purpose="MARKETING"))


def test_one_entry_tells_how_many_left_and_to_which_key_and_each_member_sees_it(desk: Desk):
    members = [desk.enrol(phone) for phone in PHONES]
    _, public_key = generate_box_key()
    export_id = ask(desk, public_key)
    approve(desk, export_id, public_key)
    fetch(desk, export_id)
    fetch(desk, export_id)
    acts = desk.house.query(f"SELECT answer FROM entries WHERE kind = {int(Kind.MEMBERS_EXPORTED)}")
    (told,) = [json.loads(bytes(row[0]))["answer"] for row in acts]
    assert (7, key_hash(public_key)) == (told["members"], told["recipient_key_sha256"])
    for member in members:
        kinds = [access.kind for access in desk.reception.reading.accesses(member.member_id, None, 10)]
        assert 1 == kinds.count(Kind.MEMBERS_EXPORTED)


def test_nothing_is_in_clear_of_what_leaves(desk: Desk):
    desk.enrol(PHONES[0], name="欧阳卡纳里")
    _, public_key = generate_box_key()
    export_id = ask(desk, public_key)
    approve(desk, export_id, public_key)
    boxes = b"".join(box for _, page in fetch(desk, export_id) for box in page.boxes)
    stored = dump(desk.house.postgres, desk.house.ledger) + boxes
    assert [] == [canary for canary in (PHONES[0], "欧阳卡纳里") if canary.encode() in stored]
