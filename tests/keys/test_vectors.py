"""Published vectors (Wycheproof) against the primitives as this room uses them: the wall must hold before the door."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keys import verify

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
