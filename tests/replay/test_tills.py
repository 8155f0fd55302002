"""Batches of the till servers: nobody's operations overtake each other, and every answer is compared with the plan."""

from collections import defaultdict
from datetime import UTC, datetime
from threading import Lock
from types import SimpleNamespace
from typing import cast

import pytest

from coalition.client import Connection
from coalition.replay.plan import Planned
from coalition.replay.tills import BATCH_MAX, Takings, Tills
from coalition.v1 import operations_pb2, terminal_pb2

NOON = datetime(2017, 1, 5, 17, tzinfo=UTC)
TILL_SERVERS = {"store-1": "/ts/journey/tills", "store-2": "/ts/journey/tills", "fuel": "/ts/fuel/tills"}


class Server:
    """Answers every operation with the balance it was told to expect, and remembers the order per card."""

    def __init__(self, answers: dict[str, int] | None = None, *, refuse: bool = False) -> None:
        self.by_card: dict[str, list[str]] = defaultdict(list)
        self.sizes: list[int] = []
        self.identities: list[str] = []
        self._answers = answers or {}
        self._refuse = refuse
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
        if self._refuse:
            result.error.code = 9
        else:
            result.receipt.balance_minor = self._answers.get(body.sale_reference, 0)
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
            0,
            NOON,
            str(number),
        )
        for number in range(count)
    ]


def replay(server: Server, planned: list[Planned]) -> Takings:
    takings = Takings()
    cards = {each.member: f"9{each.member[1:]:0>15}" for each in planned}
    Tills(server.open, TILL_SERVERS, cards, "USD").replay(planned, takings, lambda steps: None)
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


def test_percentiles_count_operations_not_batches():
    takings = Takings(latencies=[(0.010, 98), (0.500, 2)])

    assert (10.0, 500.0) == (takings.percentile_ms(0.5), takings.percentile_ms(0.99))
