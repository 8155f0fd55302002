"""`coalition keys phone-checks`: members of a release before the checks get theirs, while servers work.

A check tells the members of one blind index apart without opening their records (KeyRing.index_checks). Who has none is
opened and compared at every look, so this job only makes looks cheaper. A phone number is opened for as long as its
check takes and shown to nobody. What is done stays done: cut off, the job is asked again and goes on.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from uuid import UUID

from coalition.bootstrap.databases import databases
from coalition.bootstrap.strongroom import existing_key_ring
from coalition.config import Settings
from coalition.domain.members import PHONE_INDEX, SealedRecord
from coalition.membership.field_groups import unpacked
from coalition.storage.check_filling import UncheckedKeys, phones_held
from coalition.storage.connect import Connection, connect
from coalition.storage.rewrapping import NIL
from keys import KeyRing, KeysError, WrappedKey

PAGE: Final = 100
"""So many members wait for each other: some milliseconds, for who changes a phone."""

Progress: TypeAlias = Callable[[int], None]


@dataclass(slots=True)
class Filled:
    """What the job did. `broken` are members whose record does not open here; nothing was changed for them."""

    filled: int = 0
    broken: list[UUID] = field(default_factory=list)


def fill_checks(ring: KeyRing, ledger: Connection, keys: UncheckedKeys[WrappedKey], progress: Progress) -> Filled:
    """Give every member without one the check that a new member would get."""
    done, after = Filled(), NIL
    while page := keys.page(after, PAGE):
        after = max(page)
        # Held until the checks are kept: whoever changes a phone does so behind us, and removes the check.
        with phones_held(ledger, sorted(page)) as records:
            done.filled += keys.fill(_checks(ring, records, page, done))
        progress(len(page))
    return done


def _checks(
    ring: KeyRing, records: Sequence[SealedRecord], keys: Mapping[UUID, WrappedKey], done: Filled
) -> list[tuple[UUID, int, bytes]]:
    found = []
    for record in records:
        key = keys[record.member_id]
        try:
            cipher = ring.sealer(record.member_id, key)
            opened = cipher.open(record.field_group, record.record_id, record.revision, record.sealed)
        except KeysError:
            done.broken.append(record.member_id)
            continue
        # The ring has the version: it has just unwrapped the key by it.
        check = ring.index_checks(PHONE_INDEX, unpacked(opened)["phone"])[key.kek_version]
        found.append((record.member_id, key.kek_version, check))
    return found


@dataclass(frozen=True, slots=True)
class ChecksAtHand:
    """The key ring, the ledger and the keys without a check, for one command."""

    ring: KeyRing
    ledger: Connection
    keys: UncheckedKeys[WrappedKey]


@contextmanager
def unchecked_keys(settings: Settings) -> Iterator[ChecksAtHand]:
    """As the server's role. Raises StrongroomRefused, SettingInvalid, StoreUnavailable."""
    ring = existing_key_ring(settings)
    with (
        databases(settings, attach=True) as opened,
        connect(opened.dsn(), "coalition keys") as ledger,
        connect(opened.keydb_dsn(), "coalition keys") as keydb,
    ):
        yield ChecksAtHand(ring, ledger, UncheckedKeys(keydb, WrappedKey))
