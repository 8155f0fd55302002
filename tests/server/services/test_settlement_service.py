"""SettlementService: positions, claims, and HQ's two orders exactly once; each reads what is its own."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from coalition.cli import main
from coalition.v1 import operations_pb2, programme_pb2, settlement_pb2
from coalition.v1.member_pb2 import EnrolMemberRequest, IssueCardRequest, LinkCardRequest, Profile
from coalition.v1.settlement_pb2 import (
    CloseWindowRequest,
    FindDifferencesRequest,
    FindWhoWouldGainRequest,
    ListClaimsRequest,
    ListNetPositionsRequest,
    ListPositionsRequest,
    ListWindowsRequest,
    NetWindowRequest,
    ProposedAgreement,
    ReconcileLine,
)
from tests.postgres import SharedPostgres
from tests.server.services.house import (
    Doors,
    Refusal,
    new_id,
    open_doors,
    pay,
    refused,
    told_again,
    top_up,
    trading,
    walk,
)

PATH = "/op/admin"


@pytest.fixture(scope="module")
def month(postgres: SharedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """A ledger of its own, as its windows are closed here: A sold 1000 + 200, of which 300 was spent at C.

    A => C 250 + 50, C => H 1.80: the worked month of the design without its commission.
    """
    with open_doors(postgres, tmp_path_factory.mktemp("month")) as doors:
        trading(doors, "a", "b", "c")
        counter = doors.visitor("/hq/a").member
        profile = Profile(name="Zoe", phone="+8613700000201")
        member = counter.EnrolMember(EnrolMemberRequest(request_id=new_id(), profile=profile))
        number = counter.IssueCard(IssueCardRequest(request_id=new_id())).card_number
        counter.LinkCard(LinkCardRequest(request_id=new_id(), card_number=number, member_id=member.member_id))
        top_up(doors, "a", number, 100_000)
        pay(doors, "c", number, 30_000)
        doors.fold()
        doors.known("c")
        yield doors


def nets(rows: list[settlement_pb2.Position]) -> dict[str, int]:
    return {row.participant: row.net_position_minor for row in rows}


WORKED = {"a": -30_000, "b": 0, "c": 29_820, "hq": 180, "trust": 0}


def test_positions_are_live_complete_and_sum_to_zero(month: Doors) -> None:
    stub = month.visitor(PATH).settlement
    answer = stub.ListPositions(ListPositionsRequest())
    assert (answer.window.label, answer.window.state) == ("2017-01", settlement_pb2.WINDOW_STATE_OPEN)
    assert answer.lag_batches == 0
    rows = walk(stub.ListPositions, ListPositionsRequest(calendar="monthly", label="2017-01"), "positions")
    assert nets(rows) == WORKED
    assert list(nets(rows)) == sorted(WORKED)
    assert {(row.unit, row.currency_code) for row in rows} == {(operations_pb2.UNIT_MONEY, "CNY")}


def test_claims_are_told_by_debtor_creditor_and_code(month: Doors) -> None:
    stub = month.visitor("/aud/firm").settlement
    rows = walk(stub.ListClaims, ListClaimsRequest(), "claims", 1)
    assert [(row.debtor, row.creditor, row.code, row.amount_minor, row.transfer_count) for row in rows] == [
        ("a", "c", operations_pb2.TRANSFER_CODE_PRINCIPAL, 25_000, 1),
        ("a", "c", operations_pb2.TRANSFER_CODE_BONUS, 5_000, 1),
        ("c", "hq", operations_pb2.TRANSFER_CODE_OPERATOR_FEE, 180, 1),
    ]
    of_hq = walk(stub.ListClaims, ListClaimsRequest(participant="hq"), "claims")
    assert [(row.debtor, row.creditor) for row in of_hq] == [("c", "hq")]


def test_a_headquarters_holds_its_own_list_against_the_window(month: Doors) -> None:
    """The sale of 300.00 at C is found by its entry; a wrong amount and a line that nobody knows are told."""
    stub = month.visitor("/hq/c").settlement
    nothing = stub.FindDifferences(FindDifferencesRequest())
    (missing,) = nothing.differences
    assert (missing.finding, missing.why, missing.our_amount_minor) == ("MISSING_THERE", "NOT_IN_FILE", 30_000)
    own = ReconcileLine(entry_id=missing.entry_id, amount_minor=30_000)
    same = stub.FindDifferences(FindDifferencesRequest(participant="c", label="2017-01", lines=[own]))
    assert (same.matched_count, list(same.differences)) == (1, [])
    wrong = ReconcileLine(entry_id=missing.entry_id, amount_minor=30_001)
    unknown = ReconcileLine(request_id=new_id(), amount_minor=5)
    told = stub.FindDifferences(FindDifferencesRequest(lines=[wrong, unknown]))
    assert [(each.line, each.finding, each.why) for each in told.differences] == [
        (1, "DIFFERENT", "AMOUNT"),
        (2, "MISSING_HERE", "UNKNOWN"),
    ]


def test_nobody_holds_a_list_against_anothers_sales(month: Doors) -> None:
    """Whether a foreign entry exists is nobody's business: asked by A, an entry of C is as unknown as any."""
    (sale,) = month.visitor("/hq/c").settlement.FindDifferences(FindDifferencesRequest()).differences
    line = ReconcileLine(entry_id=sale.entry_id, amount_minor=30_000)
    stub = month.visitor("/hq/a").settlement
    foreign = stub.FindDifferences(FindDifferencesRequest(lines=[line])).differences[0]
    assert (foreign.finding, foreign.why, foreign.note) == ("MISSING_HERE", "UNKNOWN", "")
    assert refused(lambda: stub.FindDifferences(FindDifferencesRequest(participant="c"))).reason == "PERMISSION_DENIED"
    office = month.visitor(PATH).settlement
    assert (
        refused(lambda: office.FindDifferences(FindDifferencesRequest(participant="no"))).reason
        == "PARTICIPANT_UNKNOWN"
    )


