"""`coalition members lots`: what members held in another system is opened in their wallets, from a CSV file.

The whole file is read and added up first; what each issuer will owe must be what the command was told, or nothing is
written. Then it is sent by the hundred, under request ids derived from the file: started again, no lot is opened twice.
"""

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import Progress
from rich.table import Table

from coalition.cli.members_import import ACCEPTED, members_app, new_file, part_request_id, remembered
from coalition.cli.money import format_amount
from coalition.cli.output import console, table
from coalition.cli.session import Session, client_command
from coalition.v1.member_pb2 import OpeningLot, OpenLotsRequest
from coalition.v1.programme_pb2 import CUSTODY_ISSUER_HELD, CUSTODY_OPERATOR_HELD, CUSTODY_UNSPECIFIED

HOLDERS: Final = ("card_number", "member_id")
REQUIRED: Final = ("issuer", "paid")
OPTIONAL: Final = ("bonus", "expiry", "custody", "terms")
LOTS: Final = 100
CUSTODIES: Final = {"": CUSTODY_UNSPECIFIED, "issuer": CUSTODY_ISSUER_HELD, "operator": CUSTODY_OPERATOR_HELD}


@dataclass(slots=True)
class Sum:
    """What one issuer will owe, minor units."""

    lots: int = 0
    paid: int = 0
    bonus: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the file: `number` counts from 1, the header is the first."""

    number: int
    lot: OpeningLot = field(repr=False)


@members_app.command(
    "lots", epilog="Example: coalition members lots lots.csv --total grocer=812500.00+40210.00 --total cafe=300.00"
)
@client_command
def members_lots(
    session: Session,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help=f"CSV, UTF-8, with {' or '.join(HOLDERS)}, {', '.join(REQUIRED)}"
            f" and perhaps {', '.join(OPTIONAL)} in its header.",
        ),
    ],
    totals: Annotated[
        list[str],
        typer.Option(
            "--total", metavar="ISSUER=PAID[+BONUS]", help="What the other system says an issuer owes; of each issuer."
        ),
    ],
) -> None:
    """Open what members held in another system: one line a lot, owed by its issuer from now on.

    paid and bonus are what is left, such as 812.50; expiry is the bonus's last day, YYYY-MM-DD, empty for ever; custody
    is issuer or operator, empty as the issuer's terms say. Nothing is written unless the file adds up to every --total.
    Lines that are refused are written to FILE.refused.csv. Started again it goes on where it stopped.
    """
    sums = _sums(_rows(session, path))
    _check_totals(session, sums, totals)
    began = remembered(path)
    opened: dict[str, Sum] = {}
    refused = 0
    with (
        session.coalition() as connection,
        new_file(Path(f"{path}.refused.csv")) as refusals,
        Progress(console=console(stderr=True), disable=not sys.stderr.isatty()) as bars,
    ):
        report = csv.writer(refusals)
        report.writerow(("line", "field", "reason"))
        bar = bars.add_task("lots", total=sum(each.lots for each in sums.values()))
        for place, rows in enumerate(_parts(_rows(session, path))):
            answer = connection.call(
                connection.members.OpenLots,
                OpenLotsRequest(request_id=part_request_id(began, "lots", place), lots=[row.lot for row in rows]),
            )
            for row, ended in zip(rows, answer.lots, strict=True):
                if ended.reason == ACCEPTED:
                    _add(opened, row.lot)
                else:
                    refused += 1
                    report.writerow((row.number, ended.field, ended.reason))
            bars.update(bar, advance=len(rows))
    session.say([], _shown(session, "Opened", opened))
    session.say([], f"{refused} lines are refused; see {path}.refused.csv.")


def _check_totals(session: Session, sums: dict[str, Sum], totals: Sequence[str]) -> None:
    """Show what the file adds up to; end the command unless that is what was told, of exactly these issuers."""
    told: dict[str, tuple[int, int]] = {}
    for total in totals:
        issuer, _, amounts = total.partition("=")
        paid, _, bonus = amounts.partition("+")
        told[issuer] = session.amount(paid), session.amount(bonus or "0")
    console(stderr=True).print(_shown(session, "The file adds up to", sums))
    wrong = [name for name in sorted(sums.keys() | told.keys()) if told.get(name) != _pair(sums.get(name))]
    if wrong:
        raise typer.BadParameter(
            f"--total differs from the file for {', '.join(wrong)}; nothing was written. Find the difference first"
        )


def _pair(total: Sum | None) -> tuple[int, int] | None:
    return None if total is None else (total.paid, total.bonus)


def _shown(session: Session, title: str, sums: dict[str, Sum]) -> Table:
    currency = session.settings.currency
    return table(
        title,
        ("issuer", "lots", "paid", "bonus"),
        [
            (name, str(each.lots), format_amount(each.paid, currency), format_amount(each.bonus, currency))
            for name, each in sorted(sums.items())
        ],
    )


def _sums(rows: Iterator[Row]) -> dict[str, Sum]:
    sums: dict[str, Sum] = {}
    for row in rows:
        _add(sums, row.lot)
    return sums


def _add(sums: dict[str, Sum], lot: OpeningLot) -> None:
    total = sums.setdefault(lot.issuer, Sum())
    total.lots += 1
    total.paid += lot.paid_minor
    total.bonus += lot.bonus_minor


def _parts(rows: Iterator[Row]) -> Iterator[list[Row]]:
    part: list[Row] = []
    for row in rows:
        part.append(row)
        if len(part) == LOTS:
            yield part
            part = []
    if part:
        yield part


def _rows(session: Session, path: Path) -> Iterator[Row]:
    """The file's lines as messages. A broken header or line ends the command with exit code 2, without its content."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            reader.fieldnames = _header(reader.fieldnames or ())
            for told in reader:
                if None in told or None in told.values():
                    raise typer.BadParameter(f"line {reader.line_num} has another number of fields than the header")
                stripped = {name: text.strip() for name, text in told.items()}
                yield Row(reader.line_num, _lot(session, stripped, reader.line_num))
    except OSError:
        raise typer.BadParameter(f"{path} cannot be read") from None
    except (csv.Error, UnicodeDecodeError):
        raise typer.BadParameter(f"{path} cannot be read as CSV in UTF-8") from None


