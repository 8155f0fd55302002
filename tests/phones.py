"""A member's phone: enrolled over the wire, it shows payment codes of any second without asking anybody."""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier
from typing import Any
from uuid import UUID

import grpc

from coalition.bootstrap.seeds import open_seed
from coalition.domain.cards import check_digit
from coalition.domain.payment_codes import make_code
from coalition.v1.member_pb2 import EnrolDeviceRequest
from coalition.v1.operations_pb2 import PurchaseRequest
from keys import generate_box_key
from tests.house import House, new_id, refusal_of
from tests.server.messages import purchase


@dataclass
class Phone:
    """`counter` is that of the next opening of the payment page; `ahead_seconds` how wrong its clock is."""

    card_id: int
    seed: bytes = field(repr=False)
    counter: int = 0
    ahead_seconds: int = 0

    def code(self, age_seconds: int = 0) -> str:
        """Open the payment page as it was so long ago."""
        code = self.code_of(self.counter, age_seconds)
        self.counter += 1
        return code

    def code_of(self, counter: int, age_seconds: int = 0) -> str:
        return make_code(self.seed, counter, int(time.time()) + self.ahead_seconds - age_seconds)


def enrolled_phone(counter: Any, member_id: UUID, **fields: Any) -> Phone:
    """A new phone of a member; `counter` is a MemberService stub."""
    private, public = generate_box_key()
    request = EnrolDeviceRequest(
        **{"request_id": new_id(), "member_id": str(member_id), "device_public_key": public, **fields}
    )
    answer = counter.EnrolDevice(request)
    return Phone(answer.card.card_id, open_seed(private, answer.sealed_seed, member_id, answer.card.card_id))


def mistyped(code: str) -> str:
    """Another password, under a check digit that is right again."""
    payload = code[:-2] + str((int(code[-2]) + 1) % 10)
    return payload + check_digit(payload)


def by_code(make: Callable[..., Any], code: str, *amount: int, **fields: Any) -> Any:
    """A message of tests/server/messages.py that presents a code instead of a card."""
    return make("", *amount, card_number=None, payment_code=code, **fields)


def outcome(till: Any, request: PurchaseRequest) -> str:
    """ACCEPTED, or the reason a purchase was refused for."""
    try:
        till.Purchase(request)
    except grpc.RpcError as error:
        return refusal_of(error).reason
    return "ACCEPTED"


def rounds_without_one_winner(rounds: int, stubs: Sequence[Any], phone: Phone) -> list[Counter[str]]:
    """Show a code at 2 to 16 tills at one instant, round after round; the rounds in which not exactly one was paid."""
    wrong = []
    with ThreadPoolExecutor(16) as pool:
        for number in range(rounds):
            code, count = phone.code(), 2 + number % 15
            barrier = Barrier(count)

            def pay(place: int, code: str = code, barrier: Barrier = barrier) -> str:
                request = by_code(purchase, code, 1)
                barrier.wait(20)
                return outcome(stubs[place % len(stubs)], request)

            answers = Counter(pool.map(pay, range(count)))
            if answers != Counter({"ACCEPTED": 1, "PAYMENT_CODE_USED": count - 1}):
                wrong.append(answers)
    return wrong


def devices_by_the_journal(house: House) -> dict[int, tuple[int, int, int, int]]:
    """(used_counter, tried_counter, tries, drift) of every device, from the journal's entries alone."""
    found = {card: (-1, -1, 0, 0) for (card,) in house.query("SELECT card_id FROM devices")}
    entries = house.query(
        "SELECT card_id, reason, convert_from(answer, 'UTF8') FROM entries WHERE card_id = ANY(%s) AND kind < 100"
        " AND reason IN (0, 26) ORDER BY entry_id",
        list(found),
    )
    for card, reason, answer in entries:
        facts = json.loads(answer)[10]
        if "counter" not in facts:
            continue  # a capture of what was authorized by code
        used, tried, tries, drift = found[card]
        counter = int(facts["counter"])
        if reason == 0:
            used, drift, tries = counter, int(facts["drift"]), 0 if counter >= tried else tries
        else:
            tried, tries = max(tried, counter), tries + 1
            if tries == 3:
                used, tries = tried, 0
        found[card] = used, tried, tries, drift
    return found
