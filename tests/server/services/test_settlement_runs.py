"""Runs and approvals behind the real doors: who may what, maker and checkers apart, each order exactly once."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from coalition.storage import runs
from coalition.storage.connect import connect
from coalition.storage.runs import BankAccount
from coalition.v1 import settlement_pb2
from coalition.v1.member_pb2 import EnrolMemberRequest, IssueCardRequest, LinkCardRequest, Profile
from coalition.v1.settlement_pb2 import (
    AbortRunRequest,
    Approval,
    CloseWindowRequest,
    DecideApprovalRequest,
    ExportRunRequest,
    ImportBankResultRequest,
    ListApprovalsRequest,
    ListRunPartiesRequest,
    ListRunsRequest,
    ListWindowsRequest,
    NetWindowRequest,
    PrepareRunRequest,
    ProposeWriteOffRequest,
    SetOfficesRequest,
    WriteOffRequest,
)
from settlement import cli
from tests.postgres import SharedPostgres
from tests.server.services.house import Doors, new_id, open_doors, pay, refused, told_again, top_up, trading, walk

APPROVED, REFUSED = settlement_pb2.APPROVAL_DECISION_APPROVED, settlement_pb2.APPROVAL_DECISION_REFUSED
CHAIN = {
    "/ap/liu": settlement_pb2.OFFICE_FINANCE,
    "/ap/chen": settlement_pb2.OFFICE_RATIFIER,
    "/ap/zhao": settlement_pb2.OFFICE_CHAIRMAN,
}


@pytest.fixture(scope="module")
def month(postgres: SharedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """A sold 800,000.00 + a fifth, 720,000.00 of it was spent at C: more than half a million to be paid, three offices.

    A owes C 600,000.00 of principal and 120,000.00 of bonus, C owes the operator 0.6 %.
    """
    with open_doors(postgres, tmp_path_factory.mktemp("runs")) as doors:
        trading(doors, "a", "c")
        number = card(doors, "+8613700000301")
        top_up(doors, "a", number, 80_000_000)
        pay(doors, "c", number, 72_000_000)
        doors.fold()
        doors.known("c")
        with connect(doors.house.postgres.dsn("coalition_settlement", doors.house.ledger)) as connection:
            runs.set_bank_accounts(
                connection,
                [
                    BankAccount(party, f"6217{party:012}", f"1021{party:08}", code, "", None)
                    for party, code in connection.execute("SELECT participant_id, code FROM participants").fetchall()
                ],
            )
        stub = doors.visitor().settlement
        stub.CloseWindow(CloseWindowRequest(request_id=new_id(), label="2017-01"))
        stub.NetWindow(NetWindowRequest(request_id=new_id(), label="2017-01"))
        for approver, office in CHAIN.items():
            stub.SetOffices(SetOfficesRequest(request_id=new_id(), approver=approver, offices=[office]))
        yield doors


def card(doors: Doors, phone: str) -> str:
    """Of a new member."""
    counter = doors.visitor("/hq/a").member
    member = counter.EnrolMember(EnrolMemberRequest(request_id=new_id(), profile=Profile(name="Zoe", phone=phone)))
    number = counter.IssueCard(IssueCardRequest(request_id=new_id())).card_number
    counter.LinkCard(LinkCardRequest(request_id=new_id(), card_number=number, member_id=member.member_id))
    return str(number)


def waiting(month: Doors, path: str) -> list[Approval]:
    return walk(month.visitor(path).settlement.ListApprovals, ListApprovalsRequest(), "approvals")


def decide(
    approval: Approval, decision: settlement_pb2.ApprovalDecision.ValueType = APPROVED, content: str = ""
) -> DecideApprovalRequest:
    return DecideApprovalRequest(
        request_id=new_id(),
        approval_id=approval.approval_id,
        content_hash=content or approval.content_hash,
        decision=decision,
    )


def test_a_run_is_approved_by_three_people_over_the_wire(month: Doors) -> None:
    """Half a million: finance, then who ratifies, then the chairman; each sees it when it is their turn, and once."""
    stub = month.visitor().settlement
    prepared = told_again(stub.PrepareRun, PrepareRunRequest(request_id=new_id()), minimum_minor=5)
    assert ("monthly/2017-01", settlement_pb2.RUN_STATE_PREPARED) == (prepared.run.windows[0], prepared.run.state)
    assert (72_000_000, 72_000_000) == (prepared.run.collected_minor, prepared.run.paid_minor)
    conflict = refused(lambda: stub.PrepareRun(PrepareRunRequest(request_id=new_id())))
    assert ("RUN_STATE_CONFLICT", True) == (conflict.reason, "is PREPARED" in conflict.metadata["cause"])

    for place, approver in enumerate(CHAIN):
        inboxes = {path: [each.approval_id for each in waiting(month, path)] for path in CHAIN}
        assert [prepared.approval_id] == inboxes.pop(approver)
        assert [[], []] == list(inboxes.values())
        approval = waiting(month, approver)[0]
        assert list(CHAIN)[:place] == list(approval.checkers)
        answer = told_again(month.visitor(approver).settlement.DecideApproval, decide(approval), decision=REFUSED)
        last = place == len(CHAIN) - 1
        assert (settlement_pb2.APPROVAL_STATE_APPROVED if last else settlement_pb2.APPROVAL_STATE_PENDING) == (
            answer.state
        )
    rows = walk(stub.ListRuns, ListRunsRequest(), "runs")
    assert [(1, settlement_pb2.RUN_STATE_APPROVED)] == [(row.run_id, row.state) for row in rows]
    assert [] == waiting(month, "/op/admin")

    abort = AbortRunRequest(request_id=new_id(), run_id=1)
    told_again(stub.AbortRun, abort, run_id=2)
    assert settlement_pb2.RUN_STATE_ABORTED == stub.ListRuns(ListRunsRequest()).runs[0].state
    assert "RUN_STATE_CONFLICT" == refused(lambda: stub.AbortRun(AbortRunRequest(request_id=new_id(), run_id=1))).reason
    stub.NetWindow(NetWindowRequest(request_id=new_id(), label="2017-01"))


def test_who_may_not_decide_learns_why(month: Doors) -> None:
    """The operator who prepared a run cannot approve it, under no role; nor can who saw something else."""
    stub = month.visitor().settlement
    for run in stub.ListRuns(ListRunsRequest()).runs:
        if run.state == settlement_pb2.RUN_STATE_PREPARED:
            stub.AbortRun(AbortRunRequest(request_id=new_id(), run_id=run.run_id))
    prepared = stub.PrepareRun(PrepareRunRequest(request_id=new_id(), execution_date="2030-01-02"))
    approval = waiting(month, "/op/admin")[0]
    stub.SetOffices(
        SetOfficesRequest(request_id=new_id(), approver="/ap/admin", offices=[settlement_pb2.OFFICE_FINANCE])
    )

    def reason(path: str, request: DecideApprovalRequest) -> str:
        return refused(lambda: month.visitor(path).settlement.DecideApproval(request)).reason

    assert "PERMISSION_DENIED" == reason("/op/admin", decide(approval))
    assert "PERMISSION_DENIED" == reason("/hq/a", decide(approval))
    assert "APPROVER_NOT_ANOTHER" == reason("/ap/admin", decide(approval))
    assert "OFFICE_NOT_HELD" == reason("/ap/nobody", decide(approval))
    assert "CONTENT_CHANGED" == reason("/ap/liu", decide(approval, content="0" * 64))
    unknown = decide(approval)
    unknown.approval_id = 1 << 40
    assert "APPROVAL_UNKNOWN" == reason("/ap/liu", unknown)
    assert "FIELD_INVALID" == reason("/ap/liu", decide(approval, content="zz"))
    month.visitor("/ap/liu").settlement.DecideApproval(decide(approval, REFUSED))
    assert "APPROVAL_STATE_CONFLICT" == reason("/ap/chen", decide(approval))
    stub.AbortRun(AbortRunRequest(request_id=new_id(), run_id=prepared.run.run_id))
    stub.NetWindow(NetWindowRequest(request_id=new_id(), label="2017-01"))


def test_a_headquarters_reads_its_own_row_of_a_run(month: Doors) -> None:
    stub = month.visitor().settlement
    run_id = stub.ListRuns(ListRunsRequest()).runs[0].run_id
    everybody = walk(stub.ListRunParties, ListRunPartiesRequest(run_id=run_id), "parties")
    own = walk(month.visitor("/hq/c").settlement.ListRunParties, ListRunPartiesRequest(run_id=run_id), "parties")

    assert ["a", "c", "hq", "trust"] == [row.participant for row in everybody]
    assert [("c", 71_568_000)] == [(row.participant, row.instructed_minor) for row in own]
    approvers = month.visitor("/ap/liu").settlement
    assert everybody == walk(approvers.ListRunParties, ListRunPartiesRequest(run_id=run_id), "parties")
    assert "RUN_UNKNOWN" == refused(lambda: stub.ListRunParties(ListRunPartiesRequest(run_id=999))).reason
    assert "RUN_UNKNOWN" == refused(lambda: stub.AbortRun(AbortRunRequest(request_id=new_id(), run_id=999))).reason


def test_approvers_use_the_command_line_with_their_own_certificate(
    month: Doors, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who approves is proved by a certificate; what is approved is what was looked at."""
    monkeypatch.setenv("COALITION_VAR", str(month.settings.var))
    server = ["--server", month.settlement_address]
    prepared = month.visitor().settlement.PrepareRun(PrepareRunRequest(request_id=new_id()))
    number = str(prepared.approval_id)

    def run(*command: str) -> tuple[int, str, str]:
        code = cli.main([*command, *server])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    assert (0, "/ap/wu holds finance\n") == run("offices", "ap/wu", "finance")[:2]
    assert (1, True) == (run("offices", "ap/wu", "treasurer")[0], True)
    code, out, _ = run("inbox", "--as", "ap/wu", "--json")
    row = json.loads(out)["approvals"][0]
    assert (0, prepared.approval_id, prepared.run.content_hash) == (code, row["approval_id"], row["content_hash"])
    code, out, _ = run("inbox", "--as", "ap/wu")
    assert (0, True, True) == (code, "600,000.00" in out or "720,000.00" in out, row["content_hash"][:12] in out)
    code, _, err = run("approve", number, "--as", "ap/wu", "--content", "0" * 12)
    assert (1, True) == (code, "look at that first" in err)
    assert 2 == run("approve", number, "--as", "ap/chen", "--content", row["content_hash"])[0]
    code, _, err = run("approve", number, "--as", "op/admin", "--content", row["content_hash"])
    assert (1, True) == (code, "PERMISSION_DENIED" in err)
    code, out, _ = run("approve", number, "--as", "ap/wu", "--content", row["content_hash"][:12], "--json")
    assert (0, "PENDING") == (code, json.loads(out)["state"])
    assert (0, "nothing waits\n") == run("inbox", "--as", "ap/wu")[:2]
    code, out, _ = run("approve", number, "--as", "ap/chen", "--content", row["content_hash"], "--refuse")
    assert (0, True) == (code, out.endswith("is REFUSED\n"))
    month.visitor().settlement.AbortRun(AbortRunRequest(request_id=new_id(), run_id=prepared.run.run_id))
    month.visitor().settlement.NetWindow(NetWindowRequest(request_id=new_id(), label="2017-01"))


