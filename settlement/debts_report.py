"""The debts part of the liability report: what members owe for sales approved offline, by who bears it. Reads only."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from coalition.domain.member_debts import MemberDebt
from settlement.cells import write_csv
from settlement.reserve import both, figures


def write_debts(directory: Path, found: Iterable[MemberDebt], codes: Mapping[int, str]) -> None:
    """debts.csv in `directory`: of whom something is owed or to be given back, by bearer, oldest first."""
    amounts = ("shortfall", "returned", "repaid", "written_off", "owed", "credit")
    still = (debt for debt in found if debt.owed_minor or debt.credit_minor)
    write_csv(
        directory / "debts.csv",
        ("bearer", "acquirer", "entry_id", "business_date", *both(*amounts)),
        (
            (
                *(codes[debt.bearer_id], codes[debt.acquirer_id], debt.entry_id, debt.business_date.isoformat()),
                *figures(
                    *(debt.shortfall_minor, debt.returned_minor, debt.repaid_minor),
                    *(debt.written_off_minor, debt.owed_minor, debt.credit_minor),
                ),
            )
            for debt in sorted(still, key=lambda each: (codes[each.bearer_id], each.entry_id))
        ),
    )