def _header(names: Sequence[str]) -> list[str]:
    header = [name.strip().lower() for name in names]
    are_known = {*REQUIRED} <= set(header) <= {*HOLDERS, *REQUIRED, *OPTIONAL}
    if not are_known or not set(header) & set(HOLDERS) or len(set(header)) < len(header):
        columns = f"{' or '.join(HOLDERS)}, {', '.join(REQUIRED)} and perhaps {', '.join(OPTIONAL)}"
        raise typer.BadParameter(f"the header must name {columns}")
    return header


def _lot(session: Session, told: dict[str, str], number: int) -> OpeningLot:
    """A line that is no lot ends the command before anything is written, named by line and column."""
    holders = [name for name in HOLDERS if told.get(name)]
    if len(holders) != 1:
        raise typer.BadParameter(f"line {number}: one of {' and '.join(HOLDERS)} must say whose it is")
    expiry, custody = told.get("expiry", ""), told.get("custody", "").lower()
    try:
        _ = date.fromisoformat(expiry) if expiry else None
    except ValueError:
        raise typer.BadParameter(f"line {number}, expiry: write YYYY-MM-DD") from None
    if custody not in CUSTODIES:
        raise typer.BadParameter(f"line {number}, custody: issuer, operator or nothing")
    try:
        lot = OpeningLot(
            issuer=told["issuer"],
            paid_minor=session.amount(told["paid"] or "0"),
            bonus_minor=session.amount(told.get("bonus") or "0"),
            bonus_expiry_date=expiry,
            custody=CUSTODIES[custody],
            terms=told.get("terms", ""),
        )
    except typer.BadParameter as wrong:
        raise typer.BadParameter(f"line {number}: {wrong.message}") from None
    setattr(lot, holders[0], told[holders[0]])
    return lot
