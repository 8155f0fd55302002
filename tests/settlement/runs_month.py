"""A month whose windows are netted, bank accounts of everybody, approvers, and a bank that answers."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from uuid import uuid4

from coalition.domain.acts import Act, ActAnswer
from coalition.domain.approvals import Decision, Office
from coalition.domain.kinds import Kind
from coalition.domain.settlement_runs import RunParty, RunPolicy
from coalition.storage import approvals, runs
from coalition.storage import settlement as store
from coalition.storage.acts import Acts
from coalition.storage.runs import BankAccount
from coalition.storage.settlement_entries import due, journal_balances
from settlement import approving, closing, confirming, exporting, netting, run_ends
from settlement import runs as settling
from settlement.confirming import Confirmed
from settlement.exporting import Exported
from settlement.runs import Wish
from tests.ledger_fixtures import NAMES, NOTARY, Ledger, write_batch

AFTER = datetime(2017, 2, 1, 1, tzinfo=UTC)
CHECKERS = {"/ap/liu": [Office.FINANCE], "/ap/chen": [Office.RATIFIER], "/ap/zhao": [Office.CHAIRMAN]}
WORKED = [(3, 4, 30_000), (4, 1, 180), (4, 3, 300)]
"""The worked month of DESIGN section 2: store-a pays 297.00, cafe-c gets 295.20, hq 1.80."""


def acts_of(ledger: Ledger) -> Acts:
    return Acts(8, lambda time: time.date(), NOTARY)


def furnish(ledger: Ledger, *, without: Sequence[int] = ()) -> None:
    """Accounts of everybody but `without`, and approvers who hold one office each."""
    with ledger.connect() as connection:
        accounts = [
            BankAccount(number, f"62170000{number:08}", f"10210{number:07}", f"{code} 有限公司", f"M-{number}", None)
            for number, code in NAMES.items()
            if number not in without
        ]
        runs.set_bank_accounts(connection, accounts)
        for approver, offices in CHECKERS.items():
            approvals.set_offices(connection, approver, offices)


def trade_and_net(ledger: Ledger, claims: Sequence[tuple[int, int, int]], label: str = "2017-01") -> None:
    """One window of these claims, closed and netted."""
    with ledger.connect("coalition_app") as connection:
        if claims:
            write_batch(connection, claims)
    close_and_net(ledger, label)


def close_and_net(ledger: Ledger, label: str) -> None:
    with ledger.connect() as connection:
        closing.close(
            connection, "monthly", label=label, following=None, clock=lambda: AFTER, sleep=lambda _: None, notary=NOTARY
        )
    net(ledger, label)


def net(ledger: Ledger, label: str) -> None:
    with ledger.connect() as connection:
        netting.net(connection, ledger.follower(), "monthly", label, notary=NOTARY)


def prepare(ledger: Ledger, *, minimum: int = 0, limit: int = 0) -> ActAnswer:
    with ledger.connect() as connection:
        wish = Wish(None, RunPolicy(minimum, limit), date(2017, 2, 3))
        return settling.prepare(connection, acts_of(ledger), wish)


def decide(
    ledger: Ledger, checker: str, *, approval_id: int | None = None, decision: Decision = Decision.APPROVED
) -> ActAnswer:
    """The checker's step on what waits, or on the approval named, as it stands."""
    with ledger.connect() as connection:
        waiting = approvals.inbox(connection, None, 0, 10)
        known = waiting[0] if approval_id is None else approvals.lock(connection, approval_id)
        assert known is not None
        act = Act(Kind.APPROVAL_DECIDED, 1, uuid4(), b"\x00" * 32, checker)
        return approving.decide(connection, acts_of(ledger), act, known.approval_id, known.content_hash, decision)


def approve(ledger: Ledger) -> None:
    """Everybody who is asked agrees."""
    for checker in CHECKERS:
        with ledger.connect() as connection:
            if not approvals.inbox(connection, None, 0, 1):
                return
        decide(ledger, checker)


def export(ledger: Ledger, run_id: int = 1) -> Exported:
    with ledger.connect() as connection:
        return exporting.export(connection, acts_of(ledger), run_id)


def confirm(ledger: Ledger, file: bytes) -> Confirmed:
    with ledger.connect() as connection:
        return confirming.confirm(connection, file, notary=NOTARY)


def abort(ledger: Ledger, run_id: int = 1) -> list[str]:
    with ledger.connect() as connection:
        return run_ends.abort(connection, run_id, notary=NOTARY)


def withhold(ledger: Ledger, run_id: int = 1) -> list[str]:
    with ledger.connect() as connection:
        return run_ends.withhold(connection, run_id, notary=NOTARY)


def bank_says(*rows: tuple[str, RunParty, str], amounts: dict[str, int] | None = None) -> bytes:
    """A bank's result as CSV: (reference, party, result); `amounts` by reference where they are not the instructed."""
    lines = ["bank_reference,instruction_id,direction,amount,currency,result,cause"]
    for reference, party, result in rows:
        direction = "IN" if party.instructed_minor < 0 else "OUT"
        amount = (amounts or {}).get(reference, abs(party.instructed_minor))
        lines.append(
            f"{reference},{party.instruction_id},{direction},{amount // 100}.{amount % 100:02},CNY,{result},told"
        )
    return "\n".join([*lines, ""]).encode()


def parties(ledger: Ledger, run_id: int = 1) -> dict[int, RunParty]:
    with ledger.connect() as connection:
        return {each.participant_id: each for each in runs.run_parties(connection, run_id)}


def state(ledger: Ledger, run_id: int = 1) -> str:
    with ledger.connect() as connection:
        run = runs.read_run(connection, run_id)
        return run.state if run else ""


def windows(ledger: Ledger) -> dict[str, str]:
    with ledger.connect() as connection:
        return {each.label: each.state for each in store.windows(connection)}


def dues(ledger: Ledger) -> dict[int, int]:
    """What is due of everybody, after holding it against the journal: the invariants of SUMS section 2."""
    with ledger.connect() as connection:
        journal, lines = journal_balances(connection), due(connection)
    assert lines == journal.due
    assert journal.bank_minor == sum(journal.due.values()) + sum(journal.collateral.values())
    assert journal.bank_minor >= 0
    return lines
