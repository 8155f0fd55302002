"""A statement as a workbook: balances, what is due, counterparties, every line. Streamed; the same bytes everywhere.

Text is written as text, so that no name or reference is taken for a formula.
"""

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import xlsxwriter

from coalition.domain.accounts import Unit
from settlement.cells import unit_text
from settlement.contents import Contents
from settlement.due_account import DueAccount
from settlement.due_table import table
from settlement.lines import LINE_COLUMNS
from settlement.multilateral import major
from settlement.netting import code_text
from settlement.statement import OPENING_MINOR, Flow, Statement
from settlement.statement_pdf import closed_time

SHEET_ROWS_MAX: Final = 1_000_000  # a sheet ends at 1,048,576 rows; the lines go on in another
AMOUNT_FORMAT: Final = "#,##0.00;[Red]-#,##0.00"
AMOUNT_COLUMNS: Final = frozenset({"debit", "credit", "balance"})
MINOR_COLUMNS: Final = frozenset({"debit_minor", "credit_minor", "balance_minor"})
COLUMN_WIDTH: Final = 16
FLOW_COLUMNS: Final = ("counterparty", "display_name", "code", "unit", "entries", "received", "sent", "net")
DUE_COLUMNS: Final = ("entry_id", "business_date", "item", "about", "amount", "balance")


def write_workbook(path: Path, contents: Contents, statement: Statement, account: DueAccount, lines: Path) -> None:
    """Write the workbook of a statement whose lines are in the CSV `lines`."""
    book = xlsxwriter.Workbook(path, {"constant_memory": True, "strings_to_numbers": False})
    try:
        made = closed_time(contents).astimezone(UTC).replace(tzinfo=None)
        book.set_properties({"title": f"{statement.party.code} {contents.name}", "created": made})
        amount = book.add_format({"num_format": AMOUNT_FORMAT})
        head = book.add_format({"bold": True, "bottom": 1})
        _balances(book, contents, statement, amount, head)
        _due(book, account, amount, head)
        _flows(book, contents, statement, amount, head)
        _lines(book, lines, amount, head)
    finally:
        book.close()


def _balances(book: Any, contents: Contents, statement: Statement, amount: Any, head: Any) -> None:
    sheet = book.add_worksheet("Statement")
    sheet.set_column(0, 5, COLUMN_WIDTH)
    told = (
        ("scheme", contents.scheme.display_name),
        ("participant", statement.party.code),
        ("display_name", statement.party.display_name),
        ("window", contents.name),
        ("currency", contents.scheme.currency_code),
    )
    for number, (name, value) in enumerate(told):
        sheet.write_string(number, 0, name, head)
        sheet.write_string(number, 1, value)
    first = len(told) + 1
    _head(sheet, first, ("unit", "opening", "received", "sent", "closing"), head)
    for number, position in enumerate(statement.positions, first + 1):
        sheet.write_string(number, 0, unit_text(position.unit))
        figures = (OPENING_MINOR, position.received_minor, position.sent_minor, position.net_minor)
        _amounts(sheet, number, 1, figures, amount, position.unit)


def _due(book: Any, account: DueAccount, amount: Any, head: Any) -> None:
    sheet = book.add_worksheet("Due")
    sheet.set_column(0, len(DUE_COLUMNS), COLUMN_WIDTH)
    _head(sheet, 0, DUE_COLUMNS, head)
    for number, row in enumerate(table(account), 1):
        date = "" if row.business_date is None else row.business_date.isoformat()
        entry = "" if row.entry_id is None else str(row.entry_id)
        for column, value in enumerate((entry, date, row.item, row.about)):
            sheet.write_string(number, column, value)
        if row.amount_minor is not None:
            _amounts(sheet, number, 4, (row.amount_minor,), amount, Unit.MONEY)
        _amounts(sheet, number, 5, (row.balance_minor,), amount, Unit.MONEY)


def _flows(book: Any, contents: Contents, statement: Statement, amount: Any, head: Any) -> None:
    sheet = book.add_worksheet("Counterparties")
    sheet.set_column(0, len(FLOW_COLUMNS), COLUMN_WIDTH)
    _head(sheet, 0, FLOW_COLUMNS, head)
    names = {party.participant_id: party.display_name for party in contents.parties}
    for number, flow in enumerate(statement.flows, 1):
        told = (contents.codes[flow.counterparty_id], names[flow.counterparty_id], *_what(flow))
        for column, value in enumerate(told):
            sheet.write_string(number, column, value)
        sheet.write_number(number, 4, flow.count)
        _amounts(sheet, number, 5, (flow.received_minor, flow.sent_minor, flow.net_minor), amount, flow.unit)


def _lines(book: Any, lines: Path, amount: Any, head: Any) -> None:
    with lines.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        columns = next(rows)
        sheet, number, sheets = None, SHEET_ROWS_MAX, 0
        for row in rows:
            if sheet is None or number >= SHEET_ROWS_MAX:
                sheets, number = sheets + 1, 0
                sheet = _lines_sheet(book, sheets, columns, head)
            number += 1
            _line(sheet, number, columns, row, amount)
        if sheet is None:
            _lines_sheet(book, 1, columns, head)


def _lines_sheet(book: Any, number: int, columns: Sequence[str], head: Any) -> Any:
    sheet = book.add_worksheet("Lines" if number == 1 else f"Lines {number}")
    sheet.set_column(0, len(LINE_COLUMNS), COLUMN_WIDTH)
    sheet.freeze_panes(1, 0)
    _head(sheet, 0, columns, head)
    return sheet


def _line(sheet: Any, number: int, columns: Sequence[str], row: Sequence[str], amount: Any) -> None:
    for column, (name, value) in enumerate(zip(columns, row, strict=True)):
        if name in AMOUNT_COLUMNS:
            sheet.write_number(number, column, Decimal(value), amount)
        elif name in MINOR_COLUMNS:
            sheet.write_number(number, column, int(value))
        elif value:
            sheet.write_string(number, column, value)


def _head(sheet: Any, number: int, columns: Iterable[str], head: Any) -> None:
    for column, name in enumerate(columns):
        sheet.write_string(number, column, name, head)


def _amounts(sheet: Any, number: int, column: int, figures: Iterable[int], amount: Any, unit: int) -> None:
    for place, figure in enumerate(figures, column):
        sheet.write_number(number, place, Decimal(major(figure, unit=unit)), amount)


def _what(flow: Flow) -> tuple[str, str]:
    return code_text(flow.code), unit_text(flow.unit)
