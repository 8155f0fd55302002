"""The ring on disk: made once, never overwritten, and loaded only when whole and out of everybody else's reach."""

import json
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from keys import (
    KeyPurpose,
    KeyRing,
    KeyState,
    create_ring,
)
from keys.errors import (
    CustodyUnknown,
    KeyDirectoryError,
    KeyFileBroken,
    KeyFileExists,
    KeyFileMissing,
    PermissionsTooOpen,
    RingBroken,
)

KEY_FILES = [f"{purpose.value}-1.key" for purpose in KeyPurpose]


def edit(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = directory / "ring.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_everything_a_new_ring_writes_is_for_its_owner_alone(ring: KeyRing, ring_directory: Path):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in ring_directory.iterdir()}
    assert modes == dict.fromkeys(["ring.json", *KEY_FILES], 0o600)
    assert stat.S_IMODE(ring_directory.stat().st_mode) == 0o700


def test_a_new_ring_has_one_enabled_primary_of_each_purpose(tmp_path: Path):
    made = datetime(2026, 1, 2, tzinfo=UTC)
    versions = create_ring(tmp_path / "keys", random=os.urandom, create_time=made).versions
    assert [version.purpose for version in versions] == list(KeyPurpose)
    assert {(version.version, version.state, version.primary, version.create_time) for version in versions} == {
        (1, KeyState.ENABLED, True, made)
    }


def test_the_ring_file_holds_no_secret(ring: KeyRing, ring_directory: Path):
    text = (ring_directory / "ring.json").read_text()
    secrets = [(ring_directory / name).read_bytes() for name in KEY_FILES]
    assert len(set(secrets)) == len(KEY_FILES)
    assert not any(secret.hex() in text for secret in secrets)


def test_a_second_ring_in_the_same_directory_is_refused_and_changes_nothing(ring: KeyRing, ring_directory: Path):
    before = {path: path.read_bytes() for path in ring_directory.iterdir()}
    with pytest.raises(KeyFileExists, match="never overwritten"):
        create_ring(ring_directory, random=os.urandom)
    assert {path: path.read_bytes() for path in ring_directory.iterdir()} == before


@pytest.mark.parametrize("name", KEY_FILES)
def test_a_key_file_left_without_its_ring_is_never_overwritten(tmp_path: Path, name: str):
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / "keys" / name).write_bytes(b"precious")
    with pytest.raises(KeyFileExists, match=name):
        create_ring(tmp_path / "keys", random=os.urandom)
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "keys").iterdir()] == [(name, b"precious")]


def test_a_ring_whose_making_fails_leaves_nothing_behind(tmp_path: Path):
    answers = iter([bytes(16), bytes(32), b"short"])
    with pytest.raises(ValueError, match="answered 5 bytes"):
        create_ring(tmp_path / "keys", random=lambda _: next(answers))
    assert list((tmp_path / "keys").iterdir()) == []
    create_ring(tmp_path / "keys", random=os.urandom)


def test_a_missing_directory_or_ring_file_names_the_command_to_run(tmp_path: Path):
    with pytest.raises(KeyFileMissing, match="python -m keys init"):
        KeyRing.load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir(mode=0o700)
    with pytest.raises(KeyFileMissing, match=r"ring\.json.*python -m keys init"):
        KeyRing.load(tmp_path / "empty")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o644])
@pytest.mark.parametrize("name", ["ring.json", *KEY_FILES])
def test_a_file_others_can_reach_is_refused_with_the_chmod_to_run(
    ring: KeyRing, ring_directory: Path, name: str, mode: int
):
    path = ring_directory / name
    path.chmod(mode)
    with pytest.raises(PermissionsTooOpen) as caught:
        KeyRing.load(ring_directory)
    assert caught.value.path == path
    assert f"chmod 600 {path}" in str(caught.value)
    path.chmod(0o400)
    KeyRing.load(ring_directory)


