"""PINs in the ring: tagged under a key of their own, sealed on the way, and a ring older than them still works."""

import json
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from keys import KeyMissing, KeyPurpose, KeyRing, SealBroken, add_key, create_ring, generate_box_key, labelled, seal
from keys.errors import KeyChangeRefused, RingBroken
from keys.ring_making import rotate_key

SALT = bytes(range(16))
CONTEXT = labelled(b"pin-block1", "request", "terminal", "member")
PIN_PURPOSES = [KeyPurpose.PIN, KeyPurpose.PIN_SEALING]


def make_old(directory: Path) -> None:
    """The ring as the release before PINs made it."""
    path = directory / "ring.json"
    document = json.loads(path.read_text())
    document["versions"] = [v for v in document["versions"] if v["purpose"] not in {"pin", "pin-sealing"}]
    path.write_text(json.dumps(document))
    for name in ("pin-1.key", "pin-sealing-1.key"):
        (directory / name).unlink()


def test_a_pin_matches_its_own_tag_alone(ring: KeyRing, tmp_path: Path):
    tag = ring.pin_tag("member", SALT, "123456")
    other = create_ring(tmp_path / "other", random=os.urandom)
    assert 32 == len(tag)
    assert ring.pin_matches("member", SALT, "123456", tag)
    assert not ring.pin_matches("member", SALT, "123457", tag)
    assert not ring.pin_matches("member2", SALT, "123456", tag)
    assert not ring.pin_matches("member", SALT[::-1], "123456", tag)
    assert not ring.pin_matches("member", SALT, "123456", tag[:31])
    assert not ring.pin_matches("member", SALT, "123456", b"")
    assert not other.pin_matches("member", SALT, "123456", tag)


def test_a_tag_survives_the_servers_restart(ring: KeyRing, ring_directory: Path):
    assert KeyRing.load(ring_directory).pin_matches("member", SALT, "123456", ring.pin_tag("member", SALT, "123456"))


def test_two_parts_of_a_tag_never_flow_together(ring: KeyRing):
    """Else a wrong PIN of one member could be the right one of another."""
    assert ring.pin_tag("member1", SALT, "23456") != ring.pin_tag("member", SALT, "123456")
    assert ring.pin_tag("7", SALT, "") != ring.member_token("7", "")


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_salt_of_another_length_is_a_programming_error(ring: KeyRing, size: int):
    with pytest.raises(ValueError, match="salt of a PIN has 16 bytes"):
        ring.pin_tag("member", bytes(size), "123456")


@pytest.mark.parametrize("pin", ["1234", "123456", "123456789012"])
def test_a_pin_sealed_to_the_servers_key_is_opened(ring: KeyRing, pin: str):
    box_key_id, public_key = ring.pin_public_key()
    sealed = seal(public_key, pin.encode(), CONTEXT)
    assert box_key_id == sealed[1:9]
    assert pin == ring.open_pin(sealed, CONTEXT)


def test_what_is_no_pin_for_this_key_and_place_is_refused_with_the_same_words(ring: KeyRing, tmp_path: Path):
    public_key = ring.pin_public_key()[1]
    bad = [seal(public_key, text, CONTEXT) for text in (b"", b"123", b"1234567890123", b"12a456", "１２３４".encode())]
    bad += [seal(public_key, b"123456", b"elsewhere"), seal(generate_box_key()[1], b"123456", CONTEXT), b"", bytes(121)]
    told = set()
    for sealed in bad:
        with pytest.raises(SealBroken) as caught:
            ring.open_pin(sealed, CONTEXT)
        assert "1234" not in "".join(traceback.format_exception(caught.value))
        told.add(str(caught.value))
    assert {"the sealed bytes do not open"} == told


def test_a_ring_of_the_release_before_loads_and_says_how_to_add_what_it_lacks(ring: KeyRing, ring_directory: Path):
    make_old(ring_directory)
    old = KeyRing.load(ring_directory)
    assert ring.card_token("7") == old.card_token("7")
    asks: list[tuple[str, Callable[[], object]]] = [
        ("pin", lambda: old.pin_tag("member", SALT, "123456")),
        ("pin", lambda: old.pin_matches("member", SALT, "123456", bytes(32))),
        ("pin-sealing", old.pin_public_key),
        ("pin-sealing", lambda: old.open_pin(bytes(121), CONTEXT)),
    ]
    for purpose, ask in asks:
        with pytest.raises(KeyMissing, match=f"python -m keys add {purpose} {ring_directory}"):
            ask()


def test_the_keys_an_older_ring_lacks_are_added_and_nothing_else_changes(ring: KeyRing, ring_directory: Path):
    make_old(ring_directory)
    before = {path.name: path.read_bytes() for path in ring_directory.glob("*.key")}
    added = [add_key(ring_directory, purpose, random=os.urandom) for purpose in PIN_PURPOSES]
    assert [(purpose, 1, True) for purpose in PIN_PURPOSES] == [(v.purpose, v.version, v.primary) for v in added]
    assert {**before, **{f"{p}-1.key": (ring_directory / f"{p}-1.key").read_bytes() for p in PIN_PURPOSES}} == {
        path.name: path.read_bytes() for path in ring_directory.glob("*.key")
    }
    new = KeyRing.load(ring_directory)
    assert ring.batch_public_key() == new.batch_public_key()
    assert new.pin_matches("member", SALT, "123456", new.pin_tag("member", SALT, "123456"))
    assert "123456" == new.open_pin(seal(new.pin_public_key()[1], b"123456", CONTEXT), CONTEXT)


@pytest.mark.parametrize("purpose", list(KeyPurpose))
def test_a_key_that_is_there_is_never_made_again(ring: KeyRing, ring_directory: Path, purpose: KeyPurpose):
    before = {path: path.read_bytes() for path in ring_directory.iterdir()}
    with pytest.raises(KeyChangeRefused, match=f"python -m keys rotate {purpose}"):
        add_key(ring_directory, purpose, random=os.urandom)
    assert before == {path: path.read_bytes() for path in ring_directory.iterdir()}


def test_adding_that_fails_leaves_the_ring_as_it_was(ring: KeyRing, ring_directory: Path):
    make_old(ring_directory)
    before = {path: path.read_bytes() for path in ring_directory.iterdir()}
    with pytest.raises(ValueError, match="answered 5 bytes"):
        add_key(ring_directory, KeyPurpose.PIN, random=lambda _: b"short")
    assert before == {path: path.read_bytes() for path in ring_directory.iterdir()}


def test_an_old_ring_lacks_nothing_but_what_came_later(ring: KeyRing, ring_directory: Path):
    path = ring_directory / "ring.json"
    document = json.loads(path.read_text())
    document["versions"] = [v for v in document["versions"] if v["purpose"] != "card-token"]
    path.write_text(json.dumps(document))
    with pytest.raises(RingBroken, match="card-token must have exactly one primary version, it has 0"):
        KeyRing.load(ring_directory)


def test_after_a_rotation_an_old_tag_matches_and_a_terminal_that_has_the_old_key_is_understood(
    ring: KeyRing, ring_directory: Path
):
    tag, old_public_key = ring.pin_tag("member", SALT, "123456"), ring.pin_public_key()[1]
    for purpose in PIN_PURPOSES:
        rotate_key(ring_directory, purpose, random=os.urandom)
    new = KeyRing.load(ring_directory)
    assert new.pin_matches("member", SALT, "123456", tag)
    assert tag != new.pin_tag("member", SALT, "123456")
    assert old_public_key != new.pin_public_key()[1]
    assert "123456" == new.open_pin(seal(old_public_key, b"123456", CONTEXT), CONTEXT)
