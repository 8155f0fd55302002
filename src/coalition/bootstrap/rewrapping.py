"""`coalition keys rewrap`: every member key wrapped anew by the primary key-encryption key, while servers work.

A server opens a member's key by the version its row names, before and after. What is done stays done: cut off, the job
goes on with what is left when it is asked again.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from uuid import UUID

from coalition.bootstrap.databases import Databases, databases
from coalition.bootstrap.strongroom import existing_key_ring
from coalition.config import Settings
from coalition.storage.connect import connect
from coalition.storage.rewrapping import NIL, Held, MemberKeyRows
from keys import KeyRing, KeysError, WrappedKey

PAGE: Final = 500
"""Keys exchanged by one statement: some milliseconds, so that an enrolment or erasure beside it hardly waits."""

Progress: TypeAlias = Callable[[int], None]
"""Told how many keys were looked at since the last time."""


@dataclass(slots=True)
class Rewrapped:
    """What the job did. `broken` are members whose key does not open here; nothing was changed for them."""

    kek_version: int
    exchanged: int = 0
    broken: list[UUID] = field(default_factory=list)
    counts: Mapping[int, int] = field(default_factory=dict)


def rewrap(ring: KeyRing, rows: MemberKeyRows[WrappedKey], progress: Progress) -> Rewrapped:
    """Wrap every member key that is not of the primary version anew."""
    done = Rewrapped(ring.kek_version)
    after = NIL
    while page := rows.behind(done.kek_version, after, PAGE):
        after = page[-1].member_id
        exchanges = []
        for held in page:
            try:
                exchanges.append((held, rewrapped(ring, held)))
            except KeysError:
                done.broken.append(held.member_id)
        done.exchanged += rows.exchange(exchanges)
        progress(len(page))
    done.counts = rows.counts()
    return done


def rewrapped(ring: KeyRing, held: Held[WrappedKey]) -> Held[WrappedKey]:
    """A member's key, and its phone's check, by the primary version. Raises KeysError."""
    check = held.phone_check
    return Held(
        held.member_id,
        ring.rewrap(held.member_id, held.key),
        None if check is None else ring.rewrap_check(held.key.kek_version, check),
    )


@dataclass(frozen=True, slots=True)
class MemberKeysAtHand:
    """The key ring and the member keys, for one command."""

    ring: KeyRing
    rows: MemberKeyRows[WrappedKey]


@contextmanager
def member_keys(settings: Settings) -> Iterator[MemberKeysAtHand]:
    """As the owner of the key database. Raises StrongroomRefused, SettingInvalid, StoreUnavailable."""
    ring = existing_key_ring(settings)
    with _owner_dsn(settings) as dsn, connect(dsn, "coalition keys") as connection:
        yield MemberKeysAtHand(ring, MemberKeyRows(connection, WrappedKey))


@contextmanager
def _owner_dsn(settings: Settings) -> Iterator[str]:
    if not settings.is_embedded:
        yield Databases(settings).keydb_dsn("owner")
        return
    with databases(settings, attach=True) as opened:
        yield opened.keydb_dsn("owner")
