"""One house behind its doors that this folder's tests share: each uses codes of its own."""

import os
from collections.abc import Iterator

import pytest

from keys import KeyRing, create_ring
from tests.server.services.house import Doors, open_doors


@pytest.fixture(scope="package")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return create_ring(tmp_path_factory.mktemp("keys") / "ring", random=os.urandom)


@pytest.fixture(scope="package")
def doors(ring: KeyRing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    with open_doors(ring, tmp_path_factory.mktemp("house")) as opened:
        yield opened
