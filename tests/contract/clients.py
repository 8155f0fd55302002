"""The clients of the contract tests: send an intent by itself, in a batch or down a stream, and lose answers.

Every sending and every answer is noted in the history. Used by one thread, but for what `start` has under way.
"""

import queue
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Self

import grpc

from coalition.v1.terminal_pb2 import GetBalanceRequest, ResolveRequest, StreamRequest, SubmitBatchRequest
from coalition.v1.terminal_pb2_grpc import TerminalServiceStub
from tests.contract.answers import of_error, of_receipt, of_result
from tests.contract.history import History, Intent, Sending
from tests.contract.market import ANSWER_SECONDS, Market
from tests.contract.messages import seat
from tests.contract.scheme import till, till_server

METHODS = {
    "top_up": "TopUp",
    "purchase": "Purchase",
    "refund": "Refund",
    "authorize": "Authorize",
    "capture": "Capture",
    "void": "Void",
    "reverse": "Reverse",
    "upload": "Upload",
    "return_top_up": "ReturnTopUp",
}
Underway = tuple[Any, Intent, Sending]


class Clients:
    """Tills and till servers of every participant at one address; the channels are opened when they are needed."""

    def __init__(self, market: Market, address: str) -> None:
        self._market = market
        self.address = address
        self._stubs: dict[str, Any] = {}
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._closing.close()

    def move(self, address: str) -> None:
        """The service answers elsewhere now; what is under way at the old address is lost."""
        self.close()
        self._stubs.clear()
        self.address = address

    def stub(self, path: str) -> Any:
        if path not in self._stubs:
            channel = self._closing.enter_context(self._market.channel(self.address, path))
            self._stubs[path] = TerminalServiceStub(channel)
        return self._stubs[path]

    def start(self, history: History, intent: Intent, *, timeout: float = ANSWER_SECONDS) -> Underway:
        """Send it, and do not wait."""
        stub = self.stub(till(intent.participant))
        method, request = self._call(stub, intent)
        ((_, sending),) = history.begin([intent])
        return method.future(request, timeout=timeout, wait_for_ready=True), intent, sending

    def finish(self, history: History, underway: Underway) -> None:
        """Wait for what was started."""
        future, intent, sending = underway
        try:
            answer = future.result()
            told = of_result(answer.result) if intent.operation is None else of_receipt(answer.receipt)
            history.end(sending, told)
        except grpc.FutureCancelledError:
            pass
        except grpc.RpcError as error:
            history.end(sending, of_error(error))

    def send(self, history: History, intent: Intent, *, timeout: float = ANSWER_SECONDS) -> None:
        """Send it and wait."""
        self.finish(history, self.start(history, intent, timeout=timeout))

    def send_batch(self, history: History, intents: Sequence[Intent], *, timeout: float = ANSWER_SECONDS) -> None:
        """All in one call of the till server; nothing is heard when the call fails."""
        request = SubmitBatchRequest(operations=[self._market.operation(each) for each in intents])
        row = history.begin(intents)
        try:
            response = self._till_server(intents).SubmitBatch(request, timeout=timeout, wait_for_ready=True)
        except grpc.RpcError as error:
            if (answer := of_error(error)) is not None:
                raise AssertionError(f"a batch was refused whole: {answer}") from error
            return
        if len(response.results) != len(intents):
            raise AssertionError(f"{len(intents)} operations, {len(response.results)} results")
        for (intent, sending), result in zip(row, response.results, strict=True):
            if result.request_id != intent.request_id:
                raise AssertionError(f"the result of {result.request_id} stands where {intent.request_id} was asked")
            history.end(sending, of_result(result))

    def send_stream(
        self, history: History, intents: Sequence[Intent], *, hear: int | None = None, timeout: float = ANSWER_SECONDS
    ) -> None:
        """All down one stream, which is cut after `hear` answers."""
        sent: queue.Queue[StreamRequest | None] = queue.Queue()
        for each in intents:
            sent.put(StreamRequest(operation=self._market.operation(each)))
        sent.put(None)
        row = history.begin(intents)
        call = self._till_server(intents).Stream(iter(sent.get, None), timeout=timeout, wait_for_ready=True)
        try:
            for place, response in zip(range(len(intents) if hear is None else hear), call, strict=False):
                intent, sending = row[place]
                if response.result.request_id != intent.request_id:
                    raise AssertionError(f"{response.result.request_id} was answered before {intent.request_id}")
                history.end(sending, of_result(response.result))
        except grpc.RpcError as error:
            of_error(error)
        finally:
            call.cancel()

    def balance(self, participant: str, card: str) -> tuple[int, int, int, int]:
        """Balance, here, principal, bonus."""
        told = self.stub(till(participant)).GetBalance(
            GetBalanceRequest(terminal=seat(participant), card_number=card), timeout=ANSWER_SECONDS
        )
        return (
            told.balance.balance_minor,
            told.balance.balance_here_minor,
            told.balance.principal_minor,
            told.balance.bonus_minor,
        )

    def _call(self, stub: Any, intent: Intent) -> tuple[Any, Any]:
        if intent.operation is None:
            request = ResolveRequest(request_id=intent.request_id, terminal=seat(intent.participant))
            return stub.Resolve, request
        return getattr(stub, METHODS[intent.which]), getattr(self._market.operation(intent), intent.which)

    def _till_server(self, intents: Sequence[Intent]) -> Any:
        paths = {till_server(each.participant) for each in intents}
        assert len(paths) == 1, f"one till server cannot speak for {paths}"
        return self.stub(paths.pop())


def until_heard(clients: Clients, history: History, tries: int = 50) -> None:
    """Send everything again that nobody answered, the oldest first, until all have their answer."""
    for _ in range(tries):
        waiting = history.unheard
        if not waiting:
            return
        for intent in waiting:
            clients.send(history, intent)
    raise AssertionError(f"no answer to {len(history.unheard)} operations, for example {history.unheard[0]}")
