"""An upload: a purchase that a terminal approved offline, told when its line is back (SUMS section 3).

The goods are gone, so it is not declined for want of value: the wallet gives what is there, the rest is a shortfall.
Declined is only what nobody can be charged with: an unknown card, or one that leads to no wallet.
"""

from coalition.domain.books import Books, Card, Wallet
from coalition.domain.commands import Upload
from coalition.domain.decision import Decision
from coalition.domain.lots import draw
from coalition.domain.purchase import acquiring_in_force, lots_here, spend
from coalition.domain.reasons import Reason
from coalition.domain.shortfall import Shortfall, shortfall_facts, shortfall_of


def decide_upload(command: Upload, books: Books) -> Decision:
    """Draw what is there and accepted, never below zero; who bears the rest is what is agreed today.

    Today's agreements and not those of `occurred_time`: that is the terminal's own clock, and decides nothing.
    """
    acquirer_id = command.participant_id
    card, wallet = books.linked_card(command.token)
    acquiring = acquiring_in_force(books, acquirer_id)
    obstacle = _obstacle(card, wallet)
    lots, accepted = lots_here(books, wallet, acquirer_id, books.programme.acceptance) if obstacle is None else ([], {})
    draws = draw(lots, command.amount_minor)
    missing = command.amount_minor - sum(part.face for part in draws)
    held = books.programme.acceptance(card.issuer_id, acquirer_id, books.business_date)
    shortfall = shortfall_of(held, command.amount_minor, missing, card.issuer_id, acquirer_id)
    decision = spend(books, wallet, acquirer_id, acquiring, draws, accepted, shortfall)
    decision.last_four = card.last_four
    decision.card_id = card.card_id
    decision.card_issuer_id = card.issuer_id
    if shortfall is not None:
        reason = obstacle or _short_of(wallet, command.amount_minor)
        decision.facts = _facts(books, shortfall, reason)
    return decision


def _obstacle(card: Card, wallet: Wallet) -> Reason | None:
    """Why the wallet may not be touched; None where it may."""
    if card.state == "REPLACED":
        return Reason.CARD_REPLACED
    if card.state == "FROZEN":
        return Reason.CARD_FROZEN
    return None if wallet.state == "OPEN" else Reason.WALLET_CLOSED


def _short_of(wallet: Wallet, amount: int) -> Reason:
    """What a purchase would have been declined for."""
    spendable = sum(lot.spendable for lot in wallet.lots.values())
    return Reason.NOT_ACCEPTED_HERE if spendable >= amount else Reason.INSUFFICIENT_FUNDS


def _facts(books: Books, shortfall: Shortfall, reason: Reason) -> dict[str, str]:
    told = shortfall_facts(books.programme, shortfall.face, shortfall.bearer_id)
    return {**told, "shortfall_reason": reason.name}
