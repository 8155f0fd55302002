"""Net debit caps: how much a participant may owe over all unpaid windows before others stop taking its value.

An agreement in versions. Nobody locks a row for it: a follower adds up what each owes and tells when the cap is
reached, as it does for day limits (docs/decisions/0014, 0026). What is owed is minus the sum of its CLEARING and DUE
accounts: claims of open and closed windows, and what was netted and is not paid.
"""

from dataclasses import dataclass
from typing import Final

WARNING_PERCENT_DEFAULT: Final = 80
WARNING_PERCENT_MAX: Final = 99


@dataclass(frozen=True, slots=True)
class Caps:
    """Amounts are minor units of the scheme's currency. With `collateral_counts` the participant's collateral adds to
    its cap: prefunding, where `net_debit_minor` is 0.
    """

    participant: str
    net_debit_minor: int
    warning_percent: int
    collateral_counts: bool

    def cap(self, collateral_minor: int) -> int:
        """What may be owed in all."""
        return self.net_debit_minor + (max(collateral_minor, 0) if self.collateral_counts else 0)

    def warns_at(self, collateral_minor: int) -> int:
        """What is owed when operators are told; a participant that was stopped goes on below it."""
        return self.cap(collateral_minor) * self.warning_percent // 100


def is_stopped(caps: Caps, owed_minor: int, collateral_minor: int, *, was_stopped: bool) -> bool:
    """Whether others take the participant's value no more: from the cap on, and until it owes less than the warning.

    Two marks, so that one that stands at its cap does not make every desk read the programme anew with each payment.
    """
    if was_stopped:
        return owed_minor >= caps.warns_at(collateral_minor)
    return owed_minor >= caps.cap(collateral_minor)
