"""A key's life: rotated without a reader noticing, disabled and back, and destroyed only when two people want it."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from keys import (
    CertificateBroken,
    CertificateFiles,
    KeyMissing,
    KeyPurpose,
    KeyRing,
    KeyState,
    KeyUnavailable,
    StatementForged,
    WrappedKey,
    create_authority,
    issue,
    revoke,
    verify,
)
from keys import ring as ring_module
from keys.errors import KeyChangeRefused, KeyFileBroken
from keys.ring_file import RingFile
from keys.ring_making import rotate_key
from keys.ring_reading import read_ring_file
from keys.ring_states import confirm_destruction, destroy, disable, enable, schedule_destruction, set_primary

KEK = KeyPurpose.KEY_ENCRYPTION
DOMAIN = "spiffe://coalition.example"


@pytest.fixture
def old_key(ring: KeyRing, member_id: UUID) -> WrappedKey:
    """A member's key by the first version: asked for before `rotated`, as a ring makes keys by the newest."""
    return ring.new_member(member_id)[0]


@pytest.fixture
def rotated(ring: KeyRing, ring_directory: Path) -> Path:
    """The directory of a ring with two versions of the key-encryption key."""
    rotate_key(ring_directory, KEK, random=os.urandom)
    return ring_directory


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    create_authority(tmp_path / "authority", "coalition.example")
    return tmp_path / "authority"


def person(authority: Path, path: str) -> CertificateFiles:
    return issue(authority, f"{DOMAIN}/{path}", days=2)


def sign(directory: Path, authority: Path, files: CertificateFiles, version: int = 1) -> list[str]:
    return list(
        confirm_destruction(directory, KEK, version, authority=authority, certificate=files.cert, private_key=files.key)
    )


def states(directory: Path, purpose: KeyPurpose = KEK) -> list[tuple[int, str, bool]]:
    return [(v.version, v.state.value, v.primary) for v in KeyRing.load(directory).versions if v.purpose is purpose]


# --- rotation --------------------------------------------------------------------------------------------------------


def test_after_a_rotation_new_things_use_the_new_key_and_old_ones_still_open(
    ring: KeyRing, ring_directory: Path, member_id: UUID
):
    wrapped, signature = ring.new_member(member_id)[0], ring.sign_batch(b"root")
    sealed = ring.sealer(member_id, wrapped).seal("identity", member_id, 1, b"before")
    for purpose in (KEK, KeyPurpose.BATCH_SIGNING):
        assert 2 == rotate_key(ring_directory, purpose, random=os.urandom).version
    new = KeyRing.load(ring_directory)
    assert (2, 2) == (new.kek_version, new.new_member(member_id)[0].kek_version)
    assert b"before" == new.sealer(member_id, wrapped).open("identity", member_id, 1, sealed)
    assert ring.batch_public_key() != new.batch_public_key()
    first = next(v for v in new.versions if v.purpose is KeyPurpose.BATCH_SIGNING)
    assert verify(first.check, signature, b"root")
    assert verify(new.batch_public_key(), new.sign_batch(b"root"), b"root")


def test_the_next_blind_index_waits_until_it_is_made_primary(ring: KeyRing, ring_directory: Path):
    """Members are found by the old index until the last of them has the new one."""
    before = ring.blind_index("phone", "+8613800000000", bits=32)
    rotate_key(ring_directory, KeyPurpose.BLIND_INDEX, random=os.urandom, members=4_000_000)
    both = KeyRing.load(ring_directory)
    assert before == both.blind_index("phone", "+8613800000000", bits=32)
    after = both.blind_index("phone", "+8613800000000", bits=32, version=2)
    assert before != after
    # 16 bits for a million members, 18 for four; new members get the first value.
    assert (before >> 16, after >> 14) == both.blind_indexes("phone", "+8613800000000")
    set_primary(ring_directory, KeyPurpose.BLIND_INDEX, 2)
    assert (after >> 14, before >> 16) == KeyRing.load(ring_directory).blind_indexes("phone", "+8613800000000")
    assert after == KeyRing.load(ring_directory).blind_index("phone", "+8613800000000", bits=32)
    assert [(1, "ENABLED", False), (2, "ENABLED", True)] == states(ring_directory, KeyPurpose.BLIND_INDEX)
    disable(ring_directory, KeyPurpose.BLIND_INDEX, 1)
    assert (after >> 14,) == KeyRing.load(ring_directory).blind_indexes("phone", "+8613800000000")


