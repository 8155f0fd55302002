"""The key database: members' data keys, wrapped. An instance of its own, so that no backup of the ledger keeps them.

It never sees a key that is not wrapped, and knows nothing of what a key seals. A deleted row is how a member is erased.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Generic, Protocol, TypeVar
from uuid import UUID

from coalition.storage.lease import Lease, leased_cursor

# Looked up one by one, whatever the planner thinks of a table that grows while members move in.
MATCHING: Final = """
SELECT k.* FROM unnest(%s::uuid[]) AS asked (member_id)
CROSS JOIN LATERAL (
    SELECT member_id, dek_id, kek_version, wrapped, check_value FROM member_keys
    WHERE member_id = asked.member_id AND (phone_check IS NULL OR kek_version <> ALL(%s) OR phone_check = ANY(%s))
    OFFSET 0
) AS k
"""
CHECKED: Final = """
SELECT k.* FROM unnest(%s::bytea[]) AS asked (phone_check)
CROSS JOIN LATERAL (
    SELECT member_id, dek_id, kek_version, wrapped, check_value FROM member_keys
    WHERE phone_check = asked.phone_check OFFSET 0
) AS k
"""
UNCHECKED: Final = """
(SELECT member_id FROM member_keys WHERE phone_check IS NULL LIMIT %(limit)s)
UNION ALL (SELECT member_id FROM member_keys WHERE kek_version < %(oldest)s LIMIT %(limit)s)
UNION ALL (SELECT member_id FROM member_keys WHERE kek_version > %(newest)s LIMIT %(limit)s)
"""
COPY_KEYS: Final = """
COPY member_keys (member_id, dek_id, kek_version, wrapped, check_value, phone_check, create_time) FROM STDIN
"""


class Wrapped(Protocol):
    """The strongroom's wrapped key, as far as it is stored."""

    @property
    def dek_id(self) -> UUID: ...

    @property
    def kek_version(self) -> int: ...

    @property
    def wrapped(self) -> bytes: ...

    @property
    def check(self) -> bytes: ...


Key = TypeVar("Key", bound=Wrapped)


class KeyDatabase(Generic[Key]):
    """Callable from any thread. Each statement commits by itself; StoreUnavailable where the instance is silent."""

    def __init__(self, lease: Lease, make: Callable[[UUID, int, bytes, bytes], Key]) -> None:
        """`lease` is of the keydb instance; `make` builds a key from dek_id, kek_version, wrapped and check."""
        self._lease = lease
        self._make = make

    def put(self, member_id: UUID, key: Key, phone_checks: Mapping[int, bytes], create_time: datetime) -> None:
        """Store a new member's key, before anything is sealed under it for good, and the check of its kek_version."""
        with leased_cursor(self._lease) as cursor:
            cursor.execute(
                "INSERT INTO member_keys (member_id, dek_id, kek_version, wrapped, check_value, phone_check,"
                " create_time) VALUES (%s, %s, %s, %s, %s, %s, %s)",
                (
                    member_id,
                    key.dek_id,
                    key.kek_version,
                    key.wrapped,
                    key.check,
                    phone_checks.get(key.kek_version),
                    create_time,
                ),
            )

    def get(self, member_ids: Sequence[UUID]) -> Mapping[UUID, Key]:
        """The keys that exist, by member; a member without one was erased."""
        with leased_cursor(self._lease) as cursor:
            rows: list[tuple[Any, ...]] = cursor.execute(
                "SELECT member_id, dek_id, kek_version, wrapped, check_value FROM member_keys"
                " WHERE member_id = ANY(%s)",
                (list(member_ids),),
            ).fetchall()
        return self._keys(rows)

    def matching(self, member_ids: Sequence[UUID], phone_checks: Mapping[int, Sequence[bytes]]) -> Mapping[UUID, Key]:
        """The keys of those members whose phone may be one that is looked for, told by kek_version and check.

        Who it is not is left out; a member whose check is not known, or of another version than told, is not.
        """
        wanted = [check for checks in phone_checks.values() for check in checks]
        with leased_cursor(self._lease) as cursor:
            rows = cursor.execute(MATCHING, (list(member_ids), list(phone_checks), wanted)).fetchall()
        return self._keys(rows)

    def checked(self, phone_checks: Mapping[int, Sequence[bytes]]) -> Mapping[UUID, Key]:
        """The keys of all members whose check is one of these; see `unchecked` for who may be besides."""
        wanted = [check for checks in phone_checks.values() for check in checks]
        with leased_cursor(self._lease) as cursor:
            rows = cursor.execute(CHECKED, (wanted,)).fetchall()
        return self._keys(rows)

    def unchecked(self, oldest: int, newest: int, limit: int) -> list[UUID]:
        """Members without a check, or with one of a kek_version outside `oldest` to `newest`; `limit` or a few more."""
        bounds = {"limit": limit, "newest": newest, "oldest": oldest}
        with leased_cursor(self._lease) as cursor:
            return [row[0] for row in cursor.execute(UNCHECKED, bounds).fetchall()]

    def put_all(self, keys: Mapping[UUID, tuple[Key, Mapping[int, bytes]]], create_time: datetime) -> None:
        """`put` of many."""
        if not keys:
            return
        with leased_cursor(self._lease) as cursor, cursor.copy(COPY_KEYS) as copy:
            for member_id, (key, phone_checks) in keys.items():
                check = phone_checks.get(key.kek_version)
                copy.write_row((member_id, key.dek_id, key.kek_version, key.wrapped, key.check, check, create_time))

    def forget_phone(self, member_id: UUID) -> None:
        """The member's phone changes: from now on its record is opened and compared."""
        with leased_cursor(self._lease) as cursor:
            cursor.execute("UPDATE member_keys SET phone_check = NULL WHERE member_id = %s", (member_id,))

    def delete_all(self, member_ids: Sequence[UUID]) -> None:
        """`delete` of many."""
        if member_ids:
            with leased_cursor(self._lease) as cursor:
                cursor.execute("DELETE FROM member_keys WHERE member_id = ANY(%s)", (list(member_ids),))

    def delete(self, member_id: UUID) -> None:
        """Remove a member's key. What was sealed under it can never be opened again."""
        with leased_cursor(self._lease) as cursor:
            cursor.execute("DELETE FROM member_keys WHERE member_id = %s", (member_id,))

    def _keys(self, rows: Sequence[tuple[Any, ...]]) -> Mapping[UUID, Key]:
        """Of rows of member_id, dek_id, kek_version, wrapped and check."""
        return {row[0]: self._make(row[1], row[2], bytes(row[3]), bytes(row[4])) for row in rows}
