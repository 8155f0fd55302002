"""A statement as PDF: set by typst from one template, with a font that is embedded. The same bytes everywhere.

Every text is handed over as data, so that no name can be markup. Why this library and this font: docs/decisions/0028.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import typst

from coalition.domain.accounts import Unit
from coalition.domain.errors import LedgerBroken
from settlement.cells import unit_text
from settlement.contents import Contents
from settlement.due_account import DueAccount
from settlement.due_table import WORDS, TableRow, table
from settlement.flows import draw
from settlement.multilateral import major
from settlement.netting import code_text
from settlement.statement import OPENING_MINOR, Flow, Statement

TEMPLATE: Final = "statement.typ"
FONTS: Final = "pylopdf_fonts_zh_cn"
STANDARD: Final = "a-2b"  # archives take it: fonts inside, nothing fetched, no script


class StatementPress:
    """Sets statements of one window, one after the other; the font and the template are read once."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._names = {party.participant_id: party.display_name for party in contents.parties}
        with as_file(files("settlement") / TEMPLATE) as template, as_file(files(FONTS)) as fonts:
            self._compiler = typst.Compiler(template, font_paths=[fonts], ignore_system_fonts=True)

    def set(self, statement: Statement, account: DueAccount, lines_sha256: str, path: Path) -> None:
        """Write the PDF of one statement; `lines_sha256` is the digest of its CSV of lines, and is printed."""
        data = facts(self._contents, self._names, statement, account, lines_sha256)
        pdf = self._compiler.compile(
            format="pdf",
            sys_inputs={"data": json.dumps(data, ensure_ascii=False, sort_keys=True)},
            pdf_standards=STANDARD,
            timestamp=int(closed_time(self._contents).timestamp()),
        )
        if not isinstance(pdf, bytes):
            raise TypeError("typst answers one PDF as bytes")
        path.write_bytes(pdf)


def facts(
    contents: Contents, names: Mapping[int, str], statement: Statement, account: DueAccount, lines_sha256: str
) -> dict[str, object]:
    """What the template shows, amounts as text."""
    party, window, scheme = statement.party, contents.window, contents.scheme
    zone = ZoneInfo(scheme.zone)
    opened, closed = window.open_time.astimezone(zone), closed_time(contents).astimezone(zone)
    title = f"{party.display_name}: settlement statement {contents.name}"
    units = [position.unit for position in statement.positions]
    flows = statement.by_counterparty(Unit.MONEY)
    return {
        "title": title,
        "scheme": scheme.display_name,
        "participant": party.display_name,
        "code": party.code,
        "role": party.role,
        "window": contents.name,
        "closed": [closed.year, closed.month, closed.day],
        "period": f"{opened:%Y-%m-%d %H:%M} to {closed:%Y-%m-%d %H:%M}, {scheme.zone}",
        "balances": [
            {
                "opening": major(OPENING_MINOR),
                "received": major(position.received_minor, grouped=True, unit=position.unit),
                "sent": major(position.sent_minor, grouped=True, unit=position.unit),
                "closing": major(position.net_minor, grouped=True, unit=position.unit),
                "sentence": sentence(position.net_minor, currency(contents, position.unit)),
            }
            for position in statement.positions
        ],
        "account": [account_row(each) for each in table(account)],
        "account_sentence": standing(account, contents.scheme.currency_code, zone),
        "picture": draw(title, names, flows),
        "picture_alt": f"flows in and out of {party.display_name}",
        "counterparties": [
            row(names[flow.counterparty_id], flow, unit) for unit in units for flow in statement.by_counterparty(unit)
        ],
        "codes": [row(code_text(flow.code), flow, unit) for unit in units for flow in statement.by_code(unit)],
        "lines_sentence": (
            f"{statement.lines:,} lines, entry by entry, are in {party.code}.csv and {party.code}.xlsx beside it."
        ),
        "lines_sha256": lines_sha256,
        "footer": f"{scheme.display_name} · {contents.name} · {party.code} · netting entry {window.netting_entry_id}",
    }


def row(name: str, flow: Flow, unit: int) -> list[str]:
    """A line of a table; units other than money are told beside the name."""
    told = name if unit == Unit.MONEY else f"{name} ({unit_text(unit)})"
    amounts = (flow.received_minor, flow.sent_minor, flow.net_minor)
    return [told, f"{flow.count:,}", *(major(amount, grouped=True, unit=unit) for amount in amounts)]


def account_row(row: TableRow) -> dict[str, object]:
    """A row of the table of what is due; balances between lines have a shade."""
    amount = "" if row.amount_minor is None else major(row.amount_minor, grouped=True)
    date = "" if row.business_date is None else row.business_date.isoformat()
    cells = [date, WORDS.get(row.item, row.item), row.about, amount, major(row.balance_minor, grouped=True)]
    return {"cells": cells, "is_balance": row.amount_minor is None}


def standing(account: DueAccount, currency_code: str, zone: ZoneInfo) -> str:
    """What the account's closing balance means."""
    if account.closing_minor == 0 or account.due_since is None:
        return f"Nothing is due. 无应结余额。 {currency_code}"
    amount = f"{major(abs(account.closing_minor), grouped=True)} {currency_code}"
    whose = "Due to you 应付贵方" if account.closing_minor > 0 else "Due from you 贵方应付"
    return f"{whose} {amount}, since 自 {account.due_since.astimezone(zone):%Y-%m-%d}"


def sentence(net_minor: int, currency_code: str) -> str:
    """What the closing balance means."""
    if net_minor == 0:
        return f"Even: nothing to pay, nothing to receive. 收支相抵。 {currency_code}"
    amount = f"{major(abs(net_minor), grouped=True)} {currency_code}"
    return f"To receive 应收 {amount}" if net_minor > 0 else f"To pay 应付 {amount}"


def currency(contents: Contents, unit: int) -> str:
    """What a unit's amounts are counted in."""
    return contents.scheme.currency_code if unit == Unit.MONEY else unit_text(unit)


def closed_time(contents: Contents) -> datetime:
    """When the window closed: the only date a statement bears."""
    if contents.window.close_time is None:
        raise LedgerBroken(f"window {contents.name} is netted without a time of its close")
    return contents.window.close_time
