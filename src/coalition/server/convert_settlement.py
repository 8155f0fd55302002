"""Windows, positions, claims, runs and approvals as messages."""

import hashlib
from collections.abc import Sequence

from coalition.domain.approvals import Approval, Decision, Office
from coalition.domain.month_records import ClaimRecord, PositionRecord, WindowRecord
from coalition.domain.settlement_runs import Run, RunParty
from coalition.server.convert import timestamp_of
from coalition.v1 import operations_pb2, settlement_pb2


def window_message(window: WindowRecord) -> settlement_pb2.Window:
    """A window; what has not happened is absent or 0."""
    return settlement_pb2.Window(
        calendar=window.calendar,
        label=window.label,
        state=settlement_pb2.WindowState.Value(f"WINDOW_STATE_{window.state}"),
        open_time=timestamp_of(window.open_time),
        close_time=timestamp_of(window.close_time) if window.close_time else None,
        cut_number=window.cut_number or 0,
        net_time=timestamp_of(window.net_time) if window.net_time else None,
        netting_entry_id=window.netting_entry_id or 0,
    )


def position_message(position: PositionRecord, currency_code: str) -> settlement_pb2.Position:
    """A participant's position; the net one is received minus sent."""
    return settlement_pb2.Position(
        participant=position.participant,
        unit=operations_pb2.Unit.ValueType(position.unit),
        received_minor=position.received_minor,
        sent_minor=position.sent_minor,
        net_position_minor=position.net_position_minor,
        currency_code=currency_code,
    )


def claim_message(claim: ClaimRecord, currency_code: str) -> settlement_pb2.Claim:
    """What one participant owes another for one reason."""
    return settlement_pb2.Claim(
        debtor=claim.debtor,
        creditor=claim.creditor,
        code=operations_pb2.TransferCode.ValueType(claim.code),
        unit=operations_pb2.Unit.ValueType(claim.unit),
        amount_minor=claim.amount_minor,
        currency_code=currency_code,
        transfer_count=claim.transfer_count,
    )


def run_message(
    run: Run, windows: Sequence[str], currency_code: str, *, state: str | None = None
) -> settlement_pb2.Run:
    """A run and its windows; `state` where it is told as it stood then."""
    return settlement_pb2.Run(
        run_id=run.run_id,
        state=settlement_pb2.RunState.Value(f"RUN_STATE_{state or run.state}"),
        windows=windows,
        maker=run.maker,
        prepare_time=timestamp_of(run.prepare_time),
        collected_minor=run.collected_minor,
        paid_minor=run.paid_minor,
        advance_minor=run.advance_minor,
        advance_limit_minor=run.advance_limit_minor,
        currency_code=currency_code,
        content_hash=run.content_hash.hex(),
    )


def run_party_message(party: RunParty, currency_code: str) -> settlement_pb2.RunParty:
    """What a run has for a participant."""
    return settlement_pb2.RunParty(
        participant=party.code,
        due_minor=party.due_minor,
        instructed_minor=party.instructed_minor,
        settled_minor=party.settled_minor,
        state=settlement_pb2.RunPartyState.Value(f"RUN_PARTY_STATE_{party.state}"),
        instruction_id=party.instruction_id or "",
        currency_code=currency_code,
    )


def file_message(name: str, content: bytes) -> settlement_pb2.PaymentFile:
    """A payment file with its hash."""
    return settlement_pb2.PaymentFile(file_name=name, content=content, sha256=hashlib.sha256(content).hexdigest())


def approval_message(approval: Approval, currency_code: str) -> settlement_pb2.Approval:
    """Something that several people must agree to."""
    return settlement_pb2.Approval(
        approval_id=approval.approval_id,
        subject=settlement_pb2.ApprovalSubject.Value(f"APPROVAL_SUBJECT_{approval.subject.value}"),
        subject_name=approval.name,
        summary=approval.summary,
        content_hash=approval.content_hash.hex(),
        amount_minor=approval.amount_minor,
        currency_code=currency_code,
        offices=[settlement_pb2.Office.Value(f"OFFICE_{office.value}") for office in approval.offices],
        maker=approval.maker,
        ask_time=timestamp_of(approval.ask_time),
        state=settlement_pb2.ApprovalState.Value(f"APPROVAL_STATE_{approval.state.value}"),
        checkers=[step.checker for step in approval.steps],
    )


def decision_of(decision: settlement_pb2.ApprovalDecision.ValueType) -> Decision:
    """What an approver says."""
    return Decision(settlement_pb2.ApprovalDecision.Name(decision).removeprefix("APPROVAL_DECISION_"))


def office_of(office: settlement_pb2.Office.ValueType) -> Office:
    """An office by its number on the wire."""
    return Office(settlement_pb2.Office.Name(office).removeprefix("OFFICE_"))
