"""Member keys as the job that wraps them anew sees them: those of other versions, a page at a time, and their exchange.

Needs the key database's owner: the server's role may add, read and delete a key, not change one. It never sees a key
that is not wrapped.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic
from uuid import UUID

from psycopg.rows import tuple_row

from coalition.storage.connect import Connection
from coalition.storage.keydb import Key

NIL: Final = UUID(int=0)
BEHIND: Final = """
SELECT member_id, dek_id, kek_version, wrapped, check_value, phone_check FROM member_keys
WHERE member_id > %s AND kek_version <> %s ORDER BY member_id LIMIT %s
"""
# A key that was erased in between stays erased, one that a rival exchanged is left as it is, and so is a phone's check
# that was removed.
EXCHANGE: Final = """
UPDATE member_keys AS k SET kek_version = n.kek_version, wrapped = n.wrapped, check_value = n.check_value,
    phone_check = CASE WHEN k.phone_check IS NULL THEN NULL ELSE n.phone_check END
FROM unnest(%s::uuid[], %s::int[], %s::int[], %s::bytea[], %s::bytea[], %s::bytea[])
    AS n(member_id, old_version, kek_version, wrapped, check_value, phone_check)
WHERE k.member_id = n.member_id AND k.kek_version = n.old_version
"""


@dataclass(frozen=True, slots=True)
class Held(Generic[Key]):
    """A member's key as the database has it; without a check where the phone's is not known."""

    member_id: UUID
    key: Key
    phone_check: bytes | None = field(repr=False)


class MemberKeyRows(Generic[Key]):
    """Over one autocommit connection of the owner: each page is exchanged, durably, by one statement."""

    def __init__(self, connection: Connection, make: Callable[[UUID, int, bytes, bytes], Key]) -> None:
        """`make` builds a key from dek_id, kek_version, wrapped and check."""
        self._cursor = connection.cursor(row_factory=tuple_row)
        self._make = make

    def counts(self) -> Mapping[int, int]:
        """How many keys are wrapped by each version of the key-encryption key."""
        rows = self._cursor.execute(
            "SELECT kek_version, count(*) FROM member_keys GROUP BY kek_version ORDER BY kek_version"
        )
        return dict(rows.fetchall())

    def behind(self, kek_version: int, after: UUID, limit: int) -> list[Held[Key]]:
        """Members after `after` whose key is wrapped by another version, in order of member."""
        rows = self._cursor.execute(BEHIND, (after, kek_version, limit)).fetchall()
        return [Held(row[0], self._make(row[1], row[2], bytes(row[3]), bytes(row[4])), row[5]) for row in rows]

    def exchange(self, keys: Sequence[tuple[Held[Key], Held[Key]]]) -> int:
        """Store the new key of each member, and its phone's check, in the old one's place; answers how many were."""
        self._cursor.execute(
            EXCHANGE,
            (
                [old.member_id for old, _ in keys],
                [old.key.kek_version for old, _ in keys],
                [new.key.kek_version for _, new in keys],
                [new.key.wrapped for _, new in keys],
                [new.key.check for _, new in keys],
                [new.phone_check for _, new in keys],
            ),
        )
        return self._cursor.rowcount
