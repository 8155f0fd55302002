"""Erasures in SQL: the approval that each waits for, what of a wallet stands against it, and the rows it ends.

The part of MemberBooks (membership.py) about erasures. Approvals are those of everything else (approvals.py).
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from coalition.domain.approvals import Approval, Office, Subject
from coalition.domain.ids import LANE_BITS, NUMBER_SHIFT, lane_of_wallet
from coalition.domain.members import WalletRest
from coalition.storage import approvals
from coalition.storage.lease import Cursor, Lease, leased

# What lies in the wallet and its passes or is on its way there from merged ones, and what was last done with it; holds
# reserve from open lots.
WALLET_REST: Final = f"""
SELECT w.state = 'OPEN',
       (w.balance_minor
           + coalesce((SELECT sum(m.balance_minor) FROM wallets m WHERE m.merged_into = w.wallet_id), 0)
           + coalesce((SELECT sum(e.amount_minor) FROM transits t JOIN entries e USING (lane, entry_id)
                       WHERE t.is_open AND t.to_wallet_id = w.wallet_id), 0)
           + coalesce((SELECT sum(p.principal) FROM passes p
                       WHERE p.lane = w.lane AND p.wallet_id = w.wallet_id AND p.is_open), 0)
           + coalesce((SELECT sum(p.principal) FROM wallets m JOIN passes p USING (lane, wallet_id)
                       WHERE m.merged_into = w.wallet_id AND p.is_open), 0))::bigint,
       (SELECT count(*) FROM lots l
        WHERE l.lane = w.lane AND l.wallet_id = w.wallet_id AND l.is_open AND l.reserved > 0),
       (SELECT count(*) FROM passes p WHERE p.lane = w.lane AND p.wallet_id = w.wallet_id AND p.is_open),
       (SELECT count(*) FROM points p WHERE p.lane = w.lane AND p.wallet_id = w.wallet_id AND p.balance <> 0),
       (SELECT b.time FROM batches b WHERE b.number = w.last_entry_id >> {NUMBER_SHIFT})
FROM wallets w WHERE w.lane = %s AND w.wallet_id = %s
"""
# Of the wallet's own sales, and of those whose value would come back to it because their wallet was merged into it.
OPEN_DISPUTES: Final = f"""
SELECT count(*) FROM disputes d
JOIN entries e ON e.lane = (d.entry_id & {(1 << LANE_BITS) - 1})::smallint AND e.entry_id = d.entry_id
WHERE d.state IN ('OPEN', 'PROPOSED')
    AND e.wallet_id IN (SELECT %(wallet)s UNION ALL SELECT m.wallet_id FROM wallets m WHERE m.merged_into = %(wallet)s)
"""
# Cards first, while they still tell which devices there are.
ERASE: Final = (
    """
    DELETE FROM device_seeds WHERE lane = %(lane)s
        AND card_id IN (SELECT card_id FROM cards WHERE lane = %(lane)s AND wallet_id = %(wallet)s)
    """,
    "UPDATE cards SET state = 'REPLACED' WHERE lane = %(lane)s AND wallet_id = %(wallet)s",
    "DELETE FROM pins WHERE lane = %(lane)s AND wallet_id = %(wallet)s",
    "UPDATE wallets SET state = 'CLOSED' WHERE lane = %(lane)s AND wallet_id = %(wallet)s",
    "DELETE FROM member_indexes WHERE member_id = %(member)s",
    "UPDATE members SET state = 'ERASED' WHERE member_id = %(member)s",
    "INSERT INTO erasures (member_id, erase_time) VALUES (%(member)s, %(time)s)",
)


class ErasureBooks:
    """Inside one act's transaction."""

    _cursor: Cursor
    _lane_count: int

    def wallet_rest(self, wallet_id: int) -> WalletRest:
        lane = lane_of_wallet(wallet_id, self._lane_count)
        return WalletRest(*self._cursor.execute(WALLET_REST, (lane, wallet_id)).fetchall()[0])

    def open_disputes(self, wallet_id: int) -> int:
        return int(self._cursor.execute(OPEN_DISPUTES, {"wallet": wallet_id}).fetchall()[0][0])

    def erasure_request(self, member_id: UUID) -> Approval | None:
        connection = self._cursor.connection
        newest = approvals.latest(connection, Subject.ERASURE, str(member_id))
        return None if newest is None else approvals.lock(connection, newest.approval_id)

    def ask_erasure(self, member_id: UUID, content_hash: bytes, maker: str, time: datetime) -> None:
        connection, name = self._cursor.connection, str(member_id)
        approvals.lapse(connection, Subject.ERASURE, name)
        approvals.ask(
            connection,
            Subject.ERASURE,
            name,
            content_hash=content_hash,
            amount_minor=0,
            maker=maker,
            time=time,
            summary=f"erase member {name}: coalition member approve-erase",
        )

    def write_erasure_step(self, approval: Approval) -> None:
        approvals.write_step(self._cursor.connection, approval)

    def erase_member(self, member_id: UUID, wallet_id: int, time: datetime) -> None:
        """All that the ledger knows of the person but the sealed records, which go when their key is gone."""
        lane = lane_of_wallet(wallet_id, self._lane_count)
        for statement in ERASE:
            self._cursor.execute(statement, {"lane": lane, "wallet": wallet_id, "member": member_id, "time": time})


def read_erasure_requests(lease: Lease, after: int, limit: int) -> list[Approval]:
    """The erasures that wait, oldest first, with ids above `after`."""
    with leased(lease) as connection:
        return approvals.inbox(connection, [Office.PRIVACY], after, limit)