@pytest.mark.parametrize("path", ["/hq/a", "/aud/firm", "/ap/liu"])
def test_only_the_operator_prepares_aborts_and_gives_offices(month: Doors, path: str) -> None:
    stub = month.visitor(path).settlement
    calls = [
        lambda: stub.PrepareRun(PrepareRunRequest(request_id=new_id())),
        lambda: stub.AbortRun(AbortRunRequest(request_id=new_id(), run_id=1)),
        lambda: stub.SetOffices(SetOfficesRequest(request_id=new_id(), approver="/ap/liu")),
        lambda: stub.ExportRun(ExportRunRequest(request_id=new_id(), run_id=1)),
        lambda: stub.ImportBankResult(ImportBankResultRequest(request_id=new_id(), file=b"x")),
    ]
    assert ["PERMISSION_DENIED"] * 5 == [refused(call).reason for call in calls]


def test_a_day_that_does_not_exist_is_refused_by_name(month: Doors) -> None:
    request = PrepareRunRequest(request_id=new_id(), execution_date="2017-02-30")
    answer = refused(lambda: month.visitor().settlement.PrepareRun(request))

    assert ("FIELD_INVALID", ("execution_date",)) == (answer.reason, answer.fields)
    request = PrepareRunRequest(request_id=new_id(), minimum_minor=1, currency_code="EUR")
    assert "CURRENCY_UNKNOWN" == refused(lambda: month.visitor().settlement.PrepareRun(request)).reason


