"""What settlement tells of an entry, and whom."""

import pytest

from coalition.domain.accounts import BANK, TransferCode, clearing_account, due_account
from coalition.domain.events import EVERYBODY, EventKind, Told, settlement_events
from coalition.domain.journal import Transfer
from coalition.domain.kinds import Kind

PAYMENT = TransferCode.SETTLEMENT_PAYMENT
NETTED = [
    Transfer(due_account(3), clearing_account(3), 29_700, TransferCode.NETTING, 1),
    Transfer(clearing_account(4), due_account(4), 29_520, TransferCode.NETTING, 1),
    Transfer(clearing_account(1), due_account(1), 180, TransferCode.NETTING, 1),
]


def test_who_a_netting_concerns_is_told_what_became_due_to_it() -> None:
    told = settlement_events(Kind.NETTING, {"calendar": "monthly", "label": "2017-01"}, NETTED, {})

    netted = EventKind.WINDOW_NETTED
    assert [
        Told(netted, 1, 180, window="monthly/2017-01"),
        Told(netted, 3, -29_700, window="monthly/2017-01"),
        Told(netted, 4, 29_520, window="monthly/2017-01"),
    ] == told


def test_money_that_came_in_is_told_to_who_paid_it() -> None:
    legs = [Transfer(BANK, due_account(3), 29_700, PAYMENT)]

    assert [Told(EventKind.PAYMENT_SETTLED, 3, 29_700, run_id=7)] == settlement_events(
        Kind.SETTLEMENT_PAYMENT, {"run_id": 7}, legs, {}
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"subject": "RUN", "name": "7", "state": "PENDING"}, []),
        ({"subject": "ADJUSTMENT", "name": "7", "state": "APPROVED"}, []),
        ({"subject": "RUN", "name": "7", "state": "APPROVED"}, [Told(EventKind.RUN_APPROVED, EVERYBODY, run_id=7)]),
    ],
)
def test_a_run_is_approved_with_the_last_step_and_not_before(answer: dict[str, str], expected: list[Told]) -> None:
    assert expected == settlement_events(Kind.APPROVAL_DECIDED, answer, [], {})


def test_a_dispute_is_told_to_its_two_sides() -> None:
    told = settlement_events(Kind.DISPUTE_OPENED, {"dispute": "d-1"}, [], {"d-1": (4, 3)})

    assert [Told(EventKind.DISPUTE_OPENED, each, subject="d-1") for each in (3, 4)] == told


def test_who_has_nothing_to_pay_or_to_get_is_not_told_of_a_run() -> None:
    told = settlement_events(Kind.RUN_PREPARED, {"run_id": 2, "parties": [[4, 7, 0], [3, -5, -5]]}, [], {})

    assert [Told(EventKind.RUN_PREPARED, 3, -5, run_id=2)] == told


def test_a_members_payment_of_a_debt_is_told_to_who_took_it_and_to_who_bears_it() -> None:
    legs = [Transfer(clearing_account(4), clearing_account(3), 12_000, TransferCode.DEBT_REPAID, 1)]
    answer = {"entry": 9, "participant_id": 4, "bearer_id": 3, "repaid_minor": 12_000}

    assert [Told(EventKind.ADJUSTED, 3, 12_000), Told(EventKind.ADJUSTED, 4, -12_000)] == settlement_events(
        Kind.DEBT_REPAID, answer, legs, {}
    )
