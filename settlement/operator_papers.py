"""The operator's papers: the bilateral matrix, totals by code, and what everybody books. Pure but for the files."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from settlement import accounting
from settlement.accounting import Booking
from settlement.cells import unit_text, write_csv
from settlement.contents import Contents
from settlement.errors import BooksDiffer
from settlement.multilateral import major, pairs
from settlement.netting import code_text

CODE_COLUMNS: Final = ("code", "unit", "claims", "entries", "amount_minor", "amount")


def write_matrix(path: Path, contents: Contents) -> None:
    """Who owes whom in money over all codes: debtors down, creditors across, those without claims left out."""
    owed = pairs(contents.claims)
    parties = [party for party in contents.parties if any(party.participant_id in pair for pair in owed)]
    write_csv(
        path,
        ("owes", *(party.code for party in parties)),
        (
            (
                debtor.code,
                *(
                    major(amount) if (amount := owed.get((debtor.participant_id, creditor.participant_id))) else ""
                    for creditor in parties
                ),
            )
            for debtor in parties
        ),
    )


def write_codes(path: Path, contents: Contents) -> None:
    """All claims of the window added up by code."""
    sums: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    for claim in contents.claims:
        total = sums[claim.unit, claim.code]
        total[0] += 1
        total[1] += claim.transfer_count
        total[2] += claim.amount_minor
    write_csv(
        path,
        CODE_COLUMNS,
        (
            (code_text(code), unit_text(unit), claims, entries, amount, major(amount, unit=unit))
            for (unit, code), (claims, entries, amount) in sorted(sums.items())
        ),
    )


def write_accounting(path: Path, contents: Contents, booked: Iterable[Booking]) -> None:
    """Every participant's bookings, by its number; both sides of each book are equal or BooksDiffer is raised."""
    ordered = sorted(
        booked,
        key=lambda each: (each.participant_id, each.unit, each.counterparty_id, each.code, each.account),
    )
    sides: dict[tuple[int, int], int] = defaultdict(int)
    for each in ordered:
        sides[each.participant_id, each.unit] += each.debit_minor - each.credit_minor
    wrong = [
        f"{contents.codes[participant]}: {over} in unit {unit}" for (participant, unit), over in sides.items() if over
    ]
    if wrong:
        raise BooksDiffer("debits and credits of the accounting export", wrong)
    write_csv(
        path,
        accounting.COLUMNS,
        (
            (
                *(contents.codes[each.participant_id], each.account, contents.codes[each.counterparty_id]),
                *(code_text(each.code), unit_text(each.unit), each.count),
                *(each.debit_minor, each.credit_minor),
                *(major(amount, unit=each.unit) for amount in (each.debit_minor, each.credit_minor)),
            )
            for each in ordered
        ),
    )
