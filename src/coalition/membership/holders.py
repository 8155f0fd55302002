"""Whose wallet it is, of many cards or members at once: numbers only, nothing of a person is read."""

from collections.abc import Sequence
from typing import Generic
from uuid import UUID

from coalition.domain.cards import parse_card_number
from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from coalition.membership.store import Key, Keys, MemberStore


class Holders(Generic[Key]):
    """Callable from any thread."""

    def __init__(self, store: MemberStore, keys: Keys[Key]) -> None:
        self._store = store
        self._keys = keys

    def wallets(self, holders: Sequence[str | UUID]) -> list[int | Refused]:
        """The wallet of each card number or member, or why there is none.

        FIELD_INVALID, CARD_UNKNOWN, CARD_NOT_LINKED; MEMBER_UNKNOWN, also where the member was erased.
        """
        told: list[int | Refused | bytes | UUID] = [self._asked(holder) for holder in holders]
        by_token = self._store.wallets_of_tokens([each for each in told if isinstance(each, bytes)])
        by_member = self._store.wallets_of_members([each for each in told if isinstance(each, UUID)])
        found: list[int | Refused] = []
        for each in told:
            match each:
                case bytes():
                    wallet_id = by_token.get(each)
                    missing = Reason.CARD_NOT_LINKED if each in by_token else Reason.CARD_UNKNOWN
                    found.append(Refused(missing, "card_number") if wallet_id is None else wallet_id)
                case UUID():
                    wallet_id = by_member.get(each)
                    found.append(Refused(Reason.MEMBER_UNKNOWN, "member_id") if wallet_id is None else wallet_id)
                case _:
                    found.append(each)
        return found

    def _asked(self, holder: str | UUID) -> bytes | UUID | Refused:
        if isinstance(holder, UUID):
            return holder
        try:
            return self._keys.card_token(parse_card_number(holder))
        except Refused as refused:
            return Refused(refused.reason, "card_number", refused.metadata)
