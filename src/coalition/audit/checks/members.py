"""V13 and V14: members' records. Revisions have no gap; each ciphertext in the tables is the one that the log names.

Nothing is opened: what is checked is that the sealed bytes are those of their act, in their place, whole, and under a
key that there was. Memory grows with members, not with entries.
"""

import binascii
import hashlib
import struct
from base64 import b64decode
from typing import Any, Final, NamedTuple

from coalition.audit.bundle import Bundle
from coalition.audit.bundle_format import BundleDamaged
from coalition.audit.checks.keys import KeyChecks
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Report
from coalition.audit.checks.told import Tables
from coalition.domain.ids import number_of
from coalition.domain.kinds import Kind

ONE_MEMBER: Final = frozenset({int(Kind.MEMBER_ENROLLED), int(Kind.MEMBER_REVISED), int(Kind.CONSENT_SET)})
# keys/record.py: magic, suite, schema, version of the key-encryption key, dek_id, record_id, revision, salt,
# commitment, length of the ciphertext, which a tag of 16 bytes follows.
HEADER: Final = struct.Struct(">4sBHI16s16sI32s32sI")
SUITES: Final = frozenset({1, 2})
PADDING, TAG = 64, 16
SEED: Final = "device"


class Revision(NamedTuple):
    """A record as an act told it: SHA-256 of its ciphertext, the act's batch and place in the log."""

    digest: str
    number: int
    at: int


class MemberChecks:
    """Sees every act, then looks at every sealed record of the tables."""

    def __init__(self, bundle: Bundle, report: Report, tables: Tables, keys: KeyChecks) -> None:
        self._bundle = bundle
        self._revisions, self._sealed = report.checks["V13"], report.checks["V14"]
        self._tables = tables
        self._keys = keys
        self._told: dict[tuple[str, str], dict[int, Revision]] = {}  # by member and group, then revision
        self._seeds: dict[int, Revision] = {}  # by card
        self._erased: set[str] = set()
        self._facts = report.facts
        self._data_keys: dict[bytes, str] = {}  # which member a data key is of

    def act(self, opened: Opened, told: dict[str, Any]) -> None:
        """The next act."""
        kind = opened.entry.kind
        if kind in ONE_MEMBER:
            self._records(told["member_id"], told.get("records", ()), opened)
        elif kind == Kind.MEMBERS_IMPORTED:
            for member_id, records in told.get("records", {}).items():
                self._records(member_id, records, opened)
        elif kind == Kind.MEMBER_ERASED:
            self._erased.add(told["member_id"])
        elif kind == Kind.DEVICE_ENROLLED and "seed_sha256" in told:
            self._seeds[int(told["card_id"])] = revision_of(told["seed_sha256"], opened)

    def finish(self) -> None:
        """Everything was seen."""
        self._facts["erased_members"] = len(self._erased)
        if not self._tables.are_there:
            return
        self._records_of_tables()
        for card, record_id, sealed in self._bundle.state("seeds"):
            known = self._seeds.get(int(card))
            place = f"the seed of device {card}"
            if known is None:
                self._tables.stray(self._revisions, f"no entry tells of {place}")
            elif self._is_same(place, sealed, known):
                self._header(place, known, record_id, 1, sealed, None)

    def _records(self, member_id: str, records: Any, opened: Opened) -> None:
        for group, revision, digest in records:
            self._revisions.looked_at += 1
            known = self._told.setdefault((member_id, group), {})
            expected = max(known) + 1 if known else revision if self._bundle.start_size else 1
            if revision != expected:
                self._revisions.breach(
                    f"revision {revision} of {group} of member {member_id} stands where {expected} follows",
                    opened.at,
                    opened.entry.entry_id,
                )
            known[revision] = revision_of(digest, opened)

    def _records_of_tables(self) -> None:
        found: set[tuple[str, str, int]] = set()
        for member_id, group, revision, record_id, sealed in self._bundle.state("records"):
            found.add((member_id, group, revision))
            place = f"revision {revision} of {group} of member {member_id}"
            known = self._told.get((member_id, group), {}).get(revision)
            if known is None:
                self._tables.stray(self._revisions, f"no entry tells of {place}")
            elif self._is_same(place, sealed, known):
                self._header(place, known, record_id, revision, sealed, member_id)
        for (member_id, group), revisions in self._told.items():
            for revision, known in revisions.items():
                is_due = known.number <= self._tables.since and member_id not in self._erased
                if is_due and (member_id, group, revision) not in found:
                    self._revisions.breach(
                        f"revision {revision} of {group} of member {member_id} is gone from the tables", known.at
                    )

    def _is_same(self, place: str, sealed: str, known: Revision) -> bool:
        if hashlib.sha256(unpacked(sealed)).hexdigest() == known.digest:
            return True
        self._revisions.breach(f"{place} is not the ciphertext that the log names", known.at)
        return False

    def _header(
        self, place: str, known: Revision, record_id: str, revision: int, sealed: str, member_id: str | None
    ) -> None:
        """V14, of a ciphertext that is the log's. `member_id` None: nobody says whose it is."""
        check, data = self._sealed, unpacked(sealed)
        check.looked_at += 1
        if len(data) < HEADER.size + PADDING + TAG:
            return check.breach(f"{place} is no sealed record", known.at)
        magic, suite, schema, kek, data_key, record, written, _, _, length = HEADER.unpack_from(data)
        if (magic, schema, length) != (b"CMR1", 1, len(data) - HEADER.size - TAG) or suite not in SUITES:
            check.breach(f"{place} is no sealed record", known.at)
        elif (record.hex(), written) != (record_id.replace("-", ""), revision):
            check.breach(f"{place} was sealed for another place", known.at)
        elif member_id is not None and self._data_keys.setdefault(data_key, member_id) != member_id:
            check.breach(f"{place} is sealed under the key of another member", known.at)
        elif not self._keys.are_told:
            check.lacks("the log tells of no key: `coalition keys record` lets it")
        elif trouble := self._keys.may_seal(kek, known.at):
            check.breach(f"{place}: {trouble}", known.at)
        return None


def revision_of(digest: str, opened: Opened) -> Revision:
    """A record as this act tells it."""
    return Revision(digest, number_of(opened.entry.entry_id), opened.at)


def unpacked(sealed: str) -> bytes:
    """The ciphertext of a row. Raises BundleDamaged."""
    try:
        return b64decode(sealed, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise BundleDamaged("a sealed record of the bundle is no base64") from error
