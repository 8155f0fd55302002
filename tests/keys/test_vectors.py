"""Published vectors (Wycheproof) against the primitives as this room uses them: the wall must hold before the door."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SM3, Hash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keys import verify
from keys.suites import SUITES, RecordSuite

Vectors = Callable[[str], list[dict[str, Any]]]


def test_aes_gcm_agrees_with_every_vector_of_our_sizes(vectors: Vectors):
    counted = 0
    for group in vectors("wycheproof_aes_gcm_test"):
        # CMR1 uses 256-bit keys and 96-bit nonces only; 128-bit keys run the same code and are checked too.
        if group["ivSize"] != 96 or group["keySize"] not in {128, 256}:
            continue
        for case in group["tests"]:
            key, nonce, aad, message, ciphertext, tag = (
                bytes.fromhex(case[name]) for name in ("key", "iv", "aad", "msg", "ct", "tag")
            )
            counted += 1
            if case["result"] == "valid":
                assert AESGCM(key).encrypt(nonce, message, aad) == ciphertext + tag, case["tcId"]
                assert AESGCM(key).decrypt(nonce, ciphertext + tag, aad) == message, case["tcId"]
            else:
                with pytest.raises(InvalidTag):
                    AESGCM(key).decrypt(nonce, ciphertext + tag, aad)
    assert counted > 100


def test_hkdf_agrees_with_every_vector(vectors: Vectors):
    counted = 0
    for group in vectors("wycheproof_hkdf_sha256_test"):
        for case in group["tests"]:
            ikm, salt, info = (bytes.fromhex(case[name]) for name in ("ikm", "salt", "info"))
            counted += 1
            if case["result"] == "valid":
                assert HKDF(SHA256(), case["size"], salt, info).derive(ikm).hex() == case["okm"], case["tcId"]
            else:
                with pytest.raises(ValueError):
                    HKDF(SHA256(), case["size"], salt, info)
    assert counted > 80


def test_verify_agrees_with_every_ed25519_vector(vectors: Vectors):
    counted = 0
    for group in vectors("wycheproof_ed25519_test"):
        public_key = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            counted += 1
            answer = verify(public_key, bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
            assert answer is (case["result"] == "valid"), case["tcId"]
    assert counted > 100


def test_sm4_gcm_agrees_with_rfc_8998():
    """The example of appendix A.1: SM4-GCM with an additional text."""
    key, nonce = bytes.fromhex("0123456789abcdeffedcba9876543210"), bytes.fromhex("00001234567800000000abcd")
    aad = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    text = bytes.fromhex(
        "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddddeeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeee"
        "aaaaaaaaaaaaaaaa"
    )
    sealed = (
        "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397"
        "b4024a2691233b8d"
        "83de3541e4c2b58177e065a9bf7b62ec"
    )
    sm4 = SUITES[RecordSuite.SM4]
    assert sealed == sm4.encrypt(key, nonce, text, aad).hex()
    assert text == sm4.decrypt(key, nonce, bytes.fromhex(sealed), aad)


def test_sm3_agrees_with_its_standard():
    """GB/T 32905-2016, example 1."""
    digest = Hash(SM3())
    digest.update(b"abc")
    assert "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0" == digest.finalize().hex()
