"""Disputes over the wire: who may complain about what, who decides, and that the past stays as it was."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from coalition.bootstrap.clock import utc_now
from coalition.domain.approvals import Decision, Office, decide_step
from coalition.domain.approvals import Subject as ApprovalSubject
from coalition.storage import approvals
from coalition.storage.connect import connect
from coalition.v1.member_pb2 import EnrolMemberRequest, IssueCardRequest, LinkCardRequest, Profile
from coalition.v1.settlement_pb2 import (
    DISPUTE_STATE_OPEN,
    DISPUTE_STATE_REJECTED,
    DISPUTE_STATE_UPHELD,
    DISPUTE_STATE_WITHDRAWN,
    CloseWindowRequest,
    ListClaimsRequest,
    ListDisputesRequest,
    OpenDisputeRequest,
    ProposeDisputeRequest,
    SettleDisputeRequest,
    WithdrawDisputeRequest,
)
from tests.postgres import SharedPostgres
from tests.server.services.house import Doors, new_id, open_doors, pay, refused, told_again, top_up, trading, walk

OPERATOR, COLLEAGUE = "/op/admin", "/op/wang"


@pytest.fixture(scope="module")
def doors(postgres: SharedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    with open_doors(postgres, tmp_path_factory.mktemp("disputes")) as doors:
        trading(doors, "a", "b", "c")
        doors.known("c")
        yield doors


@pytest.fixture
def line(doors: Doors) -> int:
    """A purchase of 300.00 of A's value at C: A => C 250 + 50."""
    counter = doors.visitor("/hq/a").member
    phone = f"+86137{int(new_id()[-8:], 16) % 10**8:08d}"
    member = counter.EnrolMember(EnrolMemberRequest(request_id=new_id(), profile=Profile(name="Zoe", phone=phone)))
    number = counter.IssueCard(IssueCardRequest(request_id=new_id())).card_number
    counter.LinkCard(LinkCardRequest(request_id=new_id(), card_number=number, member_id=member.member_id))
    top_up(doors, "a", number, 100_000)
    return pay(doors, "c", number, 30_000).entry_id


def complaint(line: int, **said: Any) -> OpenDisputeRequest:
    fields = {"entry_id": line, "against": "a", "amount_minor": 12_000, "evidence": "file 77", **said}
    return OpenDisputeRequest(request_id=new_id(), **fields)


def opened(doors: Doors, line: int) -> str:
    return str(doors.visitor("/hq/c").settlement.OpenDispute(complaint(line)).dispute_id)


def proposal(dispute: str, awarded: int = 10_000) -> ProposeDisputeRequest:
    return ProposeDisputeRequest(request_id=new_id(), dispute_id=dispute, awarded_minor=awarded, note="seen")


def settle(dispute: str) -> SettleDisputeRequest:
    return SettleDisputeRequest(request_id=new_id(), dispute_id=dispute)


def approve(doors: Doors, approval_id: int, decision: Decision = Decision.APPROVED) -> None:
    """As an approver's own call does (settlement/approving)."""
    dsn = doors.house.postgres.dsn("coalition_settlement", doors.house.ledger)
    with connect(dsn) as connection, connection.transaction():
        approval = approvals.lock(connection, approval_id)
        assert approval is not None
        assert approval.subject is ApprovalSubject.ADJUSTMENT
        held = [Office.FINANCE]
        said = decide_step(approval, "/ap/liu", held, approval.content_hash, decision, utc_now())
        approvals.write_step(connection, said)


def of(doors: Doors, dispute: str, path: str = OPERATOR) -> Any:
    rows = walk(doors.visitor(path).settlement.ListDisputes, ListDisputesRequest(), "disputes")
    return next((row for row in rows if row.dispute_id == dispute), None)


def test_what_is_awarded_becomes_a_claim_of_the_open_window_and_the_line_stays(doors: Doors, line: int) -> None:
    """Also when the line's own window was closed meanwhile."""
    merchant, operator = doors.visitor("/hq/c").settlement, doors.visitor(OPERATOR).settlement
    before = entry(doors, line)
    asked = told_again(merchant.OpenDispute, complaint(line), amount_minor=11_000)
    assert 7 == UUID(asked.dispute_id).version
    assert "DISPUTE_STATE_CONFLICT" == refused(operator.SettleDispute, settle(asked.dispute_id)).reason
    operator.CloseWindow(CloseWindowRequest(request_id=new_id(), label=open_label(doors)))
    asked_for = told_again(operator.ProposeDispute, proposal(asked.dispute_id), awarded_minor=1)
    assert "APPROVAL_MISSING" == refused(operator.SettleDispute, settle(asked.dispute_id)).reason
    approve(doors, asked_for.approval_id)
    ended = told_again(operator.SettleDispute, settle(asked.dispute_id), dispute_id=new_id())

    assert DISPUTE_STATE_UPHELD == ended.state
    doors.fold()
    corrected = [
        (claim.debtor, claim.creditor, claim.amount_minor)
        for claim in walk(operator.ListClaims, ListClaimsRequest(label=open_label(doors)), "claims")
    ]
    assert [("a", "c", 10_000)] == corrected
    shown = of(doors, asked.dispute_id, "/hq/a")
    assert (10_000, ended.receipt.entry_id, DISPUTE_STATE_UPHELD) == (
        shown.awarded_minor,
        shown.correcting_entry_id,
        shown.state,
    )
    assert before == entry(doors, line)
    assert "DISPUTE_STATE_CONFLICT" == refused(operator.SettleDispute, settle(asked.dispute_id)).reason


