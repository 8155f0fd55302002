"""Reception in SQL: the writes of one act inside its transaction, and the reads. Sees sealed bytes only.

Implements the protocols of coalition.membership.store and decides nothing. Rows of a wallet lie in lane
`wallet_id % lane_count`; a card that is not linked yet lies in the lane of its own id and moves when it is.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple
from typing import Any, Final
from uuid import UUID

from psycopg.rows import tuple_row

from coalition.domain.acts import JSON, Act, ActAnswer
from coalition.domain.approvals import Approval
from coalition.domain.errors import LedgerBroken
from coalition.domain.ids import lane_of_wallet
from coalition.domain.members import (
    Access,
    CardLimits,
    CardPointer,
    CardRow,
    Disclosure,
    ExportedMember,
    MemberExport,
    MemberFile,
    MemberRow,
    NewCard,
    NewDevice,
    NewMember,
    SealedRecord,
)
from coalition.domain.pins import PinTag
from coalition.domain.programme import Participant
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection
from coalition.storage.devices import add_tickets
from coalition.storage.lease import Lease, leased, leased_cursor
from coalition.storage.member_erasures import ErasureBooks, read_erasure_requests
from coalition.storage.member_exports import EXPORT, ExportBooks, export_of, read_active
from coalition.storage.member_files import DISCLOSURE, FileBooks, disclosure_of, read_accesses
from coalition.storage.member_intake import IntakeBooks
from coalition.storage.member_looks import CARD, MEMBER, card_of, read_file, read_indexed, read_records
from coalition.storage.member_merging import MergeBooks
from coalition.storage.pins import SET_PIN

CARD_OF_KIND: Final = f"""
{CARD} WHERE c.lane = %s AND c.wallet_id = %s AND c.kind = %s AND c.state <> 'REPLACED' ORDER BY c.card_id LIMIT 1
"""
# Two integers, so that it shares no key with the advisory locks of the journal (one bigint each).
LOCK_INDEX: Final = "SELECT pg_advisory_xact_lock(hashtext('member_indexes.' || %s), %s)"


class MemberStore:
    """Callable from any thread: each call leases a connection for itself."""

    def __init__(self, lease: Lease, acts: Acts, lane_count: int) -> None:
        self._lease = lease
        self._acts = acts
        self._lane_count = lane_count

    def perform(
        self, act: Act, apply: "Callable[[MemberBooks], dict[str, JSON]]", about: Sequence[UUID] = ()
    ) -> ActAnswer:
        """See Acts.perform; `apply` gets the books of the transaction. Declined, it is noted of those it is `about`."""

        def work(connection: Connection) -> dict[str, JSON]:
            with connection.cursor(row_factory=tuple_row) as cursor:
                return apply(MemberBooks(cursor, self._lane_count))

        def declined(connection: Connection) -> None:
            with connection.cursor(row_factory=tuple_row) as cursor:
                books = MemberBooks(cursor, self._lane_count)
                books.note(act, sorted(books.member_states(about)))

        with leased(self._lease) as connection:
            return self._acts.perform(connection, act, work, declined=declined if about else None)

    def member(self, member_id: UUID) -> MemberRow | None:
        row = self._one(f"{MEMBER} WHERE m.member_id = %s", (member_id,))
        return MemberRow(*row) if row else None

    def member_of_wallet(self, wallet_id: int) -> MemberRow | None:
        row = self._one(f"{MEMBER} WHERE m.wallet_id = %s", (wallet_id,))
        return MemberRow(*row) if row else None

    def records(self, member_id: UUID, field_groups: Iterable[str]) -> list[SealedRecord]:
        with leased(self._lease) as connection:
            return read_records(connection, member_id, field_groups)

    def indexed_records(self, field: str, values: Sequence[int], field_group: str, limit: int) -> list[SealedRecord]:
        with leased(self._lease) as connection:
            return read_indexed(connection, field, values, field_group, limit)

    def accesses(self, member_id: UUID, before: int | None, limit: int) -> list[Access]:
        with leased_cursor(self._lease) as cursor:
            return read_accesses(cursor, member_id, before, limit)

    def disclosure(self, disclosure_id: UUID) -> Disclosure | None:
        row = self._one(DISCLOSURE, (disclosure_id,))
        return disclosure_of(row) if row else None

    def export(self, export_id: UUID) -> MemberExport | None:
        row = self._one(EXPORT, (export_id,))
        return export_of(row) if row else None

    def active_members(self, after: UUID, field_groups: Sequence[str], limit: int) -> list[ExportedMember]:
        with leased_cursor(self._lease) as cursor:
            return read_active(cursor, after, field_groups, limit)

    def erasure_requests(self, after: int, limit: int) -> list[Approval]:
        return read_erasure_requests(self._lease, after, limit)

    def unfinished_erasures(self) -> list[UUID]:
        with leased_cursor(self._lease) as cursor:
            rows = cursor.execute("SELECT member_id FROM erasures WHERE NOT is_finished ORDER BY member_id").fetchall()
        return [row[0] for row in rows]

    def finish_erasure(self, member_id: UUID) -> None:
        with leased(self._lease) as connection, connection.transaction():
            connection.execute("DELETE FROM member_records WHERE member_id = %s", (member_id,))
            connection.execute("UPDATE erasures SET is_finished = true WHERE member_id = %s", (member_id,))

    def card(self, token: bytes) -> CardRow | None:
        # Both by primary key, in one snapshot: a card that is being linked is seen either before or after.
        row = self._one(
            f"{CARD} WHERE (c.lane, c.card_id) = (SELECT lane, card_id FROM credentials WHERE token = %s)", (token,)
        )
        return card_of(row) if row else None

    def file(self, member_id: UUID, field_groups: Iterable[str], cards_max: int) -> MemberFile | None:
        with leased(self._lease) as connection:
            return read_file(connection, member_id, field_groups, cards_max)

    def card_of_kind(self, wallet_id: int, kind: str) -> CardRow | None:
        row = self._one(CARD_OF_KIND, (lane_of_wallet(wallet_id, self._lane_count), wallet_id, kind))
        return card_of(row) if row else None

    def wallets_of_tokens(self, tokens: Sequence[bytes]) -> Mapping[bytes, int | None]:
        with leased_cursor(self._lease) as cursor:
            rows = cursor.execute("SELECT token, wallet_id FROM credentials WHERE token = ANY(%s)", (list(tokens),))
            return {bytes(token): wallet_id for token, wallet_id in rows.fetchall()}

    def wallets_of_members(self, member_ids: Sequence[UUID]) -> Mapping[UUID, int]:
        with leased_cursor(self._lease) as cursor:
            rows = cursor.execute(
                "SELECT member_id, wallet_id FROM members WHERE member_id = ANY(%s) AND state <> 'ERASED'",
                (list(member_ids),),
            )
            return dict(rows.fetchall())

    def _one(self, statement: str, parameters: tuple[object, ...]) -> tuple[Any, ...] | None:
        with leased_cursor(self._lease) as cursor:
            return cursor.execute(statement, parameters).fetchone()


class MemberBooks(FileBooks, IntakeBooks, MergeBooks, ExportBooks, ErasureBooks):
    """Members and cards inside one act's transaction. READ COMMITTED: each statement sees what a lock waited for."""

    def participant(self, code: str) -> Participant | None:
        row = self._one(
            "SELECT participant_id, code, display_name, role, chain_code, state = 'ACTIVE' FROM participants"
            " WHERE code = %s",
            (code,),
        )
        return Participant(*row) if row else None

    def lock_index(self, field: str, values: Sequence[int]) -> None:
        """Serialise the acts that look at any of these blind indexes; held to the end of the transaction."""
        # In one order, so that two acts never wait for each other.
        for value in sorted(set(values)):
            self._cursor.execute(LOCK_INDEX, (field, value))

    def indexed_records(self, field: str, values: Sequence[int], field_group: str, limit: int) -> list[SealedRecord]:
        return read_indexed(self._cursor.connection, field, values, field_group, limit)

    def add_member(self, member: NewMember) -> None:
        """The wallet, the member, its sealed records and its blind index."""
        lane = lane_of_wallet(member.wallet_id, self._lane_count)
        self._cursor.execute(
            "INSERT INTO wallets (lane, wallet_id, recruiter_id, is_named) VALUES (%s, %s, %s, %s)",
            (lane, member.wallet_id, member.recruiter_id, member.is_named),
        )
        self._cursor.execute(
            "INSERT INTO members (member_id, lane, wallet_id, recruiter_id, create_time) VALUES (%s, %s, %s, %s, %s)",
            (member.member_id, lane, member.wallet_id, member.recruiter_id, member.create_time),
        )
        self._cursor.executemany(
            "INSERT INTO member_records (member_id, field_group, revision, record_id, sealed, create_time)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [
                (each.member_id, each.field_group, each.revision, each.record_id, each.sealed, member.create_time)
                for each in member.records
            ],
        )
        self._cursor.execute(
            "INSERT INTO member_indexes (field, value, member_id) VALUES ('phone', %s, %s)",
            (member.phone_index, member.member_id),
        )

    def wallet_of_member(self, member_id: UUID) -> int | None:
        row = self._one("SELECT wallet_id FROM members WHERE member_id = %s AND state <> 'ERASED'", (member_id,))
        return None if row is None else int(row[0])

    def lock_wallet(self, wallet_id: int) -> bool:
        """Whether the wallet is open. Waits for the desk's batch that holds it. Raises LedgerBroken: no such wallet."""
        row = self._one(
            "SELECT state = 'OPEN' FROM wallets WHERE lane = %s AND wallet_id = %s FOR UPDATE",
            (lane_of_wallet(wallet_id, self._lane_count), wallet_id),
        )
        if row is None:
            raise LedgerBroken(f"wallet {wallet_id} is not in its lane")
        return bool(row[0])

    def pointer(self, token: bytes) -> CardPointer | None:
        row = self._one("SELECT lane, card_id, wallet_id FROM credentials WHERE token = %s", (token,))
        return CardPointer(*row) if row else None

    def lock_credential(self, token: bytes) -> CardPointer | None:
        row = self._one("SELECT lane, card_id, wallet_id FROM credentials WHERE token = %s FOR UPDATE", (token,))
        return CardPointer(*row) if row else None

    def lock_card(self, lane: int, card_id: int) -> CardRow | None:
        row = self._one(f"{CARD} WHERE c.lane = %s AND c.card_id = %s FOR UPDATE OF c", (lane, card_id))
        return card_of(row) if row else None

    def lock_card_of_wallet(self, wallet_id: int, card_id: int) -> CardRow | None:
        card = self.lock_card(lane_of_wallet(wallet_id, self._lane_count), card_id)
        return card if card is not None and card.wallet_id == wallet_id else None

    def add_card(self, card: NewCard) -> bool:
        """The credential first: where its token is taken nothing is written."""
        lane = lane_of_wallet(card.card_id if card.wallet_id is None else card.wallet_id, self._lane_count)
        self._cursor.execute(
            "INSERT INTO credentials (token, lane, wallet_id, card_id, create_time) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (token) DO NOTHING",
            (card.token, lane, card.wallet_id, card.card_id, card.create_time),
        )
        if self._cursor.rowcount == 0:
            return False
        self._add_card_row(lane, card)
        return True

    def _add_card_row(self, lane: int, card: NewCard) -> None:
        self._cursor.execute(
            "INSERT INTO cards (lane, card_id, wallet_id, last_four, state, kind, operation_limit_minor,"
            " day_limit_minor, month_limit_minor, issuer_id)"
            " SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s, participant_id FROM participants WHERE code = %s",
            (
                lane,
                card.card_id,
                card.wallet_id,
                card.last_four,
                card.state,
                card.kind,
                *astuple(card.limits),
                card.issuer,
            ),
        )

    def add_device(self, device: NewDevice) -> None:
        """What the desk decides by, the sealed seed, and the tickets of the first codes."""
        lane = lane_of_wallet(device.wallet_id, self._lane_count)
        self._cursor.execute("INSERT INTO devices (lane, card_id) VALUES (%s, %s)", (lane, device.card_id))
        self._cursor.execute(
            "INSERT INTO device_seeds (lane, card_id, wallet_id, member_id, record_id, sealed, tickets_until)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (
                lane,
                device.card_id,
                device.wallet_id,
                device.member_id,
                device.record_id,
                device.sealed_seed,
                len(device.tickets),
            ),
        )
        add_tickets(self._cursor, lane, device.wallet_id, device.card_id, 0, device.tickets)

    def card_of_kind(self, wallet_id: int, kind: str) -> CardRow | None:
        row = self._one(CARD_OF_KIND, (lane_of_wallet(wallet_id, self._lane_count), wallet_id, kind))
        return card_of(row) if row else None

    def redirect_credential(self, token: bytes, card: NewCard) -> None:
        """The new card's row, and the credential's way to it."""
        lane = lane_of_wallet(card.card_id if card.wallet_id is None else card.wallet_id, self._lane_count)
        self._add_card_row(lane, card)
        self._cursor.execute(
            "UPDATE credentials SET lane = %s, wallet_id = %s, card_id = %s WHERE token = %s",
            (lane, card.wallet_id, card.card_id, token),
        )

    def link_card(self, token: bytes, card: CardRow, wallet_id: int) -> None:
        """Move the card into the wallet's lane, ACTIVE, and let its credential follow."""
        lane = lane_of_wallet(wallet_id, self._lane_count)
        self._cursor.execute(
            "UPDATE cards SET lane = %s, wallet_id = %s, state = 'ACTIVE' WHERE lane = %s AND card_id = %s",
            (lane, wallet_id, card.lane, card.card_id),
        )
        self._cursor.execute(
            "UPDATE credentials SET lane = %s, wallet_id = %s WHERE token = %s", (lane, wallet_id, token)
        )

    def set_pin(self, wallet_id: int, salt: bytes, tag: PinTag) -> None:
        """A new revision of the wallet's PIN."""
        lane = lane_of_wallet(wallet_id, self._lane_count)
        self._cursor.execute(SET_PIN, (lane, wallet_id, salt, tag.tag, tag.key_version))

    def set_card_state(self, card: CardRow, state: str, replaced_by: int | None = None) -> None:
        """`replaced_by` is the new card's number, given with REPLACED."""
        self._cursor.execute(
            "UPDATE cards SET state = %s, replaced_by = %s WHERE lane = %s AND card_id = %s",
            (state, replaced_by, card.lane, card.card_id),
        )

    def set_card_limits(self, lane: int, card_id: int, limits: CardLimits) -> None:
        self._cursor.execute(
            "UPDATE cards SET operation_limit_minor = %s, day_limit_minor = %s, month_limit_minor = %s"
            " WHERE lane = %s AND card_id = %s",
            (*astuple(limits), lane, card_id),
        )

    def name_wallet(self, wallet_id: int) -> None:
        self._cursor.execute(
            "UPDATE wallets SET is_named = true WHERE lane = %s AND wallet_id = %s",
            (lane_of_wallet(wallet_id, self._lane_count), wallet_id),
        )
