"""A closed window as Parquet, partitioned as other engines expect: TABLE/calendar=C/window=L/part-0.parquet.

Every entry and every leg of the window's journal numbers, without wallets and cards: enough to net it again anywhere.
The same window gives the same bytes. Needs the extra `archive` (pyarrow).
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from coalition.storage import settlement as store
from coalition.storage.connect import Connection
from coalition.storage.window_rows import ENTRY_COLUMNS, TRANSFER_COLUMNS, entry_rows, transfer_rows
from settlement.errors import NeedsHuman
from settlement.rederiving import own_numbers

TIME: Final = pa.timestamp("us", tz="UTC")
TYPES: Final = {
    **dict.fromkeys((*ENTRY_COLUMNS, *TRANSFER_COLUMNS), pa.int64()),
    "post_time": TIME,
    "occurred_time": TIME,
    "business_date": pa.date32(),
    "request_id": pa.string(),
    "sale_reference": pa.string(),
    "leaf": pa.binary(),
}


def archive(connection: Connection, calendar: str, label: str, directory: Path) -> dict[str, int]:
    """Write the window below `directory`; rows by table. Replaces what was written of it before.

    Raises NeedsHuman if the window is unknown or open.
    """
    windows = store.windows(connection, calendar)
    window = next((each for each in windows if each.label == label), None)
    if window is None:
        raise NeedsHuman(f"calendar {calendar} has no window {label}: see `python -m settlement status`")
    if window.state == "OPEN":
        raise NeedsHuman(f"window {label} of calendar {calendar} is still open: close it first")
    ranges = own_numbers(windows, window)
    tables = (
        ("entries", ENTRY_COLUMNS, entry_rows(connection, ranges)),
        ("transfers", TRANSFER_COLUMNS, transfer_rows(connection, ranges)),
    )
    return {
        name: write_table(directory / name / f"calendar={calendar}" / f"window={label}", columns, rows)
        for name, columns, rows in tables
    }


def write_table(place: Path, columns: Sequence[str], rows: Iterator[list[tuple[Any, ...]]]) -> int:
    """One partition, whole or not at all; how many rows it has."""
    draft = place.with_name(f".{place.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    schema = pa.schema([(name, TYPES[name]) for name in columns])
    count = 0
    with pq.ParquetWriter(draft / "part-0.parquet", schema, compression="zstd") as writer:
        for fetched in rows:
            arrays = [
                pa.array(values, TYPES[name]) for name, values in zip(columns, zip(*fetched, strict=True), strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            count += len(fetched)
    shutil.rmtree(place, ignore_errors=True)
    draft.rename(place)
    return count
