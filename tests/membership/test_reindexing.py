"""Members indexed anew while a counter works: everybody is found at every moment, and nobody enrols twice."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coalition.bootstrap import reindexing
from coalition.bootstrap.reindexing import Reindexed, reindex
from coalition.domain.members import Reader
from coalition.domain.reasons import Reason
from coalition.storage.connect import connect
from coalition.storage.reindexing import START, MemberIndexRows
from keys import KeyPurpose, KeyRing, create_ring
from keys.ring_making import rotate_key
from keys.ring_states import disable, set_primary
from tests.membership.desk import Desk
from tests.offices import House, reason_of

INDEX = KeyPurpose.BLIND_INDEX
PHONES = [f"1390000{number:04}" for number in range(12)]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a handful of members is several pages."""
    monkeypatch.setattr(reindexing, "PAGE", 5)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    create_ring(tmp_path / "ring", random=os.urandom)
    return tmp_path / "ring"


@pytest.fixture
def rows(house: House) -> Iterator[MemberIndexRows]:
    with connect(house.postgres.dsn("coalition_app", house.ledger)) as connection:
        yield MemberIndexRows(connection)


def run(desk: Desk, rows: MemberIndexRows, directory: Path, progress: Any = lambda _: None) -> Reindexed:
    return reindex(KeyRing.load(directory), rows, desk.keydb, progress)


def found(desk: Desk, phone: str) -> Any:
    return desk.reception.reading.by_phone(Reader(desk.house.operator_id, "/hq/a"), phone, "DISPUTE").member_id


def test_every_member_is_found_before_while_and_after_the_index_is_made_anew(
    house: House, directory: Path, rows: MemberIndexRows
):
    old = Desk(house, KeyRing.load(directory))
    members = {phone: old.enrol(phone).member_id for phone in PHONES}
    rotate_key(directory, INDEX, random=os.urandom, members=4)
    both = Desk(house, KeyRing.load(directory))
    set_primary(directory, INDEX, 2)
    new_first = Desk(house, KeyRing.load(directory))
    at_work: list[int] = []

    def everybody(seen: int) -> None:
        at_work.append(seen)
        for desk in (both, new_first):
            assert members == {phone: found(desk, phone) for phone in members}

    everybody(0)
    done = run(new_first, rows, directory, everybody)
    assert (2, len(PHONES), [], 0) == (done.version, done.exchanged, done.broken, done.keyless)
    assert len(at_work) > 2, "several pages, so that it was looked between them"
    again = run(new_first, rows, directory)
    assert (0, len(PHONES)) == (again.exchanged, again.right_already)
    disable(directory, INDEX, 1)
    alone = Desk(house, KeyRing.load(directory))
    assert members == {phone: found(alone, phone) for phone in PHONES}
    # Planned for four members: one bit.
    assert {(0,), (1,)} >= set(house.query("SELECT DISTINCT value FROM member_indexes"))


def test_a_phone_enrols_once_whichever_version_a_server_writes(house: House, directory: Path, rows: MemberIndexRows):
    """Two servers in the middle of a rolling restart, one indexing by the old version, one by the new."""
    rotate_key(directory, INDEX, random=os.urandom)
    old_first = Desk(house, KeyRing.load(directory))
    set_primary(directory, INDEX, 2)
    new_first = Desk(house, KeyRing.load(directory))
    for number, phone in enumerate(PHONES[:8]):
        pair = (old_first, new_first) if number % 2 else (new_first, old_first)
        outcomes: list[Any] = []

        def enrol(desk: Desk, phone: str, outcomes: list[Any]) -> None:
            outcomes.append(reason_of(lambda: desk.enrol(phone)))

        threads = [threading.Thread(target=enrol, args=(desk, phone, outcomes)) for desk in pair]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [Reason.ACCEPTED, Reason.MEMBER_EXISTS] == sorted(outcomes)
    assert 8 == rows.count("phone")


def test_a_job_cut_off_goes_on_and_passes_over_what_is_done(house: House, directory: Path, rows: MemberIndexRows):
    desk = Desk(house, KeyRing.load(directory))
    for phone in PHONES:
        desk.enrol(phone)
    rotate_key(directory, INDEX, random=os.urandom)
    set_primary(directory, INDEX, 2)

    def power_failure(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(desk, rows, directory, power_failure)
    done = run(desk, rows, directory)
    assert 0 < done.exchanged < len(PHONES)
    assert len(PHONES) == run(desk, rows, directory).right_already


def test_an_erased_member_and_one_that_does_not_open_are_told_and_left(
    house: House, directory: Path, rows: MemberIndexRows
):
    desk = Desk(house, KeyRing.load(directory))
    erased, swapped, whole = (desk.enrol(phone).member_id for phone in PHONES[:3])
    keys = desk.keydb.get([swapped, whole])
    desk.keydb.delete(erased)
    desk.keydb.delete(swapped)
    desk.keydb.put(swapped, keys[whole], {}, desk.reception._clock())
    before = dict(house.query("SELECT member_id, value FROM member_indexes"))
    rotate_key(directory, INDEX, random=os.urandom)
    set_primary(directory, INDEX, 2)
    done = run(desk, rows, directory)
    assert (1, 1, [swapped]) == (done.exchanged, done.keyless, done.broken)
    after = dict(house.query("SELECT member_id, value FROM member_indexes"))
    assert (before[erased], before[swapped]) == (after[erased], after[swapped])


def test_of_two_jobs_the_slower_one_takes_nothing_back(house: House, directory: Path, rows: MemberIndexRows):
    desk = Desk(house, KeyRing.load(directory))
    member_id = desk.enrol(PHONES[0]).member_id
    [indexed] = rows.page("phone", START, "contact", 8)
    faster, slower = indexed.value ^ 1, indexed.value ^ 2
    assert 1 == rows.exchange("phone", [(member_id, indexed.value, faster)])
    assert 0 == rows.exchange("phone", [(member_id, indexed.value, slower)])
    assert [(faster,)] == house.query("SELECT value FROM member_indexes")


def test_an_index_removed_meanwhile_does_not_come_back(house: House, directory: Path, rows: MemberIndexRows):
    desk = Desk(house, KeyRing.load(directory))
    member_id = desk.enrol(PHONES[0]).member_id
    [indexed] = rows.page("phone", START, "contact", 8)
    house.query("DELETE FROM member_indexes RETURNING value")
    assert 0 == rows.exchange("phone", [(member_id, indexed.value, 1)])
    assert 0 == rows.count("phone")
