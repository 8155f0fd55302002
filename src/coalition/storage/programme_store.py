"""HQ's office in SQL: the writes of one act inside its transaction. Decides nothing.

Implements the protocols of coalition.programme.store; what is read outside of an act is in programme_reads.py. Each act
first raises the programme's epoch: the row is locked until the act commits, so acts of HQ run one after the other and a
rule that looks across rows (no two agreements for the same question) holds.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Final

from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from coalition.domain.accounts import FIRST_OF_POINTS
from coalition.domain.acts import JSON, Act, ActAnswer
from coalition.domain.agreements import Version, parse_content
from coalition.domain.approvals import Subject
from coalition.domain.errors import LedgerBroken
from coalition.domain.programme import Participant, Store, Terminal
from coalition.storage import approvals
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection
from coalition.storage.lease import Cursor, Lease, leased

RAISE_EPOCH: Final = "UPDATE config_epoch SET epoch = epoch + 1"
VERSIONS: Final = """
SELECT a.agreement_id, v.version, a.code, a.kind, v.effective_from, v.effective_until, v.content, v.unit
FROM agreements a JOIN agreement_versions v USING (agreement_id)
"""


class ProgrammeStore:
    """Callable from any thread: each call leases a connection for itself."""

    def __init__(self, lease: Lease, acts: Acts) -> None:
        self._lease = lease
        self._acts = acts

    def perform(self, act: Act, apply: "Callable[[ProgrammeBooks], dict[str, JSON]]") -> ActAnswer:
        """See Acts.perform; `apply` gets the books of the transaction."""

        def work(connection: Connection) -> dict[str, JSON]:
            with connection.cursor(row_factory=tuple_row) as cursor:
                cursor.execute(RAISE_EPOCH)
                return apply(ProgrammeBooks(cursor, connection))

        with leased(self._lease) as connection:
            return self._acts.perform(connection, act, work)


class ProgrammeBooks:
    """The programme inside one act's transaction. No other act of HQ runs meanwhile."""

    def __init__(self, cursor: Cursor, connection: Connection) -> None:
        self._cursor = cursor
        self._connection = connection

    def participant(self, code: str) -> Participant | None:
        row = self._one(
            "SELECT participant_id, code, display_name, role, chain_code, state = 'ACTIVE' FROM participants"
            " WHERE code = %s",
            (code,),
        )
        return Participant(*row) if row else None

    def add_participant(
        self, code: str, display_name: str, role: str, chain_code: str | None, create_time: datetime
    ) -> bool:
        return self._wrote(
            "INSERT INTO participants (code, display_name, role, chain_code, create_time)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (code) DO NOTHING",
            (code, display_name, role, chain_code, create_time),
        )

    def set_participant_state(self, participant_id: int, state: str) -> None:
        self._wrote("UPDATE participants SET state = %s WHERE participant_id = %s", (state, participant_id))

    def store(self, participant_id: int, code: str) -> Store | None:
        row = self._one(
            "SELECT store_id, participant_id, code, display_name, state = 'ACTIVE' FROM stores"
            " WHERE participant_id = %s AND code = %s",
            (participant_id, code),
        )
        return Store(*row) if row else None

    def add_store(self, participant_id: int, code: str, display_name: str, create_time: datetime) -> bool:
        return self._wrote(
            "INSERT INTO stores (participant_id, code, display_name, create_time) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (participant_id, code) DO NOTHING",
            (participant_id, code, display_name, create_time),
        )

    def set_store_state(self, store_id: int, state: str) -> None:
        self._wrote("UPDATE stores SET state = %s WHERE store_id = %s", (state, store_id))

    def terminal(self, store_id: int, code: str) -> Terminal | None:
        row = self._one(
            "SELECT terminal_id, store_id, code, state = 'ACTIVE' FROM terminals WHERE store_id = %s AND code = %s",
            (store_id, code),
        )
        return Terminal(*row) if row else None

    def add_terminal(self, store_id: int, code: str, create_time: datetime) -> bool:
        return self._wrote(
            "INSERT INTO terminals (store_id, code, create_time) VALUES (%s, %s, %s)"
            " ON CONFLICT (store_id, code) DO NOTHING",
            (store_id, code, create_time),
        )

    def set_terminal_state(self, terminal_id: int, state: str) -> None:
        self._wrote("UPDATE terminals SET state = %s WHERE terminal_id = %s", (state, terminal_id))

    def parties(self) -> frozenset[str]:
        """Participant codes, and `chain:<code>` for each chain with participants."""
        rows = self._cursor.execute(
            "SELECT code FROM participants UNION SELECT 'chain:' || chain_code FROM participants"
            " WHERE chain_code IS NOT NULL"
        ).fetchall()
        return frozenset(row[0] for row in rows)

    def groups(self) -> dict[str, str]:
        """The chain of each participant and of each `chain:<code>`; a participant that is of none is its own group."""
        rows = self._cursor.execute(
            "SELECT code, coalesce('chain:' || chain_code, code) FROM participants"
            " UNION SELECT 'chain:' || chain_code, 'chain:' || chain_code FROM participants"
            " WHERE chain_code IS NOT NULL"
        ).fetchall()
        return dict(rows)

    def calendars(self) -> frozenset[str]:
        return frozenset(row[0] for row in self._cursor.execute("SELECT code FROM calendars").fetchall())

    def versions(self, kind: str) -> list[Version]:
        return self._versions("WHERE a.kind = %s ORDER BY a.agreement_id, v.version", kind)

    def agreement(self, code: str) -> list[Version]:
        return self._versions("WHERE a.code = %s ORDER BY v.version", code)

    def add_agreement(self, code: str, kind: str, create_time: datetime) -> int:
        """The new agreement's number. Raises LedgerBroken when the code is taken after all."""
        row = self._one(
            "INSERT INTO agreements (code, kind, create_time) VALUES (%s, %s, %s) RETURNING agreement_id",
            (code, kind, create_time),
        )
        if row is None:
            raise LedgerBroken(f"agreement {code} was not written")
        return int(row[0])

    def add_version(
        self,
        agreement_id: int,
        version: int,
        effective_from: date,
        effective_until: date | None,
        content: dict[str, JSON],
        create_time: datetime,
    ) -> None:
        """A version of a points programme gets the next unit for its points; no other act of HQ runs meanwhile."""
        self._wrote(
            "INSERT INTO agreement_versions (agreement_id, version, effective_from, effective_until, content,"
            " create_time, unit) SELECT %s, %s, %s, %s, %s, %s,"
            " (SELECT coalesce((SELECT max(unit) + 1 FROM agreement_versions), %s)"
            "  FROM agreements WHERE agreement_id = %s AND kind = 'POINTS')",
            (
                *(agreement_id, version, effective_from, effective_until, Jsonb(content), create_time),
                *(FIRST_OF_POINTS, agreement_id),
            ),
        )

    def unit(self, agreement_id: int, version: int) -> int | None:
        """The unit of a version's points; None where it is about none."""
        row = self._one(
            "SELECT unit FROM agreement_versions WHERE agreement_id = %s AND version = %s", (agreement_id, version)
        )
        return None if row is None else row[0]

    def content(self, agreement_id: int, version: int) -> dict[str, JSON]:
        """Raises LedgerBroken where there is no such version."""
        row = self._one(
            "SELECT content FROM agreement_versions WHERE agreement_id = %s AND version = %s", (agreement_id, version)
        )
        if row is None:
            raise LedgerBroken(f"agreement {agreement_id} has lost its version {version}")
        told: dict[str, JSON] = row[0]
        return told

    def needs_approval(self) -> bool:
        row = self._one("SELECT agreements_need_approval FROM scheme", ())
        return row is not None and bool(row[0])

    def require_approval(self) -> None:
        self._wrote("UPDATE scheme SET agreements_need_approval = true", ())

    def unsign(self, agreement_id: int, version: int) -> None:
        self._sign(agreement_id, version, is_signed=False)

    def sign(self, agreement_id: int, version: int) -> None:
        self._sign(agreement_id, version, is_signed=True)

    def ask_approval(
        self, subject: Subject, name: str, content_hash: bytes, amount_minor: int, maker: str, time: datetime
    ) -> int:
        return approvals.ask(
            self._connection,
            subject,
            name,
            content_hash=content_hash,
            amount_minor=amount_minor,
            maker=maker,
            time=time,
        )

    def is_approved(self, subject: Subject, name: str, content_hash: bytes) -> bool:
        return approvals.approved(self._connection, subject, name, content_hash)

    def _sign(self, agreement_id: int, version: int, *, is_signed: bool) -> None:
        self._wrote(
            "UPDATE agreement_versions SET is_signed = %s WHERE agreement_id = %s AND version = %s",
            (is_signed, agreement_id, version),
        )

    def _versions(self, condition: str, value: str) -> list[Version]:
        rows = self._cursor.execute(f"{VERSIONS} {condition}", (value,)).fetchall()
        return [
            Version(agreement_id, version, code, kind, begin, until, parse_content(kind, content), unit)
            for agreement_id, version, code, kind, begin, until, content, unit in rows
        ]

    def _one(self, statement: str, parameters: tuple[object, ...]) -> tuple[Any, ...] | None:
        return self._cursor.execute(statement, parameters).fetchone()

    def _wrote(self, statement: str, parameters: tuple[object, ...]) -> bool:
        return self._cursor.execute(statement, parameters).rowcount == 1
