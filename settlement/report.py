"""The report of a netted window: a directory of CSV, JSON and one picture, the same bytes wherever it is made.

Every figure is checked again on the way: lines against positions, bilateral claims against positions. Reads only; the
directory appears whole or not at all.
"""

import csv
import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from coalition.domain.accounts import Unit
from coalition.domain.kinds import Kind
from coalition.storage import positions as folded
from coalition.storage import settlement as store
from coalition.storage.connect import Connection
from coalition.storage.positions import Claim, Party, Position
from settlement import multilateral
from settlement.errors import BooksDiffer, NeedsHuman
from settlement.multilateral import major
from settlement.netting import code_text, cut_of
from settlement.picture import Month, draw

NUMBERS_MAX: Final = 1_000  # journal numbers read at a time while the lines are written
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
MANIFEST: Final = "manifest.json"
KIND_NAMES: Final = {int(kind): kind.name for kind in Kind}
UNIT_NAMES: Final = {int(unit): unit.name for unit in Unit}

POSITION_COLUMNS: Final = (
    *("participant", "display_name", "role", "unit", "received_minor", "sent_minor", "net_minor"),
    *("received", "sent", "net", "position"),
)
BILATERAL_COLUMNS: Final = ("debtor", "creditor", "code", "unit", "amount_minor", "amount", "count")
LINE_COLUMNS: Final = (
    *("entry_id", "occurred_time", "post_time", "kind", "counterparty", "code", "unit"),
    *("debit_minor", "credit_minor", "balance_minor", "debit", "credit", "balance"),
)


