"""The card desk: a card's life from ISSUED over ACTIVE and FROZEN to REPLACED. Value stays with the wallet throughout.

A number is stored nowhere, only its keyed hash and its last four digits. A number of our own making is derived from the
request that asked for it, `HMAC(card-token key, participant / request_id / draw)`: sending that request again tells the
same number although no answer in the journal holds it.
"""

from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import datetime
from typing import Final, Generic, NamedTuple
from uuid import UUID

from coalition.domain.acts import Act, ActAnswer
from coalition.domain.cards import last_four, made_number, parse_card_number
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.members import NO_LIMITS, CardLimits, CardRow, NewCard
from coalition.domain.reasons import Reason
from coalition.membership.card_views import CardAnswer, CardOfMember, CardView, card_view
from coalition.membership.keyed_act import keyed
from coalition.membership.random_ids import Random, random_number
from coalition.membership.store import Answer, Key, Keys, MemberBooks, MemberStore

DRAWS_MAX: Final = 4
"""Numbers tried for one card. A million issued cards leave one draw in 10**8 taken."""


class _Held(NamedTuple):
    """A linked card with its wallet, both locked until the act commits."""

    card: CardRow
    wallet_id: int
    is_wallet_open: bool


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
            participant = books.participant(issuer)
            if participant is None:
                raise Refused(Reason.PARTICIPANT_UNKNOWN, "issuer", {"participant": issuer})
            if not participant.is_active:
                raise Refused(Reason.SUSPENDED, "issuer", {"participant": issuer})
            return self._add(books, act, given, card_id, "ISSUED", issuer, None, create_time, limits)

        return self._numbered(act, self._store.perform(self._keyed(act), apply), given)

    def link(self, act: Act, number: str, member_id: UUID) -> CardAnswer:
        """Give an ISSUED card to a member: from now on it pays from the member's wallet.

        MEMBER_UNKNOWN, WALLET_CLOSED, CARD_UNKNOWN, CARD_ALREADY_LINKED; FIELD_INVALID.
        """
        token = self._token(number, "card_number")

        def apply(books: MemberBooks) -> Answer:
            wallet_id = _wallet_of(books, member_id, "member_id")
            if not books.lock_wallet(wallet_id):
                raise Refused(Reason.WALLET_CLOSED, "member_id")
            pointer = books.lock_credential(token)
            if pointer is None:
                raise Refused(Reason.CARD_UNKNOWN, "card_number")
            if pointer.wallet_id is not None:
                raise Refused(Reason.CARD_ALREADY_LINKED, "card_number")
            card = _found(books.lock_card(pointer.lane, pointer.card_id))
            books.link_card(token, card, wallet_id)
            return _told(card, "ACTIVE", wallet_id)

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
                raise Refused(Reason.CARD_REPLACED, _field(card), _facts(old))
            if not held.is_wallet_open:
                raise Refused(Reason.WALLET_CLOSED, _field(card), _facts(old))
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
                raise Refused(Reason.CARD_REPLACED, _field(card), _facts(found))
            books.set_card_limits(found.lane, found.card_id, limits)
            return _told(found, found.state, found.wallet_id, limits)

        return self._answer(self._store.perform(self._keyed(act), apply))

    def get(self, number: str) -> CardView:
        """A card by its number. CARD_UNKNOWN; FIELD_INVALID."""
        card = self._store.card(self._token(number, "card_number"))
        if card is None:
            raise Refused(Reason.CARD_UNKNOWN, "card_number")
        return card_view(card, self._member_of(card.wallet_id))

    def _change(self, act: Act, card: str | CardOfMember, *, before: str, after: str) -> CardAnswer:
        find = self._finder(card)

        def apply(books: MemberBooks) -> Answer:
            found = find(books).card
            if found.state == "REPLACED":
                raise Refused(Reason.CARD_REPLACED, _field(card), _facts(found))
            if found.state != before:
                raise Refused(Reason.CARD_STATE_CONFLICT, _field(card), {**_facts(found), "expected": before})
            books.set_card_state(found, after)
            return _told(found, after, found.wallet_id)

        return self._answer(self._store.perform(self._keyed(act), apply))

    def _finder(self, card: str | CardOfMember) -> "Callable[[MemberBooks], _Held]":
        """How to reach a linked card in a transaction: its wallet locked, then itself."""
        if isinstance(card, CardOfMember):
            return lambda books: _of_member(books, card)
        token = self._token(card, "card_number")
        return lambda books: _of_token(books, token)

    def _from_stock(self, books: MemberBooks, number: str | None, wallet_id: int, limits: CardLimits) -> Answer | None:
        """Link the card that has this number already; None where the number is new."""
        token = self._keys.card_token(number) if number is not None else None
        pointer = books.lock_credential(token) if token is not None else None
        if token is None or pointer is None:
            return None
        if pointer.wallet_id is not None:
            raise Refused(Reason.CARD_ALREADY_LINKED, "new_card_number")
        stock = _found(books.lock_card(pointer.lane, pointer.card_id))
        books.set_card_limits(pointer.lane, stock.card_id, limits)
        books.link_card(token, stock, wallet_id)
        return _told(stock, "ACTIVE", wallet_id, limits)

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
            card = NewCard(card_id, token, digits, state, issuer, wallet_id, create_time, limits)
            if books.add_card(card):
                answer: Answer = {
                    "card_id": card_id,
                    "issuer": issuer,
                    "last_four": digits,
                    "state": state,
                    "wallet_id": wallet_id,
                    **_limits_told(limits),
                }
                return answer | ({"draw": draw} if given is None else {})
        raise Refused(Reason.CARD_NUMBER_TAKEN, "card_number" if wallet_id is None else "new_card_number")

    def _made(self, act: Act, draw: int) -> str:
        return made_number(self._keys.member_token("card-number", f"{act.participant_id}/{act.request_id}/{draw}"))

    def _numbered(self, act: Act, answer: ActAnswer, given: str | None) -> CardAnswer:
        """The answer with the full number, derived again, not read; without it once the card-token key was rotated."""
        number = given if given is not None else self._made(act, int(str(answer.answer["draw"])))
        digits = str(answer.answer["last_four"])
        return self._answer(answer, number if last_four(number) == digits else None)

    def _answer(self, answer: ActAnswer, number: str | None = None) -> CardAnswer:
        told = answer.answer
        wallet_id = told["wallet_id"]
        wallet = wallet_id if isinstance(wallet_id, int) else None
        card = CardView(
            card_id=int(str(told["card_id"])),
            last_four=str(told["last_four"]),
            state=str(told["state"]),
            issuer=str(told["issuer"]),
            wallet_id=wallet,
            member_id=self._member_of(wallet),
            limits=_limits_of(told),
        )
        return CardAnswer(answer.entry_id, answer.time, answer.replayed, card, number)

    def _member_of(self, wallet_id: int | None) -> UUID | None:
        """Asked anew each time: the journal never says whose a wallet is."""
        member = self._store.member_of_wallet(wallet_id) if wallet_id is not None else None
        return member.member_id if member else None

    def _token(self, number: str, field_name: str) -> bytes:
        return self._keys.card_token(parse_card_number(number, field_name))

    def _keyed(self, act: Act) -> Act:
        return keyed(act, self._keys)


