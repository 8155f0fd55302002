"""The merge of two members in SQL: cards move to the other wallet, what was personal to the old one ends.

The part of MemberBooks (membership.py) that merges. Moves no value: the desk does, once the wallet says where to.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from coalition.domain.ids import lane_of_wallet
from coalition.storage.lease import Cursor

# In the order in which desks lock: wallets by lane and id.
LOCK_TWO: Final = """
SELECT wallet_id FROM wallets WHERE (lane, wallet_id) IN ((%s, %s), (%s, %s)) ORDER BY lane, wallet_id FOR UPDATE
"""
# Devices' seeds and tickets are bound to the old member's key, and a phone names one wallet: they end. Numbers and ids
# of other systems move. Credentials first, while their cards still tell which lead here.
MERGE: Final = (
    """
    DELETE FROM device_seeds WHERE lane = %(lane)s
        AND card_id IN (SELECT card_id FROM cards WHERE lane = %(lane)s AND wallet_id = %(wallet)s)
    """,
    """
    UPDATE cards SET state = 'REPLACED' WHERE lane = %(lane)s AND wallet_id = %(wallet)s AND kind IN ('CODE', 'PHONE')
    """,
    "DELETE FROM pins WHERE lane = %(lane)s AND wallet_id = %(wallet)s",
    """
    UPDATE credentials SET lane = %(to_lane)s, wallet_id = %(to_wallet)s
    WHERE wallet_id = %(wallet)s AND card_id IN (
        SELECT card_id FROM cards WHERE lane = %(lane)s AND wallet_id = %(wallet)s AND kind IN ('NUMBER', 'VIRTUAL'))
    """,
    """
    UPDATE wallets SET is_named = true WHERE lane = %(to_lane)s AND wallet_id = %(to_wallet)s
        AND EXISTS (SELECT FROM wallets WHERE lane = %(lane)s AND wallet_id = %(wallet)s AND is_named)
    """,
    """
    UPDATE wallets SET state = 'CLOSED', merged_into = %(to_wallet)s
    WHERE lane = %(lane)s AND wallet_id = %(wallet)s
    """,
    "UPDATE members SET state = 'MERGED' WHERE member_id = %(member)s",
    "INSERT INTO member_merges (member_id, into_member_id, merge_time) VALUES (%(member)s, %(to_member)s, %(time)s)",
)
MOVE_CARDS: Final = """
UPDATE cards SET lane = %(to_lane)s, wallet_id = %(to_wallet)s
WHERE lane = %(lane)s AND wallet_id = %(wallet)s AND kind IN ('NUMBER', 'VIRTUAL')
"""


class MergeBooks:
    """Inside one act's transaction."""

    _cursor: Cursor
    _lane_count: int

    def lock_two_wallets(self, one: int, other: int) -> None:
        lanes = [lane_of_wallet(wallet_id, self._lane_count) for wallet_id in (one, other)]
        self._cursor.execute(LOCK_TWO, (lanes[0], one, lanes[1], other))

    def merge(self, member_id: UUID, wallet_id: int, into_member_id: UUID, into_wallet_id: int, time: datetime) -> int:
        """Everything of a merge but the value; how many cards were moved."""
        parameters = {
            "lane": lane_of_wallet(wallet_id, self._lane_count),
            "wallet": wallet_id,
            "member": member_id,
            "to_lane": lane_of_wallet(into_wallet_id, self._lane_count),
            "to_wallet": into_wallet_id,
            "to_member": into_member_id,
            "time": time,
        }
        for statement in MERGE:
            self._cursor.execute(statement, parameters)
        return self._cursor.execute(MOVE_CARDS, parameters).rowcount
