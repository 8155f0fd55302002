"""Partitions made ahead: the journal's by number, `requests` by the month in which their ids were made.

The default partitions are a safety net: a row that finds no partition of its own is kept there, and found by
`stray_rows`. Never moves, reads through or deletes a row of any partition; never drops or detaches one.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import psycopg
from psycopg import sql

from coalition.domain.errors import CoalitionError, Contention
from coalition.domain.ids import NUMBER_SHIFT
from coalition.storage.connect import Connection, translated
from coalition.storage.frontier import last_number

JOURNAL_TABLES: Final = ("entries", "transfers", "allocations")
# What a default partition should not hold. A request id that is not of version 7 tells no time and has no month:
# settlement derives one such for each netting, and it rests in the default partition for good.
DEFAULT_PARTITIONS: Final = {
    "entries_rest": "true",
    "transfers_rest": "true",
    "allocations_rest": "true",
    "requests_rest": "substr(request_id::text, 15, 1) = '7'",
}
SPAN_BITS: Final = 24  # a journal partition holds 2**24 batches, as migration 0001 laid the first ones
# A vacuum keeps followers from summarising what they read by (journal_ranges.py): often and short, rather than seldom.
VACUUM_OFTEN: Final = " WITH (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000)"
AHEAD: Final = 4  # whole journal partitions beyond the one that is being written
MONTHS_BEFORE: Final = 2  # a till server may deliver, weeks later, what it made while it had no connection
MONTHS_AFTER: Final = 24

PARTITION_LOCK: Final = 0x706172746974696F  # "partitio" in ASCII: one maker at a time
# Attaching locks the default partition against everybody. Whoever reads the parent holds it, and whoever comes waits
# behind us: so give up soon, let them pass, and come again.
LOCK_TIMEOUT: Final = "200ms"
# An empty default partition is proved empty at once; a full one is read whole, with all writers waiting behind it.
STATEMENT_TIMEOUT: Final = "5s"
ATTEMPTS: Final = 30
PAUSE_SECONDS: Final = 0.1
STRAY_ROWS_COUNTED: Final = 1_000

ATTACHED: Final = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = ANY(%s::regclass[]) AND NOT i.inhdetachpending
"""


class NotTheOwner(CoalitionError):
    """The connection's role may not make partitions."""

    def __init__(self, role: str) -> None:
        super().__init__(
            f"role {role} does not own the journal's tables: run `coalition migrate` as the role that made them"
        )
        self.role = role


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition as it should be: its name, its parent, and its bounds as SQL literals (the upper is outside)."""

    name: str
    parent: str
    first: int | str
    end: int | str


@dataclass(frozen=True, slots=True)
class Ensured:
    """What a call made, and what it could not make because the default partition holds rows that belong there."""

    made: tuple[str, ...]
    occupied: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stray:
    """A default partition that holds rows; `rows` stops counting at STRAY_ROWS_COUNTED."""

    partition: str
    rows: int


def ensure_partitions(connection: Connection, now: datetime) -> Ensured:
    """Make every partition that will be needed soon and is missing; nothing when none is.

    For the owner, on an autocommit connection outside a transaction, at any time and also while tills work: each
    partition is a transaction of its own that waits for locks only briefly. Two at once make each partition once.
    `now` is any time with a zone. Raises NotTheOwner, Contention if a long reader (a dump, say) never lets it in (what
    was made stays; call again), StoreUnavailable.
    """
    try:
        present = attached(connection)
        made, occupied = [], []
        for partition in wanted(last_number(connection), now):
            if partition.name in present:
                continue
            outcome = _make(connection, partition)
            if outcome is None:
                occupied.append(partition.name)
            elif outcome:
                made.append(partition.name)
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotTheOwner(connection.info.user) from error
    except psycopg.Error as error:
        raise translated(error) from error
    return Ensured(tuple(made), tuple(occupied))


def wanted(number: int, now: datetime) -> list[Partition]:
    """The partitions there must be when `number` is the journal's last number; those needed first come first."""
    current = number >> SPAN_BITS
    journal = [
        Partition(f"{table}_{index}", table, _entry_bound(index), _entry_bound(index + 1))
        for index in range(current, current + AHEAD + 1)
        for table in JOURNAL_TABLES
    ]
    month = now.astimezone(UTC).year * 12 + now.astimezone(UTC).month - 1
    requests = [
        Partition(_month_name(each), "requests", request_id_bound(each), request_id_bound(each + 1))
        for each in (*range(month, month + MONTHS_AFTER + 1), *range(month - MONTHS_BEFORE, month))
    ]
    return journal + requests


def request_id_bound(month: int) -> str:
    """The smallest version-7 UUID of a month, counted from January of year 0: its first millisecond, then zeros."""
    first = datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
    milliseconds = int(first.timestamp()) * 1000
    digits = f"{milliseconds:012x}" + "0" * 20
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def attached(connection: Connection) -> frozenset[str]:
    """Names of the partitions that the journal's tables and `requests` have now."""
    return frozenset(row[0] for row in connection.execute(ATTACHED, ([*JOURNAL_TABLES, "requests"],)))


def stray_rows(connection: Connection) -> list[Stray]:
    """The default partitions that hold rows. They are safe and found by every query, but their range can get no
    partition of its own until a person moves them (deploy/RUNBOOK.md). Empty when all is well.
    """
    strays = []
    for partition, condition in DEFAULT_PARTITIONS.items():
        query = f"SELECT count(*) FROM (SELECT FROM {partition} WHERE {condition} LIMIT %s) AS strays"
        row = connection.execute(query, (STRAY_ROWS_COUNTED,)).fetchone()
        if row is not None and row[0]:
            strays.append(Stray(partition, row[0]))
    return strays


def _make(connection: Connection, partition: Partition) -> bool | None:
    """Make one partition: True if we did, False if a rival had, None if the default partition holds its rows."""
    for _ in range(ATTEMPTS):
        try:
            with connection.transaction():
                return _make_once(connection, partition)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            connection.execute("SELECT pg_sleep(%s)", (PAUSE_SECONDS,))
        except (psycopg.errors.CheckViolation, psycopg.errors.QueryCanceled):
            return None
    raise Contention(
        f"partition {partition.name} could not be attached: table {partition.parent} has been in use by a long reader "
        "(a dump, an open transaction) all the while; run `coalition migrate` again when it has ended"
    )


def _make_once(connection: Connection, partition: Partition) -> bool:
    # CREATE TABLE ... PARTITION OF would lock the parent against everybody; ATTACH lets its readers and writers work.
    connection.execute(f"SET LOCAL lock_timeout = '{STATEMENT_TIMEOUT}'")
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (PARTITION_LOCK,))
    if partition.name in attached(connection):
        return False
    connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    connection.execute(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'")
    name, parent = sql.Identifier(partition.name), sql.Identifier(partition.parent)
    like = "CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)"
    options = VACUUM_OFTEN if partition.parent in JOURNAL_TABLES else ""
    connection.execute(sql.SQL(like + options).format(name, parent))
    bounds = sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})")
    connection.execute(bounds.format(parent, name, sql.Literal(partition.first), sql.Literal(partition.end)))
    return True


def _entry_bound(index: int) -> int:
    """The smallest entry_id of the journal partition with this index."""
    return index << SPAN_BITS + NUMBER_SHIFT


def _month_name(month: int) -> str:
    return f"requests_{month // 12:04d}_{month % 12 + 1:02d}"
