"""CMR1: a record opens in its own place and nowhere else, and a refusal says nothing."""

import hashlib
import hmac
import os
import pickle
import threading
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from keys import KeyRing, MemberCipher, PlaintextTooLong, SealBroken, WrappedKey
from keys.record import HEADER, PADDING_BYTES, PLAINTEXT_BYTES_MAX, RecordContext, pad, unpad
from keys.suites import SUITES, TAG_BYTES, RecordSuite

RECORD = UUID("00000000-0000-4000-8000-00000000000a")
PLAINTEXT = b"Zhang Wei, +8613800000000"
FIELDS = {
    "magic": 0,
    "suite": 4,
    "schema": 5,
    "key-encryption key version": 7,
    "dek_id": 11,
    "record_id": 27,
    "revision": 43,
    "salt": 47,
    "commitment": 79,
    "length": 111,
    "ciphertext": 115,
    "tag": -TAG_BYTES,
}

# Sealed once and kept for ever: whatever the code becomes, it must open this.
GOLDEN_CONTEXT = RecordContext(
    deployment_id=UUID("11111111-1111-4111-8111-111111111111"),
    table="members",
    member_id=UUID("22222222-2222-4222-8222-222222222222"),
    dek_id=UUID("33333333-3333-4333-8333-333333333333"),
    kek_version=7,
)
GOLDEN_DEK = bytes(range(32))
GOLDEN_SALT = bytes(range(100, 132))
GOLDEN_SEALED = bytes.fromhex(
    "434d523101000100000007333333333333433383333333333333330000000000004000800000000000000a00000009646566"
    "6768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182831864de0abff7871f63991c3add4e4eeac165c2e107"
    "5b52e6fb2253ad7d466b9e000000401658fe47218a09f9fb133114a5f06bd3e3a4334c7d8ae67b55681c682c5dcb5a0ed24c"
    "ca81da1484aae3a2b688d99a7f3fac1c36aa793e99b9e063d5dbbf241042f6d00225c03db9adfce9f34dd7f8af"
)
GOLDEN_SM4 = bytes.fromhex(
    "434d523102000100000007333333333333433383333333333333330000000000004000800000000000000a00000009646566"
    "6768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f80818283c4e6eb9ffff61b516278441fef60cdc122e86c2d7e"
    "8693cb63603bb8dc13f2670000004071d3ce26bf156503308b8174330f18cb8f11a7cffb9986807071a3b6fbc0092ddd4f21"
    "9ddd99379cd67509e64f6352e19c18b79fae86266bf5cbbde710900e942c5a554f6d380d7e2fc8e8e495aae39f"
)
GOLDENS = [(RecordSuite.AES, GOLDEN_SEALED), (RecordSuite.SM4, GOLDEN_SM4)]


@pytest.fixture(params=list(RecordSuite), ids=lambda suite: suite.name)
def cipher(request: pytest.FixtureRequest, ring: KeyRing, member_id: UUID, wrapped: WrappedKey) -> MemberCipher:
    """Every rule of a record holds for both suites."""
    sealer = ring.sealer(member_id, wrapped)
    return MemberCipher(sealer._dek, sealer._context, os.urandom, request.param)


def test_a_record_opens_where_it_was_sealed(cipher: MemberCipher):
    sealed = cipher.seal("identity", RECORD, 3, PLAINTEXT)
    assert cipher.open("identity", RECORD, 3, sealed) == PLAINTEXT
    assert PLAINTEXT not in sealed


def test_a_record_opens_in_a_process_that_loads_the_ring_anew(
    ring_directory: Path, cipher: MemberCipher, member_id: UUID, wrapped: WrappedKey
):
    sealed = cipher.seal("identity", RECORD, 3, PLAINTEXT)
    again = KeyRing.load(ring_directory).sealer(member_id, wrapped)
    assert again.open("identity", RECORD, 3, sealed) == PLAINTEXT


@given(
    plaintext=st.binary(max_size=1000),
    group=st.text(min_size=1, max_size=16),
    record=st.uuids(),
    revision=st.integers(0, 2**32 - 1),
    suite=st.sampled_from(RecordSuite),
)
def test_any_bytes_come_back_exactly(plaintext: bytes, group: str, record: UUID, revision: int, suite: RecordSuite):
    sealer = MemberCipher(GOLDEN_DEK, GOLDEN_CONTEXT, os.urandom, suite)
    assert sealer.open(group, record, revision, sealer.seal(group, record, revision, plaintext)) == plaintext


