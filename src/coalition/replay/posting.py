"""The second hand's books: what it arrived at, and the entry it is working on. Knows no rule, only what a line is."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

from coalition.replay.asked import Asked
from coalition.replay.benefit_sums import Pass, PointsMove, Visit
from coalition.replay.facts import Facts
from coalition.replay.sums import Lot, Purchase

# Units of a transfer, by the numbers of the protos; from FIRST_OF_POINTS on each is a version of a points programme.
MONEY: Final = 1
VISITS: Final = 2
FIRST_OF_POINTS: Final = 100

# (debit account, credit account, code, "calendar/label" of a claim or "", unit).
Line = tuple[str, str, str, str, int]
Window = tuple[str, str]


@dataclass(slots=True)
class Standing:
    """What a participant received and sent in one window, minor units or points."""

    received: int = 0
    sent: int = 0

    @property
    def net(self) -> int:
        return self.received - self.sent


@dataclass(slots=True)
class Books:
    """What the second hand arrived at; `assessed` are the windows whose fees it found posted, `fees` how many.

    `positions` are of money, `in_points` those of each unit of points; `owed_points` are the claims in points that a
    window has to value, by (debtor, creditor, unit), and `valued` the windows whose points it found valued. `points`
    are members' points by (wallet, programme); `told` is every sentence about an answer that said something else.
    `count` adds up what was done with points and passes, for the screen; `declines` were explained or told.
    `taken_on` is what sponsors have taken on, by the code of the terms.
    """

    positions: dict[Window, dict[str, Standing]] = field(default_factory=dict)
    in_points: dict[tuple[Window, int], dict[str, Standing]] = field(default_factory=dict)
    wallets: dict[int, list[Lot]] = field(default_factory=lambda: defaultdict(list))
    purchases: dict[int, Purchase] = field(default_factory=dict)
    assessed: set[Window] = field(default_factory=set)
    fees: int = 0
    taken_on: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    points: Counter[tuple[int, str]] = field(default_factory=Counter)
    moves: dict[int, PointsMove] = field(default_factory=dict)
    owed_points: dict[Window, Counter[tuple[str, str, int]]] = field(default_factory=lambda: defaultdict(Counter))
    valued: set[Window] = field(default_factory=set)
    passes: dict[int, list[Pass]] = field(default_factory=lambda: defaultdict(list))
    visits: dict[int, Visit] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    declines: int = 0
    count: Counter[str] = field(default_factory=Counter)


class Entry:
    """The lines of one entry under construction; nothing is posted for 0 or from a party to itself."""

    def __init__(self, books: Books, facts: Facts, asked: Asked) -> None:
        self._books = books
        self._facts = facts
        self._asked = asked
        self.lines: dict[Line, int] = {}

    def post(self, debit: str, credit: str, amount: int, code: str, window: str = "", unit: int = MONEY) -> None:
        if amount and debit != credit:
            line = (debit, credit, code, window, unit)
            self.lines[line] = self.lines.get(line, 0) + amount

    def claim(
        self,
        debtor: str,
        creditor: str,
        amount: int,
        code: str,
        calendar: str,
        label: str | None = None,
        unit: int = MONEY,
    ) -> None:
        """`debtor => creditor`, counted in the positions of the window it fell into, or that is named."""
        if not amount or debtor == creditor:
            return
        label = self._facts.window(calendar, self._asked.number) if label is None else label
        where = f"{calendar}/{label}" if label else ""
        self.post(f"CLEARING({debtor})", f"CLEARING({creditor})", amount, code, where, unit)
        window = (calendar, label)
        if unit == MONEY:
            standings = self._books.positions.setdefault(window, {})
        else:
            standings = self._books.in_points.setdefault((window, unit), {})
            if code == "POINTS":
                self._books.owed_points[window][debtor, creditor, unit] += amount
        standings.setdefault(debtor, Standing()).sent += amount
        standings.setdefault(creditor, Standing()).received += amount

    def hold_against(self, what: str, told: int, computed: int) -> None:
        """Note what the answer of this entry said, where it is not what was computed."""
        if told != computed:
            self._books.told.append(f"entry {self._asked.entry}: {what} was told as {told}, computed {computed}")
