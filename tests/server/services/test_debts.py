"""What members owe for sales approved offline, over the wire: paid at any counter, given up by its bearer."""

import csv
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from coalition.bootstrap.clock import utc_now
from coalition.cli import main as coalition
from coalition.domain.approvals import Decision, Office, Subject, decide_step
from coalition.storage import approvals
from coalition.storage.connect import connect
from coalition.v1.member_debts_pb2 import (
    Debt,
    ListDebtsRequest,
    ProposeDebtWriteOffRequest,
    RepayDebtRequest,
    WriteOffDebtRequest,
)
from coalition.v1.member_pb2 import EnrolMemberRequest, IssueCardRequest, LinkCardRequest, Profile
from coalition.v1.operations_pb2 import Receipt, RefundRequest, UploadRequest
from coalition.v1.portal_pb2 import GetWalletRequest
from coalition.v1.programme_pb2 import SHORTFALL_BEARER_ISSUER, Acceptance, Acquiring
from coalition.v1.settlement_pb2 import CloseWindowRequest, ListClaimsRequest
from settlement import cli
from tests.postgres import SharedPostgres
from tests.server.services.house import Doors, agree, founded, new_id, open_doors, refused, told_again, trading, walk

OPERATOR = "/op/admin"


@pytest.fixture(scope="module")
def doors(postgres: SharedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """A issues the cards and bears what falls short at C, as they agreed; at B nothing of it is agreed."""
    with open_doors(postgres, tmp_path_factory.mktemp("debts")) as doors:
        trading(doors, "a", "b")
        founded(doors, "c")
        hq = doors.visitor().programme
        held = Acceptance(
            issuer="a", acquirer="c", offline_limit_minor=100_000, shortfall_bearer=SHORTFALL_BEARER_ISSUER
        )
        agree(hq, "a-at-c", acceptance=held)
        agree(hq, "c-acquiring", acquiring=Acquiring(acquirer="c"))
        doors.known("c")
        yield doors


def sale(doors: Doors, at: str = "c", amount_minor: int = 30_000) -> Receipt:
    """Approved offline for a card of A whose wallet is empty."""
    counter = doors.visitor("/hq/a").member
    phone = f"+86137{int(new_id()[-8:], 16) % 10**8:08d}"
    member = counter.EnrolMember(EnrolMemberRequest(request_id=new_id(), profile=Profile(name="Zoe", phone=phone)))
    number = counter.IssueCard(IssueCardRequest(request_id=new_id())).card_number
    counter.LinkCard(LinkCardRequest(request_id=new_id(), card_number=number, member_id=member.member_id))
    request = UploadRequest(
        request_id=new_id(),
        card_number=number,
        amount_minor=amount_minor,
        currency_code="CNY",
        occurred_time=Timestamp(seconds=1_790_000_000),
        sequence_number=1,
    )
    return doors.visitor(f"/t/{at}/main/till-1").terminal.Upload(request).receipt


def refund(doors: Doors, sold: Receipt, amount_minor: int) -> None:
    till = doors.visitor("/t/c/main/till-1").terminal
    request = RefundRequest(
        request_id=new_id(), original_request_id=sold.request_id, amount_minor=amount_minor, currency_code="CNY"
    )
    till.Refund(request)


def paying(sold: Receipt, amount_minor: int, **said: Any) -> RepayDebtRequest:
    return RepayDebtRequest(request_id=new_id(), entry_id=sold.entry_id, amount_minor=amount_minor, **said)


def debt(doors: Doors, sold: Receipt, path: str = OPERATOR) -> Debt | None:
    rows = walk(doors.visitor(path).settlement.ListDebts, ListDebtsRequest(settled=True), "debts")
    return next((row for row in rows if row.entry_id == sold.entry_id), None)


def figures(doors: Doors, sold: Receipt) -> tuple[int, int, int, int, int]:
    """Returned, repaid, given up, owed, to be given back."""
    row = debt(doors, sold)
    assert row is not None
    return row.returned_minor, row.repaid_minor, row.written_off_minor, row.owed_minor, row.credit_minor


def claims(doors: Doors) -> list[tuple[str, str, int]]:
    """Of the open window, what repayments made."""
    doors.fold()
    ((label,),) = doors.house.query("SELECT label FROM windows WHERE state = 'OPEN'")
    rows = walk(doors.visitor().settlement.ListClaims, ListClaimsRequest(label=label), "claims")
    return [(row.debtor, row.creditor, row.amount_minor) for row in rows if row.code == 48]


def approve(doors: Doors, approval_id: int) -> None:
    """As an approver's own call does (settlement/approving)."""
    dsn = doors.house.postgres.dsn("coalition_settlement", doors.house.ledger)
    with connect(dsn) as connection, connection.transaction():
        approval = approvals.lock(connection, approval_id)
        assert approval is not None
        assert approval.subject is Subject.WRITE_OFF
        said = decide_step(approval, "/ap/liu", [Office.FINANCE], approval.content_hash, Decision.APPROVED, utc_now())
        approvals.write_step(connection, said)


def test_a_payment_at_any_counter_is_owed_to_who_bears_the_debt(doors: Doors) -> None:
    """300.00 short at C, borne by A: 120.00 are paid at B, 80.00 at A itself, which owes nobody for that."""
    sold = sale(doors)
    row = debt(doors, sold)
    assert row is not None
    assert ("c", "a", 30_000, 30_000) == (row.acquirer, row.bearer, row.shortfall_minor, row.owed_minor)
    paid = told_again(doors.visitor("/hq/b").settlement.RepayDebt, paying(sold, 12_000, reference="R-77"), back=True)
    assert 18_000 == paid.owed_minor
    assert 10_000 == doors.visitor("/hq/a").settlement.RepayDebt(paying(sold, 8_000)).owed_minor

    assert [("b", "a", 12_000)] == claims(doors)
    assert (0, 20_000, 0, 10_000, 0) == figures(doors, sold)
    excess = refused(doors.visitor("/hq/b").settlement.RepayDebt, paying(sold, 10_001))
    assert ("DEBT_EXCEEDED", "10000") == (excess.reason, excess.metadata["owed_minor"])


def test_goods_that_come_back_after_they_were_paid_are_given_back_by_who_bore_the_debt(doors: Doors) -> None:
    """A refund gives the shortfall back first, to its bearer: what the member paid of it is then the member's."""
    sold = sale(doors)
    doors.visitor("/hq/a").settlement.RepayDebt(paying(sold, 25_000))
    refund(doors, sold, 10_000)
    assert (10_000, 25_000, 0, 0, 5_000) == figures(doors, sold)
    foreign = refused(doors.visitor("/hq/c").settlement.RepayDebt, paying(sold, 5_000, back=True))
    assert ("FIELD_INVALID", ("participant",)) == (foreign.reason, foreign.fields)
    bearer = doors.visitor("/hq/a").settlement
    assert "DEBT_EXCEEDED" == refused(bearer.RepayDebt, paying(sold, 5_001, back=True)).reason
    bearer.RepayDebt(paying(sold, 5_000, back=True))

    assert (10_000, 20_000, 0, 0, 0) == figures(doors, sold)


def test_its_bearer_gives_a_debt_up_once_others_approved_exactly_that(doors: Doors) -> None:
    sold = sale(doors)
    bearer = doors.visitor("/hq/a").settlement
    wish = {"entry_id": sold.entry_id, "amount_minor": 20_000}
    proposal = ProposeDebtWriteOffRequest(request_id=new_id(), **wish)
    for other in ("b", "c"):
        foreign = ProposeDebtWriteOffRequest(request_id=new_id(), **wish)
        assert "DEBT_UNKNOWN" == refused(doors.visitor(f"/hq/{other}").settlement.ProposeDebtWriteOff, foreign).reason
    asked = told_again(bearer.ProposeDebtWriteOff, proposal, amount_minor=1)
    early = WriteOffDebtRequest(request_id=new_id(), **wish)
    assert "APPROVAL_MISSING" == refused(bearer.WriteOffDebt, early).reason
    approve(doors, asked.approval_id)
    more = WriteOffDebtRequest(request_id=new_id(), entry_id=sold.entry_id, amount_minor=20_001)
    assert "APPROVAL_MISSING" == refused(bearer.WriteOffDebt, more).reason
    done = told_again(bearer.WriteOffDebt, WriteOffDebtRequest(request_id=new_id(), **wish), amount_minor=1)

    assert 10_000 == done.owed_minor
    assert (0, 0, 20_000, 10_000, 0) == figures(doors, sold)
    assert [] == doors.house.query("SELECT 1 FROM transfers WHERE entry_id = %s", done.receipt.entry_id)
    again = WriteOffDebtRequest(request_id=new_id(), entry_id=sold.entry_id, amount_minor=10_000)
    assert "APPROVAL_MISSING" == refused(bearer.WriteOffDebt, again).reason
    refund(doors, sold, 30_000)
    assert (30_000, 0, 20_000, 0, 0) == figures(doors, sold), "nobody gets back what it never paid"


def test_what_was_paid_meanwhile_has_to_be_approved_anew(doors: Doors) -> None:
    sold = sale(doors)
    bearer = doors.visitor("/hq/a").settlement
    wish = {"entry_id": sold.entry_id, "amount_minor": 10_000}
    approve(doors, bearer.ProposeDebtWriteOff(ProposeDebtWriteOffRequest(request_id=new_id(), **wish)).approval_id)
    bearer.RepayDebt(paying(sold, 100))

    assert "APPROVAL_MISSING" == refused(bearer.WriteOffDebt, WriteOffDebtRequest(request_id=new_id(), **wish)).reason


def test_where_nothing_is_agreed_the_seller_bears_it_and_a_payment_elsewhere_is_owed_to_it(doors: Doors) -> None:
    sold = sale(doors, at="b", amount_minor=500)
    doors.visitor().settlement.RepayDebt(paying(sold, 500, participant="c"))

    assert ("c", "b", 500) in claims(doors)
    assert 0 == len(walk(doors.visitor("/hq/b").settlement.ListDebts, ListDebtsRequest(bearer="b"), "debts"))


def test_one_debt_is_not_paid_twice_at_two_counters_at_once(doors: Doors) -> None:
    """Eight counters take 200.00 each of 300.00: one of them may."""
    sold = sale(doors)
    stub = doors.visitor().settlement
    start = threading.Barrier(8)

    def take(_: int) -> bool:
        start.wait()
        try:
            stub.RepayDebt(paying(sold, 20_000, participant="b"))
        except grpc.RpcError:
            return False
        return True

    with ThreadPoolExecutor(8) as counters:
        taken = sum(counters.map(take, range(8)))

    assert 1 == taken
    assert (0, 20_000, 0, 10_000, 0) == figures(doors, sold)


def test_the_liability_report_lists_what_is_owed_by_who_bears_it(doors: Doors, tmp_path: Path) -> None:
    sold = sale(doors)
    doors.visitor("/hq/a").settlement.RepayDebt(paying(sold, 5_000))
    dsn = doors.house.postgres.dsn("coalition_settlement", doors.house.ledger)
    assert 0 == cli.main(["reserve", "--out", str(tmp_path), "--database-url", dsn])
    with (tmp_path / "debts.csv").open(encoding="utf-8", newline="") as file:
        rows = {int(row["entry_id"]): row for row in csv.DictReader(file)}

    row = rows[sold.entry_id]
    assert ("a", "c", "300.00", "50.00", "250.00") == (
        *(row["bearer"], row["acquirer"], row["shortfall"]),
        *(row["repaid"], row["owed"]),
    )
    assert all(int(each["owed_minor"]) or int(each["credit_minor"]) for each in rows.values())


def test_the_commands_do_what_the_calls_do(
    doors: Doors, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COALITION_VAR", str(doors.settings.var))
    sold = sale(doors, amount_minor=2_000)

    def run(*words: str) -> str:
        where = ("--as", "hq/a", "--server", doors.settlement_address)
        assert 0 == coalition(["debt", *words, *where])
        return capsys.readouterr().out

    assert "the member owes 15.00 still" in run("repay", str(sold.entry_id), "5.00", "--reference", "R-1")
    assert "was asked for" in run("propose-write-off", str(sold.entry_id), "15.00")
    (waiting,) = doors.house.query("SELECT max(approval_id) FROM approvals")
    approve(doors, waiting[0])
    assert "the member owes 0.00 still" in run("write-off", str(sold.entry_id), "15.00")
    assert str(sold.entry_id) not in run("list", "--json")
    assert str(sold.entry_id) in run("list", "--settled", "--json")
    assert "borne by" in run("list", "--settled")


def test_a_member_sees_what_it_owes_until_it_is_paid(doors: Doors) -> None:
    sold = sale(doors, amount_minor=4_000)
    ((member,),) = doors.house.query(
        "SELECT m.member_id::text FROM members m JOIN entries e USING (wallet_id) WHERE e.entry_id = %s", sold.entry_id
    )
    portal, bearer = doors.visitor("/mg/portal").portal, doors.visitor("/hq/a").settlement

    def seen() -> list[tuple[int, str, int, int]]:
        wallet = portal.GetWallet(GetWalletRequest(member_id=member)).wallet
        return [(each.entry_id, each.acquirer, each.owed_minor, each.credit_minor) for each in wallet.debts]

    bearer.RepayDebt(paying(sold, 1_000))
    assert [(sold.entry_id, "c", 3_000, 0)] == seen()
    refund(doors, sold, 3_500)
    assert [(sold.entry_id, "c", 0, 500)] == seen()
    bearer.RepayDebt(paying(sold, 500, back=True))
    assert [] == seen()


def test_headquarters_read_what_they_bear_or_sold_and_nothing_else(doors: Doors) -> None:
    sold, own = sale(doors), sale(doors, at="b", amount_minor=700)

    assert [True, False, True] == [debt(doors, sold, f"/hq/{each}") is not None for each in ("a", "b", "c")]
    assert [False, True, False] == [debt(doors, own, f"/hq/{each}") is not None for each in ("a", "b", "c")]
    assert (
        "PARTICIPANT_UNKNOWN" == refused(doors.visitor().settlement.ListDebts, ListDebtsRequest(bearer="nobody")).reason
    )
    entry = RepayDebtRequest(request_id=new_id(), entry_id=1, amount_minor=1)
    assert "DEBT_UNKNOWN" == refused(doors.visitor("/hq/a").settlement.RepayDebt, entry).reason
    foreign = paying(sold, 1, participant="c")
    assert "PERMISSION_DENIED" == refused(doors.visitor("/hq/b").settlement.RepayDebt, foreign).reason


def test_a_payment_falls_into_the_window_that_is_open(doors: Doors) -> None:
    sold = sale(doors)
    ((label,),) = doors.house.query("SELECT label FROM windows WHERE state = 'OPEN'")
    doors.visitor().settlement.CloseWindow(CloseWindowRequest(request_id=new_id(), label=label))
    assert [] == claims(doors)
    doors.visitor("/hq/b").settlement.RepayDebt(paying(sold, 100))

    assert [("b", "a", 100)] == claims(doors)