@given(plaintext=st.binary(max_size=200))
def test_padding_is_undone_exactly_and_fills_whole_steps(plaintext: bytes):
    padded = pad(plaintext)
    assert len(padded) % PADDING_BYTES == 0
    assert len(plaintext) < len(padded) <= len(plaintext) + PADDING_BYTES
    assert unpad(padded) == plaintext


def test_lengths_within_one_step_look_the_same(cipher: MemberCipher):
    assert {len(cipher.seal("identity", RECORD, 1, b"x" * size)) for size in range(PADDING_BYTES)} == {
        HEADER.size + PADDING_BYTES + TAG_BYTES
    }


def test_sealing_twice_gives_different_bytes(cipher: MemberCipher):
    assert cipher.seal("identity", RECORD, 1, PLAINTEXT) != cipher.seal("identity", RECORD, 1, PLAINTEXT)


@pytest.mark.parametrize(("group", "record", "revision"), [
    ("contact", RECORD, 3),
    ("identit", RECORD, 3),
    ("", RECORD, 3),
    ("identity", uuid4(), 3),
    ("identity", RECORD, 2),
    ("identity", RECORD, 4),
    ("identity", RECORD, -1),
    ("identity", RECORD, 3 + 2**32),
])  # fmt: skip
def test_a_record_does_not_open_in_another_place(cipher: MemberCipher, group: str, record: UUID, revision: int):
    with pytest.raises(SealBroken):
        cipher.open(group, record, revision, cipher.seal("identity", RECORD, 3, PLAINTEXT))


def test_a_record_does_not_open_in_another_table(ring: KeyRing, member_id: UUID, wrapped: WrappedKey):
    sealed = ring.sealer(member_id, wrapped, table="members").seal("identity", RECORD, 3, PLAINTEXT)
    with pytest.raises(SealBroken):
        ring.sealer(member_id, wrapped, table="archive").open("identity", RECORD, 3, sealed)


def test_a_record_does_not_open_for_another_member(ring: KeyRing, cipher: MemberCipher):
    other = uuid4()
    with pytest.raises(SealBroken):
        ring.sealer(other, ring.new_member(other)[0]).open(
            "identity", RECORD, 3, cipher.seal("identity", RECORD, 3, PLAINTEXT)
        )


@pytest.mark.parametrize("change", ["deployment_id", "table", "member_id", "dek_id"])
def test_the_same_data_key_in_another_context_does_not_open(change: str):
    """Not even with the right key in hand: each part of the context is bound by itself."""
    parts = {name: getattr(GOLDEN_CONTEXT, name) for name in RecordContext.__slots__}
    parts[change] = "archive" if change == "table" else uuid4()
    with pytest.raises(SealBroken):
        MemberCipher(GOLDEN_DEK, RecordContext(**parts), os.urandom).open("identity", RECORD, 9, GOLDEN_SEALED)


def test_another_data_key_in_the_same_context_does_not_open():
    with pytest.raises(SealBroken):
        MemberCipher(bytes(32), GOLDEN_CONTEXT, os.urandom).open("identity", RECORD, 9, GOLDEN_SEALED)


def test_names_cannot_slide_into_each_other(ring: KeyRing, member_id: UUID, wrapped: WrappedKey):
    sealed = ring.sealer(member_id, wrapped, table="ab").seal("c", RECORD, 1, PLAINTEXT)
    with pytest.raises(SealBroken):
        ring.sealer(member_id, wrapped, table="a").open("bc", RECORD, 1, sealed)


@pytest.mark.parametrize("field", FIELDS)
def test_a_flipped_bit_is_found_in_every_field(cipher: MemberCipher, field: str):
    sealed = bytearray(cipher.seal("identity", RECORD, 3, PLAINTEXT))
    sealed[FIELDS[field]] ^= 1
    with pytest.raises(SealBroken):
        cipher.open("identity", RECORD, 3, bytes(sealed))


