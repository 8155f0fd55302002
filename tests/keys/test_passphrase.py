"""A ring with a passphrase: the stolen directory opens nothing, and changing the passphrase never loses a key."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from keys import KeyPurpose, KeyRing, KeysError, create_ring, private_files
from keys import passphrase as stretching
from keys.errors import (
    KeyFileBroken,
    PassphraseMissing,
    PassphraseWeak,
    PassphraseWrong,
    PermissionsTooOpen,
    RingBroken,
)
from keys.passphrase import read_passphrase
from keys.ring_making import add_key, rotate_key
from keys.ring_passphrase import set_passphrase

WORDS = "correct horse battery staple"
OTHER = "wrong zebra capacitor paperclip"
SEALED_FILES = [f"{purpose.value}-1.sealed" for purpose in KeyPurpose]


UNHURRIED = "test_a_passphrase_is_stretched_as_rfc_9106_recommends"


def words() -> str:
    return WORDS


@pytest.fixture(autouse=True)
def in_a_hurry(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretching takes its half second on purpose, which a hundred tests have not."""
    if request.node.name != UNHURRIED:
        monkeypatch.setattr(stretching, "MEMORY_KIB", 64)


@pytest.fixture
def made(tmp_path: Path) -> dict[str, bytes]:
    """The files of a locked ring."""
    directory = tmp_path / "made"
    create_ring(directory, random=os.urandom, passphrase=words)
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.fixture
def locked(made: dict[str, bytes], tmp_path: Path) -> Path:
    directory = tmp_path / "keys"
    directory.mkdir(mode=0o700)
    for name, content in made.items():
        private_files.write_new(directory / name, content)
    return directory


def test_a_locked_ring_opens_with_its_passphrase_alone(locked: Path):
    assert {"ring.json", *SEALED_FILES} == {path.name for path in locked.iterdir()}
    ring = KeyRing.load(locked, passphrase=words)
    assert ring.card_token("7") == KeyRing.load(locked, passphrase=words).card_token("7")
    with pytest.raises(PassphraseWrong, match="does not open this ring"):
        KeyRing.load(locked, passphrase=lambda: OTHER)
    with pytest.raises(PassphraseMissing, match="COALITION_KEYS_PASSPHRASE_FILE"):
        KeyRing.load(locked)


def test_a_passphrase_is_stretched_as_rfc_9106_recommends(tmp_path: Path):
    """The second recommended choice of section 4: 3 passes over 64 MiB in 4 lanes."""
    create_ring(tmp_path / "keys", random=os.urandom, passphrase=words)
    stretch = json.loads((tmp_path / "keys" / "ring.json").read_text())["passphrase"]["argon2id"]
    assert {"memory_kib": 65_536, "passes": 3, "lanes": 4} == stretch


def test_a_passphrase_is_the_same_however_the_keyboard_composes_it(tmp_path: Path):
    create_ring(tmp_path / "keys", random=os.urandom, passphrase=lambda: "caf\u00e9 cr\u00e8me br\u00fbl\u00e9e")
    decomposed = "cafe\u0301 cre\u0300me bru\u0302le\u0301e"
    assert KeyRing.load(tmp_path / "keys", passphrase=lambda: decomposed).versions


def test_a_ring_without_a_passphrase_asks_for_none(ring: KeyRing, ring_directory: Path):
    KeyRing.load(ring_directory, passphrase=lambda: pytest.fail("nobody should ask"))


def test_a_short_passphrase_is_refused_before_a_key_is_made(tmp_path: Path):
    with pytest.raises(PassphraseWeak, match="at least 15 characters"):
        create_ring(tmp_path / "keys", random=os.urandom, passphrase=lambda: "x" * 14)
    assert [] == list((tmp_path / "keys").iterdir())


def test_no_key_is_in_the_files_of_a_locked_ring(tmp_path: Path):
    drawn: list[bytes] = []

    def remembering(size: int) -> bytes:
        drawn.append(os.urandom(size))
        return drawn[-1]

    create_ring(tmp_path / "keys", random=remembering, passphrase=words)
    text = b"".join(path.read_bytes() for path in (tmp_path / "keys").iterdir())
    secrets = [secret for secret in drawn if len(secret) == 32]
    assert len(KeyPurpose) + 1 == len(secrets)
    assert not any(secret in text or secret.hex().encode() in text for secret in secrets)
    assert WORDS.encode() not in text


