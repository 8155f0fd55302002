"""What a simulation of agreements comes to: who would have gained and who would have lost."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from coalition.domain.reasons import Reason

NET: Final = "NET"
"""Stands for all codes of a participant together."""


@dataclass(frozen=True, slots=True)
class Line:
    """A participant's position in a window by one code, or (NET) by all: minor units, received less sent."""

    label: str
    participant: str
    code: str
    real_minor: int
    simulated_minor: int

    @property
    def difference_minor(self) -> int:
        """What it would have gained."""
        return self.simulated_minor - self.real_minor


@dataclass(frozen=True, slots=True)
class Declined:
    """Sales of a participant in a window that the proposal would have declined; they are in its lines as they were."""

    label: str
    participant: str
    reason: Reason
    count: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Float:
    """Members' principal of an issuer's lots that lay with a custodian when a window was cut, and would have lain."""

    label: str
    custodian: str
    issuer: str
    real_minor: int
    simulated_minor: int

    @property
    def difference_minor(self) -> int:
        """How much more would have lain there."""
        return self.simulated_minor - self.real_minor


@dataclass(frozen=True, slots=True)
class Outcome:
    """Every participant's lines, by window, participant and code, NET behind its codes; and what was declined.

    `floats` are told where a proposal moves any, by window, custodian and issuer.
    """

    lines: Sequence[Line]
    declined: Sequence[Declined]
    floats: Sequence[Float] = ()

    def of(self, own: Collection[str] | None) -> "Outcome":
        """What these participants may be told; None: everything."""
        if own is None:
            return self
        return Outcome(
            [line for line in self.lines if line.participant in own],
            [each for each in self.declined if each.participant in own],
            [each for each in self.floats if each.custodian in own or each.issuer in own],
        )

    @property
    def changes_something(self) -> bool:
        """Whether anybody's figures or sales would have been others."""
        return (
            bool(self.declined)
            or any(line.difference_minor for line in self.lines)
            or any(each.difference_minor for each in self.floats)
        )
