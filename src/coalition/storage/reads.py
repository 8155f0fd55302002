"""What terminals read: a card's wallet, its lines, whether a request was answered. One statement each, one snapshot."""

import json
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import psycopg

from coalition.domain.errors import LedgerBroken
from coalition.domain.ids import lane_of_request
from coalition.domain.journal import Outcome
from coalition.domain.kinds import Kind
from coalition.domain.programme import Programme
from coalition.domain.reasons import Reason
from coalition.domain.sale_details import SaleDetails
from coalition.domain.wallet_lines import HeldLot, Holding, WalletLine
from coalition.storage.connect import translated
from coalition.storage.lease import Lease, leased_cursor
from coalition.storage.programme import load

HOLDING: Final = """
SELECT c.state, c.last_four, w.lane, w.wallet_id, coalesce(w.balance_minor, 0), clock_timestamp(),
       (SELECT coalesce(json_agg(json_build_array(l.issuer_id, l.face, l.principal, l.reserved)), '[]')
        FROM lots l WHERE l.lane = w.lane AND l.wallet_id = w.wallet_id AND l.is_open),
       (SELECT coalesce(json_agg(json_build_array(a.code, p.balance) ORDER BY p.programme_id), '[]')
        FROM points p JOIN agreements a ON a.agreement_id = p.programme_id
        WHERE p.lane = w.lane AND p.wallet_id = w.wallet_id)
FROM credentials k
JOIN cards c ON c.lane = k.lane AND c.card_id = k.card_id
LEFT JOIN wallets w ON w.lane = c.lane AND w.wallet_id = c.wallet_id
WHERE k.token = %s
"""
LINE_COLUMNS: Final = """entry_id, participant_id, store_id, terminal_id, request_id, occurred_time, business_date,
       original_entry_id, sale_reference, coalesce(details, ''), kind, answer"""
# Along entries_wallet (lane, wallet_id, entry_id), backwards. Kinds below 100 are operations, the others acts.
LINES: Final = f"""
SELECT {LINE_COLUMNS}
FROM entries
WHERE lane = %s::smallint AND wallet_id = %s::bigint AND entry_id < %s::bigint
  AND (%s::integer IS NULL OR (participant_id = %s::integer AND kind < 100))
ORDER BY entry_id DESC LIMIT %s
"""
KNOWN: Final = """
SELECT EXISTS (SELECT FROM requests WHERE lane = %s::smallint AND request_id = %s AND participant_id = %s::integer)
"""
NEWEST: Final = (1 << 63) - 1


class WalletReads:
    """Callable from any thread: each call leases a connection for itself. Raises StoreUnavailable."""

    def __init__(self, lease: Lease, lane_count: int) -> None:
        self._lease = lease
        self._lane_count = lane_count

    def holding(self, token: bytes) -> Holding | None:
        """The card of this token and its wallet; None where there is no such card."""
        with leased_cursor(self._lease) as cursor:
            row: tuple[Any, ...] | None = cursor.execute(HOLDING, (token,)).fetchone()
        if row is None:
            return None
        state, last_four, lane, wallet_id, balance, read_time, lots, points = row
        held = tuple(HeldLot(*each) for each in lots)
        return Holding(state, last_four, lane, wallet_id, balance, held, read_time, tuple(map(tuple, points)))

    def lines(
        self, lane: int, wallet_id: int, *, participant_id: int | None, before: int | None, limit: int
    ) -> list[WalletLine]:
        """The wallet's lines, newest first, below entry `before`.

        With `participant_id` the operations made there; without it every line, what was done to its cards among them.
        """
        with leased_cursor(self._lease) as cursor:
            rows: list[tuple[Any, ...]] = cursor.execute(
                LINES, (lane, wallet_id, before or NEWEST, participant_id, participant_id, limit)
            ).fetchall()
        return [line_of(row) for row in rows]

    def is_known(self, participant_id: int, request_id: UUID) -> bool:
        """Whether this request was answered, accepted or declined."""
        lane = lane_of_request(request_id, self._lane_count)
        with leased_cursor(self._lease) as cursor:
            row = cursor.execute(KNOWN, (lane, request_id, participant_id)).fetchone()
        return bool(row and row[0])


def line_of(row: tuple[Any, ...]) -> WalletLine:
    """A line, of LINE_COLUMNS."""
    return WalletLine(*(*row[:9], SaleDetails.parse(bytes(row[9])), _outcome(row[0], row[10], bytes(row[11]))))


def _outcome(entry_id: int, kind: int, answer: bytes) -> Outcome:
    """The stored answer; an act's is put into the same words, with the card it left."""
    if kind < Kind.PARTICIPANT_CREATED:
        return Outcome.from_answer(answer)
    told = json.loads(answer)
    time, last_four = datetime.fromisoformat(told["time"]), told["answer"].get("last_four", "")
    return Outcome(Reason.ACCEPTED, entry_id, time, Kind(kind), amount_minor=0, last_four=last_four, replayed=True)


def read_programme(lease: Lease) -> Programme:
    """The programme as of now. Raises LedgerBroken before the scheme is laid."""
    try:
        with lease() as connection:
            return load(connection)
    except psycopg.Error as error:
        raise translated(error) from error


def read_epoch(lease: Lease) -> int:
    """How often the programme was changed; cheap, so that it can be asked every second."""
    with leased_cursor(lease) as cursor:
        row = cursor.execute("SELECT epoch FROM config_epoch").fetchone()
    if row is None:
        raise LedgerBroken("config_epoch has no row")
    return int(row[0])