@dataclass(frozen=True, slots=True)
class Report:
    """Where a report was written, and the digest of its manifest, which covers every file."""

    directory: Path
    files: int
    manifest_sha256: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What the report is made from."""

    scheme: store.Scheme
    window: store.Window
    parties: Sequence[Party]
    claims: Sequence[Claim]
    positions: Sequence[Position]


def write(connection: Connection, calendar: str, label: str, directory: Path) -> Report:
    """Write the report of a netted window to `directory`, replacing a report that is there.

    Raises NeedsHuman if the window is not netted or the directory holds something else, BooksDiffer if figures that
    must agree do not.
    """
    contents = gather(connection, calendar, label)
    if directory.exists() and not (directory / MANIFEST).is_file() and any(directory.iterdir()):
        raise NeedsHuman(f"--out {directory} is not empty and holds no report: name another directory")
    draft = directory.with_name(f"{directory.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    (draft / "lines").mkdir(parents=True)
    write_positions(draft / "positions.csv", contents)
    write_bilateral(draft / "bilateral.csv", contents)
    write_lines(connection, draft / "lines", contents)
    write_json(draft / "summary.json", summary(contents))
    (draft / "report.svg").write_text(draw(month(contents)), encoding="utf-8", newline="\n")
    files = sorted(path for path in draft.rglob("*") if path.is_file())
    write_json(
        draft / MANIFEST,
        {
            "files": [
                {"bytes": path.stat().st_size, "name": path.relative_to(draft).as_posix(), "sha256": file_digest(path)}
                for path in files
            ]
        },
    )
    digest = file_digest(draft / MANIFEST)
    replace_directory(draft, directory)
    return Report(directory, len(files) + 1, digest)


def gather(connection: Connection, calendar: str, label: str) -> Contents:
    """Read a netted window; claims and stored net positions must say the same."""
    window = next((window for window in store.windows(connection, calendar) if window.label == label), None)
    if window is None:
        raise NeedsHuman(f"calendar {calendar} has no window {label}: see `python -m settlement status`")
    if window.state not in {"NETTED", "SETTLED"}:
        raise NeedsHuman(f"window {label} of calendar {calendar} is {window.state}: a report needs it netted")
    positions = store.net_positions(connection, window.window_id)
    claims = folded.bilateral(connection, window.window_id)
    listed = {position.participant_id for position in positions}
    # Whoever joined after the month was netted is no part of it: the report stays what it was.
    parties = [party for party in folded.parties(connection) if party.participant_id in listed]
    again = multilateral.net(claims, listed)
    if again != positions:
        raise BooksDiffer(
            f"claims and net positions of {label}",
            [
                f"participant {position.participant_id}: {position.net_minor} from claims, not as netted"
                for position in again
                if position not in set(positions)
            ],
        )
    return Contents(store.scheme(connection), window, parties, claims, positions)


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
                UNIT_NAMES[position.unit],
                *(position.received_minor, position.sent_minor, position.net_minor),
                *(major(position.received_minor), major(position.sent_minor), major(position.net_minor)),
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
                UNIT_NAMES[claim.unit],
                *(claim.amount_minor, major(claim.amount_minor), claim.transfer_count),
            )
            for claim in contents.claims
        ),
    )


def write_lines(connection: Connection, directory: Path, contents: Contents) -> None:
    """A statement for each participant: every claim it is a party of, in journal order, with the running balance.

    A participant's statement opens at 0 and ends at its net position, or BooksDiffer is raised.
    """
    window = contents.window
    codes = {party.participant_id: party.code for party in contents.parties}
    paths = {participant: directory / f"{code}.csv" for participant, code in codes.items()}
    for path in paths.values():
        write_csv(path, LINE_COLUMNS, ())
    balances: dict[tuple[int, int], int] = defaultdict(int)
    earlier = [
        other.cut_number or 0
        for other in store.windows(connection, window.calendar)
        if other.window_id < window.window_id
    ]
    for lines in store.claim_lines(
        connection,
        window.window_id,
        max(earlier, default=0),
        cut_of(window),
        numbers_max=NUMBERS_MAX,
    ):
        rows: dict[int, list[tuple[object, ...]]] = defaultdict(list)
        for line in lines:
            occurred = "" if line.occurred_time is None else timestamp(line.occurred_time)
            what = (line.entry_id, occurred, timestamp(line.post_time), kind_text(line.kind))
            code, unit = code_text(line.code), UNIT_NAMES[line.unit]
            for participant, other, debit, credit in (
                (line.debtor_id, line.creditor_id, line.amount_minor, 0),
                (line.creditor_id, line.debtor_id, 0, line.amount_minor),
            ):
                balances[participant, line.unit] += credit - debit
                balance = balances[participant, line.unit]
                rows[participant].append(
                    (
                        *what,
                        codes[other],
                        code,
                        unit,
                        *(debit, credit, balance, major(debit), major(credit), major(balance)),
                    )
                )
        for participant, added in rows.items():
            with paths[participant].open("a", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows(added)
    differences = [
        f"{codes[position.participant_id]}: lines end at {balances[position.participant_id, position.unit]}, "
        f"its net position is {position.net_minor}"
        for position in contents.positions
        if balances[position.participant_id, position.unit] != position.net_minor
    ]
    if differences:
        raise BooksDiffer(f"lines and net positions of {window.label}", differences)


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


def guarded(text: str) -> str:
    """A text cell no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def timestamp(moment: datetime) -> str:
    """UTC with microseconds, whatever zone the session had."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def kind_text(kind: int) -> str:
    """An entry kind's name; a number that has none is shown as it is."""
    return KIND_NAMES.get(kind) or f"kind {kind}"


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """UTF-8, commas, one line feed a row, the columns' names first."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def write_json(path: Path, value: dict[str, object]) -> None:
    """Sorted keys, two spaces, a line feed at the end."""
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def file_digest(path: Path) -> str:
    """SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace_directory(draft: Path, directory: Path) -> None:
    """Put the finished draft in the place of an earlier report."""
    old = directory.with_name(f"{directory.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if directory.exists():
        directory.rename(old)
    draft.rename(directory)
    shutil.rmtree(old, ignore_errors=True)
