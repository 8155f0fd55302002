"""What is agreed in the contract tests: who sells value on which terms, and who takes it where. Plain data, no rules.

A (`store-a`) and B (`store-b`) are of chain alpha and sell value of their own, A's also at B. The cafe takes A's, the
garage B's, A takes B's besides its own. B's bonus ends after a year, so B's value is spent before A's.
"""

from dataclasses import dataclass
from fractions import Fraction

CURRENCY = "CNY"
PARTICIPANTS = ("store-a", "store-b", "cafe", "garage")
CHAIN = "alpha"
CHAIN_OF = {"store-a": CHAIN, "store-b": CHAIN}
TILL = "till-1"
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


def is_taken(issuer: str, acquirer: str) -> bool:
    """Whether the acquirer takes the issuer's value."""
    return issuer == acquirer or issuer in TAKES[acquirer]


def till_server(participant: str) -> str:
    """The identity that may speak for the participant's tills in batches."""
    return f"ts/{CHAIN_OF.get(participant, participant)}/pos"


def till(participant: str) -> str:
    """The identity of the participant's till."""
    return f"t/{participant}/{STORE}/{TILL}"