def test_an_index_under_a_version_that_is_not_enabled_is_refused_by_number(ring: KeyRing):
    with pytest.raises(KeyUnavailable, match="blind-index key version 2 is unknown"):
        ring.blind_index("phone", "7", version=2)


def test_a_ring_in_use_learns_of_a_rotation_by_itself(ring: KeyRing, rotated: Path, member_id: UUID):
    """A server need not stop for it: it meets a key of a version it does not know, and reads its directory again."""
    wrapped = KeyRing.load(rotated).new_member(member_id)[0]
    assert 1 == ring.kek_version
    ring.sealer(member_id, wrapped)
    assert 2 == ring.kek_version


def test_a_ring_in_use_that_cannot_be_read_again_is_tried_once_for_each_change_of_its_directory(
    ring: KeyRing, old_key: WrappedKey, rotated: Path, member_id: UUID, monkeypatch: pytest.MonkeyPatch
):
    wrapped = KeyRing.load(rotated).new_member(member_id)[0]
    missing = (rotated / "key-encryption-2.key").rename(rotated.parent / "elsewhere")
    tries: list[Path] = []
    real = read_ring_file

    def counted(directory: Path) -> RingFile:
        tries.append(directory)
        return real(directory)

    monkeypatch.setattr(ring_module, "read_ring_file", counted)
    for _ in range(3):
        with pytest.raises(KeyUnavailable, match="version 2 is unknown"):
            ring.sealer(member_id, wrapped)
    assert 1 == len(tries)
    ring.sealer(member_id, old_key)
    missing.rename(rotated / "key-encryption-2.key")
    ring.sealer(member_id, wrapped)


def test_card_tokens_are_not_rotated(ring: KeyRing, ring_directory: Path):
    """A new key would leave every card in every pocket unknown."""
    with pytest.raises(KeyChangeRefused, match="card numbers are not stored"):
        rotate_key(ring_directory, KeyPurpose.CARD_TOKEN, random=os.urandom)


def test_a_rotation_that_fails_leaves_the_ring_as_it_was(ring: KeyRing, ring_directory: Path):
    before = {path: path.read_bytes() for path in ring_directory.iterdir()}
    with pytest.raises(ValueError, match="answered 5 bytes"):
        rotate_key(ring_directory, KEK, random=lambda _: b"short")
    assert before == {path: path.read_bytes() for path in ring_directory.iterdir()}


def test_what_is_not_there_is_not_rotated(ring: KeyRing, ring_directory: Path):
    path = ring_directory / "ring.json"
    document = json.loads(path.read_text())
    document["versions"] = [v for v in document["versions"] if v["purpose"] != "pin"]
    path.write_text(json.dumps(document))
    with pytest.raises(KeyMissing, match="python -m keys add pin"):
        rotate_key(ring_directory, KeyPurpose.PIN, random=os.urandom)


# --- states ----------------------------------------------------------------------------------------------------------


def test_a_version_out_of_use_opens_nothing_and_comes_back(old_key: WrappedKey, rotated: Path, member_id: UUID):
    for out_of_use, state in (
        (lambda: disable(rotated, KEK, 1), "DISABLED"),
        (lambda: schedule_destruction(rotated, KEK, 1), "DESTROY_SCHEDULED"),
    ):
        out_of_use()
        with pytest.raises(KeyUnavailable, match=f"version 1 is {state}"):
            KeyRing.load(rotated).sealer(member_id, old_key)
        assert enable(rotated, KEK, 1).destroy_time is None
        KeyRing.load(rotated).sealer(member_id, old_key)


def test_the_primary_version_is_never_taken_out_of_use(rotated: Path):
    for change in (disable, schedule_destruction):
        with pytest.raises(KeyChangeRefused, match="python -m keys rotate"):
            change(rotated, KEK, 2)
    assert [(1, "ENABLED", False), (2, "ENABLED", True)] == states(rotated)


