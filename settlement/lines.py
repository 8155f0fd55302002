"""The lines of every participant's statement: one walk over the window's journal, one CSV each, nothing held.

Each statement opens at 0, runs through every claim the participant is a party of, and closes at its net position; the
sums of the lines are also held against the claims. Reads the journal once, however many participants there are.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from coalition.storage.connect import Connection
from coalition.storage.statement_lines import ClaimLine, claim_lines, place_codes
from settlement.accounting import Gross
from settlement.cells import append_csv, guarded, kind_text, timestamp, unit_text, write_csv
from settlement.contents import Contents
from settlement.errors import BooksDiffer
from settlement.multilateral import major
from settlement.netting import code_text

LINE_COLUMNS: Final = (
    *("entry_id", "occurred_time", "post_time", "business_date", "kind"),
    *("store", "terminal", "request_id", "sale_reference", "counterparty", "code", "unit"),
    *("debit_minor", "credit_minor", "balance_minor", "debit", "credit", "balance"),
)

ClaimKey = tuple[int, int, int, int]
Row = tuple[object, ...]
Advance = Callable[[int], None]
"""Told how many claims were written since it was told before."""


def write_lines(connection: Connection, directory: Path, contents: Contents, advance: Advance) -> list[Gross]:
    """Write CODE.csv for each participant, and answer the claims by where their entries were made, in order.

    Raises BooksDiffer where lines, claims and net positions do not agree.
    """
    paths = {participant: directory / f"{code}.csv" for participant, code in contents.codes.items()}
    for path in paths.values():
        write_csv(path, LINE_COLUMNS, ())
    balances: dict[tuple[int, int], int] = defaultdict(int)
    gross: dict[tuple[int, int, int, int, int], list[int]] = defaultdict(lambda: [0, 0])
    places = place_codes(connection)
    for lines in claim_lines(connection, contents.window.window_id, contents.ranges):
        for participant, rows in rows_of(lines, contents.codes, places, balances).items():
            append_csv(paths[participant], rows)
        for line in lines:
            total = gross[line.debtor_id, line.creditor_id, line.participant_id, line.code, line.unit]
            total[0] += line.amount_minor
            total[1] += 1
        advance(len(lines))
    claims = [Gross(*key, *total) for key, total in sorted(gross.items())]
    differences = [*closing_differences(contents, balances), *claim_differences(contents, claims)]
    if differences:
        raise BooksDiffer(f"lines of {contents.window.label} and what was netted", differences)
    return claims


def rows_of(
    lines: Iterable[ClaimLine],
    codes: Mapping[int, str],
    places: tuple[Mapping[int, str], Mapping[int, str]],
    balances: dict[tuple[int, int], int],
) -> dict[int, list[Row]]:
    """Two rows a claim, by participant: the debtor's and the creditor's, each with its running balance."""
    stores, terminals = places
    rows: dict[int, list[Row]] = defaultdict(list)
    for line in lines:
        occurred = "" if line.occurred_time is None else timestamp(line.occurred_time)
        date, kind = line.business_date.isoformat(), kind_text(line.kind)
        what = (line.entry_id, occurred, timestamp(line.post_time), date, kind)
        here = (
            stores.get(line.store_id or 0, ""),
            terminals.get(line.terminal_id or 0, ""),
            str(line.request_id),
            guarded(line.sale_reference or ""),
        )
        code, unit = code_text(line.code), unit_text(line.unit)
        for participant, other, debit, credit in (
            (line.debtor_id, line.creditor_id, line.amount_minor, 0),
            (line.creditor_id, line.debtor_id, 0, line.amount_minor),
        ):
            balances[participant, line.unit] += credit - debit
            balance = balances[participant, line.unit]
            # Where a sale was made, and how it is called there, is nobody else's business.
            own = here if participant == line.participant_id else ("", "", "", "")
            figures = (debit, credit, balance)
            amounts = (*figures, *(major(each, unit=line.unit) for each in figures))
            rows[participant].append((*what, *own, codes[other], code, unit, *amounts))
    return rows


def closing_differences(contents: Contents, balances: Mapping[tuple[int, int], int]) -> list[str]:
    """Statements that do not close at the net position."""
    return [
        f"{contents.codes[position.participant_id]}: lines end at "
        f"{balances.get((position.participant_id, position.unit), 0)}, its net position is {position.net_minor}"
        for position in contents.positions
        if balances.get((position.participant_id, position.unit), 0) != position.net_minor
    ]


def claim_differences(contents: Contents, lines: Iterable[Gross]) -> list[str]:
    """Claims that are not the sum of their lines."""
    sums: dict[ClaimKey, list[int]] = defaultdict(lambda: [0, 0])
    for line in lines:
        total = sums[line.debtor_id, line.creditor_id, line.code, line.unit]
        total[0] += line.amount_minor
        total[1] += line.count
    claims = {
        (claim.debtor_id, claim.creditor_id, claim.code, claim.unit): [claim.amount_minor, claim.transfer_count]
        for claim in contents.claims
    }
    return [
        f"{debtor} owes {creditor} {code_text(code)} in unit {unit}: (amount, transfers) is "
        f"{claims.get((debtor, creditor, code, unit), [0, 0])} as claimed, "
        f"{sums.get((debtor, creditor, code, unit), [0, 0])} in lines"
        for debtor, creditor, code, unit in sorted(claims.keys() | sums.keys())
        if claims.get((debtor, creditor, code, unit)) != sums.get((debtor, creditor, code, unit))
    ]
