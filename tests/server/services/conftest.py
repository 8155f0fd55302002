"""One house behind its doors that this folder's tests share: each uses codes of its own."""

from collections.abc import Iterator

import pytest

from tests.postgres import SharedPostgres
from tests.server.services.house import Doors, open_doors


@pytest.fixture(scope="package")
def doors(postgres: SharedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    with open_doors(postgres, tmp_path_factory.mktemp("house")) as opened:
        yield opened