def test_files_and_results_travel_over_the_wire_each_exactly_once(month: Doors) -> None:
    """Collections, then payments once they are covered; a result that does not fit posts nothing."""
    stub = month.visitor().settlement
    run_id = stub.PrepareRun(PrepareRunRequest(request_id=new_id())).run.run_id
    early = refused(lambda: stub.ExportRun(ExportRunRequest(request_id=new_id(), run_id=run_id)))
    assert ("RUN_STATE_CONFLICT", True) == (early.reason, "not approved yet" in early.metadata["cause"])
    for approver in CHAIN:
        month.visitor(approver).settlement.DecideApproval(decide(waiting(month, approver)[0]))
    first = told_again(stub.ExportRun, ExportRunRequest(request_id=new_id(), run_id=run_id), run_id=run_id + 1)
    assert [f"run-{run_id}-collections.csv", f"run-{run_id}-collections.xml"] == [
        each.file_name for each in first.files
    ]
    assert 72_000_000 == first.uncovered_minor
    assert [hashlib.sha256(each.content).hexdigest() for each in first.files] == [each.sha256 for each in first.files]

    parties = walk(stub.ListRunParties, ListRunPartiesRequest(run_id=run_id), "parties")
    given = {each.participant: each for each in parties}

    def result(reference: str, code: str, amount: str) -> ImportBankResultRequest:
        way = "IN" if given[code].instructed_minor < 0 else "OUT"
        file = (
            "bank_reference,instruction_id,direction,amount,currency,result\n"
            f"{reference},{given[code].instruction_id},{way},{amount},CNY,BOOKED\n"
        )
        return ImportBankResultRequest(request_id=new_id(), file=file.encode())

    wrong = refused(lambda: stub.ImportBankResult(result("w1", "a", "719999.00")))
    assert ("BANK_RESULT_MISMATCH", True) == (wrong.reason, "instructed was 72000000" in wrong.metadata["mismatches"])
    unreadable = ImportBankResultRequest(request_id=new_id(), file=b"nothing")
    assert ("FIELD_INVALID", ("file",)) == refused(lambda: stub.ImportBankResult(unreadable))[1:3]
    collected = told_again(stub.ImportBankResult, result("w2", "a", "720000.00"), file=b"x")
    assert (1, 0, 0) == (collected.posted_count, collected.known_count, collected.advanced_minor)
    again = result("w2", "a", "720000.00")
    assert "BANK_RESULT_KNOWN" == refused(lambda: stub.ImportBankResult(again)).reason
    second = stub.ExportRun(ExportRunRequest(request_id=new_id(), run_id=run_id))
    assert (4, 0) == (len(second.files), second.uncovered_minor)
    assert list(first.files) == list(second.files)[:2]
    for code, amount in (("c", "715680.00"), ("hq", "4320.00")):
        stub.ImportBankResult(result(f"w-{code}", code, amount))
    assert settlement_pb2.RUN_STATE_DONE == stub.ListRuns(ListRunsRequest()).runs[0].state
    assert settlement_pb2.WINDOW_STATE_SETTLED == stub.ListWindows(ListWindowsRequest()).windows[-1].state
    late = refused(lambda: stub.AbortRun(AbortRunRequest(request_id=new_id(), run_id=run_id)))
    assert ("RUN_STATE_CONFLICT", "DONE") == (late.reason, late.metadata["state"])