@pytest.mark.parametrize("name", SEALED_FILES)
def test_a_sealed_file_that_was_changed_or_exchanged_is_named(locked: Path, name: str):
    path = locked / name
    content = path.read_bytes()
    other = next(each for each in SEALED_FILES if each != name)
    for bad in (content[:-1] + bytes([content[-1] ^ 1]), (locked / other).read_bytes()):
        path.write_bytes(bad)
        with pytest.raises(KeyFileBroken, match=f"{name}: does not open"):
            KeyRing.load(locked, passphrase=words)


def test_a_plain_key_slipped_into_a_locked_ring_is_refused(locked: Path):
    (locked / SEALED_FILES[0]).write_bytes(bytes(32))
    with pytest.raises(KeyFileBroken, match="has 32 bytes, a sealed key file has 60"):
        KeyRing.load(locked, passphrase=words)


def test_what_is_added_to_a_locked_ring_is_sealed_too(locked: Path):
    rotate_key(locked, KeyPurpose.KEY_ENCRYPTION, random=os.urandom, passphrase=words)
    assert 60 == len((locked / "key-encryption-2.sealed").read_bytes())
    with pytest.raises(PassphraseMissing):
        rotate_key(locked, KeyPurpose.KEY_ENCRYPTION, random=os.urandom)
    with pytest.raises(PassphraseWrong):
        rotate_key(locked, KeyPurpose.KEY_ENCRYPTION, random=os.urandom, passphrase=lambda: OTHER)
    assert 2 == KeyRing.load(locked, passphrase=words).kek_version


def test_a_ring_is_given_a_passphrase_and_keeps_every_key(ring: KeyRing, ring_directory: Path, member_id: UUID):
    wrapped = ring.new_member(member_id)[0]
    sealed = ring.sealer(member_id, wrapped).seal("identity", member_id, 1, b"before")
    set_passphrase(ring_directory, words, random=os.urandom)
    assert {"ring.json", *SEALED_FILES} == {path.name for path in ring_directory.iterdir()}
    with pytest.raises(PassphraseMissing):
        KeyRing.load(ring_directory)
    new = KeyRing.load(ring_directory, passphrase=words)
    assert b"before" == new.sealer(member_id, wrapped).open("identity", member_id, 1, sealed)
    assert (ring.card_token("7"), ring.batch_public_key()) == (new.card_token("7"), new.batch_public_key())


def test_changing_the_passphrase_rewrites_no_key_file(locked: Path, made: dict[str, bytes]):
    set_passphrase(locked, lambda: OTHER, old=words, random=os.urandom)
    assert {name: made[name] for name in SEALED_FILES} == {name: (locked / name).read_bytes() for name in SEALED_FILES}
    with pytest.raises(PassphraseWrong):
        KeyRing.load(locked, passphrase=words)
    KeyRing.load(locked, passphrase=lambda: OTHER)


def test_only_who_knows_the_passphrase_changes_it(locked: Path, made: dict[str, bytes]):
    for old, refusal in ((lambda: OTHER, PassphraseWrong), (None, PassphraseMissing)):
        with pytest.raises(refusal):
            set_passphrase(locked, lambda: OTHER, old=old, random=os.urandom)
    with pytest.raises(PassphraseWeak):
        set_passphrase(locked, lambda: "short", old=words, random=os.urandom)
    assert made == {path.name: path.read_bytes() for path in locked.iterdir()}