def test_a_headquarters_reads_only_rows_that_name_it(month: Doors) -> None:
    for code in ("a", "b"):
        stub = month.visitor(f"/hq/{code}").settlement
        rows = walk(stub.ListPositions, ListPositionsRequest(), "positions", 1)
        assert nets(rows) == {code: WORKED[code]}
    claims = walk(month.visitor("/hq/a").settlement.ListClaims, ListClaimsRequest(), "claims", 1)
    assert {(row.debtor, row.creditor) for row in claims} == {("a", "c")}
    foreign = ListClaimsRequest(participant="hq")
    assert walk(month.visitor("/hq/a").settlement.ListClaims, foreign, "claims") == []
    assert [row.label for row in month.visitor("/hq/a").settlement.ListWindows(ListWindowsRequest()).windows]


@pytest.mark.parametrize("path", ["/hq/a", "/aud/firm"])
def test_the_operator_alone_closes_and_nets(month: Doors, path: str) -> None:
    stub = month.visitor(path).settlement
    for label in ("2017-01", "1999-01"):
        close, net = (kind(request_id=new_id(), label=label) for kind in (CloseWindowRequest, NetWindowRequest))
        assert refused(stub.CloseWindow, close).reason == "PERMISSION_DENIED"
        assert refused(stub.NetWindow, net).reason == "PERMISSION_DENIED"


@pytest.mark.parametrize("path", ["/ts/a/1", "/t/a/main/till-1", "/mg/portal"])
def test_tills_and_gateways_do_not_see_the_month(month: Doors, path: str) -> None:
    stub = month.visitor(path).settlement
    assert refused(lambda: stub.ListPositions(ListPositionsRequest())).reason == "PERMISSION_DENIED"
    assert refused(lambda: stub.ListWindows(ListWindowsRequest())).reason == "PERMISSION_DENIED"


