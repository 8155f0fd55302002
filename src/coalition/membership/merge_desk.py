"""Merging a member who is enrolled twice into the one that stays. Moves cards and says where the wallet's value goes on
to; the value itself is moved by the desk, which follows the wallet (coalition.clearing.merging).

The old member's data is history: it stays readable to who may read members, and can still be erased.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Generic
from uuid import UUID

from coalition.domain.acts import Act, ActAnswer
from coalition.domain.errors import Refused
from coalition.domain.links import merge_link
from coalition.domain.reasons import Reason
from coalition.membership.file_desk import writable
from coalition.membership.held_cards import wallet_of
from coalition.membership.keyed_act import keyed
from coalition.membership.profile import check_purpose
from coalition.membership.store import Answer, Key, Keys, MemberBooks, MemberStore


class MergeDesk(Generic[Key]):
    """Callable from any thread."""

    def __init__(self, store: MemberStore, keys: Keys[Key], clock: Callable[[], datetime]) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock

    def merge(self, act: Act, member_id: UUID, into_member_id: UUID, purpose: str) -> ActAnswer:
        """Merge `member_id` into `into_member_id`, for ever.

        MEMBER_UNKNOWN, MEMBER_LOCKED, MEMBER_ERASED, MERGE_CONFLICT; of the old wallet WALLET_HAS_HOLDS,
        WALLET_HAS_PASSES and WALLET_HAS_POINTS; WALLET_CLOSED (the other one). FIELD_INVALID where both are one.
        """
        why, time = check_purpose(purpose), self._clock()
        if member_id == into_member_id:
            raise Refused(Reason.FIELD_INVALID, "into_member_id", {"expected": "another member"})

        def apply(books: MemberBooks) -> Answer:
            wallet_id = wallet_of(books, member_id, "member_id")
            into_wallet_id = wallet_of(books, into_member_id, "into_member_id")
            books.lock_two_wallets(wallet_id, into_wallet_id)
            # In one order, so that two merges of the same two members wait for each other.
            for each in sorted((member_id, into_member_id)):
                writable(each, books.lock_member(each))
            rest = books.wallet_rest(wallet_id)
            if rest.open_holds:
                raise Refused(Reason.WALLET_HAS_HOLDS, "member_id", {"member_id": str(member_id)})
            # Both stay in the wallet they came to (docs/decisions/0037, 0038).
            if rest.open_passes:
                raise Refused(Reason.WALLET_HAS_PASSES, "member_id", {"member_id": str(member_id)})
            if rest.programmes_with_points:
                raise Refused(Reason.WALLET_HAS_POINTS, "member_id", {"member_id": str(member_id)})
            if not books.wallet_rest(into_wallet_id).is_open:
                raise Refused(Reason.WALLET_CLOSED, "into_member_id", {"member_id": str(into_member_id)})
            moved = books.merge(member_id, wallet_id, into_member_id, into_wallet_id, time)
            books.note(act, [member_id, into_member_id])
            # No wallet is told here, only what auditors hold the tables against: the journal never says whose one is.
            return {
                "cards_moved": moved,
                "into_member_id": str(into_member_id),
                "member_id": str(member_id),
                "purpose": why.value,
                "wallets_sha256": merge_link(wallet_id, into_wallet_id),
            }

        return self._store.perform(keyed(act, self._keys), apply)
