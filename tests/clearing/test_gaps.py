"""Numbers without a batch: a replay takes a journal number and writes nothing. Readers in order must not trip there."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from coalition.clearing.batch import run_batch
from coalition.storage.audit_reads import AuditReads
from coalition.storage.connect import Connection, connect
from tests.clearing.house import House


@pytest.mark.parametrize("read", [AuditReads.batches, AuditReads.entries])
def test_an_auditors_page_is_full_although_many_numbers_hold_no_batch(house: House, read: object) -> None:
    """A short page means the end of the journal to whoever walks it: it must not come of gaps and an old frontier."""

    @contextmanager
    def lease() -> Iterator[Connection]:
        with connect(house.dsn()) as connection:
            yield connection

    assert callable(read)
    token, store = house.funded_card(), house.store()
    purchase = house.purchase("cafe", token, 1)
    for _ in range(30):
        run_batch(store, [purchase])
    reads = AuditReads(lease, 64, time.sleep)
    assert 2 == len(read(reads, 0, None, 100))
    for _ in range(12):
        run_batch(store, [house.purchase("cafe", token, 1)])
    store.close()

    assert 10 == len(read(reads, 0, None, 10))
    assert 14 == len(read(reads, 0, None, 100))
