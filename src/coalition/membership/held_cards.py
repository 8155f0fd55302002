"""Reaching a member's card inside an act, the wallet locked first, then the card, as a desk locks them; and what the
act's answer keeps of it.
"""

from dataclasses import asdict, fields
from typing import NamedTuple
from uuid import UUID

from coalition.domain.acts import ActAnswer
from coalition.domain.credentials import NUMBER
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.members import CardLimits, CardRow, NewCard
from coalition.domain.programme import Participant
from coalition.domain.reasons import Reason
from coalition.membership.card_views import CardAnswer, CardOfMember, CardView
from coalition.membership.store import Answer, MemberBooks, MemberStore


class Held(NamedTuple):
    """A linked card with its wallet, both locked until the act commits."""

    card: CardRow
    wallet_id: int
    is_wallet_open: bool


def held_by_token(books: MemberBooks, token: bytes) -> Held:
    """The linked card of a token. Raises Refused: CARD_UNKNOWN, CARD_NOT_LINKED."""
    pointer = books.pointer(token)
    while True:
        if pointer is None:
            raise Refused(Reason.CARD_UNKNOWN, "card_number")
        if pointer.wallet_id is None:
            raise Refused(Reason.CARD_NOT_LINKED, "card_number")
        wallet_id, is_open = pointer.wallet_id, books.lock_wallet(pointer.wallet_id)
        # A linked card moves only when its member is merged: then what the pointer said is not so any more.
        before, pointer = pointer, books.pointer(token)
        if pointer == before:
            return Held(existing(books.lock_card(before.lane, before.card_id)), wallet_id, is_open)


def held_by_member(books: MemberBooks, reference: CardOfMember) -> Held:
    """A member's card by its id. Raises Refused: MEMBER_UNKNOWN, CARD_UNKNOWN."""
    wallet_id = wallet_of(books, reference.member_id, "card_of_member.member_id")
    is_open = books.lock_wallet(wallet_id)
    card = books.lock_card_of_wallet(wallet_id, reference.card_id)
    if card is None:
        raise Refused(Reason.CARD_UNKNOWN, "card_of_member.card_id", {"card_id": str(reference.card_id)})
    return Held(card, wallet_id, is_open)


def wallet_of(books: MemberBooks, member_id: UUID, field_name: str) -> int:
    """The member's wallet. Raises Refused(MEMBER_UNKNOWN) naming `field_name`."""
    wallet_id = books.wallet_of_member(member_id)
    if wallet_id is None:
        raise Refused(Reason.MEMBER_UNKNOWN, field_name, {"member_id": str(member_id)})
    return wallet_id


def existing(card: CardRow | None) -> CardRow:
    """A card that its credential says is there."""
    if card is None:
        raise LedgerBroken("a credential points to a card that is not there")
    return card


def facts_of(card: CardRow) -> dict[str, str]:
    """What a refusal tells of a card."""
    return {"card_id": str(card.card_id), "last_four": card.last_four, "state": card.state}


def issuing(books: MemberBooks, issuer: str) -> Participant:
    """The participant `issuer`, who may issue credentials. Raises Refused: PARTICIPANT_UNKNOWN, SUSPENDED."""
    participant = books.participant(issuer)
    if participant is None:
        raise Refused(Reason.PARTICIPANT_UNKNOWN, "issuer", {"participant": issuer})
    if not participant.is_active:
        raise Refused(Reason.SUSPENDED, "issuer", {"participant": issuer})
    return participant


def card_told(card: CardRow, state: str, wallet_id: int | None, limits: CardLimits | None = None) -> Answer:
    """What an act's answer keeps of a card: where it stands now. `limits` are what it has now, if that is new."""
    return {
        "card_id": card.card_id,
        "issuer": card.issuer,
        "kind": card.kind,
        "last_four": card.last_four,
        "state": state,
        "wallet_id": wallet_id,
        **_limits_told(card.limits if limits is None else limits),
    }


def new_card_told(card: NewCard) -> Answer:
    """As `card_told`, of a card that was written just now."""
    return {
        "card_id": card.card_id,
        "issuer": card.issuer,
        "kind": card.kind,
        "last_four": card.last_four,
        "state": card.state,
        "wallet_id": card.wallet_id,
        **_limits_told(card.limits),
    }


def _limits_told(limits: CardLimits) -> Answer:
    """Limits as an answer keeps them: those that there are."""
    return {f"limit_{name}": value for name, value in asdict(limits).items() if value is not None}


def _limits_of(told: Answer) -> CardLimits:
    """The limits that an answer tells."""
    found = {each.name: told.get(f"limit_{each.name}") for each in fields(CardLimits)}
    return CardLimits(**{name: value for name, value in found.items() if isinstance(value, int)})


def answered(store: MemberStore, answer: ActAnswer, number: str | None = None) -> CardAnswer:
    """A stored answer in the words of the counter."""
    stored = answer.answer
    wallet_id = stored["wallet_id"]
    wallet = wallet_id if isinstance(wallet_id, int) else None
    card = CardView(
        card_id=int(str(stored["card_id"])),
        last_four=str(stored["last_four"]),
        state=str(stored["state"]),
        issuer=str(stored["issuer"]),
        wallet_id=wallet,
        member_id=member_of(store, wallet),
        limits=_limits_of(stored),
        kind=str(stored.get("kind", NUMBER)),
    )
    return CardAnswer(answer.entry_id, answer.time, answer.replayed, card, number)


def member_of(store: MemberStore, wallet_id: int | None) -> UUID | None:
    """Asked anew each time: the journal never says whose a wallet is."""
    member = store.member_of_wallet(wallet_id) if wallet_id is not None else None
    return member.member_id if member else None
