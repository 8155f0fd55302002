"""The SQL of the audit tree: leaves out of the journal in bulk, tiles, checkpoints, cosignatures.

Hashes nothing and signs nothing: what the bytes are, coalition.audit knows; when they are folded and signed,
coalition.followers.audit_tree. A tile is named by its level and its number within the level.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from coalition.domain.audit_records import CheckpointRecord
from coalition.domain.ids import NUMBER_SHIFT
from coalition.storage import cursors
from coalition.storage.connect import Connection
from coalition.storage.cursors import Lag

FOLLOWER: Final = "audit_tree"
LIVE: Final = "audit_tiles"
SCRATCH: Final = "scratch_tiles"
HASH_BYTES: Final = 32
TILE_WIDTH: Final = 256
BATCHES_MAX: Final = 4_096  # rows of `batches` looked at to find where a range ends
FETCH_ROWS: Final = 500  # tiles of 8 KiB held in memory at a time

# Every lane is named, so that the primary key (lane, entry_id) finds the range; entry_id order is journal order. One
# row comes back, whatever the range: the leaves one after the other, and which entry each tile of level 0 begins with.
LEAVES: Final = """
SELECT coalesce(string_agg(leaf, ''::bytea ORDER BY entry_id), ''::bytea),
       array_agg(entry_id ORDER BY entry_id) FILTER (WHERE (place + %s) %% 256 = 0)
FROM (
    SELECT entry_id, leaf, row_number() OVER (ORDER BY entry_id) - 1 AS place
    FROM entries WHERE lane = ANY (%s) AND entry_id >= %s AND entry_id < %s
) AS numbered
"""


class Range(NamedTuple):
    """The journal numbers up to `up_to` that are folded next, and how many entries their batches say they hold."""

    up_to: int
    entry_count: int


TileKey = tuple[int, int]


def tree_size(connection: Connection, table: str = LIVE) -> int:
    """How many leaves are in the tiles."""
    row = connection.execute(
        f"SELECT number, octet_length(hashes) FROM {table} WHERE level = 0 ORDER BY number DESC LIMIT 1"
    ).fetchone()
    return 0 if row is None else int(row[0]) * TILE_WIDTH + int(row[1]) // HASH_BYTES


def tiles(connection: Connection, wanted: Iterable[TileKey], table: str = LIVE) -> dict[TileKey, bytes]:
    """Those of the tiles that exist, as they are now."""
    keys = list(wanted)
    rows = connection.execute(
        f"SELECT level, number, hashes FROM {table} JOIN unnest(%s::smallint[], %s::bigint[]) AS asked (level, number) "
        "USING (level, number)",
        ([level for level, _ in keys], [number for _, number in keys]),
    )
    return {(level, number): hashes for level, number, hashes in rows}


def next_range(connection: Connection, after: int, up_to: int, *, entries_max: int) -> Range:
    """The next journal numbers behind `after`: at most `entries_max` entries (or one batch), none above `up_to`."""
    rows = connection.execute(
        "SELECT number, count FROM batches WHERE number > %s AND number <= %s ORDER BY number LIMIT %s",
        (after, up_to, BATCHES_MAX),
    ).fetchall()
    total, end = 0, up_to if len(rows) < BATCHES_MAX else rows[-1][0]
    for place, (number, count) in enumerate(rows):
        if place and total + count > entries_max:
            return Range(number - 1, total)
        total += count
    return Range(end, total)


def leaves(connection: Connection, lanes: Sequence[int], after: int, up_to: int, size: int) -> tuple[bytes, list[int]]:
    """The leaf hashes of `after < number <= up_to`, one after the other, the first being leaf `size` of the tree.

    Besides, the entries that tiles of level 0 begin with, in order.
    """
    bounds = (after + 1 << NUMBER_SHIFT, up_to + 1 << NUMBER_SHIFT)
    with connection.cursor(binary=True) as cursor:
        row = cursor.execute(LEAVES, (size, list(lanes), *bounds)).fetchone()
    return (b"", []) if row is None else (row[0], row[1] or [])


def write_tiles(
    connection: Connection, table: str, changed: Sequence[tuple[int, int, bytes]], starts: dict[int, int]
) -> None:
    """Write tiles as (level, number, hashes); `starts` says the first entry of those that are new at level 0."""
    connection.execute(
        f"""
        INSERT INTO {table} AS old (level, number, hashes, first_entry_id)
        SELECT level, number, hashes,
               CASE WHEN level = 0 THEN coalesce(first_entry_id, (
                   SELECT t.first_entry_id FROM {table} t WHERE t.level = 0 AND t.number = new.number)) END
        FROM unnest(%s::smallint[], %s::bigint[], %s::bytea[], %s::bigint[])
             AS new (level, number, hashes, first_entry_id)
        ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes
        """,
        (
            [level for level, _, _ in changed],
            [number for _, number, _ in changed],
            [hashes for _, _, hashes in changed],
            [starts.get(number) if level == 0 else None for level, number, _ in changed],
        ),
    )


def insert_checkpoint(connection: Connection, row: CheckpointRecord) -> None:
    """Keep a checkpoint for ever; the same size again says the same, and is left as it is."""
    connection.execute(
        "INSERT INTO checkpoints (size, number, root, note, time) VALUES (%s, %s, %s, %s, %s) "
        "ON CONFLICT (size) DO NOTHING",
        row,
    )


def newest_checkpoint(connection: Connection) -> CheckpointRecord | None:
    """The last checkpoint that was signed."""
    return checkpoint(connection, "ORDER BY size DESC LIMIT 1")


def checkpoint_of(connection: Connection, size: int) -> CheckpointRecord | None:
    """The checkpoint over `size` leaves, if one was signed."""
    return checkpoint(connection, "WHERE size = %s", size)


def checkpoint(connection: Connection, which: str, *parameters: object) -> CheckpointRecord | None:
    """A checkpoint by a condition of this file's callers."""
    row = connection.execute(f"SELECT size, number, root, note, time FROM checkpoints {which}", parameters).fetchone()
    return None if row is None else CheckpointRecord(*row)


