"""Limits on what a card and a wallet spend, judged under the wallet's lock, so that they are never passed.

A card's own limits (a card that is lent) come first, then the card rules of the scheme for the wallet. A limit may be
reached. Declines tell what is left.
"""

from collections.abc import Iterable, Mapping
from typing import NoReturn

from coalition.domain.books import Books, Card, Wallet
from coalition.domain.card_rules import CardRules
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.reasons import Reason
from coalition.domain.usage import Line, Tier, Usage, hour_of, total


def tier_of(card: Card, *, with_pin: bool) -> Tier:
    """How strongly a spend with this card was authenticated; `with_pin` says that a PIN was verified for it."""
    if card.kind != "CODE":
        return Tier.STATIC
    return Tier.CODE_PIN if with_pin else Tier.CODE


def facts_of(tier: Tier) -> Mapping[str, str] | None:
    """What the journal remembers of a spend's tier: nothing where it is the usual one."""
    return None if tier is Tier.STATIC else {"tier": tier.value}


def check_spend(books: Books, wallet: Wallet, card: Card, amount: int, tier: Tier) -> None:
    """Raise Refused where spending `amount` now would pass a limit of the card or of the scheme's card rules.

    CARD_LIMIT_EXCEEDED, CREDENTIAL_LIMIT_EXCEEDED (of the tier), WALLET_LIMIT_EXCEEDED, VELOCITY_EXCEEDED.
    """
    if card.operation_limit_minor is not None and amount > card.operation_limit_minor:
        _refuse(Reason.CARD_LIMIT_EXCEEDED, "OPERATION", card.operation_limit_minor, card.operation_limit_minor)
    rules = books.programme.card_rules(books.business_date)
    if not needs_usage(card, rules):
        return
    if wallet.usage is None:
        raise LedgerBroken(f"a limit binds wallet {wallet.wallet_id}, but what it has spent was not read")
    _check_card(books, wallet.usage, card, amount)
    if rules is not None:
        _check_wallet(rules, wallet.usage.on(books.business_date), amount, tier)
        if rules.card_hour_count is not None:
            _check_velocity(books, wallet.usage, card, rules.card_hour_count)


def check_own_limits(card: Card, what: str) -> None:
    """A card with limits of its own is lent: who holds it may buy, not do `what`: Refused(CARD_LIMIT_EXCEEDED)."""
    if card.operation_limit_minor is not None or card.has_period_limit:
        _refuse(Reason.CARD_LIMIT_EXCEEDED, what, 0, 0)


def needs_usage(card: Card, rules: CardRules | None) -> bool:
    """Whether a spend with `card` is judged by what was spent before."""
    return card.has_period_limit or (rules is not None and rules.counts_spends)


def wallets_to_count(books: Books, tokens: Iterable[bytes]) -> list[Wallet]:
    """The wallets whose usage the spends with these credentials will ask for; none in a scheme without limits."""
    rules = books.programme.card_rules(books.business_date)
    if not (rules is not None and rules.counts_spends) and not any(
        card.has_period_limit for card in books.cards.values()
    ):
        return []
    found: dict[int, Wallet] = {}
    for token in tokens:
        card = books.cards.get(token)
        if card is not None and card.wallet_id is not None and needs_usage(card, rules):
            found[card.wallet_id] = books.wallets[card.wallet_id]
    return list(found.values())


def _check_card(books: Books, usage: Usage, card: Card, amount: int) -> None:
    day = books.business_date
    for period, limit, lines in (
        ("DAY", card.day_limit_minor, usage.on),
        ("MONTH", card.month_limit_minor, usage.in_month_of),
    ):
        if limit is not None:
            left = limit - total(line for line in lines(day) if line.card_id == card.card_id)
            if amount > left:
                _refuse(Reason.CARD_LIMIT_EXCEEDED, period, limit, left)


def _check_wallet(rules: CardRules, today: list[Line], amount: int, tier: Tier) -> None:
    tier_limit = {
        Tier.STATIC: rules.number_day_limit_minor,
        Tier.CODE: rules.code_day_limit_minor,
        Tier.CODE_PIN: rules.code_pin_day_limit_minor,
    }[tier]
    if tier_limit is not None:
        left = tier_limit - total(line for line in today if line.tier is tier)
        if amount > left:
            _refuse(Reason.CREDENTIAL_LIMIT_EXCEEDED, "DAY", tier_limit, left)
    if rules.wallet_day_limit_minor is not None:
        left = rules.wallet_day_limit_minor - total(today)
        if amount > left:
            _refuse(Reason.WALLET_LIMIT_EXCEEDED, "DAY", rules.wallet_day_limit_minor, left)
    if rules.wallet_day_count is not None and len(today) >= rules.wallet_day_count:
        raise Refused(Reason.VELOCITY_EXCEEDED, metadata={"per": "DAY", "limit_count": str(rules.wallet_day_count)})


def _check_velocity(books: Books, usage: Usage, card: Card, limit: int) -> None:
    hour = hour_of(books.time)
    count = sum(line.card_id == card.card_id and line.time >= hour for line in usage.spends.values())
    if count >= limit:
        raise Refused(Reason.VELOCITY_EXCEEDED, metadata={"per": "HOUR", "limit_count": str(limit)})


def _refuse(reason: Reason, period: str, limit: int, left: int) -> NoReturn:
    """`left` may be below 0 where a limit was lowered; nothing is left then."""
    metadata = {"per": period, "limit_minor": str(limit), "left_minor": str(max(left, 0))}
    raise Refused(reason, metadata=metadata)
