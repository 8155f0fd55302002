"""A thousand rounds of one payment code at 2 to 16 tills at one instant (RELIABILITY T22)."""

from contextlib import ExitStack

import grpc
import pytest

from coalition.v1.member_pb2_grpc import MemberServiceStub
from coalition.v1.terminal_pb2_grpc import TerminalServiceStub
from tests.house import House
from tests.phones import by_code, enrolled_phone, rounds_without_one_winner
from tests.server.messages import top_up

ROUNDS = 1_000
PATHS = [f"t/{store}/main/till-{number}" for store in ("cafe", "store-a") for number in (1, 2)]
pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


def test_a_thousand_codes_are_paid_once_each_on_two_servers(house: House):
    with house.server() as (_, one), house.server() as (_, other), ExitStack() as closing:

        def channel(address: str, path: str) -> grpc.Channel:
            credentials = house.certificate(path).credentials()
            return closing.enter_context(grpc.secure_channel(address, credentials))

        phone = enrolled_phone(MemberServiceStub(channel(one, "op/admin")), house.new_member()[0])
        stubs = [TerminalServiceStub(channel(address, path)) for path in PATHS for address in (one, other)]
        stubs[-1].TopUp(by_code(top_up, phone.code()))

        assert [] == rounds_without_one_winner(ROUNDS, stubs, phone)

        paid = house.query("SELECT count(*), sum(amount_minor) FROM entries WHERE kind = 2 AND reason = 0")
        assert [(ROUNDS, ROUNDS)] == paid
