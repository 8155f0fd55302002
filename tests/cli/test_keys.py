"""`coalition keys`: which versions wrap members' keys, and wrapping them anew."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from coalition.domain.kinds import Kind
from coalition.storage.connect import Connection, connect
from coalition.storage.embedded import SUPERUSER
from keys import KeyPurpose, KeyRing, create_ring
from keys.cli import app as keys_app
from keys.ring_making import rotate_key
from keys.ring_states import disable, set_primary
from tests.cli.conftest import Run
from tests.house import House


@pytest.fixture
def coalition(run: Run, house: House, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command of the owner on the house's databases, with the house's key ring."""
    monkeypatch.setenv("COALITION_VAR", str(house.settings.var))
    monkeypatch.setenv("COALITION_DATABASE_URL", house.dsn())
    monkeypatch.setenv("COALITION_KEYDB_URL", house.keydb_dsn())
    monkeypatch.setenv("COALITION_KEYDB_OWNER_URL", house.postgres.dsn(SUPERUSER, house.keydb))
    return run


def test_member_keys_are_counted_by_version_and_wrapped_anew(coalition: Run, house: House):
    for _ in range(3):
        house.new_card()
    before = coalition("keys", "status")
    assert (0, True) == (before.code, "ENABLED, primary" in before.out), before
    rotate_key(house.settings.keys_directory, KeyPurpose.KEY_ENCRYPTION, random=os.urandom)
    done = coalition("keys", "rewrap")
    assert 0 == done.code, done
    assert "3 member keys wrapped anew by version 2" in done.out
    assert "python -m keys schedule-destroy key-encryption" in done.out
    again = coalition("keys", "rewrap")
    assert "0 member keys wrapped anew" in again.out


def test_members_are_indexed_anew(coalition: Run, house: House):
    house.new_card()
    directory = house.settings.keys_directory
    count = house.query("SELECT count(*) FROM member_indexes")[0][0]
    rotate_key(directory, KeyPurpose.BLIND_INDEX, random=os.urandom)
    set_primary(directory, KeyPurpose.BLIND_INDEX, 2)
    done = coalition("keys", "reindex")
    assert 0 == done.code, done
    assert f"{count} of {count} members indexed anew by version 2." in done.out
    assert "python -m keys disable blind-index" in coalition("keys", "reindex").out


def test_members_without_a_check_of_their_phone_get_one(coalition: Run, house: House):
    house.new_card()
    with connect(house.postgres.dsn(SUPERUSER, house.keydb)) as connection:
        missing = connection.execute("UPDATE member_keys SET phone_check = NULL").rowcount
    done = coalition("keys", "phone-checks")
    assert (0, True) == (done.code, f"{missing} members got a check of their phone; 0 have none" in done.out), done
    assert "0 members got a check" in coalition("keys", "phone-checks").out