def test_a_write_off_is_proposed_approved_and_carried_out_over_the_wire(month: Doors) -> None:
    stub = month.visitor().settlement
    number = card(month, "+8613700000302")
    top_up(month, "a", number, 10_000)
    pay(month, "c", number, 5_000)
    label = stub.ListWindows(ListWindowsRequest(page_size=1)).windows[0].label
    stub.CloseWindow(CloseWindowRequest(request_id=new_id(), label=label))
    month.fold()
    stub.NetWindow(NetWindowRequest(request_id=new_id(), label=label))
    wish: dict[str, Any] = {"participant": "a", "amount_minor": 50}

    def reason(call: Any, **said: Any) -> str:
        return refused(lambda: call({"request_id": new_id(), **wish, **said})).reason

    def propose(said: dict[str, Any]) -> Any:
        return stub.ProposeWriteOff(ProposeWriteOffRequest(**said))

    def write_off(said: dict[str, Any]) -> Any:
        return stub.WriteOff(WriteOffRequest(**said))

    assert "APPROVAL_MISSING" == reason(write_off)
    assert "PARTICIPANT_UNKNOWN" == reason(propose, participant="nobody")
    assert "FIELD_INVALID" == reason(propose, amount_minor=10**12)
    assert "FIELD_INVALID" == reason(propose, participant="c")
    for path in ("/hq/a", "/aud/firm", "/ap/liu"):
        request = ProposeWriteOffRequest(request_id=new_id(), **wish)
        assert "PERMISSION_DENIED" == refused(month.visitor(path).settlement.ProposeWriteOff, request).reason
    asked = told_again(stub.ProposeWriteOff, ProposeWriteOffRequest(request_id=new_id(), **wish), amount_minor=51)
    assert "APPROVAL_STATE_CONFLICT" == reason(propose)
    while waits := [each for each in waiting(month, "/op/admin") if each.approval_id == asked.approval_id]:
        for approver in CHAIN:
            if any(each.approval_id == asked.approval_id for each in waiting(month, approver)):
                month.visitor(approver).settlement.DecideApproval(decide(waits[0]))
                break
    assert "APPROVAL_MISSING" == reason(write_off, amount_minor=51)
    done = told_again(stub.WriteOff, WriteOffRequest(request_id=new_id(), **wish), amount_minor=51)
    posted = month.house.query("SELECT code, amount_minor FROM transfers WHERE entry_id = %s", done.receipt.entry_id)
    assert [(18, 50)] == posted
    assert [(50,)] == month.house.query(
        "SELECT amount_minor FROM due_lines WHERE entry_id = %s AND amount_minor > 0", done.receipt.entry_id
    )
