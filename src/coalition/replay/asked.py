"""What was asked of the coalition, one row an operation, as the exported journal has it; and how it is read there."""

from datetime import date
from typing import Final, NamedTuple

ACCEPTED: Final = "ACCEPTED"

# Every accepted entry that moves value, and what tills asked for, also where it was declined. The columns of `Asked`.
ASKED: Final = """
SELECT entry_id, number, kind, participant, wallet_id, amount_minor, original_entry_id, agreement, agreement_version,
       CAST(business_date AS DATE), pass_entry, visits, visits_left, points, points_balance, points_worth,
       reason, capped, balance
FROM entries
WHERE reason = 'ACCEPTED' AND (wallet_id <> 0 AND amount_minor > 0 OR kind IN ('ASSESS', 'VALUATION'))
   OR kind IN ('TOP_UP', 'PURCHASE', 'REFUND', 'PASS_SALE', 'PASS_VISIT', 'VISIT_RETURN', 'PASS_RETURN', 'POINTS_SPEND',
               'POINTS_RETURN')
ORDER BY number, place
"""
# Names that have no column of their own, by entry: whose value was sold, whose pass, and which window was closed.
SOLD: Final = """
SELECT entry_id, regexp_extract(min(debit), '^(FLOAT[(][^,]*,|BONUS[(])([^)]*)[)]$', 2) FROM transfers
WHERE credit = 'WALLET' AND code IN ('PRINCIPAL', 'BONUS') GROUP BY 1
"""
PASSES_SOLD: Final = """
SELECT entry_id, regexp_extract(min(debit), '^PASS[(](.*)[)]$', 1) FROM transfers
WHERE credit = 'PASS' AND debit LIKE 'PASS(%' GROUP BY 1
"""
CLOSING: Final = """
SELECT entry_id, min(window_label) FROM transfers WHERE code IN ('WINDOW_FEE', 'POINTS_VALUE') GROUP BY 1
"""


class Asked(NamedTuple):
    """One operation as it was asked for, in journal order; or an assessment or a valuation, of the window `told`.

    `reason` is what it was declined for, or ACCEPTED; `balance` what a decline told of the wallet, minor units.

    `told` of a top-up is the issuer whose value was sold, of the sale of a pass the issuer who owes it. From
    `pass_entry` on it is what the answer said of a pass and of points, 0 where it said nothing.
    """

    entry: int
    number: int
    kind: str
    participant: str
    wallet: int
    amount: int
    original: int
    agreement: str
    version: int
    business_date: date
    pass_entry: int = 0
    visits: int = 0
    visits_left: int = 0
    points: int = 0
    points_balance: int = 0
    points_worth: int = 0
    reason: str = ACCEPTED
    capped: str = ""
    balance: int = 0
    told: str = ""
