"""A write-off: what a participant owes and will not pay is given up, and the operator bears it. Pure.

For residues that nobody will collect. A participant that does not pay what it owes defaults (default.py): there its
collateral and those with claims on it come before the operator. What lies in its collateral is never given up.
"""

from coalition.domain.accounts import TransferCode, due_account
from coalition.domain.journal import Transfer


def written_off_at_most(owed_minor: int, collateral_minor: int) -> int:
    """How much of what is owed may be given up: what no collateral covers."""
    return max(owed_minor - max(collateral_minor, 0), 0)


def write_off(participant_id: int, operator_id: int, amount_minor: int) -> Transfer:
    """`DUE(H)->DUE(p)`: all dues still add up to what lies in the bank."""
    return Transfer(due_account(operator_id), due_account(participant_id), amount_minor, TransferCode.WRITE_OFF)