def open_label(doors: Doors) -> str:
    return str(doors.house.query("SELECT label FROM windows WHERE state = 'OPEN'")[0][0])


def entry(doors: Doors, line: int) -> Any:
    """The leaf binds everything that an entry says."""
    return doors.house.query("SELECT leaf FROM entries WHERE entry_id = %s", line)


def test_a_complaint_is_about_a_line_between_the_two_and_waits_alone(doors: Doors, line: int) -> None:
    merchant = doors.visitor("/hq/c").settlement
    refusals = {
        "DISPUTE_EXCEEDS_LINE": complaint(line, amount_minor=30_001),
        "PARTICIPANT_UNKNOWN": complaint(line, against="nobody"),
        "PERMISSION_DENIED": complaint(line, complainant="b"),
    }
    for reason, request in refusals.items():
        assert reason == refused(merchant.OpenDispute, request).reason
    assert {"line_minor": "0"}.items() <= refused(merchant.OpenDispute, complaint(line, against="b")).metadata.items()
    nothing = refused(merchant.OpenDispute, complaint(line + (1 << 40)))
    assert ("DISPUTE_EXCEEDS_LINE", "0") == (nothing.reason, nothing.metadata["line_minor"])
    assert "PARTICIPANT_UNKNOWN" == refused(merchant.OpenDispute, complaint(line, against="c")).reason
    dispute = opened(doors, line)
    assert "DISPUTE_EXISTS" == refused(merchant.OpenDispute, complaint(line)).reason
    assert of(doors, dispute, "/hq/b") is None
    assert DISPUTE_STATE_OPEN == of(doors, dispute, "/hq/a").state
    foreign = WithdrawDisputeRequest(request_id=new_id(), dispute_id=dispute)
    assert "DISPUTE_UNKNOWN" == refused(doors.visitor("/hq/a").settlement.WithdrawDispute, foreign).reason
    merchant.WithdrawDispute(WithdrawDisputeRequest(request_id=new_id(), dispute_id=dispute))
    assert DISPUTE_STATE_WITHDRAWN == of(doors, dispute).state
    assert opened(doors, line) != dispute


def test_a_line_is_disputed_within_its_days(doors: Doors, line: int) -> None:
    window = doors.house.query("SELECT window_id FROM transfers WHERE entry_id = %s AND window_id > 0 LIMIT 1", line)[
        0
    ][0]
    kept = doors.house.query("SELECT close_time FROM windows WHERE window_id = %s", window)[0][0]
    change(doors, "UPDATE windows SET close_time = now() - interval '62 days' WHERE window_id = %s", window)
    try:
        late = refused(doors.visitor("/hq/c").settlement.OpenDispute, complaint(line))
    finally:
        change(doors, "UPDATE windows SET close_time = %s WHERE window_id = %s", kept, window)
    assert "DISPUTE_TOO_LATE" == late.reason
    assert "last_day" in late.metadata
    assert opened(doors, line)


def change(doors: Doors, statement: str, *parameters: Any) -> None:
    with connect(doors.house.postgres.dsn("coalition", doors.house.ledger)) as owner:
        owner.execute(statement, parameters)


def test_who_complains_does_not_decide_and_what_is_refused_or_changed_needs_approval_anew(
    doors: Doors, line: int
) -> None:
    operator, colleague = doors.visitor(OPERATOR).settlement, doors.visitor(COLLEAGUE).settlement
    dispute = str(operator.OpenDispute(complaint(line, complainant="c")).dispute_id)

    assert "APPROVER_NOT_ANOTHER" == refused(operator.ProposeDispute, proposal(dispute)).reason
    assert "PERMISSION_DENIED" == refused(doors.visitor("/hq/c").settlement.ProposeDispute, proposal(dispute)).reason
    assert "DISPUTE_EXCEEDS_LINE" == refused(colleague.ProposeDispute, proposal(dispute, 12_001)).reason
    first = colleague.ProposeDispute(proposal(dispute, 12_000))
    approve(doors, first.approval_id)
    second = colleague.ProposeDispute(proposal(dispute, 0))
    assert "APPROVAL_MISSING" == refused(operator.SettleDispute, settle(dispute)).reason
    approve(doors, second.approval_id, Decision.REFUSED)
    assert "APPROVAL_MISSING" == refused(operator.SettleDispute, settle(dispute)).reason
    third = colleague.ProposeDispute(proposal(dispute, 0))
    approve(doors, third.approval_id)
    ended = operator.SettleDispute(settle(dispute))
    assert DISPUTE_STATE_REJECTED == ended.state
    assert 0 == doors.house.query("SELECT count(*) FROM transfers WHERE entry_id = %s", ended.receipt.entry_id)[0][0]


def test_the_database_itself_keeps_complaint_and_decision_apart(doors: Doors, line: int) -> None:
    dispute = opened(doors, line)
    with pytest.raises(Exception, match="disputes_check"):
        change(
            doors,
            "UPDATE disputes SET state = 'PROPOSED', awarded_minor = 1, proposer = opener WHERE dispute_id = %s",
            dispute,
        )
