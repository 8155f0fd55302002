"""The two suites a record may be sealed with: which key derivation, which cipher. Knows nothing of records.

Suite 1 is HKDF-SHA512 and AES-256-GCM. Suite 2 is HKDF over HMAC-SM3 (GB/T 32905) and SM4-GCM (GB/T 32907; RFC 8998
uses it in TLS), for reviews that ask for Chinese commercial cryptography. Both are OpenSSL's, through `cryptography`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.hashes import SHA512, SM3, HashAlgorithm
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES: Final = 12
COMMITMENT_BYTES: Final = 32
TAG_BYTES: Final = 16


class RecordSuite(IntEnum):
    """The number in a record's header."""

    AES = 1
    SM4 = 2


@dataclass(frozen=True, slots=True)
class Suite:
    """`encrypt` and `decrypt` take (key, nonce, text, aad); the tag is the end of the ciphertext.

    `decrypt` raises InvalidTag of the library.
    """

    key_bytes: int
    hash_algorithm: Callable[[], HashAlgorithm]
    encrypt: Callable[[bytes, bytes, bytes, bytes], bytes]
    decrypt: Callable[[bytes, bytes, bytes, bytes], bytes]

    def derive(self, secret: bytes, salt: bytes, information: bytes) -> tuple[bytes, bytes, bytes]:
        """A one-use key, its nonce, and the 32 bytes that commit to the key."""
        size = self.key_bytes + NONCE_BYTES + COMMITMENT_BYTES
        material = HKDF(self.hash_algorithm(), size, salt, information).derive(secret)
        nonce_end = self.key_bytes + NONCE_BYTES
        return material[: self.key_bytes], material[self.key_bytes : nonce_end], material[nonce_end:]


def _aes_encrypt(key: bytes, nonce: bytes, text: bytes, aad: bytes) -> bytes:
    return AESGCM(key).encrypt(nonce, text, aad)


def _aes_decrypt(key: bytes, nonce: bytes, text: bytes, aad: bytes) -> bytes:
    return AESGCM(key).decrypt(nonce, text, aad)


def _sm4_encrypt(key: bytes, nonce: bytes, text: bytes, aad: bytes) -> bytes:
    encryptor = Cipher(SM4(key), GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(aad)
    return encryptor.update(text) + encryptor.finalize() + encryptor.tag


def _sm4_decrypt(key: bytes, nonce: bytes, text: bytes, aad: bytes) -> bytes:
    decryptor = Cipher(SM4(key), GCM(nonce, text[-TAG_BYTES:])).decryptor()
    decryptor.authenticate_additional_data(aad)
    return decryptor.update(text[:-TAG_BYTES]) + decryptor.finalize()


SUITES: Final[Mapping[int, Suite]] = {
    RecordSuite.AES: Suite(32, SHA512, _aes_encrypt, _aes_decrypt),
    RecordSuite.SM4: Suite(16, SM3, _sm4_encrypt, _sm4_decrypt),
}
