"""What a terminal shows: receipts, balances, refusals and the line, as panels for people and as facts for programs."""

from typing import Any

from google.protobuf.message import Message
from rich.panel import Panel
from rich.table import Table

from coalition.cli.money import format_amount, format_number
from coalition.cli.output import enum_name, time_text, to_json
from coalition.client import Declined, LineState, NotDone, OutcomeUnknown
from coalition.v1.operations_pb2 import Receipt
from coalition.v1.terminal_pb2 import Balance

Failure = Declined | NotDone | OutcomeUnknown


def failure_facts(failure: Failure) -> dict[str, Any]:
    """A failure as JSON: `outcome` is DECLINED, NOT_DONE or UNKNOWN."""
    match failure:
        case Declined():
            return {
                "outcome": "DECLINED",
                "reason": failure.reason,
                "cure": failure.cure,
                "metadata": failure.metadata,
                "fields": [each.field for each in failure.fields],
            }
        case NotDone():
            return {"outcome": "NOT_DONE", "reason": failure.what, "cure": failure.cure}
        case OutcomeUnknown():
            return {"outcome": "UNKNOWN", "request_id": failure.request_id, "will_be": failure.will_be}


def failure_panel(failure: Failure) -> Panel:
    """A failure for the cashier: the title is what to tell the member."""
    match failure:
        case Declined():
            facts = [
                f"{name.removesuffix('_minor')} {format_number(int(value))}"
                for name, value in sorted(failure.metadata.items())
                if name.endswith("_minor") and value.lstrip("-").isdecimal()
            ]
            if "tries_left" in failure.metadata:
                facts.append(f"tries left {failure.metadata['tries_left']}")
            text = "\n".join(
                (failure.reason, failure.cure, *facts, *(f"field {each.field}" for each in failure.fields))
            )
            return Panel(text, title="declined: not paid", border_style="red", expand=False)
        case NotDone():
            return Panel(
                f"{failure.what}\n{failure.cure}", title="not done: not paid", border_style="yellow", expand=False
            )
        case OutcomeUnknown():
            title = "answer lost: not paid" if failure.will_be == "REVERSED" else "answer lost"
            return Panel(str(failure), title=title, border_style="yellow", expand=False)


def receipt_panel(title: str, receipt: Receipt) -> Panel:
    """A receipt for the member."""
    currency = receipt.currency_code
    short = [("shortfall", f"{format_number(receipt.shortfall_minor)}, borne by {receipt.shortfall_bearer}")]
    rows = [
        ("amount", format_amount(receipt.amount_minor, currency)),
        ("principal", format_number(receipt.principal_minor)),
        ("bonus", format_number(receipt.bonus_minor)),
        *(short if receipt.shortfall_minor else []),
        ("balance", format_amount(receipt.balance_minor, currency)),
        ("accepted here", format_number(receipt.balance_here_minor)),
        ("card", f"**** {receipt.card_last_four}"),
        ("time, UTC", time_text(receipt.post_time)),
        ("entry", str(receipt.entry_id)),
        ("request", receipt.request_id),
    ]
    return Panel(_grid(rows), title=title, border_style="green", expand=False)


def approved_panel(request_id: str, amount_minor: int, currency_code: str) -> Panel:
    """A sale that the till approved by itself."""
    rows = [("amount", format_amount(amount_minor, currency_code)), ("request", request_id)]
    return Panel(_grid(rows), title="paid, approved offline", border_style="green", expand=False)


def balance_panel(balance: Balance) -> Panel:
    """What a wallet holds, for the member."""
    rows = [
        ("balance", format_amount(balance.balance_minor, balance.currency_code)),
        ("principal", format_number(balance.principal_minor)),
        ("bonus", format_number(balance.bonus_minor)),
        ("accepted here", format_number(balance.balance_here_minor)),
        ("card", f"**** {balance.card_last_four}, {enum_name(balance, 'card_state')}"),
    ]
    return Panel(_grid(rows), title="balance", border_style="green", expand=False)


def line_text(state: LineState) -> str:
    """The line in one line."""
    line = "online" if state.is_online else "offline"
    waiting = f"{state.waiting} reversals waiting" if state.waiting else "nothing waits"
    help_ = f", {len(state.needs_help)} need a person: coalition till recent" if state.needs_help else ""
    told = f", {state.to_upload} offline sales to upload" if state.to_upload else ""
    closing = f", close {state.closing} of the day waits for its answer" if state.closing else ""
    return f"{line}, {waiting}{told}{closing}{help_}"


def message_facts(name: str, message: Message) -> dict[str, Any]:
    """A message of the service under a name, as JSON."""
    return {name: to_json(message)}


def _grid(rows: list[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(justify="right", no_wrap=True)
    for row in rows:
        grid.add_row(*row)
    return grid
