"""Card rules: what the scheme as a whole allows a card and a wallet, as versioned data.

The values are law and policy (caps of named and bearer cards, real name, funding, what a static credential may spend);
they are an agreement of the whole scheme, so that every one of them has a version and a first day. An absent bound does
not bind. This module only holds them: who checks which one says so.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CardRules:
    """Amounts are minor units of the scheme's currency; a bound may be reached and not passed.

    A wallet is *named* once its member's real name was verified, *bearer* before. A *day* is a business date, an *hour*
    a clock hour (UTC). Spends are purchases and holds, counted when made; one that is reversed on its own business date
    does not count.
    """

    named_balance_limit_minor: int | None
    """The balance of a named wallet after a top-up."""
    bearer_balance_limit_minor: int | None
    """The balance of a bearer wallet after a top-up."""
    real_name_top_up_from_minor: int | None
    """From this payment on a single top-up needs a named wallet."""
    transfer_top_up_from_minor: int | None
    """From this payment on a single top-up is not paid in cash."""
    credit_funding_allowed: bool
    """Whether a top-up may be paid by credit card."""
    bearer_bonus_months_min: int | None
    """How long the bonus of a lot sold to a bearer wallet lives at least; checked at the top-up."""
    no_pin_limit_minor: int | None
    """The highest spend without a PIN."""
    number_day_limit_minor: int | None
    """What a wallet spends a day by credentials that never change: card numbers and virtual ids."""
    code_day_limit_minor: int | None
    """What a wallet spends a day by payment codes without a PIN."""
    code_pin_day_limit_minor: int | None
    """What a wallet spends a day by payment codes with a PIN."""
    wallet_day_limit_minor: int | None
    """What a wallet spends a day, by whatever credential."""
    wallet_day_count: int | None
    """How many times a wallet spends a day."""
    card_hour_count: int | None
    """How many times a card spends in the running clock hour."""
    return_days: int | None
    """How many days after its business date an untouched top-up can be returned."""

    issuer_held_across_groups_allowed: bool
    """Whether value that its issuer holds itself may be taken outside of its chain: by licence (SUMS section 4)."""

    @property
    def counts_spends(self) -> bool:
        """Whether one of the rules is about what was spent before."""
        return (
            self.number_day_limit_minor is not None
            or self.code_day_limit_minor is not None
            or self.code_pin_day_limit_minor is not None
            or self.wallet_day_limit_minor is not None
            or self.wallet_day_count is not None
            or self.card_hour_count is not None
        )
