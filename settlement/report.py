"""The report of a netted window: statements, the operator's papers and a manifest, the same bytes wherever it is made.

Every figure is checked again on the way: lines against claims and positions, claims against positions. Reads only; the
directory appears whole or not at all.
"""

import shutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from coalition.domain.accounts import Unit
from coalition.storage.connect import Connection
from coalition.storage.on_us import on_us_sales
from settlement import multilateral
from settlement.accounting import Gross, bookings
from settlement.cells import file_digest, guarded, timestamp, unit_text, write_csv, write_json
from settlement.contents import Contents, gather
from settlement.due_account import due_accounts
from settlement.due_table import write_due
from settlement.errors import NeedsHuman
from settlement.lines import write_lines
from settlement.manifest import MANIFEST, NOTE, manifest_of
from settlement.multilateral import major
from settlement.netting import code_text
from settlement.operator_papers import write_accounting, write_codes, write_matrix
from settlement.picture import Month, draw
from settlement.statement import statements
from settlement.statement_pdf import StatementPress
from settlement.statement_xlsx import write_workbook

STATEMENTS: Final = "statements"

POSITION_COLUMNS: Final = (
    *("participant", "display_name", "role", "unit", "received_minor", "sent_minor", "net_minor"),
    *("received", "sent", "net", "position"),
)
BILATERAL_COLUMNS: Final = ("debtor", "creditor", "code", "unit", "amount_minor", "amount", "count")

Progress = Callable[[str, int, int], None]
"""Told of each step: its name, how much of it is done, of how much."""


def unseen(step: str, done: int, total: int) -> None:
    """Nobody looks."""


Seal = Callable[[Contents, str], str]
"""Answers the signed note over the SHA-256 (hex) of a window's manifest, once it is in the journal."""


@dataclass(frozen=True, slots=True)
class Report:
    """Where a report was written, and the digest of its manifest, which covers every file."""

    directory: Path
    files: int
    manifest_sha256: str


