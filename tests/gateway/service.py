"""The coalition's service as a gateway sees it, in memory: exactly once by request_id, reversals before or after.

Checks every request against the field rules of the protos, so what it takes the real one would not call malformed.
"""

import asyncio
from typing import Any

import protovalidate

from coalition.gateway.errors import Declined, NoAnswer
from coalition.v1 import operations_pb2, terminal_pb2

OPENING_MINOR = 1_000_000_000


class Service:
    """`silent`: what is sent is posted, and the answer is lost. `gone`: nothing arrives."""

    def __init__(self) -> None:
        self.received: list[tuple[str, Any]] = []
        self.answers: dict[str, Any] = {}
        self.effects: dict[str, int] = {}
        self.killed: set[str] = set()
        self.reasons: dict[str, str] = {}
        self.silent = False
        self.gone = False
        self.turn_seconds = 0.0
        self.at_once = 0
        self.at_once_most = 0
        self.knocks = 0
        self.closed = False
        self.suspended: set[str] = set()
        self.answered: list[Any] = []

    @property
    def taken_minor(self) -> int:
        """What all operations that still stand have taken."""
        return sum(self.effects.values())

    async def send(self, identity: str, method: str, request: Any, seconds: float) -> Any:
        protovalidate.validate(request)
        assert identity
        self.knocks += 1
        self.at_once += 1
        self.at_once_most = max(self.at_once, self.at_once_most)
        await asyncio.sleep(self.turn_seconds)
        self.at_once -= 1
        if self.gone:
            await asyncio.sleep(seconds)
            raise NoAnswer("UNAVAILABLE", maybe_posted=True)
        self.received.append((method, request))
        if method in self.reasons:
            raise Declined(self.reasons[method])
        if request.terminal.terminal in self.suspended:
            raise Declined("TERMINAL_SUSPENDED")
        answer = self._answer(method, request)
        self.answered.append(request)
        if self.silent:
            await asyncio.sleep(seconds)
            raise NoAnswer("DEADLINE_EXCEEDED", maybe_posted=True)
        if isinstance(answer, Declined):
            raise answer
        return answer

    async def is_serving(self, identity: str) -> bool:
        return bool(identity) and not self.gone

    async def close(self) -> None:
        self.closed = True

    def _answer(self, method: str, request: Any) -> Any:
        if method == "GetBalance":
            left = OPENING_MINOR - self.taken_minor
            balance = terminal_pb2.Balance(balance_minor=left, balance_here_minor=left, currency_code="CNY")
            return terminal_pb2.GetBalanceResponse(balance=balance)
        if request.request_id not in self.answers:
            self.answers[request.request_id] = self._posted(method, request)
        return self.answers[request.request_id]

    def _posted(self, method: str, request: Any) -> Any:
        if request.request_id in self.killed:
            return Declined("KILLED")
        amount_minor = getattr(request, "amount_minor", 0)
        if method == "Reverse":
            amount_minor = self.effects.pop(request.original_request_id, 0)
            if request.original_request_id not in self.answers:
                self.killed.add(request.original_request_id)
        elif method in {"Purchase", "Authorize", "Upload"}:
            self.effects[request.request_id] = amount_minor
        left = OPENING_MINOR - self.taken_minor
        receipt = operations_pb2.Receipt(
            request_id=request.request_id,
            entry_id=(len(self.answers) + 1) << 22,
            amount_minor=amount_minor,
            balance_minor=left,
            balance_here_minor=left,
            currency_code="CNY",
        )
        return getattr(terminal_pb2, f"{method}Response")(receipt=receipt)
