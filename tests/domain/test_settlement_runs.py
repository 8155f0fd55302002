"""Planning a run: what is instructed, carried and advanced; postings of SUMS section 4; ageing."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.domain.accounts import BANK, TransferCode, due_account
from coalition.domain.settlement_runs import (
    AdvanceAboveLimit,
    DueLine,
    RunPolicy,
    advance,
    content_hash,
    content_of,
    due_changes,
    due_since,
    instruction_id,
    payment,
    plan_run,
)

OPERATOR, CUSTODY, A, C, D = 1, 2, 3, 4, 5
WORKED = {OPERATOR: 180, CUSTODY: 0, A: -29_700, C: 29_520}


def instructed(due: dict[int, int], **policy: int) -> dict[int, int]:
    plan = plan_run(due, OPERATOR, RunPolicy(**policy))
    return {party.participant_id: party.instructed_minor for party in plan.parties if party.instructed_minor}


def test_the_worked_month_is_instructed_as_it_nets():
    """DESIGN section 2: A pays 297.00, C gets 295.20, the operator 1.80; custody has nothing due."""
    plan = plan_run(WORKED, OPERATOR, RunPolicy())

    assert [(1, 180, "WAITING"), (2, 0, "CARRIED"), (3, -29_700, "WAITING"), (4, 29_520, "WAITING")] == [
        (party.participant_id, party.instructed_minor, party.state) for party in plan.parties
    ]
    assert (29_700, 29_700, 0) == (plan.collected_minor, plan.paid_minor, plan.advance_minor)


def test_below_the_minimum_nothing_is_instructed_and_what_was_carried_joins_the_next_run():
    """180 stay due to the operator; with 900 more in the next month they are instructed together."""
    assert {A: -29_700, C: 29_520} == instructed(WORKED, minimum_minor=1_000)
    assert {OPERATOR: 1_080, A: -900} == instructed({OPERATOR: 1_080, A: -900}, minimum_minor=900)


def test_the_minimum_itself_is_instructed():
    assert {A: -1_000, C: 1_000} == instructed({A: -1_000, C: 1_000}, minimum_minor=1_000)
    assert {} == instructed({A: -999, C: 999}, minimum_minor=1_000)


def test_the_operator_leaves_its_own_due_where_small_debts_are_carried():
    """D's 500 are not collected, C is paid all the same: 500 of the operator's 700 stay in the bank."""
    due = {OPERATOR: 700, A: -10_000, C: 9_800, D: -500}
    plan = plan_run(due, OPERATOR, RunPolicy(minimum_minor=600, advance_limit_minor=500))

    assert 500 == plan.advance_minor
    assert {OPERATOR: 200, A: -10_000, C: 9_800} == {
        party.participant_id: party.instructed_minor for party in plan.parties if party.instructed_minor
    }


def test_the_operator_pays_in_what_its_own_due_does_not_cover():
    assert {OPERATOR: -500, A: -9_500, C: 10_000} == instructed(
        {OPERATOR: 0, A: -9_500, C: 10_000, D: -500}, minimum_minor=600, advance_limit_minor=500
    )


def test_custody_never_advances():
    """The operator's limit is the only source: above it there is no run, however much custody is due."""
    due = {OPERATOR: 0, CUSTODY: 9_000, A: -10_000, C: 1_500, D: -500}
    assert 9_000 == instructed(due, minimum_minor=600, advance_limit_minor=500)[CUSTODY]
    with pytest.raises(AdvanceAboveLimit, match="500 minor units"):
        instructed(due, minimum_minor=600, advance_limit_minor=499)


dues = st.dictionaries(st.integers(1, 30), st.integers(-(10**9), 10**9), min_size=1, max_size=12)


