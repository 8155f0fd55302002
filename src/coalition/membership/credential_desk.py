"""The credential desk: what names a member at a till besides a card. Another system's id, a phone; and their removal.

An id is kept as its keyed hash. A phone is kept nowhere but sealed in the member's record: its credential has a token
of its own, made from the card id, and reception finds the member by the phone each time. Neither is told by the four
digits that a credential shows: they are the last of its random card id.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Generic
from uuid import UUID

from coalition.domain.acts import Act
from coalition.domain.credentials import NUMBER, PHONE, VIRTUAL, handle_of, shown_digits, virtual_token
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.members import NewCard
from coalition.domain.reasons import Reason
from coalition.membership.card_views import CardAnswer
from coalition.membership.held_cards import answered, card_told, existing, issuing, new_card_told, wallet_of
from coalition.membership.keyed_act import keyed
from coalition.membership.random_ids import Random, random_number
from coalition.membership.store import Answer, Key, Keys, MemberBooks, MemberStore


class CredentialDesk(Generic[Key]):
    """Callable from any thread. Every act locks the wallet first, as a desk does before it looks at a card."""

    def __init__(self, store: MemberStore, keys: Keys[Key], clock: Callable[[], datetime], random: Random) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._random = random

    def add_virtual_id(self, act: Act, issuer: str, member_id: UUID, namespace: str, subject: str) -> CardAnswer:
        """Let another system's id name the member.

        MEMBER_UNKNOWN, WALLET_CLOSED, CREDENTIAL_TAKEN, PARTICIPANT_UNKNOWN, SUSPENDED.
        """
        token = virtual_token(self._keys, namespace, subject)
        card_id, create_time = random_number(self._random), self._clock()

        def apply(books: MemberBooks) -> Answer:
            issuing(books, issuer)
            wallet_id = _open_wallet(books, member_id)
            card = NewCard(card_id, token, shown_digits(card_id), "ACTIVE", issuer, wallet_id, create_time, VIRTUAL)
            pointer = books.lock_credential(token)
            if pointer is None:
                if not books.add_card(card):
                    raise Refused(Reason.CREDENTIAL_TAKEN, "virtual_id")
            elif existing(books.lock_card(pointer.lane, pointer.card_id)).state != "REPLACED":
                raise Refused(Reason.CREDENTIAL_TAKEN, "virtual_id")
            else:
                books.redirect_credential(token, card)
            return new_card_told(card)

        return answered(self._store, self._store.perform(keyed(act, self._keys), apply))

    def add_phone(self, act: Act, issuer: str, member_id: UUID) -> CardAnswer:
        """Let the phone number in the member's record name the member. Reasons as for an id."""
        card_id, create_time = random_number(self._random), self._clock()

        def apply(books: MemberBooks) -> Answer:
            issuing(books, issuer)
            wallet_id = _open_wallet(books, member_id)
            if books.card_of_kind(wallet_id, PHONE) is not None:
                raise Refused(Reason.CREDENTIAL_TAKEN, "member_id")
            token = handle_of(self._keys, card_id)
            card = NewCard(card_id, token, shown_digits(card_id), "ACTIVE", issuer, wallet_id, create_time, PHONE)
            if not books.add_card(card):
                raise LedgerBroken("a new card's id has a credential already")
            return new_card_told(card)

        return answered(self._store, self._store.perform(keyed(act, self._keys), apply))

    def remove(self, act: Act, member_id: UUID, card_id: int) -> CardAnswer:
        """End a device, an id or a phone for ever; a printed card is replaced instead, so that its member has one.

        MEMBER_UNKNOWN, CREDENTIAL_UNKNOWN.
        """

        def apply(books: MemberBooks) -> Answer:
            wallet_id = wallet_of(books, member_id, "member_id")
            books.lock_wallet(wallet_id)
            card = books.lock_card_of_wallet(wallet_id, card_id)
            if card is None or card.kind == NUMBER or card.state == "REPLACED":
                raise Refused(Reason.CREDENTIAL_UNKNOWN, "card_id", {"card_id": str(card_id)})
            books.set_card_state(card, "REPLACED")
            return card_told(card, "REPLACED", wallet_id)

        return answered(self._store, self._store.perform(keyed(act, self._keys), apply))

    def phone_handle(self, wallet_id: int) -> bytes | None:
        """The token of the wallet's PHONE credential; None where no phone names it."""
        card = self._store.card_of_kind(wallet_id, PHONE)
        return None if card is None else handle_of(self._keys, card.card_id)


def _open_wallet(books: MemberBooks, member_id: UUID) -> int:
    """The member's wallet, locked. Raises Refused: MEMBER_UNKNOWN, WALLET_CLOSED."""
    wallet_id = wallet_of(books, member_id, "member_id")
    if not books.lock_wallet(wallet_id):
        raise Refused(Reason.WALLET_CLOSED, "member_id")
    return wallet_id
