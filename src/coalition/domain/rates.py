"""Exact rates and the two roundings of the house: half-even for fees, cumulative floor for shares."""

import re
from dataclasses import dataclass
from math import gcd
from typing import Final

# 18 digits fit the int64 of the wire.
_RATE: Final = re.compile(r"([0-9]{1,18})(?:/([0-9]{1,18}))?")


@dataclass(frozen=True, slots=True)
class Rate:
    """An exact ratio, numerator / denominator, in lowest terms; never a float."""

    numerator: int
    denominator: int

    @classmethod
    def of(cls, numerator: int, denominator: int = 1) -> "Rate":
        """The rate in lowest terms. Raises ValueError for a denominator below 1 or a negative numerator."""
        if denominator < 1 or numerator < 0:
            raise ValueError("a rate needs a numerator of at least 0 and a denominator of at least 1")
        divisor = gcd(numerator, denominator)
        return cls(numerator // divisor, denominator // divisor)

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """From "6/1000" or "1". Raises ValueError for anything else."""
        found = _RATE.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not a rate; write it as a whole number or a fraction such as 6/1000")
        return cls.of(int(found[1]), int(found[2] or 1))

    def __str__(self) -> str:
        return str(self.numerator) if self.denominator == 1 else f"{self.numerator}/{self.denominator}"

    def times(self, other: "Rate") -> "Rate":
        return Rate.of(self.numerator * other.numerator, self.denominator * other.denominator)

    def complement(self) -> "Rate":
        """1 minus this rate. Raises ValueError above 1."""
        return Rate.of(self.denominator - self.numerator, self.denominator)

    def half_even(self, amount: int) -> int:
        """`amount` times the rate, rounded half to even (SUMS section 3, golden G7)."""
        quotient, remainder = divmod(amount * self.numerator, self.denominator)
        twice = 2 * remainder
        if twice > self.denominator or (twice == self.denominator and quotient & 1):
            quotient += 1
        return quotient

    def ceiling(self, amount: int) -> int:
        return -(-amount * self.numerator // self.denominator)

    def floor(self, amount: int) -> int:
        return amount * self.numerator // self.denominator


def returned(total: int, before: int, after: int, whole: int) -> int:
    """What comes back of `total` when the part returned of `whole` grows from `before` to `after`: cumulative floor."""
    return after * total // whole - before * total // whole