def telling_checkpoints(connection: Connection, first: int = 0, limit: int | None = None) -> list[CheckpointRecord]:
    """The last checkpoint of each hour, and all that a witness has cosigned; smallest first."""
    rows = connection.execute(
        """
        SELECT size, number, root, note, time FROM checkpoints
        WHERE size >= %s
          AND (size IN (SELECT max(size) FROM checkpoints GROUP BY date_trunc('hour', time))
               OR size IN (SELECT size FROM cosignatures))
        ORDER BY size LIMIT %s
        """,
        (first, limit),
    )
    return [CheckpointRecord(*row) for row in rows]


def cosignatures(connection: Connection, size: int) -> list[str]:
    """The signature lines of witnesses under the checkpoint of `size`."""
    rows = connection.execute("SELECT line FROM cosignatures WHERE size = %s ORDER BY witness", (size,))
    return [line for (line,) in rows]


def last_cosigned_size(connection: Connection, witness: str) -> int:
    """The largest size that the witness has cosigned, as far as is known here; 0 before its first."""
    row = connection.execute("SELECT max(size) FROM cosignatures WHERE witness = %s", (witness,)).fetchone()
    return 0 if row is None or row[0] is None else int(row[0])


def insert_cosignature(connection: Connection, size: int, witness: str, line: str, time: datetime) -> None:
    """Keep a witness's signature under the checkpoint of `size`; a second one of the same witness is left out."""
    connection.execute(
        "INSERT INTO cosignatures (size, witness, line, time) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (size, witness) DO NOTHING",
        (size, witness, line, time),
    )


def make_scratch(connection: Connection) -> None:
    """An empty table of the same shape, seen by this connection alone and gone with it."""
    connection.execute(f"DROP TABLE IF EXISTS pg_temp.{SCRATCH}")
    connection.execute(f"CREATE TEMP TABLE {SCRATCH} (LIKE {LIVE} INCLUDING ALL)")


def drop_scratch(connection: Connection) -> None:
    """Remove what `make_scratch` made."""
    connection.execute(f"DROP TABLE pg_temp.{SCRATCH}")


def forget(connection: Connection, time: datetime) -> None:
    """Empty the fold, to be made again from the journal's first number. Checkpoints stay: they were said."""
    with connection.transaction():
        cursors.lock_cursor(connection, FOLLOWER, time)
        connection.execute(f"DELETE FROM {LIVE}")
        cursors.move_cursor(connection, FOLLOWER, 0, time)


def serialised(connection: Connection, table: str) -> Iterator[bytes]:
    """Each tile in key order with its hashes: the bytes that two folds share."""
    with connection.transaction(), connection.cursor("tiles_in_order") as rows:
        rows.itersize = FETCH_ROWS
        rows.execute(f"SELECT level, number, first_entry_id, hashes FROM {table} ORDER BY level, number")
        for level, number, first, hashes in rows:
            yield f"{level},{number},{first or 0},".encode() + hashes + b"\n"


def lag(connection: Connection, clock: Callable[[], datetime]) -> Lag:
    """How far the last signed checkpoint is behind the journal; nothing where no batch lies above it."""
    newest = newest_checkpoint(connection)
    behind = cursors.lag_behind(connection, newest.number if newest else 0, clock)
    has_more = connection.execute(
        "SELECT EXISTS (SELECT FROM batches WHERE number > %s)", (newest.number if newest else 0,)
    ).fetchone()
    return behind if has_more and has_more[0] else Lag(0, 0.0)