def test_a_key_that_does_not_open_under_the_ring_is_named(
    coalition: Run, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The wrong ring was put in place: nothing is changed, and the command says so."""
    house.new_card()
    create_ring(tmp_path / "other", random=os.urandom)
    rotate_key(tmp_path / "other", KeyPurpose.KEY_ENCRYPTION, random=os.urandom)
    rotate_key(tmp_path / "other", KeyPurpose.KEY_ENCRYPTION, random=os.urandom)
    monkeypatch.setenv("COALITION_KEYS", str(tmp_path / "other"))
    refused = coalition("keys", "rewrap")
    assert (1, True) == (refused.code, "do not open under this ring" in refused.err), refused
    assert "0 member keys wrapped anew" in refused.out


def key_acts(house: House, kind: Kind) -> list[Any]:
    rows = house.query("SELECT actor, answer FROM entries WHERE kind = %s ORDER BY entry_id", int(kind))
    return [(actor, json.loads(bytes(answer))["answer"]) for actor, answer in rows]


def test_the_life_of_a_key_is_told_to_the_journal(coalition: Run, house: House):
    """Made, disabled: each is one entry, told once; nothing that is known already is told again."""
    directory = house.settings.keys_directory
    rotate_key(directory, KeyPurpose.PIN, random=os.urandom)
    told = coalition("keys", "record")
    assert (0, True) == (told.code, "pin version 2 is ENABLED, primary" in told.out), told
    disable(directory, KeyPurpose.PIN, 1)
    assert 0 == coalition("keys", "record").code
    assert "knows every key version" in coalition("keys", "record").out

    *_, (actor, newest) = key_acts(house, Kind.KEYS_CHANGED)
    (row,) = newest["versions"]
    assert ("/op/keys", ["pin", 1, "DISABLED", False]) == (actor, row[:4])
    assert all("file:" not in json.dumps(each) for each in key_acts(house, Kind.KEYS_CHANGED))


def test_rewrapping_and_indexing_anew_are_told_to_the_journal(coalition: Run, house: House):
    house.new_card()
    before = len(key_acts(house, Kind.KEYS_REWRAPPED)), len(key_acts(house, Kind.INDEXES_REMADE))
    rotate_key(house.settings.keys_directory, KeyPurpose.KEY_ENCRYPTION, random=os.urandom)
    assert (0, 0) == (coalition("keys", "rewrap").code, coalition("keys", "reindex").code)

    wrapped, remade = key_acts(house, Kind.KEYS_REWRAPPED), key_acts(house, Kind.INDEXES_REMADE)
    assert (before[0] + 1, before[1] + 1) == (len(wrapped), len(remade))
    told = wrapped[-1][1]
    assert [[told["kek_version"], told["exchanged"]]] == told["wrapped"]
    assert remade[-1][1]["version"] >= 1


def test_a_ring_of_another_house_tells_this_journal_nothing(
    coalition: Run, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    before = key_acts(house, Kind.KEYS_CHANGED)
    create_ring(tmp_path / "other", random=os.urandom)
    monkeypatch.setenv("COALITION_KEYS", str(tmp_path / "other"))
    refused = coalition("keys", "record")
    assert (2, True) == (refused.code, "another deployment" in refused.err), refused
    assert before == key_acts(house, Kind.KEYS_CHANGED)


def test_an_epoch_ends_at_once_when_a_member_was_erased_and_officers_still_confirm(coalition: Run, house: House):
    """Asked again it goes on: rotated once, carried, wrapped, scheduled."""
    directory = house.settings.keys_directory
    assert 2 == coalition("keys", "rotate").code, "a rotation without --now is python -m keys rotate"
    member_id, _ = house.new_member()
    house.reception.erasures.request(house.act(Kind.ERASURE_REQUESTED), member_id)
    house.reception.erasures.approve(replace(house.act(Kind.MEMBER_ERASED), actor="/ap/ben"), member_id)
    before = KeyRing.load(directory).kek_version

    first = coalition("keys", "rotate", "--now", "--carried")
    assert (0, True, True) == (first.code, f"version {before + 1} made" in first.out, "Carry" in first.out), first
    again = coalition("keys", "rotate", "--now")
    assert (0, False, True) == (again.code, "made" in again.out, "Carry" in again.out), again
    last = coalition("keys", "rotate", "--now", "--carried")
    assert (0, False) == (last.code, "Carry" in last.out), last
    assert f"confirm-destroy key-encryption {before}" in last.out
    states = {v.version: v.state.value for v in KeyRing.load(directory).versions if v.purpose == "key-encryption"}
    assert (before + 1, {"DESTROY_SCHEDULED"}) == (max(states), {states[v] for v in states if v <= before})
    assert house.new_member(), "the counter, whose ring was loaded before, goes on"
    refused = CliRunner().invoke(
        keys_app, ["destroy", "key-encryption", str(before), str(directory), "--authority", str(authority_of(house))]
    )
    assert (1, True) == (refused.exit_code, "0 of 2 operators have signed" in refused.output), refused.output


def authority_of(house: House) -> Path:
    return house.settings.certificates_directory


def test_a_member_key_half_erased_is_not_carried_into_the_next_epoch(coalition: Run, house: House):
    with connect(house.dsn("owner")) as connection, unfinished(connection):
        told = coalition("keys", "rotate", "--now")
    assert (2, True) == (told.code, "erasures were cut off" in told.err), told


@contextmanager
def unfinished(connection: Connection) -> Iterator[None]:
    """As if a server had been killed between the act and the key."""
    row = "(gen_random_uuid(), now())"
    ((member_id,),) = connection.execute(
        f"INSERT INTO erasures (member_id, erase_time) VALUES {row} RETURNING member_id"
    ).fetchall()
    yield
    connection.execute("DELETE FROM erasures WHERE member_id = %s", (member_id,))
