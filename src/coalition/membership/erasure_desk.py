"""Locking and erasing. A locked member's data is kept and not used. An erased member's key is destroyed: what was
sealed under it opens no more, in no copy of the ledger; the journal goes on telling that the member was erased.

Two people erase: an operator asks, or a gateway for the member, and an approver agrees within 30 days (RELIABILITY
5.8).
The act is written first; key and sealed records go after it. What a crash leaves undone `finish` does later.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Generic
from uuid import UUID

from coalition.domain.acts import Act, ActAnswer, body_hash
from coalition.domain.approvals import Approval, ApprovalState, Decision, Office, decide_step
from coalition.domain.errors import Refused
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason
from coalition.membership.held_cards import wallet_of
from coalition.membership.keyed_act import keyed
from coalition.membership.store import Answer, Key, Keys, MemberBooks, MemberKeys, MemberStore

OPEN_FOR: Final = timedelta(days=30)
"""How long an approver may agree to an erasure: what stands against it is looked at again then."""


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

    def request(self, act: Act, member_id: UUID) -> ActAnswer:
        """Ask that a member is erased, also a locked one; nothing is erased yet. Asked for already, it is told.

        MEMBER_UNKNOWN (also where it was erased before), WALLET_HAS_HOLDS, MEMBER_HAS_VALUE, MEMBER_HAS_DISPUTE. Not
        stored: RETENTION_NOT_OVER, which says until when.
        """
        time, content = self._clock(), content_of(member_id)

        def apply(books: MemberBooks) -> Answer:
            self._lock_erasable(books, member_id, time)
            known = books.erasure_request(member_id)
            if known is None or not is_waiting(known, time):
                books.ask_erasure(member_id, content, act.actor, time)
                requester, until = act.actor, time + OPEN_FOR
            else:
                requester, until = known.maker, known.ask_time + OPEN_FOR
            books.note(act, [member_id])
            return {"expire_time": until.isoformat(), "member_id": str(member_id), "requester": requester}

        return self._store.perform(keyed(act, self._keys), apply)

    def approve(self, act: Act, member_id: UUID) -> ActAnswer:
        """Erase a member for ever, as another person asked. Its wallet is closed and its cards end.

        Refused as `request` is, by how things stand now. Not stored: ERASURE_NOT_REQUESTED (also where nobody agreed in
        time), APPROVER_NOT_ANOTHER.
        """
        time, content = self._clock(), content_of(member_id)

        def apply(books: MemberBooks) -> Answer:
            facts = {"member_id": str(member_id)}
            wallet_of(books, member_id, "member_id")
            asked = books.erasure_request(member_id)
            if asked is None or not is_waiting(asked, time):
                raise Refused(Reason.ERASURE_NOT_REQUESTED, "member_id", facts)
            decided = decide_step(asked, act.actor, (Office.PRIVACY,), content, Decision.APPROVED, time)
            wallet_id = self._lock_erasable(books, member_id, time)
            books.write_erasure_step(decided)
            books.erase_member(member_id, wallet_id, time)
            books.note(act, [member_id])
            # The wallet is not told here: the journal never says whose a wallet is.
            return {**facts, "approver": act.actor, "requester": asked.maker}

        answer = self._store.perform(keyed(act, self._keys), apply)
        self._finish(member_id)
        return answer

    def requests(self, after: int, limit: int) -> list[Approval]:
        """The erasures that wait for an approver, or have waited for too long: oldest first, with ids above `after`."""
        return self._store.erasure_requests(after, limit)

    def finish(self) -> int:
        """Destroy what erasures that were interrupted left: how many there were."""
        unfinished = self._store.unfinished_erasures()
        for member_id in unfinished:
            self._finish(member_id)
        return len(unfinished)

    def _lock_erasable(self, books: MemberBooks, member_id: UUID, time: datetime) -> int:
        """The member's wallet, both locked. Raises Refused where something stands against erasing the member."""
        facts = {"member_id": str(member_id)}
        wallet_id = wallet_of(books, member_id, "member_id")
        books.lock_wallet(wallet_id)
        books.lock_member(member_id)
        rest = books.wallet_rest(wallet_id)
        if rest.open_holds:
            raise Refused(Reason.WALLET_HAS_HOLDS, "member_id", facts)
        if rest.balance_minor:
            raise Refused(Reason.MEMBER_HAS_VALUE, "member_id", {**facts, "balance_minor": str(rest.balance_minor)})
        if books.open_disputes(wallet_id):
            raise Refused(Reason.MEMBER_HAS_DISPUTE, "member_id", facts)
        if rest.last_time is not None and time < (until := rest.last_time + self._retention):
            raise Refused(Reason.RETENTION_NOT_OVER, "member_id", {**facts, "until": until.date().isoformat()})
        return wallet_id

    def _finish(self, member_id: UUID) -> None:
        self._member_keys.delete(member_id)
        self._store.finish_erasure(member_id)


def content_of(member_id: UUID) -> bytes:
    """What an approver of an erasure agrees to."""
    return body_hash(Kind.MEMBER_ERASED, {"member_id": str(member_id)})


def is_waiting(request: Approval, time: datetime) -> bool:
    """Whether an approver may still agree."""
    return request.state is ApprovalState.PENDING and time < request.ask_time + OPEN_FOR
