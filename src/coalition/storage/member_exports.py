"""Exports in SQL: the request of two people, and a page of active members with their sealed records.

The part of MemberBooks (membership.py) about exports, and the reads that go with them. Sees sealed bytes only.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from coalition.domain.acts import Act
from coalition.domain.members import ExportedMember, MemberExport, SealedRecord
from coalition.storage.lease import Cursor
from coalition.storage.member_looks import LATEST_RECORDS

EXPORT: Final = """
SELECT export_id, field_groups, purpose, recipient_key, requester, create_time, approver, approve_time
FROM exports WHERE export_id = %s
"""
PAGE: Final = """
SELECT m.member_id, m.wallet_id, p.code, m.create_time, w.is_named
FROM members m JOIN participants p ON p.participant_id = m.recruiter_id JOIN wallets w USING (lane, wallet_id)
WHERE m.member_id > %s AND m.state = 'ACTIVE' ORDER BY m.member_id LIMIT %s
"""
NOTE_ALL: Final = """
INSERT INTO member_acts (member_id, request_id, participant_id)
SELECT member_id, %s, %s FROM members WHERE state = 'ACTIVE'
"""


class ExportBooks:
    """Inside one act's transaction."""

    _cursor: Cursor

    def count_active(self) -> int:
        return int(self._cursor.execute("SELECT count(*) FROM members WHERE state = 'ACTIVE'").fetchall()[0][0])

    def note_all_active(self, act: Act) -> int:
        return self._cursor.execute(NOTE_ALL, (act.request_id, act.participant_id)).rowcount

    def add_export(self, export: MemberExport) -> None:
        self._cursor.execute(
            "INSERT INTO exports (export_id, field_groups, purpose, recipient_key, requester, create_time)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            (
                export.export_id,
                list(export.field_groups),
                export.purpose,
                export.recipient_key,
                export.requester,
                export.create_time,
            ),
        )

    def lock_export(self, export_id: UUID) -> MemberExport | None:
        row = self._cursor.execute(f"{EXPORT} FOR UPDATE", (export_id,)).fetchone()
        return export_of(row) if row else None

    def approve_export(self, export_id: UUID, approver: str, time: datetime) -> None:
        self._cursor.execute(
            "UPDATE exports SET approver = %s, approve_time = %s WHERE export_id = %s", (approver, time, export_id)
        )


def export_of(row: tuple[Any, ...]) -> MemberExport:
    """Of a row of EXPORT."""
    export_id, groups, purpose, key, requester, create_time, approver, approve_time = row
    return MemberExport(export_id, tuple(groups), purpose, bytes(key), requester, create_time, approver, approve_time)


def read_active(cursor: Cursor, after: UUID, field_groups: Sequence[str], limit: int) -> list[ExportedMember]:
    """Active members behind `after`, in order of their ids, with the latest of these records."""
    rows = cursor.execute(PAGE, (after, limit)).fetchall()
    records: dict[UUID, list[SealedRecord]] = {row[0]: [] for row in rows}
    found = cursor.execute(
        f"{LATEST_RECORDS} WHERE r.member_id = ANY(%s) AND r.field_group = ANY(%s)"
        " ORDER BY r.member_id, r.field_group, r.revision DESC",
        (list(records), list(field_groups)),
    ).fetchall()
    for record in found:
        records[record[0]].append(SealedRecord(*record))
    return [
        ExportedMember(member_id, wallet_id, recruiter, create_time, is_named, tuple(records[member_id]))
        for member_id, wallet_id, recruiter, create_time, is_named in rows
    ]
