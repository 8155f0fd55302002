"""Locking and erasing. A locked member's data is kept and not used. An erased member's key is destroyed: what was
sealed under it opens no more, in no copy of the ledger; the journal goes on telling that the member was erased.

The act is written first; key and sealed records go after it. What a crash leaves undone `finish` does later.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic
from uuid import UUID

from coalition.domain.acts import Act, ActAnswer
from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from coalition.membership.held_cards import wallet_of
from coalition.membership.keyed_act import keyed
from coalition.membership.store import Answer, Key, Keys, MemberBooks, MemberKeys, MemberStore


class ErasureDesk(Generic[Key]):
    """Callable from any thread. `retention`: how long after a wallet's last operation its member may not be erased."""

    def __init__(
        self,
        store: MemberStore,
        keys: Keys[Key],
        member_keys: MemberKeys[Key],
        clock: Callable[[], datetime],
        retention: timedelta,
    ) -> None:
        self._store = store
        self._keys = keys
        self._member_keys = member_keys
        self._clock = clock
        self._retention = retention

    def set_state(self, act: Act, member_id: UUID, *, is_locked: bool) -> ActAnswer:
        """Lock a member's data or let it be used again; what it is already stays. MEMBER_UNKNOWN, MEMBER_ERASED.

        Cards and wallet go on working: value is not personal data.
        """
        state = "LOCKED" if is_locked else "ACTIVE"

        def apply(books: MemberBooks) -> Answer:
            before = books.lock_member(member_id)
            if before is None:
                raise Refused(Reason.MEMBER_UNKNOWN, "member_id", {"member_id": str(member_id)})
            if before == "ERASED":
                raise Refused(Reason.MEMBER_ERASED, "member_id", {"member_id": str(member_id)})
            if before == "MERGED":
                raise Refused(Reason.MERGE_CONFLICT, "member_id", {"member_id": str(member_id)})
            books.set_member_state(member_id, state)
            books.note(act, [member_id])
            return {"member_id": str(member_id), "state": state}

        return self._store.perform(keyed(act, self._keys), apply)

    def erase(self, act: Act, member_id: UUID) -> ActAnswer:
        """Erase a member for ever, also a locked one. Its wallet is closed and its cards end.

        MEMBER_UNKNOWN (also where it was erased before), MEMBER_HAS_VALUE, WALLET_HAS_HOLDS. Not stored:
        RETENTION_NOT_OVER, which says until when.
        """
        time = self._clock()

        def apply(books: MemberBooks) -> Answer:
            wallet_id = wallet_of(books, member_id, "member_id")
            books.lock_wallet(wallet_id)
            books.lock_member(member_id)
            facts = {"member_id": str(member_id)}
            rest = books.wallet_rest(wallet_id)
            if rest.open_holds:
                raise Refused(Reason.WALLET_HAS_HOLDS, "member_id", facts)
            if rest.balance_minor:
                raise Refused(Reason.MEMBER_HAS_VALUE, "member_id", {**facts, "balance_minor": str(rest.balance_minor)})
            if rest.last_time is not None and time < (until := rest.last_time + self._retention):
                raise Refused(Reason.RETENTION_NOT_OVER, "member_id", {**facts, "until": until.date().isoformat()})
            books.erase_member(member_id, wallet_id, time)
            books.note(act, [member_id])
            # The wallet is not told here: the journal never says whose a wallet is.
            return {"member_id": str(member_id)}

        answer = self._store.perform(keyed(act, self._keys), apply)
        self._finish(member_id)
        return answer

    def finish(self) -> int:
        """Destroy what erasures that were interrupted left: how many there were."""
        unfinished = self._store.unfinished_erasures()
        for member_id in unfinished:
            self._finish(member_id)
        return len(unfinished)

    def _finish(self, member_id: UUID) -> None:
        self._member_keys.delete(member_id)
        self._store.finish_erasure(member_id)