def _of_token(books: MemberBooks, token: bytes) -> _Held:
    pointer = books.pointer(token)
    if pointer is None:
        raise Refused(Reason.CARD_UNKNOWN, "card_number")
    if pointer.wallet_id is None:
        raise Refused(Reason.CARD_NOT_LINKED, "card_number")
    # A linked card never moves: what the pointer says is still so once the wallet is locked.
    is_open = books.lock_wallet(pointer.wallet_id)
    return _Held(_found(books.lock_card(pointer.lane, pointer.card_id)), pointer.wallet_id, is_open)


def _of_member(books: MemberBooks, reference: CardOfMember) -> _Held:
    wallet_id = _wallet_of(books, reference.member_id, "card_of_member.member_id")
    is_open = books.lock_wallet(wallet_id)
    card = books.lock_card_of_wallet(wallet_id, reference.card_id)
    if card is None:
        raise Refused(Reason.CARD_UNKNOWN, "card_of_member.card_id", {"card_id": str(reference.card_id)})
    return _Held(card, wallet_id, is_open)


def _wallet_of(books: MemberBooks, member_id: UUID, field_name: str) -> int:
    wallet_id = books.wallet_of_member(member_id)
    if wallet_id is None:
        raise Refused(Reason.MEMBER_UNKNOWN, field_name, {"member_id": str(member_id)})
    return wallet_id


def _field(card: str | CardOfMember) -> str:
    """By which field the card was named."""
    return "card_of_member" if isinstance(card, CardOfMember) else "card_number"


def _found(card: CardRow | None) -> CardRow:
    if card is None:
        raise LedgerBroken("a credential points to a card that is not there")
    return card


def _facts(card: CardRow) -> dict[str, str]:
    return {"card_id": str(card.card_id), "last_four": card.last_four, "state": card.state}


def _told(card: CardRow, state: str, wallet_id: int | None, limits: CardLimits | None = None) -> Answer:
    return {
        "card_id": card.card_id,
        "issuer": card.issuer,
        "last_four": card.last_four,
        "state": state,
        "wallet_id": wallet_id,
        **_limits_told(card.limits if limits is None else limits),
    }


def _limits_told(limits: CardLimits) -> Answer:
    """Limits as an answer keeps them: those that there are."""
    return {f"limit_{name}": value for name, value in asdict(limits).items() if value is not None}


def _limits_of(told: Answer) -> CardLimits:
    """The limits that an answer tells."""
    found = {each.name: told.get(f"limit_{each.name}") for each in fields(CardLimits)}
    return CardLimits(**{name: value for name, value in found.items() if isinstance(value, int)})
