"""V20: what the tables say a wallet holds, lot by lot, pass by pass and in points, is what the log leads to.

A row names the last entry that it includes; it is compared when that entry is reached in the replay (money.py). So
tables that are read while tills work are judged exactly, and a row that was set back is older than the log.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from coalition.audit.bundle import Bundle
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Report
from coalition.audit.checks.told import Tables
from coalition.domain.ids import number_of

NOT_THERE: Final = "the bundle holds no tables: one that ends at the newest checkpoint does"


HeldPoints: TypeAlias = tuple[str, int, tuple[tuple[str, int], ...]]
"""Programme, points, and those of them that end: last day and how many."""


class Promised(NamedTuple):
    """What a wallet holds besides money: open passes (pass, visits, what was paid for these), and points.

    These by programme, with those that end by their last day.
    """

    passes: tuple[tuple[int, int, int], ...] = ()
    points: tuple[HeldPoints, ...] = ()


class Row(NamedTuple):
    """A wallet of the tables: its last entry, its balance and its lots (lot, face, principal, held), minor units."""

    last_entry_id: int
    balance: int
    lots: tuple[tuple[int, int, int, int], ...]
    promised: Promised


class WalletChecks:
    """Told by the replay after every entry of a wallet."""

    def __init__(self, bundle: Bundle, report: Report, tables: Tables) -> None:
        self._bundle = bundle
        self._check = report.checks["V20"]
        self._tables = tables
        self._rows: dict[int, Row] = {}
        self._met: set[int] = set()
        self._behind: set[int] = set()
        self.led: dict[int, int] = {}
        """Merged wallets, and the wallets that their value goes on to, as the tables have it."""
        if not tables.are_there:
            self._check.lacks(NOT_THERE)
            return
        for wallet, last, balance, lots, merged_into, passes, points in bundle.state("wallets"):
            own = tuple((int(lot), int(face), int(principal), int(held)) for lot, face, principal, held in lots)
            promised = Promised(
                tuple((int(each), int(visits), int(paid)) for each, visits, paid in passes),
                tuple(
                    (str(code), int(held), tuple((str(day), int(there)) for day, there in ending))
                    for code, held, ending in points
                ),
            )
            self._rows[int(wallet)] = Row(int(last), int(balance), own, promised)
            if merged_into is not None:
                self.led[int(wallet)] = int(merged_into)

    def after(
        self,
        opened: Opened,
        balance: int | None,
        faces: int | None,
        lots: Mapping[int, Any],
        held: Mapping[int, int],
        promised: Callable[[int], Promised],
        *,
        moved: bool,
    ) -> None:
        """What the replay has after an entry of a wallet, None where it does not know; `faces` is the sum of its lots.

        `held` is what open holds keep aside, by lot; `promised` tells what a wallet holds besides. `moved`: the entry
        changed the balance.
        """
        if not self._tables.are_there:
            return
        entry_id, wallet = opened.entry.entry_id, opened.entry.wallet_id
        row = self._rows.get(wallet)
        if row is None:
            if moved and number_of(entry_id) <= self._tables.since and wallet not in self._behind:
                self._behind.add(wallet)
                self._check.breach(f"wallet {wallet} is gone from the tables", opened.at, entry_id)
        elif row.last_entry_id == entry_id:
            self._met.add(wallet)
            self._compare(opened, wallet, row, balance, faces, lots, held)
            if not self._bundle.start_size and row.promised != promised(wallet):
                self._check.breach(
                    f"passes or points of wallet {wallet} are others in the tables than by the log", opened.at, entry_id
                )
        elif (
            moved
            and entry_id > row.last_entry_id
            and number_of(entry_id) <= self._tables.since
            and wallet not in self._behind
        ):
            self._behind.add(wallet)
            self._check.breach(f"wallet {wallet} is older in the tables than the log", opened.at, entry_id)

    def finish(self) -> None:
        """Everything was seen: rows whose last entry was never met."""
        outside = 0
        for wallet, row in self._rows.items():
            if wallet in self._met or wallet in self._behind:
                continue
            if row.last_entry_id == 0:
                self._check.looked_at += 1
                if row.balance or row.lots or row.promised != Promised():
                    self._check.breach(f"wallet {wallet} holds value in the tables, and no entry gave it any")
            elif (
                self._bundle.start_size or self._bundle.last_number < number_of(row.last_entry_id) <= self._tables.until
            ):
                outside += 1
            else:
                self._check.breach(f"wallet {wallet} names an entry that is not in the log", None, row.last_entry_id)
        if outside:
            self._check.lacks(f"{outside} wallets were last changed outside the bundle")

    def _compare(
        self,
        opened: Opened,
        wallet: int,
        row: Row,
        balance: int | None,
        faces: int | None,
        lots: Mapping[int, Any],
        held: Mapping[int, int],
    ) -> None:
        check = self._check
        check.looked_at += 1
        if balance is not None and row.balance != balance:
            check.breach(
                f"wallet {wallet} holds {row.balance} in the tables, and {balance} by the log",
                opened.at,
                row.last_entry_id,
            )
        if self._bundle.start_size:
            return  # lots that were sold before the bundle are not known
        is_same = all(lots.get(lot) == (face, principal) for lot, face, principal, _ in row.lots)
        if not is_same or (faces is not None and sum(face for _, face, _, _ in row.lots) != faces):
            check.breach(
                f"the lots of wallet {wallet} are others in the tables than by the log", opened.at, row.last_entry_id
            )
        if any(held.get(lot, 0) != kept for lot, _, _, kept in row.lots):
            check.breach(f"wallet {wallet} keeps aside something else than its holds", opened.at, row.last_entry_id)
