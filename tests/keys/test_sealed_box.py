"""Sealed boxes: only the holder of the key opens them, only where they were meant to, and no refusal says why."""

import hmac
import pickle
import traceback
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from keys import BoxKeyBroken, PlaintextTooLong, SealBroken, generate_box_key, labelled, open_box, seal
from keys.sealed_box import BoxOpener

CONTEXT = labelled(b"pin-block1", "request", "terminal", "member")

GOLDEN_PRIVATE = bytes(range(32))
GOLDEN_BOX = bytes.fromhex(
    "01eedd883da0a94515785e74a1ffcd8ee6517163b8331a95e810255fdf5071ac93d3378d5003c08117f81cbdbe88884c4bc6"
    "471095f9cec720eea9c89b99e936e35e4dca98335c192e949c2a2e62060fa9b17d939b2937355c15b6be21329f89637c7180"
    "02a45a8a10fa6341b4bf825fa7ca0055c4018b72a7"
)
"""Sealed once and kept for ever: a box that was made by an earlier release opens."""


@pytest.fixture(scope="module")
def pair() -> tuple[bytes, bytes]:
    return generate_box_key()


@pytest.mark.parametrize("plaintext", [b"", b"123456", bytes(63), bytes(64), b"\x80", b"\x80\0\0", b"x" * 4096])
def test_what_was_sealed_is_opened(pair: tuple[bytes, bytes], plaintext: bytes):
    assert plaintext == open_box(pair[0], seal(pair[1], plaintext, CONTEXT), CONTEXT)


def test_a_box_of_an_earlier_release_opens():
    assert b"123456" == open_box(GOLDEN_PRIVATE, GOLDEN_BOX, CONTEXT)


def test_a_box_begins_with_its_version_and_the_id_of_its_key_and_hides_the_length_of_a_pin(pair: tuple[bytes, bytes]):
    boxes = [seal(pair[1], pin, CONTEXT) for pin in (b"1234", b"123456", b"123456789012")]
    assert {b"\x01" + sha256(pair[1]).digest()[:8]} == {box[:9] for box in boxes}
    assert {9 + 32 + 64 + 16} == {len(box) for box in boxes}


def test_the_same_pin_is_never_the_same_box(pair: tuple[bytes, bytes]):
    assert 50 == len({seal(pair[1], b"123456", CONTEXT)[9:41] for _ in range(50)})


def test_a_box_opens_with_no_other_key_and_in_no_other_context(pair: tuple[bytes, bytes]):
    box = seal(pair[1], b"123456", CONTEXT)
    for private, context in (
        (generate_box_key()[0], CONTEXT),
        (pair[0], labelled(b"pin-block1", "request", "terminal", "other member")),
        (pair[0], labelled(b"pin-block1", "request", "terminalm", "ember")),
        (pair[0], b""),
    ):
        with pytest.raises(SealBroken):
            open_box(private, box, context)


def test_every_flipped_bit_and_every_cut_is_refused_with_the_same_words(pair: tuple[bytes, bytes]):
    """Who could tell a bad tag from a bad key id could ask, and learn."""
    box = seal(pair[1], b"123456", CONTEXT)
    damaged = [
        box[:place] + bytes([box[place] ^ 1 << bit]) + box[place + 1 :] for place in range(len(box)) for bit in range(8)
    ]
    # X25519 ignores the highest bit of a public key, but HPKE hashes the key as it was sent.
    damaged += [box[:length] for length in range(len(box))] + [box + b"\0", bytes(10_000)]
    damaged += [box[:9] + bytes(32) + box[41:]]
    told = set()
    for bad in damaged:
        with pytest.raises(SealBroken) as caught:
            open_box(pair[0], bad, CONTEXT)
        lines = traceback.extract_tb(caught.value.__traceback__)
        told.add((str(caught.value), lines[-1].lineno, caught.value.__cause__, caught.value.__context__))
    assert 1 == len(told)


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), bytes(32), b"\1" + bytes(31)])
def test_nothing_is_sealed_to_what_is_no_key(key: bytes):
    """The zero key and its kin would make the same secret for everybody (RFC 7748, 6.1)."""
    with pytest.raises(BoxKeyBroken):
        seal(key, b"123456", CONTEXT)


def test_a_private_key_of_another_length_is_refused(pair: tuple[bytes, bytes]):
    with pytest.raises(BoxKeyBroken):
        open_box(pair[0][:-1], seal(pair[1], b"", CONTEXT), CONTEXT)


def test_a_box_is_small(pair: tuple[bytes, bytes]):
    with pytest.raises(PlaintextTooLong):
        seal(pair[1], bytes(4097), CONTEXT)


def test_a_private_key_is_neither_shown_nor_pickled(pair: tuple[bytes, bytes]):
    opener = BoxOpener(pair[0])
    assert pair[0].hex() not in repr(opener)
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(opener)


def test_the_library_speaks_rfc_9180():
    """A box sealed by hand from the RFC's own steps, X25519, HMAC and AES-GCM, opens in the library's HPKE.

    The suite is DHKEM(X25519, HKDF-SHA256) 0x0020, HKDF-SHA256 0x0001, AES-256-GCM 0x0002. The RFC prints no vectors of
    it in base mode, so its algorithms (sections 4, 4.1, 5.1) are followed here.
    """
    info, plaintext = b"info", b"Beauty is truth"
    recipient, ephemeral = (X25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (7, 9))
    enc, public = ephemeral.public_key().public_bytes_raw(), recipient.public_key().public_bytes_raw()
    kem, suite = b"KEM\x00\x20", b"HPKE\x00\x20\x00\x01\x00\x02"

    def extract(suite_id: bytes, salt: bytes, label: bytes, key: bytes) -> bytes:
        return hmac.digest(salt, b"HPKE-v1" + suite_id + label + key, sha256)

    def expand(suite_id: bytes, key: bytes, label: bytes, information: bytes, size: int) -> bytes:
        labelled_info = size.to_bytes(2, "big") + b"HPKE-v1" + suite_id + label + information
        return hmac.digest(key, labelled_info + b"\1", sha256)[:size]

    dh = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    shared = expand(kem, extract(kem, b"", b"eae_prk", dh), b"shared_secret", enc + public, 32)
    context = b"\0" + extract(suite, b"", b"psk_id_hash", b"") + extract(suite, b"", b"info_hash", info)
    secret = extract(suite, shared, b"secret", b"")
    key, nonce = expand(suite, secret, b"key", context, 32), expand(suite, secret, b"base_nonce", context, 12)
    by_hand = enc + AESGCM(key).encrypt(nonce, plaintext, b"")

    assert plaintext == Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM).decrypt(by_hand, recipient, info)
