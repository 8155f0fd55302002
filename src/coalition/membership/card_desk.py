"""The card desk: a card's life from ISSUED over ACTIVE and FROZEN to REPLACED. Value stays with the wallet throughout.

A number is stored nowhere, only its keyed hash and its last four digits. A number of our own making is derived from the
request that asked for it, `HMAC(card-token key, participant / request_id / draw)`: sending that request again tells the
same number although no answer in the journal holds it.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final, Generic
from uuid import UUID

from coalition.domain.acts import Act, ActAnswer
from coalition.domain.cards import last_four, made_number, parse_card_number
from coalition.domain.errors import Refused
from coalition.domain.members import NO_LIMITS, CardLimits, NewCard
from coalition.domain.reasons import Reason
from coalition.membership.card_views import CardAnswer, CardOfMember, CardView, card_view
from coalition.membership.held_cards import (
    Held,
    answered,
    card_told,
    existing,
    facts_of,
    held_by_member,
    held_by_token,
    issuing,
    member_of,
    new_card_told,
    wallet_of,
)
from coalition.membership.keyed_act import keyed
from coalition.membership.random_ids import Random, random_number
from coalition.membership.store import Answer, Key, Keys, MemberBooks, MemberStore

DRAWS_MAX: Final = 4
"""Numbers tried for one card. A million issued cards leave one draw in 10**8 taken."""


class CardDesk(Generic[Key]):
    """Callable from any thread. Every act locks the wallet first, as a desk does before it looks at a card."""

    def __init__(self, store: MemberStore, keys: Keys[Key], clock: Callable[[], datetime], random: Random) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._random = random

    def issue(self, act: Act, issuer: str, number: str | None, limits: CardLimits = NO_LIMITS) -> CardAnswer:
        """A new card of participant `issuer`, ISSUED: it pays nothing until it is linked, then within `limits`.

        Without `number` the house makes one of 16 digits. PARTICIPANT_UNKNOWN, SUSPENDED, CARD_NUMBER_TAKEN;
        FIELD_INVALID.
        """
        given = parse_card_number(number) if number is not None else None
        card_id, create_time = random_number(self._random), self._clock()

        def apply(books: MemberBooks) -> Answer:
            issuing(books, issuer)
            return self._add(books, act, given, card_id, "ISSUED", issuer, None, create_time, limits)

        return self._numbered(act, self._store.perform(self._keyed(act), apply), given)

    def link(self, act: Act, number: str, member_id: UUID) -> CardAnswer:
        """Give an ISSUED card to a member: from now on it pays from the member's wallet.

        MEMBER_UNKNOWN, WALLET_CLOSED, CARD_UNKNOWN, CARD_ALREADY_LINKED; FIELD_INVALID.
        """
        token = self._token(number, "card_number")

        def apply(books: MemberBooks) -> Answer:
            wallet_id = wallet_of(books, member_id, "member_id")
            if not books.lock_wallet(wallet_id):
                raise Refused(Reason.WALLET_CLOSED, "member_id")
            pointer = books.lock_credential(token)
            if pointer is None:
                raise Refused(Reason.CARD_UNKNOWN, "card_number")
            if pointer.wallet_id is not None:
                raise Refused(Reason.CARD_ALREADY_LINKED, "card_number")
            card = existing(books.lock_card(pointer.lane, pointer.card_id))
            books.link_card(token, card, wallet_id)
            return card_told(card, "ACTIVE", wallet_id)

        return self._answer(self._store.perform(self._keyed(act), apply))

    def freeze(self, act: Act, card: str | CardOfMember) -> CardAnswer:
        """Stop an ACTIVE card; once this is answered no purchase with it is accepted any more.

        `card` is its number, or the member and card id where it was lost. CARD_UNKNOWN, CARD_NOT_LINKED,
        CARD_REPLACED, CARD_STATE_CONFLICT; FIELD_INVALID.
        """
        return self._change(act, card, before="ACTIVE", after="FROZEN")

    def unfreeze(self, act: Act, card: str | CardOfMember) -> CardAnswer:
        """Let a FROZEN card pay again. Reasons as for `freeze`."""
        return self._change(act, card, before="FROZEN", after="ACTIVE")

    def replace(self, act: Act, card: str | CardOfMember, new_number: str | None) -> CardAnswer:
        """Retire a linked card for ever and give its wallet a new ACTIVE one; the answer is about the new card.

        The limits of the old one go on to the new one: who borrowed the card borrows no more than before.

        `new_number` may be that of an ISSUED card from stock; without it the house makes a number. CARD_UNKNOWN,
        CARD_NOT_LINKED, CARD_REPLACED, CARD_NUMBER_TAKEN, CARD_ALREADY_LINKED, WALLET_CLOSED; FIELD_INVALID.
        """
        given = parse_card_number(new_number, "new_card_number") if new_number is not None else None
        find = self._finder(card)
        card_id, create_time = random_number(self._random), self._clock()

        def apply(books: MemberBooks) -> Answer:
            held = find(books)
            old = held.card
            if old.state == "REPLACED":
                raise Refused(Reason.CARD_REPLACED, _field(card), facts_of(old))
            if not held.is_wallet_open:
                raise Refused(Reason.WALLET_CLOSED, _field(card), facts_of(old))
            answer = self._from_stock(books, given, held.wallet_id, old.limits) or self._add(
                books, act, given, card_id, "ACTIVE", old.issuer, held.wallet_id, create_time, old.limits
            )
            books.set_card_state(old, "REPLACED", int(str(answer["card_id"])))
            return {**answer, "replaced_card_id": old.card_id}

        return self._numbered(act, self._store.perform(self._keyed(act), apply), given)

    def set_limits(self, act: Act, card: str | CardOfMember, limits: CardLimits) -> CardAnswer:
        """What a linked card may spend from now on, whatever its limits were. Once this is answered they hold.

        `card` as for `freeze`. CARD_UNKNOWN, CARD_NOT_LINKED, CARD_REPLACED; FIELD_INVALID.
        """
        find = self._finder(card)

        def apply(books: MemberBooks) -> Answer:
            found = find(books).card
            if found.state == "REPLACED":
                raise Refused(Reason.CARD_REPLACED, _field(card), facts_of(found))
            books.set_card_limits(found.lane, found.card_id, limits)
            return card_told(found, found.state, found.wallet_id, limits)

        return self._answer(self._store.perform(self._keyed(act), apply))

    def get(self, number: str) -> CardView:
        """A card by its number. CARD_UNKNOWN; FIELD_INVALID."""
        card = self._store.card(self._token(number, "card_number"))
        if card is None:
            raise Refused(Reason.CARD_UNKNOWN, "card_number")
        return card_view(card, member_of(self._store, card.wallet_id))

    def _change(self, act: Act, card: str | CardOfMember, *, before: str, after: str) -> CardAnswer:
        find = self._finder(card)

        def apply(books: MemberBooks) -> Answer:
            found = find(books).card
            if found.state == "REPLACED":
                raise Refused(Reason.CARD_REPLACED, _field(card), facts_of(found))
            if found.state != before:
                raise Refused(Reason.CARD_STATE_CONFLICT, _field(card), {**facts_of(found), "expected": before})
            books.set_card_state(found, after)
            return card_told(found, after, found.wallet_id)

        return self._answer(self._store.perform(self._keyed(act), apply))

    def _finder(self, card: str | CardOfMember) -> "Callable[[MemberBooks], Held]":
        """How to reach a linked card in a transaction: its wallet locked, then itself."""
        if isinstance(card, CardOfMember):
            return lambda books: held_by_member(books, card)
        token = self._token(card, "card_number")
        return lambda books: held_by_token(books, token)

    def _from_stock(self, books: MemberBooks, number: str | None, wallet_id: int, limits: CardLimits) -> Answer | None:
        """Link the card that has this number already; None where the number is new."""
        token = self._keys.card_token(number) if number is not None else None
        pointer = books.lock_credential(token) if token is not None else None
        if token is None or pointer is None:
            return None
        if pointer.wallet_id is not None:
            raise Refused(Reason.CARD_ALREADY_LINKED, "new_card_number")
        stock = existing(books.lock_card(pointer.lane, pointer.card_id))
        books.set_card_limits(pointer.lane, stock.card_id, limits)
        books.link_card(token, stock, wallet_id)
        return card_told(stock, "ACTIVE", wallet_id, limits)

    def _add(
        self,
        books: MemberBooks,
        act: Act,
        given: str | None,
        card_id: int,
        state: str,
        issuer: str,
        wallet_id: int | None,
        create_time: datetime,
        limits: CardLimits,
    ) -> Answer:
        """Write a new card; `draw` in the answer says which number of our own it got."""
        for draw in range(DRAWS_MAX if given is None else 1):
            number = self._made(act, draw) if given is None else given
            token, digits = self._keys.card_token(number), last_four(number)
            card = NewCard(card_id, token, digits, state, issuer, wallet_id, create_time, limits=limits)
            if books.add_card(card):
                return new_card_told(card) | ({"draw": draw} if given is None else {})
        raise Refused(Reason.CARD_NUMBER_TAKEN, "card_number" if wallet_id is None else "new_card_number")

    def _made(self, act: Act, draw: int) -> str:
        return made_number(self._keys.member_token("card-number", f"{act.participant_id}/{act.request_id}/{draw}"))

    def _numbered(self, act: Act, answer: ActAnswer, given: str | None) -> CardAnswer:
        """The answer with the full number, derived again, not read; without it once the card-token key was rotated."""
        number = given if given is not None else self._made(act, int(str(answer.answer["draw"])))
        digits = str(answer.answer["last_four"])
        return self._answer(answer, number if last_four(number) == digits else None)

    def _answer(self, answer: ActAnswer, number: str | None = None) -> CardAnswer:
        return answered(self._store, answer, number)

    def _token(self, number: str, field_name: str) -> bytes:
        return self._keys.card_token(parse_card_number(number, field_name))

    def _keyed(self, act: Act) -> Act:
        return keyed(act, self._keys)


def _field(card: str | CardOfMember) -> str:
    """By which field the card was named."""
    return "card_of_member" if isinstance(card, CardOfMember) else "card_number"
