"""What the tests of the strongroom share: a ring on disk, a member, and where the published vectors are."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from keys import KeyRing, MemberCipher, WrappedKey, create_ring

VECTORS = Path(__file__).parents[2].parent / "shared" / "data" / "vectors"
MEMBER = UUID("00000000-0000-4000-8000-000000000001")


@pytest.fixture
def ring_directory(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def ring(ring_directory: Path) -> KeyRing:
    return create_ring(ring_directory, random=os.urandom)


@pytest.fixture
def member_id() -> UUID:
    return MEMBER


@pytest.fixture
def wrapped(ring: KeyRing, member_id: UUID) -> WrappedKey:
    return ring.new_member(member_id)[0]


@pytest.fixture
def cipher(ring: KeyRing, member_id: UUID, wrapped: WrappedKey) -> MemberCipher:
    return ring.sealer(member_id, wrapped)


@pytest.fixture
def vectors() -> Callable[[str], list[dict[str, Any]]]:
    """The test groups of one Wycheproof file."""

    def load(name: str) -> list[dict[str, Any]]:
        path = VECTORS / f"{name}.json.gz"
        if not path.exists():
            pytest.skip(
                f"the published vectors are not beside the repository: no {name}.json.gz in shared/data/vectors"
            )
        groups: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))["testGroups"]
        return groups

    return load
