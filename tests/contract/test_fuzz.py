"""Whatever bytes come: a refusal with a reason, never INTERNAL, and nothing in the books but declines."""

import os
from collections import Counter, deque
from itertools import islice
from typing import Any

import grpc
import pytest

from coalition.v1.terminal_pb2 import SubmitBatchResponse
from tests.contract.fuzz import Fuzz
from tests.contract.market import ANSWER_SECONDS, Market
from tests.contract.scheme import till

CALLS = int(os.environ.get("COALITION_FUZZ_CALLS", "3000"))
UNDERWAY_MAX = 64
INTERNAL = grpc.StatusCode.INTERNAL.value[0]
BROKEN = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS}
# An accepted reversal that found nothing to undo, and the mark it leaves behind.
NOTHING_UNDONE = (11, 12)
pytestmark = [pytest.mark.xdist_group("serial"), pytest.mark.timeout(60 + CALLS // 20)]


def test_no_bytes_break_the_server_or_enter_the_books(market: Market, capsys: pytest.CaptureFixture[str]):
    cards = [*market.fresh_cards(3), "9" * 16]
    ((before,),) = market.site.query("SELECT coalesce(max(entry_id), 0) FROM entries")
    codes: Counter[str] = Counter()

    def finish(path: str, body: bytes, call: Any) -> None:
        code = call.code()
        codes[code.name] += 1
        assert code not in BROKEN, f"{path} answered {code.name} to {body.hex()}"
        if path.endswith("SubmitBatch") and code is grpc.StatusCode.OK:
            results = SubmitBatchResponse.FromString(call.result()).results
            assert all(each.error.code != INTERNAL for each in results), f"INTERNAL in the answer to {body.hex()}"

    with market.channel(market.address, till("cafe")) as channel:
        underway: deque[tuple[str, bytes, Any]] = deque()
        for path, body in islice(iter(Fuzz(8583, cards)), CALLS):
            method = channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)
            underway.append((path, body, method.future(body, timeout=ANSWER_SECONDS, wait_for_ready=True)))
            if len(underway) > UNDERWAY_MAX:
                finish(*underway.popleft())
        while underway:
            finish(*underway.popleft())
    with capsys.disabled():
        print(f"\n{CALLS:,} calls: {dict(codes.most_common())}")

    assert market.site.owner.is_running
    assert [] == market.site.query(
        "SELECT entry_id, kind, reason FROM entries WHERE entry_id > %s AND reason = 0 AND NOT kind = ANY(%s)",
        before,
        list(NOTHING_UNDONE),
    )
    for table, column in (("transfers", "entry_id"), ("allocations", "entry_id"), ("lots", "lot_id")):
        assert [(0,)] == market.site.query(f"SELECT count(*) FROM {table} WHERE {column} > %s", before)
