"""Phones' checks as the job that fills them in sees them: keys without one, a page at a time, and members held still.

Over two instances, both as the server's role. Sees sealed bytes and wrapped keys only.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Generic
from uuid import UUID

from psycopg.rows import tuple_row

from coalition.domain.members import CONTACT, SealedRecord
from coalition.storage.connect import Connection
from coalition.storage.keydb import Key
from coalition.storage.member_looks import LATEST_RECORDS

UNCHECKED: Final = """
SELECT member_id, dek_id, kek_version, wrapped, check_value FROM member_keys
WHERE phone_check IS NULL AND member_id > %s ORDER BY member_id LIMIT %s
"""
# A key that was erased stays erased; one that was wrapped anew meanwhile is met again by whoever asks again.
FILL: Final = """
UPDATE member_keys AS k SET phone_check = n.phone_check
FROM unnest(%s::uuid[], %s::int[], %s::bytea[]) AS n(member_id, kek_version, phone_check)
WHERE k.member_id = n.member_id AND k.kek_version = n.kek_version AND k.phone_check IS NULL
"""
# In one order for everybody; erased and merged members too: they have no phone to be found by, or keep theirs.
HOLD: Final = "SELECT member_id FROM members WHERE member_id = ANY(%s) ORDER BY member_id FOR SHARE"


class UncheckedKeys(Generic[Key]):
    """Over one autocommit connection of the key database."""

    def __init__(self, connection: Connection, make: Callable[[UUID, int, bytes, bytes], Key]) -> None:
        """`make` builds a key from dek_id, kek_version, wrapped and check."""
        self._cursor = connection.cursor(row_factory=tuple_row)
        self._make = make

    def count(self) -> int:
        """How many members have no check."""
        rows = self._cursor.execute("SELECT count(*) FROM member_keys WHERE phone_check IS NULL").fetchall()
        return int(rows[0][0])

    def page(self, after: UUID, limit: int) -> dict[UUID, Key]:
        """Keys without a check of members after `after`, in order of member."""
        rows = self._cursor.execute(UNCHECKED, (after, limit)).fetchall()
        return {row[0]: self._make(row[1], row[2], bytes(row[3]), bytes(row[4])) for row in rows}

    def fill(self, checks: Sequence[tuple[UUID, int, bytes]]) -> int:
        """Keep each (member, kek_version, check) where there is none still; answers how many were kept."""
        columns = [[each[place] for each in checks] for place in range(3)]
        self._cursor.execute(FILL, columns)
        return self._cursor.rowcount


@contextmanager
def phones_held(connection: Connection, members: Sequence[UUID]) -> Iterator[list[SealedRecord]]:
    """The latest contact record of each of these members; nobody changes a phone of theirs until the end."""
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(HOLD, (list(members),))
        rows = cursor.execute(
            f"{LATEST_RECORDS} WHERE r.member_id = ANY(%s) AND r.field_group = %s"
            " ORDER BY r.member_id, r.field_group, r.revision DESC",
            (list(members), CONTACT),
        ).fetchall()
        yield [SealedRecord(*row) for row in rows]
