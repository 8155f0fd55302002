"""The programme in pages and one by one: participants, stores, terminals, agreements. Reads only.

`within`, where given, is the set of participant codes whose rows may be told; None tells every row. Lists go by the
codes of a row's place (participant, store, terminal) and begin behind `after`.
"""

from collections.abc import Collection
from typing import Any, Final

from coalition.domain.directory import AgreementRecord, ParticipantRecord, StoreRecord, TerminalRecord
from coalition.storage.lease import Lease, leased_cursor

PARTICIPANTS: Final = "SELECT p.code, p.display_name, p.role, p.chain_code, p.state, p.create_time FROM participants p"
STORES: Final = """
SELECT p.code, s.code, s.display_name, s.state, s.create_time FROM stores s JOIN participants p USING (participant_id)
"""
TERMINALS: Final = """
SELECT p.code, s.code, t.code, t.state, t.create_time
FROM terminals t JOIN stores s USING (store_id) JOIN participants p USING (participant_id)
"""
RECORDS: Final = """
SELECT a.code, a.kind, v.version, v.effective_from, v.effective_until, v.content, v.create_time,
       v.is_signed, v.unit
FROM agreements a JOIN agreement_versions v USING (agreement_id)
"""
OWN: Final = "(%(within)s::text[] IS NULL OR p.code = ANY (%(within)s))"
# An agreement concerns whom it names, by code or by chain; the card rules of the scheme concern everybody.
CONCERNS: Final = """
(%(parties)s::text[] IS NULL OR a.kind = 'CARD_RULES'
    OR v.content ->> 'issuer' = ANY (%(parties)s) OR v.content ->> 'acquirer' = ANY (%(parties)s)
    OR v.content ->> 'sponsor' = ANY (%(parties)s) OR v.content ->> 'commission_to' = ANY (%(parties)s)
    OR v.content ->> 'payer' = ANY (%(parties)s) OR v.content ->> 'payee' = ANY (%(parties)s)
    OR v.content ->> 'participant' = ANY (%(parties)s) OR v.content -> 'returns_at' ?| %(parties)s
    OR v.content ->> 'debtor' = ANY (%(parties)s) OR v.content -> 'earned_at' ?| %(parties)s
    OR v.content -> 'spent_at' ?| %(parties)s OR v.content -> 'honoured_at' ?| %(parties)s
    OR v.content -> 'sellers' ?| %(parties)s)
"""
LATEST: Final = "v.version = (SELECT max(version) FROM agreement_versions WHERE agreement_id = a.agreement_id)"


class ProgrammeReads:
    """Callable from any thread: each call leases a connection for itself."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def participant(self, code: str) -> ParticipantRecord | None:
        rows = self._rows(f"{PARTICIPANTS} WHERE p.code = %(code)s", code=code)
        return ParticipantRecord(*rows[0]) if rows else None

    def store(self, participant: str, code: str) -> StoreRecord | None:
        rows = self._rows(
            f"{STORES} WHERE (p.code, s.code) = (%(participant)s, %(code)s)", participant=participant, code=code
        )
        return StoreRecord(*rows[0]) if rows else None

    def terminal(self, participant: str, store: str, code: str) -> TerminalRecord | None:
        rows = self._rows(
            f"{TERMINALS} WHERE (p.code, s.code, t.code) = (%(participant)s, %(store)s, %(code)s)",
            participant=participant,
            store=store,
            code=code,
        )
        return TerminalRecord(*rows[0]) if rows else None

    def list_participants(
        self, after: str | None, limit: int, within: Collection[str] | None
    ) -> list[ParticipantRecord]:
        rows = self._rows(
            f"{PARTICIPANTS} WHERE p.code > %(after)s AND {OWN} ORDER BY p.code LIMIT %(limit)s",
            after=after or "",
            limit=limit,
            within=_array(within),
        )
        return [ParticipantRecord(*row) for row in rows]

    def list_stores(
        self, participant: str | None, after: tuple[str, str] | None, limit: int, within: Collection[str] | None
    ) -> list[StoreRecord]:
        behind_participant, behind_store = after or ("", "")
        rows = self._rows(
            f"{STORES} WHERE (p.code, s.code) > (%(behind_participant)s, %(behind_store)s) AND {OWN}"
            " AND (%(participant)s::text IS NULL OR p.code = %(participant)s) ORDER BY p.code, s.code LIMIT %(limit)s",
            behind_participant=behind_participant,
            behind_store=behind_store,
            participant=participant,
            limit=limit,
            within=_array(within),
        )
        return [StoreRecord(*row) for row in rows]

    def list_terminals(
        self,
        participant: str | None,
        store: str | None,
        after: tuple[str, str, str] | None,
        limit: int,
        within: Collection[str] | None,
    ) -> list[TerminalRecord]:
        behind_participant, behind_store, behind_terminal = after or ("", "", "")
        rows = self._rows(
            f"{TERMINALS} WHERE {OWN} AND (%(participant)s::text IS NULL OR p.code = %(participant)s)"
            " AND (%(store)s::text IS NULL OR s.code = %(store)s) AND (p.code, s.code, t.code) >"
            " (%(behind_participant)s, %(behind_store)s, %(behind_terminal)s)"
            " ORDER BY p.code, s.code, t.code LIMIT %(limit)s",
            behind_participant=behind_participant,
            behind_store=behind_store,
            behind_terminal=behind_terminal,
            participant=participant,
            store=store,
            limit=limit,
            within=_array(within),
        )
        return [TerminalRecord(*row) for row in rows]

    def list_agreements(self, after: str | None, limit: int, parties: Collection[str] | None) -> list[AgreementRecord]:
        """The latest version of each agreement, or only of those that name one of `parties`."""
        rows = self._rows(
            f"{RECORDS} WHERE {LATEST} AND a.code > %(after)s AND {CONCERNS} ORDER BY a.code LIMIT %(limit)s",
            after=after or "",
            limit=limit,
            parties=_array(parties),
        )
        return [AgreementRecord(*row) for row in rows]

    def agreement(self, code: str, version: int | None, parties: Collection[str] | None) -> AgreementRecord | None:
        """One version, by default the latest; None where there is none, or it names none of `parties`."""
        rows = self._rows(
            f"{RECORDS} WHERE a.code = %(code)s AND (%(version)s::int IS NULL OR v.version = %(version)s)"
            f" AND {CONCERNS} ORDER BY v.version DESC LIMIT 1",
            code=code,
            version=version,
            parties=_array(parties),
        )
        return AgreementRecord(*rows[0]) if rows else None

    def _rows(self, statement: str, **parameters: object) -> list[tuple[Any, ...]]:
        with leased_cursor(self._lease) as cursor:
            return cursor.execute(statement, parameters).fetchall()


def _array(codes: Collection[str] | None) -> list[str] | None:
    return None if codes is None else sorted(codes)