def test_a_rotation_can_be_taken_back(rotated: Path):
    set_primary(rotated, KEK, 1)
    assert [(1, "ENABLED", True), (2, "ENABLED", False)] == states(rotated)
    disable(rotated, KEK, 2)
    with pytest.raises(KeyChangeRefused, match="must be ENABLED"):
        set_primary(rotated, KEK, 2)


def test_a_version_nobody_made_is_unknown(rotated: Path):
    for change in (enable, disable, set_primary, schedule_destruction):
        with pytest.raises(KeyChangeRefused, match="key-encryption key version 9: is unknown"):
            change(rotated, KEK, 9)


@pytest.mark.parametrize("days", [-1, 398])
def test_a_schedule_has_a_bound(rotated: Path, days: int):
    with pytest.raises(KeyChangeRefused, match="days must be from 0 to 397"):
        schedule_destruction(rotated, KEK, 1, days=days)


# --- destruction -----------------------------------------------------------------------------------------------------


def test_two_operators_destroy_a_key_for_good(old_key: WrappedKey, rotated: Path, authority: Path, member_id: UUID):
    schedule_destruction(rotated, KEK, 1, days=0)
    assert [f"{DOMAIN}/op/alice"] == sign(rotated, authority, person(authority, "op/alice"))
    assert [f"{DOMAIN}/op/alice", f"{DOMAIN}/op/bob"] == sign(rotated, authority, person(authority, "op/bob"))
    destroyed = destroy(rotated, KEK, 1, authority=authority)
    assert (KeyState.DESTROYED, False) == (destroyed.state, (rotated / "key-encryption-1.key").exists())
    with pytest.raises(KeyUnavailable, match="version 1 is DESTROYED"):
        KeyRing.load(rotated).sealer(member_id, old_key)
    for change in (enable, disable, set_primary, schedule_destruction):
        with pytest.raises(KeyChangeRefused, match="DESTROYED"):
            change(rotated, KEK, 1)
    evidence = json.loads((rotated / "destroy-key-encryption-1.json").read_text())
    assert 2 == len(evidence["signatures"])
    assert 3 == rotate_key(rotated, KEK, random=os.urandom).version, "a number is never used again"


def test_one_operator_is_not_two(rotated: Path, authority: Path):
    schedule_destruction(rotated, KEK, 1, days=0)
    with pytest.raises(KeyChangeRefused, match="0 of 2 operators"):
        destroy(rotated, KEK, 1, authority=authority)
    sign(rotated, authority, person(authority, "op/alice"))
    with pytest.raises(KeyChangeRefused, match="this operator has signed"):
        sign(rotated, authority, person(authority, "op/alice"))
    with pytest.raises(KeyChangeRefused, match="1 of 2 operators"):
        destroy(rotated, KEK, 1, authority=authority)
    assert (rotated / "key-encryption-1.key").exists()


def test_a_key_lives_until_its_day(rotated: Path, authority: Path):
    now = datetime.now(UTC)
    schedule_destruction(rotated, KEK, 1, days=1, clock=lambda: now)
    for name in ("alice", "bob"):
        sign(rotated, authority, person(authority, f"op/{name}"))
    almost, day = now + timedelta(hours=23, minutes=59), now + timedelta(days=1)
    with pytest.raises(KeyChangeRefused, match="not to be destroyed before"):
        destroy(rotated, KEK, 1, authority=authority, clock=lambda: almost)
    assert KeyState.DESTROYED is destroy(rotated, KEK, 1, authority=authority, clock=lambda: day).state


def test_only_a_scheduled_version_is_signed_for_and_destroyed(rotated: Path, authority: Path):
    alice = person(authority, "op/alice")
    for ask in (lambda: sign(rotated, authority, alice), lambda: destroy(rotated, KEK, 1, authority=authority)):
        with pytest.raises(KeyChangeRefused, match="is ENABLED; first: python -m keys schedule-destroy"):
            ask()


