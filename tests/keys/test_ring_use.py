"""The ring in use: wraps bind their member, hashes and signatures are stable, and no secret is shown."""

import json
import os
import pickle
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from keys import (
    KeyPurpose,
    KeyRing,
    KeyState,
    KeyUnavailable,
    MemberCipher,
    SealBroken,
    WrappedKey,
    create_ring,
    verify,
)
from keys.software_keys import AesKeyWrapper

KEY_FILES = [f"{purpose.value}-1.key" for purpose in KeyPurpose]


def edit(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = directory / "ring.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def first(document: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = document["versions"][0]
    return entry


# --- member keys -----------------------------------------------------------------------------------------------------


def test_each_member_key_is_new(ring: KeyRing, member_id: UUID):
    keys = [ring.new_member(member_id)[0] for _ in range(100)]
    assert len({key.dek_id for key in keys}) == len({key.wrapped for key in keys}) == 100
    assert {(key.kek_version, len(key.wrapped), len(key.check)) for key in keys} == {(1, 40, 16)}


def test_a_wrapped_key_opens_for_its_own_member_only(ring: KeyRing, wrapped: WrappedKey):
    with pytest.raises(SealBroken):
        ring.sealer(uuid4(), wrapped)


def test_two_wrapped_keys_cannot_be_exchanged(ring: KeyRing, member_id: UUID, wrapped: WrappedKey):
    other = ring.new_member(uuid4())[0]
    for mixed in (
        replace(wrapped, wrapped=other.wrapped),
        replace(wrapped, wrapped=other.wrapped, check=other.check),
        replace(wrapped, check=other.check),
        replace(wrapped, dek_id=other.dek_id),
    ):
        with pytest.raises(SealBroken):
            ring.sealer(member_id, mixed)


def test_every_flipped_bit_of_a_wrapped_key_is_found(ring: KeyRing, member_id: UUID, wrapped: WrappedKey):
    for name in ("wrapped", "check"):
        for place in range(8 * len(getattr(wrapped, name))):
            damaged = bytearray(getattr(wrapped, name))
            damaged[place // 8] ^= 1 << place % 8
            with pytest.raises(SealBroken):
                ring.sealer(
                    member_id,
                    replace(wrapped, wrapped=bytes(damaged))
                    if name == "wrapped"
                    else replace(wrapped, check=bytes(damaged)),
                )


@pytest.mark.parametrize("length", [0, 1, 7, 8, 16, 39, 41, 48])
def test_a_wrapped_key_of_another_length_does_not_open(
    ring: KeyRing, member_id: UUID, wrapped: WrappedKey, length: int
):
    with pytest.raises(SealBroken):
        ring.sealer(member_id, replace(wrapped, wrapped=(wrapped.wrapped * 2)[:length]))


def test_a_stolen_wrapped_key_opens_with_no_other_ring(tmp_path: Path, member_id: UUID, wrapped: WrappedKey):
    with pytest.raises(SealBroken):
        create_ring(tmp_path / "thief", random=os.urandom).sealer(member_id, wrapped)


def add_version_two(directory: Path, *, primary: bool, first_state: KeyState) -> None:
    secret = os.urandom(32)
    path = directory / "key-encryption-2.key"
    path.write_bytes(secret)
    path.chmod(0o600)
    second = {
        "purpose": "key-encryption",
        "version": 2,
        "state": "ENABLED",
        "primary": primary,
        "uri": f"file:{path.name}",
        "check": AesKeyWrapper(secret).check().hex(),
        "create_time": None,
    }

    def change(document: dict[str, Any]) -> None:
        first(document).update(primary=not primary, state=first_state.value)
        document["versions"].append(second)

    edit(directory, change)


def test_after_a_new_primary_old_member_keys_still_open_and_new_ones_use_it(
    ring_directory: Path, cipher: MemberCipher, member_id: UUID, wrapped: WrappedKey
):
    sealed = cipher.seal("identity", member_id, 1, b"before")
    add_version_two(ring_directory, primary=True, first_state=KeyState.ENABLED)
    ring = KeyRing.load(ring_directory)
    assert (ring.kek_version, ring.new_member(member_id)[0].kek_version) == (2, 2)
    assert ring.sealer(member_id, wrapped).open("identity", member_id, 1, sealed) == b"before"
    with pytest.raises(SealBroken):
        ring.sealer(member_id, replace(wrapped, kek_version=2))


@pytest.mark.parametrize("state", [KeyState.DISABLED, KeyState.DESTROY_SCHEDULED, KeyState.DESTROYED])
def test_a_version_that_is_not_enabled_is_not_used_nor_its_file_needed(
    ring_directory: Path, member_id: UUID, wrapped: WrappedKey, state: KeyState
):
    add_version_two(ring_directory, primary=True, first_state=state)
    (ring_directory / KEY_FILES[0]).unlink()
    ring = KeyRing.load(ring_directory)
    with pytest.raises(KeyUnavailable, match=f"key-encryption key version 1 is {state.value}"):
        ring.sealer(member_id, wrapped)


def test_an_unknown_version_is_refused_by_number(ring: KeyRing, member_id: UUID, wrapped: WrappedKey):
    with pytest.raises(KeyUnavailable, match="version 9 is unknown to this ring"):
        ring.sealer(member_id, replace(wrapped, kek_version=9))


# --- hashes and signatures -------------------------------------------------------------------------------------------


def test_a_blind_index_is_stable_over_loads_and_differs_between_rings(
    ring: KeyRing, ring_directory: Path, tmp_path: Path
):
    again, other = KeyRing.load(ring_directory), create_ring(tmp_path / "other", random=os.urandom)
    values = [f"+86138{number:08}" for number in range(64)]
    assert [ring.blind_index("phone", value) for value in values] == [again.blind_index("phone", v) for v in values]
    assert [ring.blind_index("phone", value) for value in values] != [other.blind_index("phone", v) for v in values]


def test_a_shorter_blind_index_is_the_beginning_of_a_longer_one(ring: KeyRing):
    longest = ring.blind_index("phone", "+8613800000000", bits=32)
    for bits in range(1, 33):
        index = ring.blind_index("phone", "+8613800000000", bits=bits)
        assert index == longest >> (32 - bits)
        assert 0 <= index < 2**bits


def test_a_blind_index_has_16_bits_by_default_and_spreads_over_them(ring: KeyRing):
    indexes = [ring.blind_index("phone", f"+86138{number:08}") for number in range(4096)]
    assert 0 <= min(indexes) < 2**11
    assert 2**16 - 2**11 <= max(indexes) < 2**16
    # 4,096 draws of 65,536 values: 3,970 different ones are expected, give or take 11.
    assert 3900 < len(set(indexes)) < 4040


def test_equal_values_of_two_fields_have_different_indexes(ring: KeyRing):
    assert ring.blind_index("phone", "7", bits=32) != ring.blind_index("email", "7", bits=32)
    assert ring.blind_index("a", "bc", bits=32) != ring.blind_index("ab", "c", bits=32)


@pytest.mark.parametrize("bits", [0, -1, 33])
def test_a_blind_index_of_impossible_length_is_refused(ring: KeyRing, bits: int):
    with pytest.raises(ValueError, match="bits must be from 1 to 32"):
        ring.blind_index("phone", "+8613800000000", bits=bits)


def test_card_tokens_are_stable_keyed_and_whole(ring: KeyRing, ring_directory: Path, tmp_path: Path):
    token = ring.card_token("9123456789012345")
    assert len(token) == 32
    assert token == KeyRing.load(ring_directory).card_token("9123456789012345")
    assert token != ring.card_token("9123456789012346")
    assert token != create_ring(tmp_path / "other", random=os.urandom).card_token("9123456789012345")


def test_tokens_of_different_kinds_never_meet(ring: KeyRing):
    tokens = [
        ring.card_token("7"),
        ring.member_token("device", "7"),
        ring.member_token("virtual", "7"),
        ring.member_token("a", "bc"),
        ring.member_token("ab", "c"),
    ]
    assert len(set(tokens)) == len(tokens)
    assert {len(token) for token in tokens} == {32}


def test_text_that_is_no_unicode_is_hashed_and_never_quoted_in_an_error(ring: KeyRing):
    assert len(ring.card_token("\ud800")) == 32
    assert 0 <= ring.blind_index("phone", "\udfff") < 2**16


def test_a_batch_signature_holds_for_its_message_and_key_only(ring: KeyRing, ring_directory: Path, tmp_path: Path):
    signature = ring.sign_batch(b"root")
    assert verify(ring.batch_public_key(), signature, b"root")
    assert signature == KeyRing.load(ring_directory).sign_batch(b"root")
    assert not verify(ring.batch_public_key(), signature, b"boot")
    assert not verify(ring.batch_public_key(), signature[:-1] + bytes([signature[-1] ^ 1]), b"root")
    assert not verify(create_ring(tmp_path / "other", random=os.urandom).batch_public_key(), signature, b"root")


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_malformed_public_key_or_signature_is_answered_false(ring: KeyRing, size: int):
    assert not verify(bytes(size), ring.sign_batch(b"root"), b"root")
    assert not verify(ring.batch_public_key(), bytes(size), b"root")


# --- secrecy and threads ---------------------------------------------------------------------------------------------


def test_no_secret_is_in_any_representation(
    ring: KeyRing, ring_directory: Path, cipher: MemberCipher, wrapped: WrappedKey
):
    secrets = [(ring_directory / name).read_bytes() for name in KEY_FILES] + [wrapped.wrapped, wrapped.check]
    inner = (ring._keys, ring._keys.wrappers[1], ring._blind_index, ring._tokens, ring._signer, ring._keys.openers[1])
    for shown in (ring, cipher, wrapped, *ring.versions, *inner):
        for text in (repr(shown), str(shown)):
            assert not any(repr(secret)[2:-1] in text or secret.hex() in text for secret in secrets)


def test_a_ring_is_never_pickled(ring: KeyRing):
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(ring)


def test_one_ring_serves_many_threads(ring: KeyRing, member_id: UUID):
    expected = (ring.card_token("7"), ring.blind_index("phone", "7"), ring.sign_batch(b"root"))
    wrong: list[object] = []

    def work() -> None:
        for _ in range(50):
            found = (ring.card_token("7"), ring.blind_index("phone", "7"), ring.sign_batch(b"root"))
            if found != expected or not verify(ring.batch_public_key(), found[2], b"root"):
                wrong.append(found)
            ring.sealer(member_id, ring.new_member(member_id)[0])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