@given(dues, st.integers(0, 10**9), st.integers(0, 10**6), st.randoms())
def test_whatever_is_due_the_bank_is_never_overdrawn(found, minimum, cash, random):
    """All dues add up to the cash in the bank, before and after; the order of participants changes nothing."""
    due = dict(found)
    due[OPERATOR] = due.get(OPERATOR, 0) + cash - sum(due.values())  # cash >= 0 lies in the bank
    plan = plan_run(due, OPERATOR, RunPolicy(minimum, 10**18))
    left = cash + plan.collected_minor - plan.paid_minor
    shuffled = list(due.items())
    random.shuffle(shuffled)

    assert left == sum(party.carried_minor for party in plan.parties)
    assert left >= 0
    assert plan == plan_run(dict(shuffled), OPERATOR, RunPolicy(minimum, 10**18))
    for party in plan.parties:
        if party.participant_id != OPERATOR:
            assert party.carried_minor in {0, party.due_minor}
            assert abs(party.carried_minor) < max(minimum, 1)


def test_the_banks_lines_post_as_written_in_the_sums():
    """In BANK->DUE(p), out DUE(p)->BANK, a returned payment the inverse; an advance BANK->DUE(H)."""
    rows = [payment(A, -5), payment(C, 5), payment(A, -5, returned=True), payment(C, 5, returned=True), advance(1, 5)]

    paid, back = TransferCode.SETTLEMENT_PAYMENT, TransferCode.SETTLEMENT_RETURN
    assert [
        (BANK, due_account(A), 5, paid),
        (due_account(C), BANK, 5, paid),
        (due_account(A), BANK, 5, back),
        (BANK, due_account(C), 5, back),
        (BANK, due_account(1), 5, TransferCode.OPERATOR_ADVANCE),
    ] == [tuple(row[:4]) for row in rows]


@given(st.integers(-(10**12), 10**12).filter(bool), st.booleans())
def test_a_payment_takes_what_was_due_away_and_a_return_brings_it_back(amount, returned):
    assert {A: amount if returned else -amount} == due_changes([payment(A, amount, returned=returned)])


def test_what_is_due_is_as_old_as_the_oldest_line_no_payment_has_reached():
    """Payments settle the oldest first; the sign of the rest says which lines count."""
    days = [datetime(2017, month, 1, tzinfo=UTC) for month in range(1, 7)]

    def since(*amounts: int) -> int | None:
        found = due_since([DueLine(amount, day) for amount, day in zip(amounts, days, strict=False)])
        return None if found is None else found.month

    assert [None, None, 1, 3, 1, 2, 4] == [
        since(),
        since(100, -100),
        since(100, 50, -20),
        since(100, -100, 30),
        since(-100, -50, 40),
        since(-100, -50, 120),
        since(100, -100, -30, 50),
    ]


def test_an_instruction_is_named_by_period_run_and_participant():
    assert "2017-01-R7-P4" == instruction_id("2017-01", 7, 4)
    assert 35 >= len(instruction_id("x" * 64, 2**31 - 1, 2**24 - 1))
    assert instruction_id("2017 januar\u00ed/a", 7, 4).startswith("2017-januar--")


def content(**changed):
    given = {
        "deployment": "d", "run_id": 7, "currency_code": "CNY", "prepare_time": datetime(2017, 2, 1, 3, tzinfo=UTC),
        "execution_date": date(2017, 2, 3), "policy": RunPolicy(), "plan": plan_run(WORKED, OPERATOR, RunPolicy()),
        "windows": [("monthly", "2017-01")], "parties": {party: {"code": f"p{party}"} for party in WORKED},
        "operator": {"account": "1"},
    }  # fmt: skip
    return content_of(**{**given, **changed})


@pytest.mark.parametrize(
    "changed",
    [
        {"run_id": 8},
        {"execution_date": date(2017, 2, 4)},
        {"policy": RunPolicy(0, 1)},
        {"windows": [("monthly", "2017-01"), ("monthly", "2017-02")]},
        {"operator": {"account": "2"}},
        {"plan": plan_run({**WORKED, A: -29_699, C: 29_519}, OPERATOR, RunPolicy())},
        {"parties": {party: {"code": f"p{party}", "account": "other"} for party in WORKED}},
    ],
)
def test_whatever_is_changed_in_a_run_changes_what_was_approved(changed):
    """Approval is of the content: another account, amount, day or window is another content."""
    assert content_hash(content()) != content_hash(content(**changed))
    assert content_hash(content()) == content_hash(content())
