"""An attack on a running server with the bytes of `fuzz.py`, and what must hold afterwards."""

from collections import Counter, deque
from itertools import islice
from typing import Any

import grpc

from coalition.v1.terminal_pb2 import SubmitBatchResponse
from tests.contract.fuzz import Fuzz
from tests.contract.market import ANSWER_SECONDS, Market
from tests.contract.scheme import TILL_OF_NOISE, till

UNDERWAY_MAX = 64
INTERNAL = grpc.StatusCode.INTERNAL.value[0]
BROKEN = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS}
# An accepted reversal that found nothing to undo, and the mark it leaves behind.
NOTHING_UNDONE = (11, 12)


def attack(market: Market, calls: int, seed: int) -> Counter[str]:
    """Send so many; how they were answered. Raises AssertionError for what is broken, or has entered the books."""
    cards = [*market.fresh_cards(3), "9" * 16]
    ((before,),) = market.site.query("SELECT coalesce(max(entry_id), 0) FROM entries")
    codes: Counter[str] = Counter()
    with market.channel(market.address, till("cafe", TILL_OF_NOISE)) as channel:
        underway: deque[tuple[str, bytes, Any]] = deque()
        for path, body in islice(iter(Fuzz(seed, cards)), calls):
            method = channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)
            underway.append((path, body, method.future(body, timeout=ANSWER_SECONDS, wait_for_ready=True)))
            if len(underway) > UNDERWAY_MAX:
                codes[_code_of(*underway.popleft())] += 1
        while underway:
            codes[_code_of(*underway.popleft())] += 1
    assert market.site.owner.is_running
    accepted = "SELECT entry_id, kind FROM entries WHERE entry_id > %s AND reason = 0 AND NOT kind = ANY(%s)"
    assert [] == market.site.query(accepted, before, list(NOTHING_UNDONE))
    for table, column in (("transfers", "entry_id"), ("allocations", "entry_id"), ("lots", "lot_id")):
        assert [(0,)] == market.site.query(f"SELECT count(*) FROM {table} WHERE {column} > %s", before)
    return codes


def _code_of(path: str, body: bytes, call: Any) -> str:
    """How it was answered; an AssertionError that shows the bytes when it was INTERNAL, as a whole or in a result."""
    code = call.code()
    assert code not in BROKEN, f"{path} answered {code.name} to {body.hex()}"
    if path.endswith("SubmitBatch") and code is grpc.StatusCode.OK:
        results = SubmitBatchResponse.FromString(call.result()).results
        assert all(each.error.code != INTERNAL for each in results), f"INTERNAL in the answer to {body.hex()}"
    return str(code.name)
