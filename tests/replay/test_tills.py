"""Batches of the till servers: nobody's operations overtake each other, and every answer is compared with the plan."""

from collections import defaultdict
from datetime import UTC, datetime
from threading import Lock
from types import SimpleNamespace
from typing import cast

import pytest
from google.rpc import error_details_pb2

from coalition.client import Connection
from coalition.replay.plan import Planned
from coalition.replay.tills import BATCH_MAX, Apart, Takings, Tills
from coalition.v1 import operations_pb2, terminal_pb2

NOON = datetime(2017, 1, 5, 17, tzinfo=UTC)
TILL_SERVERS = {"store-1": "/ts/journey/tills", "store-2": "/ts/journey/tills", "fuel": "/ts/fuel/tills"}


class Server:
    """Answers every operation with the balance it was told to expect, and remembers the order per card."""

    def __init__(
        self,
        answers: dict[str, int] | None = None,
        *,
        refuse: bool = False,
        reasons: dict[str, str] | None = None,
    ) -> None:
        self.by_card: dict[str, list[str]] = defaultdict(list)
        self.sizes: list[int] = []
        self.identities: list[str] = []
        self._answers = answers or {}
        self._refuse = refuse
        self._reasons = reasons or {}
        self._lock = Lock()

    def open(self, identity: str) -> Connection:
        self.identities.append(identity)
        return cast("Connection", Wire(self))

    def answer(self, request: terminal_pb2.SubmitBatchRequest) -> terminal_pb2.SubmitBatchResponse:
        with self._lock:
            self.sizes.append(len(request.operations))
            return terminal_pb2.SubmitBatchResponse(results=[self._result(each) for each in request.operations])

    def _result(self, operation: operations_pb2.Operation) -> operations_pb2.OperationResult:
        body = operation.purchase if operation.HasField("purchase") else operation.top_up
        self.by_card[body.card_number].append(body.sale_reference)
        result = operations_pb2.OperationResult(request_id=body.request_id)
        if reason := self._reasons.get(body.sale_reference):
            result.error.code = 9
            result.error.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason))
        elif self._refuse:
            result.error.code = 9
        else:
            result.receipt.balance_minor = self._answers.get(body.sale_reference, 0)
            result.receipt.amount_minor = body.amount_minor
        return result


class Wire:
    """A connection to the server above."""

    terminal = SimpleNamespace(SubmitBatch=None)

    def __init__(self, server: Server) -> None:
        self._server = server

    def call(self, _method, request):
        return self._server.answer(request)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


def operations(count: int, members: int) -> list[Planned]:
    merchants = ("store-1", "fuel", "store-2", "store-1")
    return [
        Planned(
            "PURCHASE",
            f"m{number % members}",
            merchants[number % 4 if members > 1 else number % 2],
            10,
            -10,
            0,
            NOON,
            str(number),
        )
        for number in range(count)
    ]


def replay(server: Server, planned: list[Planned]) -> Takings:
    takings = Takings()
    cards = {each.member: f"9{each.member[1:]:0>15}" for each in planned}
    with Tills(server.open, TILL_SERVERS, cards, "USD") as tills:
        tills.replay(planned, takings, lambda steps: None)
    return takings


@pytest.mark.parametrize("members", [1, 3, 50, 700])
def test_a_members_operations_keep_their_order_over_all_till_servers(members):
    server = Server()
    planned = operations(3_000, members)

    takings = replay(server, planned)

    assert 3_000 == takings.operations
    for number in range(members):
        told = [each.reference for each in planned if each.member == f"m{number}"]
        assert told == server.by_card[f"9{number:015d}"]


def test_operations_of_one_till_server_travel_together_within_bounds():
    server = Server()

    replay(server, operations(3_000, 700))

    assert max(server.sizes) <= BATCH_MAX
    assert len(server.sizes) < 3_000 / 10


def test_an_answer_with_another_balance_than_planned_is_a_surprise():
    takings = replay(Server({"1": 5}), operations(3, 3))

    assert (1, 3) == (takings.surprise_count, takings.outcomes["PURCHASE", "ACCEPTED"])
    assert ["PURCHASE of basket 1 at fuel: balance 5, planned 0"] == takings.surprises


def test_a_refusal_is_counted_by_its_reason_and_is_a_surprise():
    takings = replay(Server(refuse=True), operations(3, 3))

    assert {("PURCHASE", "FAILED_PRECONDITION"): 3} == dict(takings.outcomes)
    assert 3 == takings.surprise_count


def day_of_a_capped_seller() -> list[Planned]:
    """A top-up of 50 and 1 bonus, spent on 30, which earn 7 points, and 3; planned from a balance of 4."""
    return [
        Planned("TOP_UP", "m1", "fuel", 50, 51, 55, NOON, "1/top-up"),
        Planned("PURCHASE", "m1", "store-1", 30, -30, 25, NOON, "1", points=7, points_balance=9),
        Planned("PURCHASE", "m1", "fuel", 3, -3, 22, NOON, "1b"),
    ]


def test_what_a_cap_declines_is_no_surprise_and_is_told_to_the_next_day():
    """Not sold, the member is short of the first purchase, and pays the second from what it has."""
    reasons = {"1/top-up": "PARTICIPANT_CAPPED", "1": "INSUFFICIENT_FUNDS"}
    server, takings = Server({"1b": 1}, reasons=reasons), Takings()
    tills = Tills(server.open, TILL_SERVERS, {"m1": "9"}, "USD", may_be_capped=True)

    tills.replay(day_of_a_capped_seller(), takings, lambda steps: None)

    assert [] == takings.surprises
    assert {
        ("TOP_UP", "PARTICIPANT_CAPPED"): 1,
        ("PURCHASE", "INSUFFICIENT_FUNDS"): 1,
        ("PURCHASE", "ACCEPTED"): 1,
    } == dict(takings.outcomes)
    assert {"m1": Apart(-21, -7)} == tills.apart()
    assert {} == tills.apart()
    assert (False, True) == (tills.was_paid("1", "store-1"), tills.was_paid("1b", "fuel"))


@pytest.mark.parametrize(
    ("reasons", "may_be_capped"),
    [({"1": "INSUFFICIENT_FUNDS"}, True), ({"1": "CARD_FROZEN"}, True), ({"1": "PARTICIPANT_CAPPED"}, False)],
)
def test_a_decline_that_no_cap_explains_is_a_surprise(reasons, may_be_capped):
    server, takings = Server({"1/top-up": 55, "1b": 52}, reasons=reasons), Takings()
    tills = Tills(server.open, TILL_SERVERS, {"m1": "9"}, "USD", may_be_capped=may_be_capped)

    tills.replay(day_of_a_capped_seller(), takings, lambda steps: None)

    assert [f"PURCHASE of basket 1 at store-1: refused, {reasons['1']}"] == takings.surprises


def test_percentiles_count_operations_not_batches():
    takings = Takings(latencies=[(0.010, 98), (0.500, 2)])

    assert (10.0, 500.0) == (takings.percentile_ms(0.5), takings.percentile_ms(0.99))