def test_the_month_is_closed_and_netted_each_exactly_once(month: Doors) -> None:
    stub = month.visitor(PATH).settlement
    early = NetWindowRequest(request_id=new_id(), label="2017-01")
    answer = refused(lambda: stub.NetWindow(early))
    assert (answer.reason, answer.metadata["state"]) == ("WINDOW_STATE_CONFLICT", "OPEN")
    not_yet = ListNetPositionsRequest(label="2017-01")
    assert refused(lambda: stub.ListNetPositions(not_yet)).reason == "WINDOW_STATE_CONFLICT"

    close = CloseWindowRequest(request_id=new_id(), label="2017-01")
    closed = told_again(stub.CloseWindow, close, label="2017-02")
    assert (closed.window.state, closed.next_window.state) == (
        settlement_pb2.WINDOW_STATE_CLOSED,
        settlement_pb2.WINDOW_STATE_OPEN,
    )
    assert closed.next_window.label == "2017-02"
    assert closed.window.cut_number > 0
    assert closed.window.close_time == closed.next_window.open_time
    assert closed.receipt.entry_id >> 22 > closed.window.cut_number

    # The decline of an order that came too early is its answer for ever; a new order may be carried out.
    answer = refused(lambda: stub.NetWindow(early))
    assert (answer.reason, answer.metadata["replayed"]) == ("WINDOW_STATE_CONFLICT", "true")
    netted = told_again(stub.NetWindow, NetWindowRequest(request_id=new_id(), label="2017-01"), label="2017-02")
    assert netted.window.state == settlement_pb2.WINDOW_STATE_NETTED
    assert netted.window.netting_entry_id == netted.receipt.entry_id
    assert (netted.gross_minor, netted.net_minor, netted.currency_code) == (30_180, 30_000, "CNY")
    rows = walk(stub.ListNetPositions, ListNetPositionsRequest(label="2017-01"), "net_positions")
    assert nets(rows) == WORKED
    own = walk(
        month.visitor("/hq/c").settlement.ListNetPositions, ListNetPositionsRequest(label="2017-01"), "net_positions"
    )
    assert nets(own) == {"c": WORKED["c"]}

    # The close is told again as it was, though the window has been netted since.
    again = stub.CloseWindow(close)
    again.receipt.replayed = False
    assert again == closed
    for method, request in (
        (stub.CloseWindow, CloseWindowRequest(request_id=new_id(), label="2017-01")),
        (stub.NetWindow, NetWindowRequest(request_id=new_id(), label="2017-01")),
    ):
        answer = refused(method, request)
        assert (answer.reason, answer.metadata["state"]) == ("WINDOW_STATE_CONFLICT", "NETTED")
    entries = month.house.query("SELECT count(*) FROM entries WHERE kind IN (20, 120) AND reason = 0")
    assert entries == [(2,)]


def test_an_order_sent_from_many_sides_at_once_is_carried_out_once(month: Doors) -> None:
    stub = month.visitor(PATH).settlement
    label = stub.ListPositions(ListPositionsRequest()).window.label
    close = CloseWindowRequest(request_id=new_id(), label=label)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: stub.CloseWindow(close), range(8)))
    assert sorted(answer.receipt.replayed for answer in answers) == [False] + [True] * 7
    assert {answer.receipt.entry_id for answer in answers} == {answers[0].receipt.entry_id}
    net = NetWindowRequest(request_id=new_id(), label=label)
    with ThreadPoolExecutor(8) as pool:
        netted = list(pool.map(lambda _: stub.NetWindow(net), range(8)))
    assert sorted(answer.receipt.replayed for answer in netted) == [False] + [True] * 7
    assert {(answer.gross_minor, answer.receipt.entry_id) for answer in netted} == {(0, netted[0].receipt.entry_id)}


def test_windows_are_told_newest_first_each_exactly_once(month: Doors) -> None:
    stub = month.visitor(PATH).settlement
    rows = walk(stub.ListWindows, ListWindowsRequest(calendar="monthly"), "windows", 1)
    labels = [row.label for row in rows]
    assert labels == sorted(set(labels), reverse=True)
    assert labels[-1] == "2017-01"
    everything = walk(stub.ListWindows, ListWindowsRequest(), "windows", 2)
    assert len(everything) == month.house.query("SELECT count(*) FROM windows")[0][0]


def test_what_is_no_window_is_unknown(month: Doors) -> None:
    stub = month.visitor(PATH).settlement
    calls = [
        lambda: stub.ListPositions(ListPositionsRequest(label="1999-01")),
        lambda: stub.ListClaims(ListClaimsRequest(calendar="no-such")),
        lambda: stub.ListNetPositions(ListNetPositionsRequest(label="1999-01")),
        lambda: stub.CloseWindow(CloseWindowRequest(request_id=new_id(), label="1999-01")),
        lambda: stub.NetWindow(NetWindowRequest(request_id=new_id(), label="1999-01")),
    ]
    assert {refused(call).reason for call in calls} == {"WINDOW_UNKNOWN"}
    token = stub.ListWindows(ListWindowsRequest(page_size=1)).next_page_token
    request = ListPositionsRequest(page_token=token)
    assert refused(lambda: stub.ListPositions(request)).reason == "PAGE_TOKEN_INVALID"


def proposed_fee(numerator: int) -> ProposedAgreement:
    fee = programme_pb2.Rate(numerator=numerator, denominator=1000)
    return ProposedAgreement(code="c-acquiring", acquiring=programme_pb2.Acquiring(acquirer="c", operator_fee=fee))


