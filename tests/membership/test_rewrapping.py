"""Member keys wrapped anew while a counter works: no failed request, no key lost, no erased member back."""

import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from coalition.bootstrap import rewrapping
from coalition.bootstrap.rewrapping import Rewrapped, rewrap, rewrapped
from coalition.domain.members import Reader
from coalition.storage.connect import connect
from coalition.storage.embedded import SUPERUSER
from coalition.storage.rewrapping import MemberKeyRows
from keys import KeyPurpose, KeyRing, KeyUnavailable, WrappedKey, create_ring
from keys.ring_making import rotate_key
from keys.ring_states import disable
from tests.membership.desk import Desk
from tests.offices import NOON, House

KEK = KeyPurpose.KEY_ENCRYPTION
PAGE = 8


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a handful of members is several pages."""
    monkeypatch.setattr(rewrapping, "PAGE", PAGE)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    create_ring(tmp_path / "ring", random=os.urandom)
    return tmp_path / "ring"


@pytest.fixture
def desk(house: House, directory: Path) -> Desk:
    """A counter whose server loaded the ring before it was rotated, and is not started again."""
    return Desk(house, KeyRing.load(directory))


@pytest.fixture
def rows(house: House) -> Iterator[MemberKeyRows[WrappedKey]]:
    with connect(house.postgres.dsn(SUPERUSER, house.keydb)) as connection:
        yield MemberKeyRows(connection, WrappedKey)


def seen(desk: Desk, member_id: UUID) -> UUID:
    """The member as a counter sees it."""
    return desk.reception.reading.member(Reader(desk.house.operator_id, "/hq/a"), member_id, "DISPUTE").member_id


def run(directory: Path, rows: MemberKeyRows[WrappedKey]) -> Rewrapped:
    return rewrap(KeyRing.load(directory), rows, lambda _: None)


def put_keys(desk: Desk, count: int) -> list[UUID]:
    members = [uuid4() for _ in range(count)]
    for member_id in members:
        desk.keydb.put(member_id, desk.ring.new_member(member_id)[0], {}, NOON)
    return members


def test_every_key_is_wrapped_by_the_new_version_and_opens_what_it_sealed(
    desk: Desk, directory: Path, rows: MemberKeyRows[WrappedKey]
):
    members = put_keys(desk, PAGE + 7)
    sealed = desk.ring.sealer(members[0], desk.keydb.get(members)[members[0]]).seal("identity", members[0], 1, b"text")
    rotate_key(directory, KEK, random=os.urandom)
    looked_at: list[int] = []
    done = rewrap(KeyRing.load(directory), rows, looked_at.append)
    assert (2, PAGE + 7, [], {2: PAGE + 7}) == (done.kek_version, done.exchanged, done.broken, done.counts)
    assert [PAGE, 7] == looked_at
    disable(directory, KEK, 1)
    ring, keys = KeyRing.load(directory), desk.keydb.get(members)
    assert b"text" == ring.sealer(members[0], keys[members[0]]).open("identity", members[0], 1, sealed)
    assert {2} == {key.kek_version for key in keys.values()}
    for member_id, key in keys.items():
        ring.sealer(member_id, key)
    assert 0 == run(directory, rows).exchanged


def test_a_server_that_was_not_started_again_opens_keys_of_the_new_version(
    desk: Desk, directory: Path, rows: MemberKeyRows[WrappedKey]
):
    """It meets a version it does not know, and reads the ring again."""
    enrolled = desk.enrol()
    rotate_key(directory, KEK, random=os.urandom)
    run(directory, rows)
    assert 1 == desk.ring.kek_version
    assert enrolled.member_id == seen(desk, enrolled.member_id)
    assert 2 == desk.ring.kek_version


def test_who_enrols_after_a_rotation_gets_the_new_version_at_a_server_that_was_not_started_again(
    desk: Desk, directory: Path, rows: MemberKeyRows[WrappedKey]
):
    """So that nobody's key is of a version that is about to be destroyed."""
    desk.enrol()
    rotate_key(directory, KEK, random=os.urandom)
    desk.enrol("13900000002")
    assert {1: 1, 2: 1} == rows.counts()


