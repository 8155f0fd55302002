"""One answer against what the contract says of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from coalition.v1.operations_pb2 import EntryKind
from tests.contract.answers import Answer
from tests.contract.books import Verdict


class Broken(AssertionError):
    """The service broke its contract; the message tells which rule and what was seen."""


def compare(request: Any, answer: Answer, verdict: Verdict, now: datetime, what: str) -> None:
    """The answer is what the contract says of the request, which the journal took `now`. Raises Broken with `what`."""
    said = f"{what}\n  was answered {answer}\n  the contract says {verdict}"
    if answer.reason not in verdict.reasons:
        raise Broken(f"another outcome: {said}")
    receipt = answer.receipt
    if receipt is None:
        left = answer.facts.get("tries_left", answer.facts.get("left_minor"))
        if verdict.left is not None and left is not None and int(left) != verdict.left:
            raise Broken(f"another number is left: {said}")
        return
    if receipt.request_id != request.request_id or receipt.currency_code != "CNY":
        raise Broken(f"a receipt of something else: {said}")
    if receipt.post_time.ToMicroseconds() != micros(now):
        raise Broken(f"posted at {now} by the journal: {said}")
    told = {
        "amount": receipt.amount_minor,
        "principal": receipt.principal_minor,
        "bonus": receipt.bonus_minor,
        "balance": receipt.balance_minor,
        "here": receipt.balance_here_minor,
        "shortfall": receipt.shortfall_minor,
        "bearer": receipt.shortfall_bearer,
        "shortfall_reason": receipt.shortfall_reason,
    }
    for name, value in told.items():
        expected = getattr(verdict, name)
        if expected is not None and expected != value:
            raise Broken(f"another {name}: {said}")
    if verdict.kind and EntryKind.Name(receipt.kind) != f"ENTRY_KIND_{verdict.kind}":
        raise Broken(f"another kind: {said}")
    if (receipt.hold_expire_time.seconds > 0) != (verdict.kind == "HOLD"):
        raise Broken(f"when does it expire: {said}")
    if verdict.kind == "HOLD":
        seconds = request.hold_seconds or 604_800
        if receipt.hold_expire_time.seconds - receipt.post_time.seconds != seconds:
            raise Broken(f"another time to expire: {said}")


def micros(time: datetime) -> int:
    """Microseconds since 1970."""
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