def test_who_would_have_gained_is_told_to_all_and_to_each_its_own(month: Doors) -> None:
    """Ten in a thousand of 300.00 instead of six: the operator 1.20 more, the cafe as much less."""
    request = FindWhoWouldGainRequest(labels=["2017-01"], proposals=[proposed_fee(10)])
    entries = month.house.query("SELECT count(*) FROM entries")
    told = month.visitor(PATH).settlement.FindWhoWouldGain(request)
    nets = {
        line.participant: (line.real_minor, line.simulated_minor)
        for line in told.lines
        if line.code == operations_pb2.TRANSFER_CODE_UNSPECIFIED
    }
    own = month.visitor("/hq/c").settlement.FindWhoWouldGain(request)

    assert (WORKED["c"], WORKED["c"] - 120) == nets["c"]
    assert (WORKED["hq"], WORKED["hq"] + 120) == nets["hq"]
    assert [] == list(told.declined)
    assert {"c"} == {line.participant for line in own.lines}
    assert [line for line in told.lines if line.participant == "c"] == list(own.lines)
    assert entries == month.house.query("SELECT count(*) FROM entries")


def test_where_members_money_would_have_lain_is_told_to_who_holds_or_owes_it(month: Doors) -> None:
    """1000.00 were paid at A, of which 250.00 were spent at C: with custody the rest would lie there."""
    terms = programme_pb2.Terms(
        issuer="a",
        custody=programme_pb2.CUSTODY_OPERATOR_HELD,
        tiers=[programme_pb2.Tier(from_minor=1, bonus=programme_pb2.Rate(numerator=1, denominator=5))],
    )
    proposal = ProposedAgreement(code="a-terms", terms=terms)
    told = month.visitor(PATH).settlement.FindWhoWouldGain(
        FindWhoWouldGainRequest(labels=["2017-01"], proposals=[proposal])
    )

    lies = [(each.custodian, each.issuer, each.real_minor, each.simulated_minor) for each in told.floats]
    assert [("trust", "a", 0, 75_000), ("a", "a", 75_000, 0)] == lies
    own = month.visitor("/hq/a").settlement.FindWhoWouldGain(
        FindWhoWouldGainRequest(labels=["2017-01"], proposals=[proposal])
    )
    assert list(told.floats) == list(own.floats)


def test_a_simulation_that_cannot_be_is_refused_with_its_cause(month: Doors) -> None:
    operator, cafe, store = (month.visitor(path).settlement for path in (PATH, "/hq/c", "/hq/a"))
    latest = operator.ListWindows(ListWindowsRequest(page_size=1)).windows[0].label

    def refusal(stub: Any, *labels: str, **said: Any) -> Refusal:
        request = FindWhoWouldGainRequest(labels=labels, **{"proposals": [proposed_fee(10)], **said})
        return refused(lambda: stub.FindWhoWouldGain(request))

    assert "PERMISSION_DENIED" == refusal(store, "2017-01").reason
    assert "PERMISSION_DENIED" == refusal(month.visitor("/mg/portal").settlement, "2017-01").reason
    assert "WINDOW_UNKNOWN" == refusal(cafe, "1999-01").reason
    assert "WINDOW_STATE_CONFLICT" == refusal(operator, latest).reason
    assert ("FIELD_INVALID", ("labels",)) == (refusal(operator).reason, refusal(operator).fields)
    twice = refusal(operator, "2017-01", proposals=[proposed_fee(10), proposed_fee(20)])
    assert ("FIELD_INVALID", ("proposals",)) == (twice.reason, twice.fields)
    stranger = programme_pb2.Acquiring(acquirer="nobody")
    unknown = refusal(operator, "2017-01", proposals=[ProposedAgreement(code="x", acquiring=stranger)])
    assert ("FIELD_INVALID", True) == (unknown.reason, "content.acquirer" in unknown.metadata["cause"])


def test_the_command_line_shows_who_would_gain_with_bars(
    month: Doors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "proposed.json"
    content = {"acquirer": "c", "operator_fee": "1/100"}
    path.write_text(json.dumps({"code": "c-acquiring", "kind": "acquiring", "content": content}), encoding="utf-8")
    monkeypatch.setenv("COALITION_VAR", str(month.settings.var))
    arguments = ["agreement", "simulate", str(path), "2017-01", "--server", month.settlement_address]

    assert 0 == main([*arguments, "--as", PATH.removeprefix("/")])
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert ["-1.20", "█" * 20] == rows["c"][2:]
    assert ["1.20", "█" * 20] == rows["hq"][2:]
    path.write_text("{", encoding="utf-8")
    assert 2 == main(arguments)