@pytest.mark.parametrize("cut", range(1, 10))
def test_a_first_passphrase_cut_off_at_any_write_loses_no_key_and_is_finished_later(
    ring: KeyRing, ring_directory: Path, monkeypatch: pytest.MonkeyPatch, cut: int
):
    """Power fails at the n-th file that is made durable or replaced."""
    writes = {"left": cut}

    def failing(real: Callable[..., None]) -> Callable[..., None]:
        def write(*arguments: Any) -> None:
            writes["left"] -= 1
            if writes["left"] == 0:
                raise OSError(5, "power failed", "disk")
            real(*arguments)

        return write

    with monkeypatch.context() as patch:
        patch.setattr(private_files, "write_new", failing(private_files.write_new))
        patch.setattr(private_files, "sync_directory", failing(private_files.sync_directory))
        with pytest.raises(OSError, match="power failed"):
            set_passphrase(ring_directory, words, random=os.urandom)
    try:
        survived = KeyRing.load(ring_directory)
    except PassphraseMissing:
        survived = KeyRing.load(ring_directory, passphrase=words)
    assert ring.card_token("7") == survived.card_token("7")
    set_passphrase(ring_directory, words, old=words, random=os.urandom)
    assert {"ring.json", *SEALED_FILES} == {p.name for p in ring_directory.iterdir() if not p.name.startswith(".")}
    assert ring.card_token("7") == KeyRing.load(ring_directory, passphrase=words).card_token("7")


@pytest.mark.parametrize(("change", "sentence"), [
    (lambda lock: lock.update(salt="00"), "sizes this release never writes"),
    (lambda lock: lock.update(file_key=lock["file_key"][:-2]), "sizes this release never writes"),
    (lambda lock: lock["argon2id"].update(memory_kib=1 << 30), "sizes this release never writes"),
    (lambda lock: lock["argon2id"].update(passes=1000), "sizes this release never writes"),
    (lambda lock: lock["argon2id"].update(lanes=0), "sizes this release never writes"),
    (lambda lock: lock["argon2id"].pop("lanes"), "field lanes"),
    (lambda lock: lock.pop("argon2id"), "field passphrase"),
    (lambda lock: lock.update(salt="zz"), "not valid"),
])  # fmt: skip
def test_a_ring_file_whose_lock_is_wrong_is_refused_before_anything_is_stretched(
    locked: Path, change: Callable[[dict[str, Any]], object], sentence: str
):
    path = locked / "ring.json"
    document = json.loads(path.read_text())
    change(document["passphrase"])
    path.write_text(json.dumps(document))
    with pytest.raises(RingBroken, match=sentence):
        KeyRing.load(locked, passphrase=lambda: pytest.fail("nobody should ask"))


@pytest.mark.parametrize("change", [
    lambda lock: lock["argon2id"].update(passes=2), lambda lock: lock.update(salt="00" * 16),
    lambda lock: lock.update(file_key="00" * 60),
])  # fmt: skip
def test_a_lock_that_was_weakened_does_not_open(locked: Path, change: Callable[[dict[str, Any]], object]):
    path = locked / "ring.json"
    document = json.loads(path.read_text())
    change(document["passphrase"])
    path.write_text(json.dumps(document))
    with pytest.raises(PassphraseWrong):
        KeyRing.load(locked, passphrase=words)


def test_a_lock_taken_away_leaves_nothing_that_opens(locked: Path):
    path = locked / "ring.json"
    document = json.loads(path.read_text())
    del document["passphrase"]
    path.write_text(json.dumps(document))
    with pytest.raises(KeyFileBroken, match="has 60 bytes, a key file has 32"):
        KeyRing.load(locked)


def test_a_passphrase_is_read_from_a_private_file_without_its_line_end(tmp_path: Path):
    path = tmp_path / "passphrase"
    path.write_bytes(WORDS.encode() + b"\r\n")
    path.chmod(0o600)
    assert WORDS == read_passphrase(path)
    path.write_bytes(b"\n")
    with pytest.raises(PassphraseMissing):
        read_passphrase(path)
    path.chmod(0o644)
    with pytest.raises(PermissionsTooOpen):
        read_passphrase(path)


def test_no_refusal_quotes_a_passphrase(locked: Path):
    for ask in (
        lambda: KeyRing.load(locked, passphrase=lambda: OTHER),
        lambda: add_key(locked, KeyPurpose.PIN, random=os.urandom, passphrase=lambda: OTHER),
        lambda: set_passphrase(locked, lambda: "short secret", old=words, random=os.urandom),
    ):
        with pytest.raises(KeysError) as caught:
            ask()
        assert not {"zebra", "secret"} & set(str(caught.value).split())
