"""Points of members: what a batch knows of them, and what an entry changes.

A wallet has one number for each programme, which may be negative: what was spent cannot be taken back. What an entry
earned or spent is kept with the version it was done under, and with what of it has come back.
"""

from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(slots=True)
class PointsMove:
    """Points that an entry earned or spent, and how many of them were given back: clawed back, or returned."""

    lane: int
    entry_id: int
    programme_id: int
    version: int
    points: int
    given_back: int

    @property
    def left(self) -> int:
        return self.points - self.given_back


class PointsChange(NamedTuple):
    """What a decision does to a wallet's points of a programme, under a version of it.

    `of` is the entry whose move it gives back; None where it is a move of its own.
    """

    programme_id: int
    version: int
    points: int
    of: int | None = None


Key = tuple[int, int]
"""Wallet and programme."""


@dataclass(slots=True)
class PointsBook:
    """The points that a batch concerns, and the moves that it names. Changed ones are in `touched` and `moved`."""

    balances: dict[Key, int] = field(default_factory=dict)
    moves: dict[int, PointsMove] = field(default_factory=dict)
    touched: set[Key] = field(default_factory=set)
    moved: set[int] = field(default_factory=set)

    def of(self, wallet_id: int, programme_id: int) -> int:
        """What the wallet has of the programme."""
        return self.balances.get((wallet_id, programme_id), 0)

    def take(self, change: PointsChange, lane: int, wallet_id: int, entry_id: int) -> None:
        """An accepted entry has changed the points of a wallet."""
        key = (wallet_id, change.programme_id)
        self.balances[key] = self.of(*key) + change.points
        self.touched.add(key)
        if change.of is None:
            made = PointsMove(lane, entry_id, change.programme_id, change.version, abs(change.points), 0)
            self.moves[entry_id] = made
            self.moved.add(entry_id)
        else:
            self.moves[change.of].given_back += abs(change.points)
            self.moved.add(change.of)
