"""Many new members in one act, in SQL: COPY for the rows, one statement for each question. Sees sealed bytes only.

The part of MemberBooks (membership.py) that takes members in by the hundred.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from coalition.domain.ids import lane_of_wallet
from coalition.domain.members import NewCard, NewMember, SealedRecord
from coalition.storage.lease import Cursor
from coalition.storage.member_looks import LATEST_RECORDS

# As LOCK_INDEX of one; sorted below, so that two imports wait for each other in one order.
LOCK_INDEXES: Final = """
SELECT count(pg_advisory_xact_lock(hashtext('member_indexes.' || %s), value))
FROM unnest(%s::integer[]) WITH ORDINALITY AS asked (value, place)
"""


class IntakeBooks:
    """Inside one act's transaction."""

    _cursor: Cursor
    _lane_count: int

    def lock_indexes(self, field: str, values: Sequence[int]) -> None:
        self._cursor.execute(LOCK_INDEXES, (field, sorted(values)))

    def members_indexed(self, field: str, values: Sequence[int], among: Sequence[UUID] | None = None) -> list[UUID]:
        asked = "SELECT member_id FROM member_indexes WHERE field = %s AND value = ANY(%s)"
        if among is None:
            rows = self._cursor.execute(asked, (field, list(values))).fetchall()
        else:
            rows = self._cursor.execute(
                f"{asked} AND member_id = ANY(%s)", (field, list(values), list(among))
            ).fetchall()
        return [row[0] for row in rows]

    def latest_records(self, member_ids: Sequence[UUID], field_group: str) -> list[SealedRecord]:
        rows = self._cursor.execute(
            f"{LATEST_RECORDS} WHERE r.member_id = ANY(%s) AND r.field_group = %s"
            " ORDER BY r.member_id, r.field_group, r.revision DESC",
            (list(member_ids), field_group),
        ).fetchall()
        return [SealedRecord(*row) for row in rows]

    def taken_tokens(self, tokens: Sequence[bytes]) -> set[bytes]:
        if not tokens:
            return set()
        rows = self._cursor.execute("SELECT token FROM credentials WHERE token = ANY(%s)", (list(tokens),)).fetchall()
        return {bytes(row[0]) for row in rows}

    def add_members(self, members: Sequence[NewMember], cards: Sequence[NewCard]) -> None:
        """Wallets, members, sealed records, blind indexes, credentials and cards."""
        lanes = [lane_of_wallet(member.wallet_id, self._lane_count) for member in members]
        self._copy(
            "wallets (lane, wallet_id, recruiter_id, is_named)",
            ((lane, m.wallet_id, m.recruiter_id, m.is_named) for lane, m in zip(lanes, members, strict=True)),
        )
        self._copy(
            "members (member_id, lane, wallet_id, recruiter_id, create_time)",
            (
                (m.member_id, lane, m.wallet_id, m.recruiter_id, m.create_time)
                for lane, m in zip(lanes, members, strict=True)
            ),
        )
        self._copy(
            "member_records (member_id, field_group, revision, record_id, sealed, create_time)",
            (
                (each.member_id, each.field_group, each.revision, each.record_id, each.sealed, member.create_time)
                for member in members
                for each in member.records
            ),
        )
        self._copy("member_indexes (field, value, member_id)", (("phone", m.phone_index, m.member_id) for m in members))
        self._add_cards(cards)

    def _add_cards(self, cards: Sequence[NewCard]) -> None:
        if not cards:
            return
        issuers: dict[str, int] = dict(
            self._cursor.execute(
                "SELECT code, participant_id FROM participants WHERE code = ANY(%s)", (list({c.issuer for c in cards}),)
            ).fetchall()
        )
        lanes = [lane_of_wallet(card.wallet_id or card.card_id, self._lane_count) for card in cards]
        self._copy(
            "credentials (token, lane, wallet_id, card_id, create_time)",
            ((c.token, lane, c.wallet_id, c.card_id, c.create_time) for lane, c in zip(lanes, cards, strict=True)),
        )
        self._copy(
            "cards (lane, card_id, wallet_id, last_four, state, kind, issuer_id)",
            (
                (lane, c.card_id, c.wallet_id, c.last_four, c.state, c.kind, issuers[c.issuer])
                for lane, c in zip(lanes, cards, strict=True)
            ),
        )

    def _copy(self, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with self._cursor.copy(f"COPY {columns} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
