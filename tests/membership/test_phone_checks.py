"""What tells the members of one blind index apart: no other is opened, nobody is missed, it dies with the key."""

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from coalition.bootstrap import check_filling
from coalition.bootstrap.check_filling import fill_checks
from coalition.bootstrap.rewrapping import rewrap
from coalition.domain.kinds import Kind
from coalition.domain.members import Reader
from coalition.domain.reasons import Reason
from coalition.membership import phone_book
from coalition.membership.field_groups import Contact
from coalition.membership.intake import Arrival
from coalition.membership.profile import Profile
from coalition.storage.check_filling import UncheckedKeys
from coalition.storage.connect import Connection, connect
from coalition.storage.embedded import SUPERUSER
from coalition.storage.rewrapping import MemberKeyRows
from keys import KeyPurpose, KeyRing, MemberCipher, WrappedKey, create_ring
from keys.ring_making import rotate_key
from tests.membership.desk import Desk
from tests.offices import NOON, House, reason_of

PHONES = tuple(f"139000000{number:02}" for number in range(12))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A ring whose index has one bit, so that everybody is everybody's candidate."""
    create_ring(tmp_path / "ring", random=os.urandom, members=1)
    return tmp_path / "ring"


@pytest.fixture
def desk(house: House, directory: Path) -> Desk:
    return Desk(house, KeyRing.load(directory))


@pytest.fixture
def rows(house: House) -> Iterator[MemberKeyRows[WrappedKey]]:
    with connect(house.postgres.dsn(SUPERUSER, house.keydb)) as connection:
        yield MemberKeyRows(connection, WrappedKey)


def found(desk: Desk, phone: str) -> UUID:
    return desk.reception.reading.by_phone(Reader(desk.house.operator_id, "/hq/a"), phone, "DISPUTE").member_id


def unknown(desk: Desk, phone: str) -> bool:
    return Reason.MEMBER_UNKNOWN == reason_of(lambda: found(desk, phone))


def revise(desk: Desk, member_id: UUID, phone: str) -> None:
    act = desk.house.act(Kind.MEMBER_REVISED, phone=phone)
    desk.reception.files.revise(act, member_id, Contact(phone))


def checks(desk: Desk) -> set[bytes | None]:
    return {row[0] for row in desk.house.query("SELECT phone_check FROM member_keys", database=desk.house.keydb)}


