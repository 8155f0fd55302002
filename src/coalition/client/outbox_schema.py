"""The tables of an outbox, what makes older files like them, and the statements on operations.

A file of any earlier version is migrated when it is opened; one of a later version is refused.
"""

import json
from typing import Final

from coalition.client.outbox_rows import OPEN_STATES, State

VERSION: Final = 4
"""2 has the state APPROVED and is otherwise what 1 was; 3 knows entries, and the closes of days; 4 knows terminals
and sealed receipts.
"""
OPERATIONS: Final = """
CREATE TABLE operations (
  place INTEGER PRIMARY KEY, request_id TEXT NOT NULL, kind TEXT NOT NULL, amount_minor INTEGER NOT NULL,
  sale_reference TEXT NOT NULL, state TEXT NOT NULL, begin_ms INTEGER NOT NULL, change_ms INTEGER NOT NULL,
  reason TEXT NOT NULL, undo_place INTEGER NOT NULL, undo_id TEXT NOT NULL, entry_id INTEGER) STRICT
"""
DAYS: Final = (
    # `request` is what is sent, until it is answered; `carried` are places before through_place that are not counted.
    """
CREATE TABLE closes (
  place INTEGER PRIMARY KEY, number INTEGER NOT NULL, request_id TEXT NOT NULL, business_date TEXT NOT NULL,
  through_place INTEGER NOT NULL, carried TEXT NOT NULL, statement_hash BLOB NOT NULL, signature BLOB NOT NULL,
  request BLOB NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL) STRICT
""",
    # Reversals of the present day that the journal declined for good, before another went under a new request_id.
    "CREATE TABLE declined_reversals (request_id TEXT PRIMARY KEY) STRICT",
)
# Whose a row is; '' in a file that one terminal has for itself. Places are counted for the file, not for each of them.
TILLS: Final = tuple(
    f"ALTER TABLE {table} ADD COLUMN till TEXT NOT NULL DEFAULT ''"
    for table in ("operations", "closes", "declined_reversals")
)
# `sealed` is the answer of GetSealedReceipt.
RECEIPTS: Final = """
CREATE TABLE receipts (
  entry_id INTEGER PRIMARY KEY, request_id TEXT NOT NULL UNIQUE, till TEXT NOT NULL, sealed BLOB NOT NULL) STRICT
"""
MIGRATE: Final = {
    0: (OPERATIONS, *DAYS, *TILLS, RECEIPTS),
    1: ("ALTER TABLE operations ADD COLUMN entry_id INTEGER", *DAYS, *TILLS, RECEIPTS),
    2: ("ALTER TABLE operations ADD COLUMN entry_id INTEGER", *DAYS, *TILLS, RECEIPTS),
    3: (*TILLS, RECEIPTS),
    VERSION: (),
}
# One statement a group, whatever its size, so that the thread asks for the interpreter once: rows and sync go without.
# Values bound one by one: 6 us a row; a JSON array would be parsed anew for every column.
WRITE: Final = "INSERT INTO operations VALUES "
VALUES: Final = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
CHANGE: Final = """
ON CONFLICT (place) DO UPDATE SET state = excluded.state, change_ms = excluded.change_ms, reason = excluded.reason,
  undo_place = excluded.undo_place, undo_id = excluded.undo_id, amount_minor = excluded.amount_minor,
  entry_id = excluded.entry_id
"""
COLUMNS: Final = (
    "place, request_id, kind, amount_minor, sale_reference, state, begin_ms, change_ms, reason, undo_place, undo_id, "
    "entry_id"
)
OPEN: Final = f"""
SELECT {COLUMNS} FROM operations WHERE till = ? AND state IN (SELECT value FROM json_each(?)) ORDER BY place
"""  # noqa: S608  a constant
OPEN_OF_OTHERS: Final = """
SELECT DISTINCT till FROM operations WHERE state IN (SELECT value FROM json_each(?)) AND till <> ? ORDER BY till
"""
RECENT: Final = f"SELECT {COLUMNS} FROM operations WHERE till = ? ORDER BY place DESC LIMIT ?"  # noqa: S608  a constant
LAST_PLACES: Final = "SELECT coalesce(max(place), 0), coalesce(max(undo_place), 0) FROM operations"
UNCOUNTED: Final = f"""
WITH last AS (
  SELECT through_place, carried FROM closes WHERE till = ?1 AND state = 'RECORDED' ORDER BY place DESC LIMIT 1)
SELECT {COLUMNS} FROM operations
WHERE till = ?1 AND (place > coalesce((SELECT through_place FROM last), 0)
   OR place IN (SELECT value FROM last, json_each(last.carried))) ORDER BY place
"""  # noqa: S608  constants
# Counted by the last close of its terminal, or older than a day may be.
PRUNE: Final = """
WITH last AS (
  SELECT till, max(place), through_place, carried FROM closes WHERE state = 'RECORDED' GROUP BY till)
DELETE FROM operations AS old WHERE place <= ? AND state NOT IN (SELECT value FROM json_each(?))
  AND (begin_ms < ? OR EXISTS (SELECT 1 FROM last WHERE last.till = old.till AND old.place <= last.through_place
                               AND old.place NOT IN (SELECT value FROM json_each(last.carried))))
"""
NEVER_PRUNED: Final = json.dumps(sorted({*OPEN_STATES, State.APPROVED}))
DECLINED_REVERSAL: Final = "INSERT OR IGNORE INTO declined_reversals (request_id, till) VALUES (?, ?)"
