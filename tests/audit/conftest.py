"""What the tests of the evidence share: published vectors, which lie beside the repository, and signers."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coalition.audit.note import KeyKind, NoteKey

VECTORS = Path(__file__).parents[2].parent / "shared" / "data" / "vectors"


@pytest.fixture
def vector_file() -> Callable[[str], Path]:
    def find(name: str) -> Path:
        if not (VECTORS / name).exists():
            pytest.skip(f"the published vectors are not beside the repository: no {name} in shared/data/vectors")
        return VECTORS / name

    return find


@dataclass(frozen=True)
class Signer:
    """A key pair made from its name alone, so that a test's bytes are the same on every machine."""

    key: NoteKey
    private: Ed25519PrivateKey

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)


def signer(name: str, kind: KeyKind = KeyKind.NOTE) -> Signer:
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
    return Signer(NoteKey(name, kind, private.public_key().public_bytes_raw()), private)
