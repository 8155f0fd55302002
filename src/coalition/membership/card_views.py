"""A card in the words of the counter: how it is named, what staff may see of it, what an act made of it. No full number
but the one that is told once.
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from coalition.domain.credentials import NUMBER
from coalition.domain.members import CardLimits, CardRow


@dataclass(frozen=True, slots=True)
class CardOfMember:
    """A card named without its number, as when it was lost: by its member and its id."""

    member_id: UUID
    card_id: int


@dataclass(frozen=True, slots=True)
class CardView:
    """A card as counter staff may see it; `issuer` a participant code, wallet and member None until it is linked.

    `kind` is what names it (domain/credentials.py).
    """

    card_id: int
    last_four: str
    state: str
    issuer: str
    wallet_id: int | None
    member_id: UUID | None
    limits: CardLimits
    replaced_by: int | None = None
    kind: str = NUMBER


@dataclass(frozen=True, slots=True)
class CardAnswer:
    """What an act made of a card, then. `number` is the full one at issue and replacement only, else None."""

    entry_id: int
    time: datetime
    replayed: bool
    card: CardView
    number: str | None = field(default=None, repr=False)


def card_view(card: CardRow, member_id: UUID | None) -> CardView:
    """A row as counter staff may see it."""
    return CardView(
        card.card_id,
        card.last_four,
        card.state,
        card.issuer,
        card.wallet_id,
        member_id,
        card.limits,
        card.replaced_by,
        card.kind,
    )