def test_every_single_flipped_bit_is_found(cipher: MemberCipher):
    sealed = cipher.seal("identity", RECORD, 3, PLAINTEXT)
    opened = []
    for place in range(len(sealed) * 8):
        damaged = bytearray(sealed)
        damaged[place // 8] ^= 1 << place % 8
        try:
            cipher.open("identity", RECORD, 3, bytes(damaged))
        except SealBroken:
            continue
        opened.append(place)
    assert opened == []


def test_every_truncation_and_any_addition_is_found(cipher: MemberCipher):
    sealed = cipher.seal("identity", RECORD, 3, PLAINTEXT)
    for damaged in [sealed[:size] for size in range(len(sealed))] + [sealed + b"\0", sealed + sealed]:
        with pytest.raises(SealBroken):
            cipher.open("identity", RECORD, 3, damaged)


def test_the_ends_of_two_records_cannot_be_exchanged(cipher: MemberCipher):
    first, second = (cipher.seal("identity", RECORD, 3, text) for text in (b"first", b"second"))
    with pytest.raises(SealBroken):
        cipher.open("identity", RECORD, 3, first[: HEADER.size] + second[HEADER.size :])


def test_a_refusal_does_not_say_which_check_failed(ring: KeyRing, cipher: MemberCipher, wrapped: WrappedKey):
    sealed = cipher.seal("identity", RECORD, 3, PLAINTEXT)
    refusals = []
    for damaged in (b"", b"X" + sealed[1:], sealed[:80] + b"\0\0" + sealed[82:], sealed[:-1] + bytes([sealed[-1] ^ 1])):
        with pytest.raises(SealBroken) as caught:
            cipher.open("identity", RECORD, 3, damaged)
        refusals.append(
            (str(caught.value), caught.value.__cause__, caught.value.__context__, caught.traceback[-1].lineno)
        )
    assert set(refusals) == {("the sealed bytes do not open", None, None, refusals[0][3])}
    with pytest.raises(SealBroken) as caught:
        ring.sealer(uuid4(), wrapped)
    assert (str(caught.value), caught.value.__context__) == ("the sealed bytes do not open", None)


def test_the_version_of_the_wrapping_key_may_change_after_sealing():
    """Rewrapping a data key leaves the records sealed under it readable."""
    rewrapped = RecordContext(
        GOLDEN_CONTEXT.deployment_id, "members", GOLDEN_CONTEXT.member_id, GOLDEN_CONTEXT.dek_id, kek_version=8
    )
    assert MemberCipher(GOLDEN_DEK, rewrapped, os.urandom).open("identity", RECORD, 9, GOLDEN_SEALED) == PLAINTEXT


@pytest.mark.parametrize(("suite", "sealed"), GOLDENS)
def test_the_golden_record_opens_and_is_sealed_to_the_same_bytes(suite: RecordSuite, sealed: bytes):
    golden = MemberCipher(GOLDEN_DEK, GOLDEN_CONTEXT, lambda size: GOLDEN_SALT[:size], suite)
    assert golden.open("identity", RECORD, 9, sealed) == PLAINTEXT
    assert golden.seal("identity", RECORD, 9, PLAINTEXT) == sealed


@pytest.mark.parametrize("suite", RecordSuite)
def test_a_record_opens_whatever_suite_new_ones_are_sealed_with(suite: RecordSuite):
    """A deployment that changes its suite keeps every record it has."""
    cipher = MemberCipher(GOLDEN_DEK, GOLDEN_CONTEXT, os.urandom, suite)
    assert [PLAINTEXT, PLAINTEXT] == [cipher.open("identity", RECORD, 9, sealed) for _, sealed in GOLDENS]


def test_a_record_cannot_be_passed_off_as_one_of_the_other_suite():
    cipher = MemberCipher(GOLDEN_DEK, GOLDEN_CONTEXT, os.urandom)
    for (_, sealed), number in ((GOLDENS[0], 2), (GOLDENS[1], 1), (GOLDENS[0], 0), (GOLDENS[0], 3)):
        with pytest.raises(SealBroken):
            cipher.open("identity", RECORD, 9, sealed[:4] + bytes([number]) + sealed[5:])


def test_the_golden_record_opens_by_the_page_of_the_format_alone():
    """Written from the format's description, with HKDF spelled out, so that both readings must agree."""
    header, ciphertext = GOLDEN_SEALED[:115], GOLDEN_SEALED[115:]
    assert header[:47] == b"CMR1\x01\x00\x01\x00\x00\x00\x07" + b"\x33" * 6 + b"\x43\x33\x83" + b"\x33" * 7 + (
        RECORD.bytes + b"\x00\x00\x00\x09"
    )
    extracted = hmac.digest(header[47:79], GOLDEN_DEK, hashlib.sha512)
    first = hmac.digest(extracted, b"CMR1\x01identity\x01", hashlib.sha512)
    material = first + hmac.digest(extracted, first + b"CMR1\x01identity\x02", hashlib.sha512)
    assert material[44:76] == header[79:111]
    aad = (
        header
        + GOLDEN_CONTEXT.deployment_id.bytes
        + b"\x00\x07members\x00\x08identity"
        + GOLDEN_CONTEXT.member_id.bytes
    )
    padded = AESGCM(material[:32]).decrypt(material[32:44], ciphertext, aad)
    assert padded == PLAINTEXT + b"\x80" + bytes(64 - len(PLAINTEXT) - 1)


@pytest.mark.parametrize(("suite", "golden_sealed"), GOLDENS)
def test_a_record_that_decrypts_but_commits_to_another_key_does_not_open(suite: RecordSuite, golden_sealed: bytes):
    """GCM can be made to open under two keys; the commitment must be checked by itself, not only as aad."""
    golden = MemberCipher(GOLDEN_DEK, GOLDEN_CONTEXT, os.urandom)
    key, nonce, commitment = SUITES[suite].derive(GOLDEN_DEK, GOLDEN_SALT, b"CMR1" + bytes([suite]) + b"identity")
    header = golden_sealed[: HEADER.size]
    assert header.count(commitment) == 1
    forged = header.replace(commitment, bytes(32))
    for candidate, opens in ((header, True), (forged, False)):
        aad = golden._aad(candidate, "identity")
        sealed = candidate + SUITES[suite].encrypt(key, nonce, pad(PLAINTEXT), aad)
        if opens:
            assert golden.open("identity", RECORD, 9, sealed) == PLAINTEXT
        else:
            with pytest.raises(SealBroken):
                golden.open("identity", RECORD, 9, sealed)


def test_a_record_of_the_largest_size_is_sealed_and_one_byte_more_is_refused(cipher: MemberCipher):
    largest = bytes(PLAINTEXT_BYTES_MAX)
    assert cipher.open("notes", RECORD, 1, cipher.seal("notes", RECORD, 1, largest)) == largest
    with pytest.raises(PlaintextTooLong, match="at most 65536"):
        cipher.seal("notes", RECORD, 1, largest + b"x")


@pytest.mark.parametrize(("group", "revision", "named"), [
    ("", 1, "field_group"), ("g" * 65, 1, "field_group"), ("g", -1, "revision"), ("g", 2**32, "revision"),
])  # fmt: skip
def test_sealing_for_an_impossible_place_names_the_argument(
    cipher: MemberCipher, group: str, revision: int, named: str
):
    with pytest.raises(ValueError, match=named):
        cipher.seal(group, RECORD, revision, PLAINTEXT)


def test_random_bytes_that_run_short_are_refused():
    with pytest.raises(ValueError, match="answered 0 bytes"):
        MemberCipher(GOLDEN_DEK, GOLDEN_CONTEXT, lambda _: b"").seal("identity", RECORD, 1, PLAINTEXT)


def test_a_cipher_shows_no_key_and_is_never_pickled():
    cipher = MemberCipher(GOLDEN_DEK, GOLDEN_CONTEXT, os.urandom)
    assert repr(cipher) == "MemberCipher(dek_id=33333333-3333-4333-8333-333333333333)"
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(cipher)


def test_one_cipher_serves_many_threads(cipher: MemberCipher):
    wrong: list[int] = []

    def work(number: int) -> None:
        for revision in range(50):
            text = f"{number}/{revision}".encode()
            if cipher.open("identity", RECORD, revision, cipher.seal("identity", RECORD, revision, text)) != text:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
