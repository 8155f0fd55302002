"""`coalition keys reindex`: every member indexed anew by the primary version of the blind index, while servers work.

Servers that know both versions look under both, so a member is found before, while and after its value is exchanged. A
phone number is opened for as long as its index takes and shown to nobody. What is done stays done: cut off, the job is
asked again and passes over it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from uuid import UUID

from coalition.bootstrap.databases import databases
from coalition.bootstrap.strongroom import existing_key_ring
from coalition.config import Settings
from coalition.domain.members import CONTACT, PHONE_INDEX
from coalition.membership.field_groups import unpacked
from coalition.storage.connect import connect
from coalition.storage.keydb import KeyDatabase
from coalition.storage.reindexing import START, Indexed, MemberIndexRows
from keys import KeyPurpose, KeyRing, KeysError, WrappedKey

PAGE: Final = 500

Progress: TypeAlias = Callable[[int], None]
MemberKeys: TypeAlias = KeyDatabase[WrappedKey]


@dataclass(slots=True)
class Reindexed:
    """What the job did. `broken` are members whose record does not open here; `keyless` ones were erased.

    `right_already` counts those that needed nothing, some of them exchanged by this very run and met once more.
    """

    version: int
    exchanged: int = 0
    right_already: int = 0
    keyless: int = 0
    broken: list[UUID] = field(default_factory=list)


def reindex(ring: KeyRing, rows: MemberIndexRows, member_keys: MemberKeys, progress: Progress) -> Reindexed:
    """Give every member the index value that a new member would get."""
    done = Reindexed(ring.primary(KeyPurpose.BLIND_INDEX))
    after = START
    while page := rows.page(PHONE_INDEX, after, CONTACT, PAGE):
        after = page[-1].value, page[-1].record.member_id
        values = _new_values(ring, page, member_keys, done)
        done.exchanged += rows.exchange(PHONE_INDEX, values)
        progress(len(page))
    return done


def _new_values(
    ring: KeyRing, page: Sequence[Indexed], member_keys: MemberKeys, done: Reindexed
) -> list[tuple[UUID, int, int]]:
    values = []
    keys = member_keys.get([each.record.member_id for each in page])
    for each in page:
        record = each.record
        key = keys.get(record.member_id)
        if key is None:
            done.keyless += 1
            continue
        try:
            cipher = ring.sealer(record.member_id, key)
            opened = cipher.open(record.field_group, record.record_id, record.revision, record.sealed)
        except KeysError:
            done.broken.append(record.member_id)
            continue
        value = ring.blind_indexes(PHONE_INDEX, unpacked(opened)["phone"])[0]
        if value == each.value:
            done.right_already += 1
        else:
            values.append((record.member_id, each.value, value))
    return values


@dataclass(frozen=True, slots=True)
class IndexesAtHand:
    """The key ring, the indexes and the member keys, for one command."""

    ring: KeyRing
    rows: MemberIndexRows
    member_keys: MemberKeys


@contextmanager
def member_indexes(settings: Settings) -> Iterator[IndexesAtHand]:
    """As the server's role. Raises StrongroomRefused, SettingInvalid, StoreUnavailable."""
    ring = existing_key_ring(settings)
    with (
        databases(settings, attach=True) as opened,
        connect(opened.dsn(), "coalition keys") as ledger,
        connect(opened.keydb_dsn(), "coalition keys") as keydb,
    ):
        yield IndexesAtHand(ring, MemberIndexRows(ledger), KeyDatabase(lambda: nullcontext(keydb), WrappedKey))
