"""Blind indexes as the job that makes them anew sees them: a page of members, and the exchange of their values.

Sees sealed bytes and index values only. The server's role may do all of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from psycopg.rows import tuple_row

from coalition.domain.members import SealedRecord
from coalition.storage.connect import Connection

START: Final = (-1, UUID(int=0))
# In the order of the primary key. A member whose value is exchanged may be met once more, further on: it is right then.
PAGE: Final = """
SELECT DISTINCT ON (i.value, i.member_id) i.value, r.member_id, r.field_group, r.revision, r.record_id, r.sealed
FROM (
    SELECT value, member_id FROM member_indexes WHERE field = %s AND (value, member_id) > (%s, %s)
    ORDER BY value, member_id LIMIT %s
) AS i
JOIN member_records r ON r.member_id = i.member_id AND r.field_group = %s
ORDER BY i.value, i.member_id, r.revision DESC
"""
# A member whose index was removed in between gets none again.
EXCHANGE: Final = """
UPDATE member_indexes AS i SET value = n.value
FROM unnest(%s::uuid[], %s::int[], %s::int[]) AS n(member_id, old_value, value)
WHERE i.field = %s AND i.value = n.old_value AND i.member_id = n.member_id
"""


@dataclass(frozen=True, slots=True)
class Indexed:
    """A member's index value, and the record that says what it is an index of."""

    value: int
    record: SealedRecord


class MemberIndexRows:
    """Over one autocommit connection: each page is exchanged, durably, by one statement."""

    def __init__(self, connection: Connection) -> None:
        self._cursor = connection.cursor(row_factory=tuple_row)

    def count(self, field: str) -> int:
        """How many members are indexed by this field."""
        row = self._cursor.execute("SELECT count(*) FROM member_indexes WHERE field = %s", (field,)).fetchone()
        return 0 if row is None else int(row[0])

    def page(self, field: str, after: tuple[int, UUID], field_group: str, limit: int) -> list[Indexed]:
        """Members after (value, member), in that order, each with the latest record of the field group."""
        rows = self._cursor.execute(PAGE, (field, *after, limit, field_group)).fetchall()
        return [Indexed(row[0], SealedRecord(*row[1:])) for row in rows]

    def exchange(self, field: str, values: Sequence[tuple[UUID, int, int]]) -> int:
        """Put each (member, old value, new value) in place; answers how many were."""
        members, old, new = ([each[place] for each in values] for place in range(3))
        self._cursor.execute(EXCHANGE, (members, old, new, field))
        return self._cursor.rowcount
