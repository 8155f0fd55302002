"""Points of members: what a batch knows of them, and what an entry changes.

A wallet has one number for each programme, which may be negative: what was spent cannot be taken back. What an entry
earned or spent is kept with the version it was done under, and with what of it has come back. Points that end are
followed besides: each earned move with a last day knows what of it is still there.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple


@dataclass(slots=True)
class PointsMove:
    """Points that an entry earned or spent, and how many of them were given back: clawed back, or returned.

    Earned points with a `last_day` are, besides, `used` (spent, or owed already when they came) or `ended`. `wallet_id`
    is None where a release that followed none of this has made it.
    """

    lane: int
    entry_id: int
    wallet_id: int | None
    programme_id: int
    version: int
    points: int
    given_back: int = 0
    last_day: date | None = None
    used: int = 0
    ended: int = 0

    @property
    def left(self) -> int:
        """What of it can still be given back."""
        return self.points - self.given_back

    @property
    def there(self) -> int:
        """Those with a last day that the member still has; 0 where there is none, which nobody follows."""
        return 0 if self.last_day is None else self.points - self.given_back - self.used - self.ended

    def has_ended(self, business_date: date) -> bool:
        """The last day itself may still be used."""
        return self.last_day is not None and self.last_day < business_date

    def ended_of(self, points: int) -> int:
        """How many of `points` that are to be clawed back have ended: the member has lost these before."""
        return min(max(points - self.there, 0), self.ended)

    def claw_back(self, points: int) -> None:
        """Of what is there first, then of what has ended, then of what was used."""
        if self.last_day is not None:
            there, ended = min(points, self.there), self.ended_of(points)
            self.ended -= ended
            self.used -= points - there - ended
        self.given_back += points


@dataclass(slots=True)
class PointsDraw:
    """What a spend took of points with a last day: of the move of entry `of_entry_id`; `returned` is what came back."""

    lane: int
    entry_id: int
    place: int
    of_entry_id: int
    points: int
    returned: int = 0


class PointsChange(NamedTuple):
    """What a decision does to a wallet's points of a programme, under a version of it.

    `of` is the entry whose move it gives `given_back` of back, or ends; None where it is a move of its own, of points
    that were earned (until `last_day`, None: for ever) or spent.
    """

    programme_id: int
    version: int
    points: int
    of: int | None = None
    given_back: int = 0
    last_day: date | None = None
    ends: bool = False


Key = tuple[int, int]
"""Wallet and programme."""


@dataclass(slots=True)
class PointsBook:
    """The points that a batch concerns, and the moves that it names. Changed ones are in `touched`, `moved`, `drawn`.

    Of a wallet whose points are spent, given back or returned, all moves that have points with a last day are known;
    these never add up to more than the wallet has.
    """

    balances: dict[Key, int] = field(default_factory=dict)
    moves: dict[int, PointsMove] = field(default_factory=dict)
    draws: dict[int, list[PointsDraw]] = field(default_factory=dict)
    touched: set[Key] = field(default_factory=set)
    moved: set[int] = field(default_factory=set)
    drawn: set[int] = field(default_factory=set)
    _there: dict[Key, dict[int, PointsMove]] = field(default_factory=dict)

    def of(self, wallet_id: int, programme_id: int) -> int:
        """What the wallet has of the programme."""
        return self.balances.get((wallet_id, programme_id), 0)

    def spendable(self, wallet_id: int, programme_id: int, business_date: date) -> int:
        """What of it may be spent: not what has ended, whether or not it is gone yet."""
        ended = [each.there for each in self.ending((wallet_id, programme_id)) if each.has_ended(business_date)]
        return self.of(wallet_id, programme_id) - sum(ended)

    def ending(self, key: Key) -> list[PointsMove]:
        """The moves that have points with a last day, the soonest to end first, then the oldest."""
        return sorted(self._there.get(key, {}).values(), key=lambda each: (each.last_day or date.max, each.entry_id))

    def know(self, move: PointsMove) -> None:
        """A move as it was read; one that is known already stays as it is."""
        if move.entry_id not in self.moves:
            self.moves[move.entry_id] = move
            self._follow(move)

    def take(self, change: PointsChange, lane: int, wallet_id: int, entry_id: int, business_date: date) -> None:
        """An accepted entry has changed the points of a wallet."""
        key = (wallet_id, change.programme_id)
        self.balances[key] = self.of(*key) + change.points
        self.touched.add(key)
        if change.of is None:
            count = abs(change.points)
            made = PointsMove(lane, entry_id, wallet_id, *change[:2], count, last_day=change.last_day)
            self._keep(made)
            if change.points < 0:
                self._draw(key, made, business_date)
        else:
            move = self.moves[change.of]
            if change.ends:
                move.ended -= change.points
            elif change.points > 0:
                self._return(move, change.points, lane, wallet_id, entry_id)
            else:
                move.claw_back(change.given_back)
            self._keep(move)
        self._settle(key)

    def repay(self, change: PointsChange, wallet_id: int) -> None:
        """As many are owed less; up to 0, where no move has anything to end."""
        key = (wallet_id, change.programme_id)
        self.balances[key] = self.of(*key) + change.points
        self.touched.add(key)

    def _draw(self, key: Key, spend: PointsMove, business_date: date) -> None:
        """The soonest to end are spent first; those that never end last, which nobody follows."""
        wanted, draws = spend.points, list[PointsDraw]()
        for move in self.ending(key):
            taken = 0 if move.has_ended(business_date) else min(wanted, move.there)
            if taken:
                move.used += taken
                self._keep(move)
                draws.append(PointsDraw(spend.lane, spend.entry_id, len(draws), move.entry_id, taken))
                wanted -= taken
        if draws:
            self.draws[spend.entry_id] = draws
            self.drawn.add(spend.entry_id)

    def _return(self, spend: PointsMove, points: int, lane: int, wallet_id: int, entry_id: int) -> None:
        """Where they came from, last draw first, to end when they would have: perhaps they have by now.

        What was clawed back there meanwhile is a move of the returning entry, with the last day it had.
        """
        draws = self.draws.get(spend.entry_id, [])
        endless = spend.points - sum(each.points for each in draws)
        endless -= spend.given_back - sum(each.returned for each in draws)
        wanted, homeless, last_day = points - min(points, endless), 0, date.min
        for draw in reversed(draws):
            back = min(wanted, draw.points - draw.returned)
            if back:
                draw.returned += back
                move = self.moves[draw.of_entry_id]
                room = min(back, move.used)
                move.used -= room
                self._keep(move)
                homeless, wanted = homeless + back - room, wanted - back
                last_day = max(last_day, move.last_day or date.max) if back > room else last_day
        if draws:
            self.drawn.add(spend.entry_id)
        if homeless:
            own = (spend.programme_id, spend.version, homeless)
            self._keep(PointsMove(lane, entry_id, wallet_id, *own, last_day=last_day))
        spend.given_back += points

    def _settle(self, key: Key) -> None:
        """Moves cannot have more than there is: the soonest to end have paid for what is missing."""
        moves = self.ending(key)
        excess = sum(each.there for each in moves) - max(self.of(*key), 0)
        for move in moves:
            if excess <= 0:
                return
            taken = min(excess, move.there)
            move.used += taken
            excess -= taken
            self._keep(move)

    def _keep(self, move: PointsMove) -> None:
        self.moves[move.entry_id] = move
        self.moved.add(move.entry_id)
        self._follow(move)

    def _follow(self, move: PointsMove) -> None:
        """Among those that have points with a last day, or no longer."""
        if move.wallet_id is None or move.last_day is None:
            return
        followed = self._there.setdefault((move.wallet_id, move.programme_id), {})
        if move.there:
            followed[move.entry_id] = move
        else:
            followed.pop(move.entry_id, None)
