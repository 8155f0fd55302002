"""Members' files in SQL: revisions, states, disclosures, and which acts are about whom. Sees sealed bytes.

The part of MemberBooks (membership.py) that is not about cards.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from coalition.domain.acts import Act
from coalition.domain.ids import NUMBER_SHIFT
from coalition.domain.members import Access, Disclosure, SealedRecord
from coalition.storage.lease import Cursor
from coalition.storage.member_looks import LATEST_RECORDS, read_states, write_note

DISCLOSURE: Final = """
SELECT disclosure_id, member_ids, field_groups, purpose, recipient_key, requester, create_time, approver, approve_time
FROM disclosures WHERE disclosure_id = %s
"""
ACCESSES: Final = f"""
SELECT e.entry_id, b.time, e.kind, e.reason, e.actor, p.code, e.answer
FROM member_acts a JOIN entries e ON e.request_id = a.request_id AND e.participant_id = a.participant_id
    JOIN batches b ON b.number = e.entry_id >> {NUMBER_SHIFT}
    JOIN participants p ON p.participant_id = e.participant_id
WHERE a.member_id = %s AND (%s::bigint IS NULL OR e.entry_id < %s) ORDER BY e.entry_id DESC LIMIT %s
"""


class FileBooks:
    """Inside one act's transaction. READ COMMITTED: each statement sees what a lock waited for."""

    def __init__(self, cursor: Cursor, lane_count: int) -> None:
        self._cursor = cursor
        self._lane_count = lane_count

    def member_states(self, member_ids: Sequence[UUID]) -> Mapping[UUID, str]:
        """State by member, of those that there are."""
        return read_states(self._cursor.connection, member_ids)

    def lock_member(self, member_id: UUID) -> str | None:
        row = self._one("SELECT state FROM members WHERE member_id = %s FOR UPDATE", (member_id,))
        return None if row is None else str(row[0])

    def note(self, act: Act, member_ids: Sequence[UUID]) -> Mapping[UUID, str]:
        """Write down which members the act is about; their states."""
        return write_note(self._cursor.connection, member_ids, act.request_id, act.participant_id)

    def latest_record(self, member_id: UUID, field_group: str) -> SealedRecord | None:
        row = self._one(
            f"{LATEST_RECORDS} WHERE r.member_id = %s AND r.field_group = %s"
            " ORDER BY r.member_id, r.field_group, r.revision DESC LIMIT 1",
            (member_id, field_group),
        )
        return SealedRecord(*row) if row else None

    def add_record(self, record: SealedRecord, create_time: datetime) -> None:
        self._cursor.execute(
            "INSERT INTO member_records (member_id, field_group, revision, record_id, sealed, create_time)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            (record.member_id, record.field_group, record.revision, record.record_id, record.sealed, create_time),
        )

    def move_index(self, field: str, value: int, member_id: UUID) -> None:
        self._cursor.execute("DELETE FROM member_indexes WHERE field = %s AND member_id = %s", (field, member_id))
        self._cursor.execute(
            "INSERT INTO member_indexes (field, value, member_id) VALUES (%s, %s, %s)", (field, value, member_id)
        )

    def set_member_state(self, member_id: UUID, state: str) -> None:
        self._cursor.execute("UPDATE members SET state = %s WHERE member_id = %s", (state, member_id))

    def add_disclosure(self, disclosure: Disclosure) -> None:
        self._cursor.execute(
            "INSERT INTO disclosures (disclosure_id, member_ids, field_groups, purpose, recipient_key, requester,"
            " create_time) VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (
                disclosure.disclosure_id,
                list(disclosure.member_ids),
                list(disclosure.field_groups),
                disclosure.purpose,
                disclosure.recipient_key,
                disclosure.requester,
                disclosure.create_time,
            ),
        )

    def lock_disclosure(self, disclosure_id: UUID) -> Disclosure | None:
        row = self._one(f"{DISCLOSURE} FOR UPDATE", (disclosure_id,))
        return disclosure_of(row) if row else None

    def approve_disclosure(self, disclosure_id: UUID, approver: str, time: datetime) -> None:
        self._cursor.execute(
            "UPDATE disclosures SET approver = %s, approve_time = %s WHERE disclosure_id = %s",
            (approver, time, disclosure_id),
        )

    def _one(self, statement: str, parameters: tuple[object, ...]) -> tuple[Any, ...] | None:
        return self._cursor.execute(statement, parameters).fetchone()


def disclosure_of(row: tuple[Any, ...]) -> Disclosure:
    """Of a row of DISCLOSURE."""
    disclosure_id, member_ids, field_groups, purpose, key, *people = row
    return Disclosure(disclosure_id, tuple(member_ids), tuple(field_groups), purpose, bytes(key), *people)


def read_accesses(cursor: Cursor, member_id: UUID, before: int | None, limit: int) -> list[Access]:
    """Acts about a member with an entry below `before`, newest first."""
    rows = cursor.execute(ACCESSES, (member_id, before, before, limit)).fetchall()
    return [
        Access(entry_id, time, kind, reason, actor, participant, json.loads(bytes(answer))["answer"])
        for entry_id, time, kind, reason, actor, participant, answer in rows
    ]
