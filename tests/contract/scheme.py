"""What is agreed in the contract tests: who sells value on which terms, and who takes it where. Plain data, no rules.

A (`store-a`) and B (`store-b`) are of chain alpha and sell value of their own, A's also at B. The cafe takes A's, the
garage B's, A takes B's besides its own. B's bonus ends after a year, so B's value that has one is spent before A's.
"""

from dataclasses import dataclass
from fractions import Fraction

CURRENCY = "CNY"
PARTICIPANTS = ("store-a", "store-b", "cafe", "garage")
CHAIN = "alpha"
CHAIN_OF = {"store-a": CHAIN, "store-b": CHAIN}
TILL, TILL_OF_NOISE = "till-1", "till-9"
"""The second is where nonsense comes from: too many wrong codes lock a terminal."""
STORE = "main"


@dataclass(frozen=True)
class Terms:
    """How value of an issuer is sold. `tiers` rise; the highest reached applies."""

    issuer: str
    sellers: tuple[str, ...]
    tiers: tuple[tuple[int, Fraction], ...]
    minimum_minor: int
    limit_minor: int | None
    bonus_months: int | None


TERMS = {
    "store-a": Terms("store-a", ("store-a", "store-b"), ((10_000, Fraction(1, 5)),), 1_000, 500_000, None),
    "store-b": Terms("store-b", ("store-b",), ((1, Fraction(1, 3)), (5_000, Fraction(3, 7))), 1, None, 12),
}
# Besides its own value, which an issuer always takes.
TAKES = {"store-a": ("store-b",), "store-b": (), "cafe": ("store-a",), "garage": ("store-b",)}

# A has issued every card. The cafe may sell with them while it has no line, and up to this A bears what is missing.
OFFLINE_LIMITS = {("store-a", "cafe"): 9_000}
CARD_ISSUER = "store-a"


@dataclass(frozen=True)
class Rules:
    """What the scheme allows every card and wallet, as in CardRules. High enough that most spends pass."""

    no_pin_limit_minor: int
    number_day_limit_minor: int
    code_day_limit_minor: int
    code_pin_day_limit_minor: int
    wallet_day_limit_minor: int
    wallet_day_count: int
    card_hour_count: int
    return_days: int


RULES = Rules(50_000, 150_000, 4_000, 80_000, 180_000, 60, 40, 7)


def bearer_of(acquirer: str, amount: int) -> str:
    """Who bears what a wallet cannot give to a sale of this amount that was approved offline."""
    limit = OFFLINE_LIMITS.get((CARD_ISSUER, acquirer))
    return CARD_ISSUER if limit is not None and amount <= limit else acquirer


def is_taken(issuer: str, acquirer: str) -> bool:
    """Whether the acquirer takes the issuer's value."""
    return issuer == acquirer or issuer in TAKES[acquirer]


def till_server(participant: str) -> str:
    """The identity that may speak for the participant's tills in batches."""
    return f"ts/{CHAIN_OF.get(participant, participant)}/pos"


def till(participant: str, terminal: str = TILL) -> str:
    """The identity of a till of the participant."""
    return f"t/{participant}/{STORE}/{terminal}"