def write(
    connection: Connection,
    calendar: str,
    label: str,
    directory: Path,
    *,
    seal: Seal | None = None,
    progress: Progress = unseen,
) -> Report:
    """Write the report of a netted window to `directory`, replacing a report that is there.

    With `seal` the manifest is signed, and the report appears only after that. Raises NeedsHuman if the window is not
    netted or the directory holds something else, BooksDiffer if figures that must agree do not.
    """
    contents = gather(connection, calendar, label)
    if directory.exists() and not (directory / MANIFEST).is_file() and any(directory.iterdir()):
        raise NeedsHuman(f"--out {directory} is not empty and holds no report: name another directory")
    draft = directory.with_name(f"{directory.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    (draft / STATEMENTS).mkdir(parents=True)
    write_positions(draft / "positions.csv", contents)
    write_bilateral(draft / "bilateral.csv", contents)
    write_matrix(draft / "matrix.csv", contents)
    write_codes(draft / "codes.csv", contents)
    claims = write_statements(connection, draft / STATEMENTS, contents, progress)
    on_us = on_us_sales(connection, contents.ranges)
    write_accounting(draft / "accounting.csv", contents, bookings(claims, on_us, Unit.MONEY))
    write_json(draft / "summary.json", summary(contents))
    (draft / "report.svg").write_text(draw(month(contents)), encoding="utf-8", newline="\n")
    manifest = manifest_of(draft, contents.name)
    write_json(draft / MANIFEST, manifest)
    digest = file_digest(draft / MANIFEST)
    if seal is not None:
        (draft / NOTE).write_text(seal(contents, digest), encoding="utf-8", newline="\n")
    files = sum(1 for path in draft.rglob("*") if path.is_file())
    replace_directory(draft, directory)
    return Report(directory, files, digest)


def write_statements(connection: Connection, directory: Path, contents: Contents, progress: Progress) -> list[Gross]:
    """CSV, XLSX and PDF of every participant: lines are read once, then one participant is made after the other.

    CODE.csv has its lines, CODE.due.csv what is due of it.

    Answers the claims by where they were made, as the lines told them.
    """
    total, written = sum(claim.transfer_count for claim in contents.claims), 0

    def advance(lines: int) -> None:
        nonlocal written
        written += lines
        progress("lines of statements", written, total)

    claims = write_lines(connection, directory, contents, advance)
    accounts = due_accounts(connection, contents)
    press = StatementPress(contents)
    for done, statement in enumerate(statements(contents), 1):
        account = accounts[statement.party.participant_id]
        lines = directory / f"{statement.party.code}.csv"
        write_due(directory / f"{statement.party.code}.due.csv", account)
        write_workbook(lines.with_suffix(".xlsx"), contents, statement, account, lines)
        press.set(statement, account, file_digest(lines), lines.with_suffix(".pdf"))
        progress("statements", done, len(contents.parties))
    return claims


def write_positions(path: Path, contents: Contents) -> None:
    """One row per participant and unit, also of those with nothing."""
    parties = {party.participant_id: party for party in contents.parties}
    write_csv(
        path,
        POSITION_COLUMNS,
        (
            (
                parties[position.participant_id].code,
                guarded(parties[position.participant_id].display_name),
                parties[position.participant_id].role,
                unit_text(position.unit),
                *(position.received_minor, position.sent_minor, position.net_minor),
                *(
                    major(each, unit=position.unit)
                    for each in (position.received_minor, position.sent_minor, position.net_minor)
                ),
                standing(position.net_minor),
            )
            for position in contents.positions
        ),
    )


def write_bilateral(path: Path, contents: Contents) -> None:
    """The bilateral matrix as a list: what each debtor owes each creditor, by code."""
    codes = {party.participant_id: party.code for party in contents.parties}
    write_csv(
        path,
        BILATERAL_COLUMNS,
        (
            (
                codes[claim.debtor_id],
                codes[claim.creditor_id],
                code_text(claim.code),
                unit_text(claim.unit),
                *(claim.amount_minor, major(claim.amount_minor, unit=claim.unit), claim.transfer_count),
            )
            for claim in contents.claims
        ),
    )


def summary(contents: Contents) -> dict[str, object]:
    """The window in a few figures, for programs."""
    window = contents.window
    gross, paid = multilateral.gross(contents.claims), multilateral.paid(contents.positions)
    codes: dict[str, int] = defaultdict(int)
    for claim in contents.claims:
        if claim.unit == Unit.MONEY:
            codes[code_text(claim.code)] += claim.amount_minor
    return {
        "calendar": window.calendar,
        "claims_by_code_minor": dict(codes),
        "close_time": None if window.close_time is None else timestamp(window.close_time),
        "currency_code": contents.scheme.currency_code,
        "cut_number": window.cut_number,
        "gross": major(gross),
        "gross_minor": gross,
        "label": window.label,
        "net": major(paid),
        "net_minor": paid,
        "net_time": None if window.net_time is None else timestamp(window.net_time),
        "netting_entry_id": window.netting_entry_id,
        "open_time": timestamp(window.open_time),
        "pairs": len(multilateral.pairs(contents.claims)),
        "participants": len(contents.parties),
        "positions_not_zero": sum(1 for position in contents.positions if position.net_minor),
        "saving_percent": multilateral.saving_percent(gross, paid),
        "scheme": contents.scheme.display_name,
        "sum_of_net_positions_minor": sum(position.net_minor for position in contents.positions),
        "transfer_count": sum(claim.transfer_count for claim in contents.claims),
    }


def month(contents: Contents) -> Month:
    """What the picture shows."""
    names = {party.participant_id: party.display_name for party in contents.parties}
    operator = names.get(contents.scheme.operator_id, "operator")
    return Month(
        scheme=contents.scheme.display_name,
        label=contents.window.label,
        currency_code=contents.scheme.currency_code,
        operator=operator,
        names=names,
        pairs=multilateral.pairs(contents.claims),
        net={
            position.participant_id: position.net_minor
            for position in contents.positions
            if position.unit == Unit.MONEY
        },
        transfer_count=sum(claim.transfer_count for claim in contents.claims if claim.unit == Unit.MONEY),
    )


def standing(net_minor: int) -> str:
    """A net position in one word."""
    if net_minor == 0:
        return "EVEN"
    return "NET_RECEIVER" if net_minor > 0 else "NET_PAYER"


def replace_directory(draft: Path, directory: Path) -> None:
    """Put the finished draft in the place of an earlier report."""
    old = directory.with_name(f"{directory.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if directory.exists():
        directory.rename(old)
    draft.rename(directory)
    shutil.rmtree(old, ignore_errors=True)
