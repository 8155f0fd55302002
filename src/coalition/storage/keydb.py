"""The key database: members' data keys, wrapped. An instance of its own, so that no backup of the ledger keeps them.

It never sees a key that is not wrapped, and knows nothing of what a key seals. A deleted row is how a member is erased.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from coalition.storage.lease import Lease, leased_cursor


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

    def put(self, member_id: UUID, key: Key, create_time: datetime) -> None:
        """Store a new member's key, before anything is sealed under it for good."""
        with leased_cursor(self._lease) as cursor:
            cursor.execute(
                "INSERT INTO member_keys (member_id, dek_id, kek_version, wrapped, check_value, create_time)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                (member_id, key.dek_id, key.kek_version, key.wrapped, key.check, create_time),
            )

    def get(self, member_ids: Sequence[UUID]) -> Mapping[UUID, Key]:
        """The keys that exist, by member; a member without one was erased."""
        with leased_cursor(self._lease) as cursor:
            rows: list[tuple[Any, ...]] = cursor.execute(
                "SELECT member_id, dek_id, kek_version, wrapped, check_value FROM member_keys"
                " WHERE member_id = ANY(%s)",
                (list(member_ids),),
            ).fetchall()
        return {row[0]: self._make(row[1], row[2], bytes(row[3]), bytes(row[4])) for row in rows}

    def put_all(self, keys: Mapping[UUID, Key], create_time: datetime) -> None:
        """Store the keys of many new members."""
        if not keys:
            return
        columns = (
            list(keys),
            [key.dek_id for key in keys.values()],
            [key.kek_version for key in keys.values()],
            [key.wrapped for key in keys.values()],
            [key.check for key in keys.values()],
        )
        with leased_cursor(self._lease) as cursor:
            cursor.execute(
                "INSERT INTO member_keys (member_id, dek_id, kek_version, wrapped, check_value, create_time)"
                " SELECT *, %s FROM unnest(%s::uuid[], %s::uuid[], %s::integer[], %s::bytea[], %s::bytea[])",
                (create_time, *columns),
            )

    def delete_all(self, member_ids: Sequence[UUID]) -> None:
        """`delete` of many."""
        if member_ids:
            with leased_cursor(self._lease) as cursor:
                cursor.execute("DELETE FROM member_keys WHERE member_id = ANY(%s)", (list(member_ids),))

    def delete(self, member_id: UUID) -> None:
        """Remove a member's key. What was sealed under it can never be opened again."""
        with leased_cursor(self._lease) as cursor:
            cursor.execute("DELETE FROM member_keys WHERE member_id = %s", (member_id,))