def test_a_job_cut_off_goes_on_with_what_is_left(desk: Desk, directory: Path, rows: MemberKeyRows[WrappedKey]):
    put_keys(desk, PAGE + 7)
    rotate_key(directory, KEK, random=os.urandom)

    def power_failure(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rewrap(KeyRing.load(directory), rows, power_failure)
    assert {1: 7, 2: PAGE} == rows.counts()
    done = run(directory, rows)
    assert (7, {2: PAGE + 7}) == (done.exchanged, done.counts)


def test_a_key_that_does_not_open_is_named_and_left_as_it_is(
    desk: Desk, directory: Path, rows: MemberKeyRows[WrappedKey]
):
    members = put_keys(desk, 3)
    swapped = desk.ring.new_member(uuid4())[0]
    stranger, unknown = uuid4(), uuid4()
    desk.keydb.put(stranger, swapped, {}, NOON)
    desk.keydb.put(unknown, replace(desk.ring.new_member(unknown)[0], kek_version=9), {}, NOON)
    rotate_key(directory, KEK, random=os.urandom)
    done = run(directory, rows)
    assert (3, {stranger, unknown}) == (done.exchanged, set(done.broken))
    assert {1: 1, 2: 3, 9: 1} == done.counts
    assert swapped == desk.keydb.get([stranger])[stranger]
    assert len(members) == 3


def test_a_member_erased_meanwhile_stays_erased(desk: Desk, directory: Path, rows: MemberKeyRows[WrappedKey]):
    """The page was read before the erasure and written after it."""
    [member_id] = put_keys(desk, 1)
    rotate_key(directory, KEK, random=os.urandom)
    ring = KeyRing.load(directory)
    [old] = rows.behind(2, UUID(int=0), PAGE)
    desk.keydb.delete(member_id)
    assert 0 == rows.exchange([(old, rewrapped(ring, old))])
    assert {} == desk.keydb.get([member_id])


def test_of_two_jobs_the_slower_one_takes_nothing_back(desk: Desk, directory: Path, rows: MemberKeyRows[WrappedKey]):
    """It read before the next rotation, and writes when the faster one has wrapped everything under that."""
    put_keys(desk, 1)
    rotate_key(directory, KEK, random=os.urandom)
    slow = KeyRing.load(directory)
    [old] = rows.behind(2, UUID(int=0), PAGE)
    rotate_key(directory, KEK, random=os.urandom)
    run(directory, rows)
    assert 0 == rows.exchange([(old, rewrapped(slow, old))])
    assert {3: 1} == rows.counts()


def test_a_counter_works_on_while_keys_are_rotated_and_wrapped_anew(
    desk: Desk, directory: Path, rows: MemberKeyRows[WrappedKey]
):
    """Three rotations under load: every enrolment and every look at a member succeeds."""
    members = [desk.enrol(f"1380000{number:04}").member_id for number in range(5)]
    put_keys(desk, 3 * PAGE)
    failures: list[BaseException] = []
    looks = [0, 0]
    over = threading.Event()

    def work(place: int) -> None:
        number = 0
        try:
            while not over.is_set():
                number += 1
                members.append(desk.enrol(f"139{place}{number:07}").member_id)
                for member_id in members[-3:] + members[:3]:
                    assert member_id == seen(desk, member_id)
                    looks[place] += 1
        except BaseException as failure:  # noqa: BLE001 - whatever it is, the test must fail
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        rotate_key(directory, KEK, random=os.urandom)
        run(directory, rows)
    over.set()
    for thread in threads:
        thread.join()
    assert [] == failures
    assert min(looks) > 0
    run(directory, rows)
    assert {4} == set(rows.counts())
    for version in (1, 2, 3):
        disable(directory, KEK, version)
    ring = KeyRing.load(directory)
    for member_id, key in desk.keydb.get(members).items():
        ring.sealer(member_id, key)


def test_a_ring_that_does_not_load_any_more_leaves_a_server_with_the_one_it_has(desk: Desk, directory: Path):
    """Somebody is just restoring the directory: what worked goes on working."""
    [member_id] = put_keys(desk, 1)
    key = desk.keydb.get([member_id])[member_id]
    shutil.rmtree(directory)
    with pytest.raises(KeyUnavailable, match="version 9 is unknown"):
        desk.ring.sealer(member_id, replace(key, kek_version=9))
    desk.ring.sealer(member_id, key)
