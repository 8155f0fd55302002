"""What a member sees of the own wallet. Reads only; a wallet's lines are read by `WalletReads.lines`."""

from collections.abc import Sequence
from datetime import date
from typing import Final
from uuid import UUID

from coalition.domain.wallet_records import (
    DebtRecord,
    EndingPoints,
    LotRecord,
    PassRecord,
    PointsRecord,
    WalletRecord,
)
from coalition.storage.lease import Lease, leased_cursor

WALLET: Final = """
SELECT w.lane, w.wallet_id, w.balance_minor, w.state, clock_timestamp(),
       (SELECT coalesce(json_agg(json_build_array(l.lot_id, p.code, l.face, l.principal, l.bonus_expiry)
                                 ORDER BY l.lot_id), '[]')
        FROM lots l JOIN participants p ON p.participant_id = l.issuer_id
        WHERE l.lane = w.lane AND l.wallet_id = w.wallet_id AND l.is_open),
       (SELECT coalesce(json_agg(json_build_array(h.pass_id, p.code, a.code, h.visits, h.visits_sold, h.principal,
                                                  h.last_day) ORDER BY h.pass_id), '[]')
        FROM passes h JOIN participants p ON p.participant_id = h.issuer_id
            JOIN agreements a ON a.agreement_id = h.terms_id
        WHERE h.lane = w.lane AND h.wallet_id = w.wallet_id AND h.is_open),
       (SELECT coalesce(json_agg(json_build_array(a.code, o.balance, (
                    SELECT coalesce(json_agg(json_build_array(e.points, e.last_day)), '[]') FROM (
                        SELECT p.last_day, sum(p.points - p.given_back - p.used - p.ended) AS points
                        FROM points_moves p
                        WHERE p.lane = w.lane AND p.wallet_id = w.wallet_id AND p.is_open
                          AND p.programme_id = o.programme_id
                        GROUP BY p.last_day ORDER BY p.last_day LIMIT 12) AS e)) ORDER BY a.code), '[]')
        FROM points o JOIN agreements a ON a.agreement_id = o.programme_id
        WHERE o.lane = w.lane AND o.wallet_id = w.wallet_id AND o.balance <> 0),
       (SELECT coalesce(json_agg(json_build_array(d.entry_id, p.code, d.business_date, d.owed_minor, d.credit_minor)
                                 ORDER BY d.entry_id), '[]')
        FROM member_debts d JOIN participants p ON p.participant_id = d.acquirer_id
        WHERE d.lane = w.lane AND d.wallet_id = w.wallet_id)
FROM members m JOIN wallets w ON w.lane = m.lane AND w.wallet_id = m.wallet_id
WHERE m.member_id = %s AND m.state <> 'ERASED'
"""


class PortalReads:
    """Callable from any thread: each call leases a connection for itself. Raises StoreUnavailable."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def wallet(self, member_id: UUID) -> WalletRecord | None:
        """The wallet of a member; None where there is no such member, or it was erased."""
        with leased_cursor(self._lease) as cursor:
            row = cursor.execute(WALLET, (member_id,)).fetchone()
        if row is None:
            return None
        lane, wallet_id, balance, state, read_time, lots, passes, points, debts = row
        held = tuple(_lot(*lot) for lot in lots), tuple(_pass(*each) for each in passes)
        counted, owed = tuple(_points(*each) for each in points), tuple(_debt(*each) for each in debts)
        return WalletRecord(lane, wallet_id, balance, state, read_time, *held, counted, owed)


def _lot(lot_id: int, issuer: str, face: int, principal: int, bonus_expiry: str | None) -> LotRecord:
    return LotRecord(lot_id, issuer, face, principal, date.fromisoformat(bonus_expiry) if bonus_expiry else None)


def _debt(entry_id: int, acquirer: str, day: str, owed: int, credit: int) -> DebtRecord:
    return DebtRecord(entry_id, acquirer, date.fromisoformat(day), owed, credit)


def _points(code: str, points: int, ending: Sequence[tuple[int, str]]) -> PointsRecord:
    soonest_first = tuple(EndingPoints(code, count, date.fromisoformat(day)) for count, day in ending)
    return PointsRecord(code, points, soonest_first)


def _pass(
    pass_id: int, issuer: str, code: str, visits: int, sold: int, principal: int, last_day: str | None
) -> PassRecord:
    until = date.fromisoformat(last_day) if last_day else None
    return PassRecord(pass_id, issuer, code, visits, sold, principal, until)
