"""Collateral, defaults and recoveries on a ledger of the tests: the steps, and what they left in the books."""

from collections.abc import Callable

from coalition.domain.accounts import kind_of, parties_of
from coalition.domain.kinds import Kind
from coalition.storage.settlement_entries import journal_balances
from settlement import collateral, defaulting
from settlement.proposing import Result
from tests.ledger_fixtures import NAMES, NOTARY, Ledger
from tests.settlement.runs_month import approve, dues

HQ, TRUST, STORE, CAFE, GARAGE = NAMES


def move(ledger: Ledger, code: str, amount: int, reference: str, *, back: bool = False) -> Result:
    with ledger.connect() as connection:
        return collateral.move(connection, code, amount, reference, back=back, notary=NOTARY)


def declare(ledger: Ledger, code: str = "store-a") -> Result:
    with ledger.connect() as connection:
        return defaulting.declare(connection, code, notary=NOTARY)


def recover(ledger: Ledger, amount: int, reference: str | None, code: str = "store-a") -> Result:
    with ledger.connect() as connection:
        return defaulting.recover(connection, code, amount, reference, notary=NOTARY)


def done(ledger: Ledger, step: Callable[[], Result]) -> Result:
    """Asked for, approved by everybody who is asked, and carried out."""
    assert step().approval_id is not None
    approve(ledger)
    result = step()
    assert result.approval_id is None
    return result


def held(ledger: Ledger) -> tuple[int, dict[int, int]]:
    """What lies in the bank, and everybody's collateral, after `dues` has held all of it together."""
    dues(ledger)
    with ledger.connect() as connection:
        balances = journal_balances(connection)
    return balances.bank_minor, balances.collateral


def posted(ledger: Ledger, kind: Kind) -> list[list[tuple[str, int, str, int, int]]]:
    """The legs of each entry of a kind, in journal order."""
    with ledger.connect() as connection:
        entries = connection.execute("SELECT entry_id FROM entries WHERE kind = %s ORDER BY 1", (kind,)).fetchall()
        return [
            [
                (kind_of(debit).name, parties_of(debit)[0], kind_of(credit).name, parties_of(credit)[0], amount)
                for debit, credit, amount in connection.execute(
                    "SELECT debit, credit, amount_minor FROM transfers WHERE entry_id = %s ORDER BY leg", entry
                )
            ]
            for entry in entries
        ]
