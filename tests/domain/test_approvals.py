"""Who must agree to what: bands, order of offices, maker and checkers apart, content bound by hash."""

from datetime import UTC, datetime

import pytest

from coalition.domain.approvals import (
    Approval,
    ApprovalState,
    Band,
    Decision,
    Office,
    Subject,
    decide_step,
    offices_for,
)
from coalition.domain.errors import Refused

FINANCE, RATIFIER, CHAIRMAN = Office.FINANCE, Office.RATIFIER, Office.CHAIRMAN
BANDS = [Band(50_000_00, (FINANCE, RATIFIER)), Band(0, (FINANCE,)), Band(500_000_00, (FINANCE, RATIFIER, CHAIRMAN))]
NOW = datetime(2017, 2, 1, tzinfo=UTC)
CONTENT, OTHER_CONTENT = b"\x01" * 32, b"\x02" * 32


def asked(*offices: Office, maker: str = "/op/wang") -> Approval:
    return Approval(7, Subject.RUN, "1", CONTENT, 1, offices, maker, NOW, ApprovalState.PENDING)


def approve(approval: Approval, checker: str, *held: Office, content: bytes = CONTENT) -> Approval:
    return decide_step(approval, checker, held, content, Decision.APPROVED, NOW)


@pytest.mark.parametrize(
    ("amount_minor", "offices"),
    [
        (0, (FINANCE,)),
        (49_999_99, (FINANCE,)),
        (50_000_00, (FINANCE, RATIFIER)),
        (499_999_99, (FINANCE, RATIFIER)),
        (500_000_00, (FINANCE, RATIFIER, CHAIRMAN)),
        (-500_000_00, (FINANCE, RATIFIER, CHAIRMAN)),
    ],
)
def test_the_amount_says_how_many_must_agree(amount_minor: int, offices: tuple[Office, ...]):
    """The table of the source document, its edges included; what is taken weighs like what is given."""
    assert offices == offices_for(Subject.RUN, amount_minor, BANDS)


def test_an_erasure_has_no_amount_and_needs_an_office_that_nobody_is_given():
    assert (Office.PRIVACY,) == offices_for(Subject.ERASURE, 0, BANDS)


def test_a_table_of_bands_with_a_hole_approves_nothing():
    with pytest.raises(ValueError, match="begin at 0"):
        offices_for(Subject.RUN, 1, [Band(2, (FINANCE,))])


def test_offices_agree_in_their_order_each_by_another_person():
    approval = asked(FINANCE, RATIFIER, CHAIRMAN)
    approval = approve(approval, "/ap/liu", FINANCE)
    assert (ApprovalState.PENDING, RATIFIER) == (approval.state, approval.waits_for)
    approval = approve(approval, "/ap/chen", FINANCE, RATIFIER)
    approval = approve(approval, "/ap/zhao", CHAIRMAN)

    assert (ApprovalState.APPROVED, None) == (approval.state, approval.waits_for)
    assert ["/ap/liu", "/ap/chen", "/ap/zhao"] == [step.checker for step in approval.steps]


def test_one_refusal_ends_it():
    refused = decide_step(asked(FINANCE, RATIFIER), "/ap/liu", [FINANCE], CONTENT, Decision.REFUSED, NOW)

    assert ApprovalState.REFUSED is refused.state
    with pytest.raises(Refused, match="APPROVAL_STATE_CONFLICT"):
        approve(refused, "/ap/chen", RATIFIER)


@pytest.mark.parametrize(
    ("reason", "checker", "held", "content"),
    [
        ("CONTENT_CHANGED", "/ap/wang", [], OTHER_CONTENT),  # before anything about the person
        ("APPROVER_NOT_ANOTHER", "/ap/wang", [RATIFIER], CONTENT),  # the maker under another role
        ("APPROVER_NOT_ANOTHER", "/ap/liu", [RATIFIER], CONTENT),  # who agreed as finance already
        ("OFFICE_NOT_HELD", "/ap/chen", [], CONTENT),
        ("OFFICE_NOT_HELD", "/ap/chen", [FINANCE, CHAIRMAN], CONTENT),  # neither the last step's nor the next one's
    ],
)
def test_a_step_that_may_not_be_taken_says_why(reason, checker, held, content):
    approval = approve(asked(FINANCE, RATIFIER, CHAIRMAN), "/ap/liu", FINANCE)
    with pytest.raises(Refused) as refused:
        approve(approval, checker, *held, content=content)

    assert reason == refused.value.reason.name
