"""What is due of a participant as a table: opening, every line with its balance, what is carried forward, closing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

from settlement.cells import guarded, timestamp, write_csv
from settlement.due_account import DueAccount
from settlement.multilateral import major

COLUMNS: Final = (
    *("entry_id", "post_time", "business_date", "item", "about"),
    *("amount_minor", "balance_minor", "amount", "balance"),
)
WORDS: Final[Mapping[str, str]] = {
    "OPENING": "Opening 期初",
    "PAID_IN": "Paid in 收款",
    "PAID_OUT": "Paid out 付款",
    "RETURNED": "Payment returned 退汇",
    "ADVANCE": "Advanced 垫付",
    "COLLATERAL": "From collateral 保证金抵付",
    "LOSS_SHARE": "Share of a loss 损失分摊",
    "RECOVERY": "Recovered 追回",
    "HANDED_ON": "Handed on 追回转付",
    "WRITE_OFF": "Written off 核销",
    "NETTING": "Net of a window 轧差",
    "NETTING_REVERSAL": "Netting taken back 轧差撤回",
    "CARRIED_FORWARD": "Carried forward 结转",
    "CLOSING": "Closing 期末",
    "HELD_BACK": "Of it held back 其中暂扣",
}
"""What each item is called on paper."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row; without an amount it is a balance, and of no entry."""

    item: str
    balance_minor: int
    about: str = ""
    amount_minor: int | None = None
    entry_id: int | None = None
    post_time: datetime | None = None
    business_date: date | None = None


def table(account: DueAccount) -> list[TableRow]:
    """The account's rows; what earlier windows left stands before this window's net."""
    balance = account.opening_minor
    rows = [TableRow("OPENING", balance)]
    for line in account.lines:
        balance += line.amount_minor
        rows.append(
            TableRow(
                line.item,
                balance,
                line.about,
                line.amount_minor,
                line.entry_id,
                line.post_time,
                line.business_date,
            )
        )
    place = len(rows) - (1 if account.net_minor else 0)
    rows.insert(place, TableRow("CARRIED_FORWARD", account.carried_minor))
    rows.append(TableRow("CLOSING", account.closing_minor))
    if account.held_back_minor:
        rows.append(TableRow("HELD_BACK", account.held_back_minor))
    return rows


def write_due(path: Path, account: DueAccount) -> None:
    """The table as CSV, amounts in minor units and in major ones."""
    write_csv(path, COLUMNS, (cells(row) for row in table(account)))


def cells(row: TableRow) -> tuple[object, ...]:
    """A row of the CSV; what it has not is empty."""
    amounts = (row.amount_minor, row.balance_minor)
    return (
        "" if row.entry_id is None else row.entry_id,
        "" if row.post_time is None else timestamp(row.post_time),
        "" if row.business_date is None else row.business_date.isoformat(),
        row.item,
        guarded(row.about),
        *("" if each is None else each for each in amounts),
        *("" if each is None else major(each) for each in amounts),
    )