@pytest.mark.parametrize("mode", [0o750, 0o755, 0o701, 0o770])
def test_a_directory_others_can_enter_is_refused_with_the_chmod_to_run(ring: KeyRing, ring_directory: Path, mode: int):
    ring_directory.chmod(mode)
    with pytest.raises(PermissionsTooOpen, match=f"chmod 700 {ring_directory}"):
        KeyRing.load(ring_directory)


def test_a_ring_is_not_made_in_a_directory_others_can_enter(tmp_path: Path):
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(PermissionsTooOpen):
        create_ring(tmp_path / "open", random=os.urandom)
    assert list((tmp_path / "open").iterdir()) == []


@pytest.mark.parametrize("name", KEY_FILES)
def test_a_key_file_that_is_missing_short_or_swapped_is_named(ring: KeyRing, ring_directory: Path, name: str):
    path = ring_directory / name
    path.write_bytes(os.urandom(32))
    with pytest.raises(KeyFileBroken, match=name):
        KeyRing.load(ring_directory)
    path.write_bytes(bytes(31))
    with pytest.raises(KeyFileBroken, match=f"{name}: has 31 bytes"):
        KeyRing.load(ring_directory)
    path.unlink()
    with pytest.raises(KeyFileMissing, match=f"{name}.*backup"):
        KeyRing.load(ring_directory)


def test_a_link_or_a_pipe_in_place_of_a_key_file_is_refused(ring: KeyRing, ring_directory: Path):
    path = ring_directory / KEY_FILES[0]
    elsewhere = path.rename(ring_directory.parent / "elsewhere")
    path.symlink_to(elsewhere)
    with pytest.raises(KeyFileBroken, match=path.name):
        KeyRing.load(ring_directory)
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(KeyFileBroken, match="not a regular file"):
        KeyRing.load(ring_directory)


def first(document: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = document["versions"][0]
    return entry


@pytest.mark.parametrize(("change", "sentence"), [
    (lambda d: d.update(format="coalition-keyring-9"), "format"),
    (lambda d: d.pop("deployment_id"), "deployment_id"),
    (lambda d: d.update(deployment_id="x"), "not valid"),
    (lambda d: d.pop("versions"), "versions"),
    (lambda d: d.update(versions=["x"]), "versions"),
    (lambda d: d["versions"].append(first(d)), "twice"),
    (lambda d: first(d).pop("uri"), "uri"),
    (lambda d: first(d).update(state="TIRED"), "TIRED"),
    (lambda d: first(d).update(version=0), "version"),
    (lambda d: first(d).update(version="1"), "version"),
    (lambda d: first(d).update(version=True), "version"),
    (lambda d: first(d).update(check="zz"), "not valid"),
    (lambda d: first(d).update(create_time="yesterday"), "not valid"),
    (lambda d: first(d).update(create_time=7), "create_time"),
    (lambda d: first(d).update(primary=False), "exactly one primary"),
    (lambda d: first(d).update(state="DISABLED"), "must be ENABLED"),
    (lambda d: d.update(versions=[]), "exactly one primary"),
])  # fmt: skip
def test_a_ring_file_that_is_wrong_names_the_field(
    ring: KeyRing, ring_directory: Path, change: Callable[[dict[str, Any]], object], sentence: str
):
    edit(ring_directory, change)
    with pytest.raises(RingBroken, match=sentence):
        KeyRing.load(ring_directory)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"[" * 100_000, b"null"])
def test_a_ring_file_that_is_no_ring_is_refused(ring: KeyRing, ring_directory: Path, content: bytes):
    (ring_directory / "ring.json").write_bytes(content)
    with pytest.raises(KeyDirectoryError, match=r"ring\.json"):
        KeyRing.load(ring_directory)


def test_a_key_uri_of_another_custody_is_refused_by_name(ring: KeyRing, ring_directory: Path):
    edit(ring_directory, lambda d: first(d).update(uri="vault:ledger"))
    with pytest.raises(CustodyUnknown, match="vault:ledger"):
        KeyRing.load(ring_directory)