def test_a_look_opens_the_one_that_is_looked_for_and_no_other_candidate(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    members = {phone: desk.enrol(phone).member_id for phone in PHONES}
    opened: list[str] = []
    real = MemberCipher.open

    def counted(cipher: MemberCipher, field_group: str, *place: object) -> bytes:
        opened.append(field_group)
        return real(cipher, field_group, *place)  # type: ignore[arg-type]  # only counts

    monkeypatch.setattr(MemberCipher, "open", counted)
    assert members == {phone: found(desk, phone) for phone in PHONES}
    assert 2 * len(PHONES) == opened.count("contact"), "one to compare, one to show, of each"


def test_who_has_no_check_is_opened_and_found_all_the_same(desk: Desk):
    """Members of the release before."""
    members = {phone: desk.enrol(phone).member_id for phone in PHONES[:4]}
    desk.house.query("UPDATE member_keys SET phone_check = NULL RETURNING 1", database=desk.house.keydb)
    assert members == {phone: found(desk, phone) for phone in members}
    assert Reason.MEMBER_EXISTS == reason_of(lambda: desk.enrol(PHONES[0]))


def test_a_member_is_found_by_a_new_phone_and_no_more_by_the_old_one(desk: Desk):
    members = [desk.enrol(phone).member_id for phone in PHONES[:3]]
    revise(desk, members[0], PHONES[5])
    assert (members[0], True) == (found(desk, PHONES[5]), unknown(desk, PHONES[0]))
    assert members[1:] == [found(desk, phone) for phone in PHONES[1:3]]


def test_a_phone_that_could_not_be_changed_is_still_the_members(desk: Desk):
    members = [desk.enrol(phone).member_id for phone in PHONES[:2]]
    assert Reason.MEMBER_EXISTS == reason_of(lambda: revise(desk, members[0], PHONES[1]))
    assert members == [found(desk, phone) for phone in PHONES[:2]]


def test_wrapped_anew_the_checks_go_along_and_the_old_ones_find_nobody(
    desk: Desk, directory: Path, rows: MemberKeyRows[WrappedKey]
):
    """So that a copy of the key database is as dead as its keys, once their key-encryption key is destroyed."""
    members = {phone: desk.enrol(phone).member_id for phone in PHONES[:4]}
    before = checks(desk)
    revise(desk, members[PHONES[3]], PHONES[7])
    rotate_key(directory, KeyPurpose.KEY_ENCRYPTION, random=os.urandom)
    assert members[PHONES[0]] == found(desk, PHONES[0]), "before the job"
    rewrap(KeyRing.load(directory), rows, lambda _: None)
    after = checks(desk)
    assert set() == before & after
    assert None in after, "what was removed stays removed"
    assert members[PHONES[0]] == found(desk, PHONES[0]), "by a server that had not heard of the rotation"
    assert [members[PHONES[1]], members[PHONES[3]]] == [found(desk, PHONES[1]), found(desk, PHONES[7])]
    ring = KeyRing.load(directory)
    wanted = {version: [check] for version, check in ring.index_checks("phone", f"+86{PHONES[0]}").items()}
    matching = desk.keydb.matching(list(members.values()), {2: wanted[2]})
    assert {members[PHONES[0]], members[PHONES[3]]} == matching.keys(), "who has the check, and who has none"


def test_a_check_of_one_version_is_that_of_the_other_wrapped_anew(directory: Path):
    old = KeyRing.load(directory).index_checks("phone", "+8613900000000")
    rotate_key(directory, KeyPurpose.KEY_ENCRYPTION, random=os.urandom)
    ring = KeyRing.load(directory)
    new = ring.index_checks("phone", "+8613900000000")
    assert ([2, 1], old[1]) == (list(new), new[1])
    assert new[2] == ring.rewrap_check(1, old[1])
    assert new[2] != ring.index_checks("email", "+8613900000000")[2]


@pytest.mark.parametrize("known_max", [1_000, 0])
def test_who_moves_in_is_told_from_members_with_and_without_a_check(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, known_max: int
):
    """Whether few have none or more than are asked for by name."""
    monkeypatch.setattr(phone_book, "UNCHECKED_MAX", known_max)
    members = [desk.enrol(phone).member_id for phone in PHONES[:3]]
    revise(desk, members[2], PHONES[4])
    arrivals = [Arrival(Profile("李四", phone), None) for phone in (*PHONES[:6], "13700000000")]
    _, lines = desk.reception.intake.take(desk.house.act(Kind.MEMBERS_IMPORTED), "hq", arrivals)
    exists = Reason.MEMBER_EXISTS
    assert [exists, exists, Reason.ACCEPTED, Reason.ACCEPTED, exists, Reason.ACCEPTED, Reason.ACCEPTED] == [
        line.reason for line in lines
    ]


def test_who_moves_in_meets_a_member_whose_key_is_of_a_version_that_the_server_has_not_heard_of(
    desk: Desk, directory: Path, rows: MemberKeyRows[WrappedKey]
):
    desk.enrol(PHONES[0])
    rotate_key(directory, KeyPurpose.KEY_ENCRYPTION, random=os.urandom)
    rewrap(KeyRing.load(directory), rows, lambda _: None)
    assert 1 == desk.ring.kek_version
    arrivals = [Arrival(Profile("李四", phone), None) for phone in PHONES[:2]]
    _, lines = desk.reception.intake.take(desk.house.act(Kind.MEMBERS_IMPORTED), "hq", arrivals)
    assert [Reason.MEMBER_EXISTS, Reason.ACCEPTED] == [line.reason for line in lines]


def test_a_key_without_a_member_keeps_nobody_out(desk: Desk):
    """It is what is left of an enrolment that was cut off."""
    stranger = UUID(int=7, version=4)
    checks_of = desk.ring.index_checks("phone", f"+86{PHONES[0]}")
    desk.keydb.put(stranger, desk.ring.new_member(stranger)[0], checks_of, NOON)
    arrivals = [Arrival(Profile("李四", PHONES[0]), None)]
    _, (line,) = desk.reception.intake.take(desk.house.act(Kind.MEMBERS_IMPORTED), "hq", arrivals)
    assert line.member_id == found(desk, PHONES[0])


@pytest.fixture
def unchecked(house: House) -> Iterator[tuple[Connection, UncheckedKeys[WrappedKey]]]:
    """The ledger, and the keys without a check, as the server's role."""
    with (
        connect(house.postgres.dsn("coalition_app", house.ledger)) as ledger,
        connect(house.postgres.dsn("coalition_app", house.keydb)) as keydb,
    ):
        yield ledger, UncheckedKeys(keydb, WrappedKey)


Unchecked = tuple[Connection, UncheckedKeys[WrappedKey]]


def forget_all(desk: Desk) -> None:
    desk.house.query("UPDATE member_keys SET phone_check = NULL RETURNING 1", database=desk.house.keydb)


def test_members_of_the_release_before_get_the_checks_that_new_ones_have(
    desk: Desk, unchecked: Unchecked, monkeypatch: pytest.MonkeyPatch
):
    """Page by page, and cut off: what is done stays done."""
    monkeypatch.setattr(check_filling, "PAGE", 3)
    members = {phone: desk.enrol(phone).member_id for phone in PHONES[:8]}
    before = checks(desk)
    forget_all(desk)
    desk.keydb.put(uuid4(), desk.ring.new_member(uuid4())[0], {}, NOON)  # of an enrolment that was never finished

    def power_failure(_: int) -> None:
        raise KeyboardInterrupt

    ledger, keys = unchecked
    with pytest.raises(KeyboardInterrupt):
        fill_checks(desk.ring, ledger, keys, power_failure)
    assert 9 - 3 <= keys.count() <= 9 - 2
    looked_at: list[int] = []
    fill_checks(desk.ring, ledger, keys, looked_at.append)
    assert 1 == keys.count(), "whose member was never made"
    assert before | {None} == checks(desk)
    assert members == {phone: found(desk, phone) for phone in members}
    assert 6 <= sum(looked_at) <= 7


def test_a_phone_that_changes_beside_the_job_is_not_given_the_check_of_the_one_before(
    desk: Desk, unchecked: Unchecked, monkeypatch: pytest.MonkeyPatch
):
    """The job holds the member; the change waits, and removes the check that the job has just kept."""
    member_id = desk.enrol(PHONES[0]).member_id
    forget_all(desk)
    ledger, keys = unchecked
    revising = threading.Thread(target=revise, args=(desk, member_id, PHONES[5]))
    real = UncheckedKeys.fill

    def meanwhile(rows: UncheckedKeys[WrappedKey], told: Sequence[tuple[UUID, int, bytes]]) -> int:
        revising.start()
        revising.join(timeout=0.5)
        assert revising.is_alive(), "it waits"
        return real(rows, told)

    monkeypatch.setattr(UncheckedKeys, "fill", meanwhile)
    assert 1 == fill_checks(desk.ring, ledger, keys, lambda _: None).filled
    revising.join()
    assert {None} == checks(desk)
    assert (member_id, True) == (found(desk, PHONES[5]), unknown(desk, PHONES[0]))


def test_a_record_that_does_not_open_is_named_and_its_member_left_without_a_check(
    desk: Desk, unchecked: Unchecked, tmp_path: Path
):
    member_id = desk.enrol(PHONES[0]).member_id
    forget_all(desk)
    create_ring(tmp_path / "other", random=os.urandom)
    ledger, keys = unchecked
    done = fill_checks(KeyRing.load(tmp_path / "other"), ledger, keys, lambda _: None)
    assert (0, [member_id], 1) == (done.filled, done.broken, keys.count())
