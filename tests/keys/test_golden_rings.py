"""Rings made by earlier releases, kept for ever: whatever the code becomes, it opens what they sealed.

golden_rings.json is only ever added to. Its keys are test keys that never guarded anything.
"""

import json
import os
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from keys import KeyMissing, KeyPurpose, KeyRing, WrappedKey, private_files, verify
from keys.ring_file import ADDED_LATER
from keys.ring_making import add_key, rotate_key

GOLDEN: list[dict[str, Any]] = json.loads((Path(__file__).parent / "golden_rings.json").read_text())


@pytest.fixture(params=GOLDEN, ids=lambda golden: golden["name"])
def golden(request: pytest.FixtureRequest) -> dict[str, Any]:
    document: dict[str, Any] = request.param
    return document


@pytest.fixture
def ring(golden: dict[str, Any], tmp_path: Path) -> KeyRing:
    directory = tmp_path / "ring"
    directory.mkdir(mode=0o700)
    for name, content in golden["files"].items():
        private_files.write_new(directory / name, bytes.fromhex(content))
    return KeyRing.load(directory, passphrase=lambda: golden["passphrase"])


def test_records_sealed_by_an_earlier_release_open(golden: dict[str, Any], ring: KeyRing):
    for record in golden["records"]:
        member = UUID(record["member_id"])
        wrapped = WrappedKey(
            UUID(record["dek_id"]),
            record["kek_version"],
            bytes.fromhex(record["wrapped"]),
            bytes.fromhex(record["check"]),
        )
        cipher = ring.sealer(member, wrapped, table=record["table"])
        opened = cipher.open(
            record["field_group"], UUID(record["record_id"]), record["revision"], bytes.fromhex(record["sealed"])
        )
        assert record["plaintext"] == opened.decode()


def test_look_ups_tokens_and_signatures_are_those_of_the_earlier_release(golden: dict[str, Any], ring: KeyRing):
    assert golden["blind_index"] == ring.blind_index("phone", "+8613800000000", bits=32)
    assert golden["card_token"] == ring.card_token("9123456789012345").hex()
    assert golden["member_token"] == ring.member_token("kind", "value").hex()
    assert golden["batch_signature"] == ring.sign_batch(b"root").hex()
    assert verify(bytes.fromhex(golden["batch_public_key"]), ring.sign_batch(b"root"), b"root")


def test_pins_of_an_earlier_release_match_or_it_had_none(golden: dict[str, Any], ring: KeyRing):
    if "pin_tag" not in golden:
        assert not ADDED_LATER & {version.purpose for version in ring.versions}
        with pytest.raises(KeyMissing):
            ring.pin_tag("member", bytes(16), "123456")
        return
    assert ring.pin_matches("member", bytes(16), "123456", bytes.fromhex(golden["pin_tag"]))
    assert "123456" == ring.open_pin(bytes.fromhex(golden["pin_box"]), b"here")


def test_new_keys_are_added_to_a_golden_ring_of_any_age(golden: dict[str, Any], ring: KeyRing, tmp_path: Path):
    present = {version.purpose for version in ring.versions}
    for purpose in set(KeyPurpose) - {KeyPurpose.CARD_TOKEN}:
        change = rotate_key if purpose in present else add_key
        change(tmp_path / "ring", purpose, random=os.urandom, passphrase=lambda: golden["passphrase"])
    KeyRing.load(tmp_path / "ring", passphrase=lambda: golden["passphrase"])