def test_who_agreed_to_one_day_did_not_agree_to_another(rotated: Path, authority: Path):
    schedule_destruction(rotated, KEK, 1, days=30)
    for name in ("alice", "bob"):
        sign(rotated, authority, person(authority, f"op/{name}"))
    schedule_destruction(rotated, KEK, 1, days=0)
    with pytest.raises(KeyChangeRefused, match="0 of 2 operators"):
        destroy(rotated, KEK, 1, authority=authority)


def test_signatures_do_not_survive_a_change_of_mind(rotated: Path, authority: Path):
    schedule_destruction(rotated, KEK, 1, days=0)
    sign(rotated, authority, person(authority, "op/alice"))
    enable(rotated, KEK, 1)
    assert not (rotated / "destroy-key-encryption-1.json").exists()


def stranger(tmp_path: Path, _: Path) -> CertificateFiles:
    create_authority(tmp_path / "other", "coalition.example")
    return issue(tmp_path / "other", f"{DOMAIN}/op/mallory", days=1)


def till(_: Path, authority: Path) -> CertificateFiles:
    return person(authority, "t/cafe/main/till-1")


def revoked(_: Path, authority: Path) -> CertificateFiles:
    files = person(authority, "op/carol")
    revoke(authority, f"{DOMAIN}/op/carol")
    return files


@pytest.mark.parametrize(("who", "sentence"), [
    (stranger, "not issued by this authority"), (till, "not an operator's"), (revoked, "was revoked"),
])  # fmt: skip
def test_who_is_no_operator_does_not_count(
    rotated: Path, authority: Path, tmp_path: Path, who: Callable[[Path, Path], CertificateFiles], sentence: str
):
    schedule_destruction(rotated, KEK, 1, days=0)
    with pytest.raises(CertificateBroken, match=sentence):
        sign(rotated, authority, who(tmp_path, authority))
    assert not (rotated / "destroy-key-encryption-1.json").exists()


def test_an_operator_whose_certificate_is_over_or_revoked_by_then_does_not_count(rotated: Path, authority: Path):
    schedule_destruction(rotated, KEK, 1, days=0)
    for name in ("alice", "bob"):
        sign(rotated, authority, person(authority, f"op/{name}"))
    later = datetime.now(UTC) + timedelta(days=3)
    with pytest.raises(CertificateBroken, match="is over"):
        destroy(rotated, KEK, 1, authority=authority, clock=lambda: later)
    revoke(authority, f"{DOMAIN}/op/bob")
    with pytest.raises(CertificateBroken, match="was revoked"):
        destroy(rotated, KEK, 1, authority=authority)
    assert (rotated / "key-encryption-1.key").exists()


def test_a_forged_or_broken_agreement_destroys_nothing(rotated: Path, authority: Path):
    schedule_destruction(rotated, KEK, 1, days=0)
    alice, bob = person(authority, "op/alice"), person(authority, "op/bob")
    sign(rotated, authority, alice)
    path = rotated / "destroy-key-encryption-1.json"
    document = json.loads(path.read_text())
    forged = {"certificate": bob.cert.read_text(), "signature": document["signatures"][0]["signature"]}
    path.write_text(json.dumps(document | {"signatures": [*document["signatures"], forged]}))
    with pytest.raises(StatementForged):
        destroy(rotated, KEK, 1, authority=authority)
    for broken in ("", "[]", "{}", json.dumps(document | {"signatures": [7]})):
        path.write_text(broken)
        with pytest.raises(KeyFileBroken, match="let both sign again"):
            destroy(rotated, KEK, 1, authority=authority)
    bare = {"certificate": "-----BEGIN CERTIFICATE-----", "signature": ""}
    path.write_text(json.dumps(document | {"signatures": [bare]}))
    with pytest.raises(CertificateBroken):
        destroy(rotated, KEK, 1, authority=authority)
    assert (rotated / "key-encryption-1.key").exists()


def test_a_destruction_cut_off_after_the_key_was_gone_is_finished_by_asking_again(rotated: Path, authority: Path):
    schedule_destruction(rotated, KEK, 1, days=0)
    for name in ("alice", "bob"):
        sign(rotated, authority, person(authority, f"op/{name}"))
    (rotated / "key-encryption-1.key").unlink()
    assert KeyState.DESTROYED is destroy(rotated, KEK, 1, authority=authority).state
