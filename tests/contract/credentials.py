"""The model's credentials: how a PIN's tries are counted, how a phone's codes die, and what a card may spend.

Said from docs/pins.md, RELIABILITY 5.2 and the comments of the protos (CardRules, CardLimits). One thread, no clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from tests.contract.scheme import RULES

PIN_TRIES = 5
CODE_TRIES = 3
ZONE = timedelta(hours=8)
"""The coalition's days are those of Shanghai."""


class Shown(NamedTuple):
    """What a member shows or types and no till keeps: no part of what a request means, and gone when it is sent again.

    `phone` names a device of the model; `counter` says which of its codes, `is_right` whether its password is.
    """

    pin: str = ""
    phone: str = ""
    counter: int = 0
    is_right: bool = True


NOTHING_SHOWN = Shown()


@dataclass
class Pin:
    """A wallet's PIN; `tries` were counted since the last right one."""

    digits: str
    tries: int = 0

    def finding(self, typed: str) -> tuple[str, int]:
        """What a try comes to (empty when it is right), and how many are left. The try is counted first."""
        if self.tries >= PIN_TRIES:
            return "PIN_LOCKED", 0
        self.tries += 1
        if typed != self.digits:
            return "PIN_WRONG", PIN_TRIES - self.tries
        self.tries = 0
        return "", PIN_TRIES


@dataclass
class Device:
    """A member's phone. Codes up to `used` are dead; `tries` wrong passwords were seen on codes up to `tried`."""

    used: int = -1
    tried: int = -1
    tries: int = 0

    def problem(self, shown: Shown) -> tuple[str, int]:
        """Why this code does not pay, and how many tries are left; a wrong password counts, the third kills."""
        if shown.counter <= self.used:
            return "PAYMENT_CODE_USED", 0
        if shown.is_right:
            return "", 0
        self.tries += 1
        self.tried = max(self.tried, shown.counter)
        left = CODE_TRIES - self.tries
        if not left:
            self.used, self.tries = self.tried, 0
        return "PAYMENT_CODE_WRONG", left

    def use(self, counter: int) -> None:
        """Something was accepted by it: it is dead, and so is every code before it."""
        self.used = counter
        if counter >= self.tried:
            self.tries = 0


class Limits(NamedTuple):
    """What the counter allows one card; None is no limit."""

    operation: int | None = None
    day: int | None = None
    month: int | None = None


NO_LIMITS = Limits()


@dataclass(eq=False)
class Spend:
    """A purchase or a hold, counted when it is made, with its whole amount. `card` is the model's object."""

    card: object
    amount: int
    time: datetime
    tier: str


def problem_of_limits(
    limits: Limits, card: object, amount: int, tier: str, now: datetime, spends: Iterable[Spend]
) -> tuple[str, int | None]:
    """Which limit another spend of the wallet would pass, and what that has left; the card's own come first."""
    spent = list(spends)
    today = [each for each in spent if _day(each.time) == _day(now)]
    month = [each for each in spent if _day(each.time).replace(day=1) == _day(now).replace(day=1)]
    of_tier = {
        "STATIC": RULES.number_day_limit_minor,
        "CODE": RULES.code_day_limit_minor,
        "CODE_PIN": RULES.code_pin_day_limit_minor,
    }
    for reason, limit, counted in (
        ("CARD_LIMIT_EXCEEDED", limits.operation, []),
        ("CARD_LIMIT_EXCEEDED", limits.day, [each for each in today if each.card is card]),
        ("CARD_LIMIT_EXCEEDED", limits.month, [each for each in month if each.card is card]),
        ("CREDENTIAL_LIMIT_EXCEEDED", of_tier[tier], [each for each in today if each.tier == tier]),
        ("WALLET_LIMIT_EXCEEDED", RULES.wallet_day_limit_minor, today),
    ):
        left = None if limit is None else limit - sum(each.amount for each in counted)
        if left is not None and amount > left:
            return reason, max(left, 0)
    hour = now.replace(minute=0, second=0, microsecond=0)
    of_card = [each for each in spent if each.card is card and each.time >= hour]
    if len(today) >= RULES.wallet_day_count or len(of_card) >= RULES.card_hour_count:
        return "VELOCITY_EXCEEDED", None
    return "", None


def _day(time: datetime) -> datetime:
    return (time + ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
