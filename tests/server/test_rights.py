"""The rights table: every RPC with every role, over mutual TLS; denied before it is looked at what exists."""

from collections.abc import Callable

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from coalition.server.assembly import SERVICES
from coalition.server.identity import Role
from coalition.server.permissions import ALL_SERVICES, RULES, RulesIncomplete, check_complete, check_permission
from tests.house import House, refusal_of

PATHS = {
    Role.OPERATOR: "op/admin",
    Role.APPROVER: "ap/ben",
    Role.PARTICIPANT_HQ: "hq/nobody",
    Role.TILL_SERVER: "ts/nobody/pos",
    Role.TERMINAL: "t/nobody/main/till-1",
    Role.AUDITOR: "aud/firm",
    Role.MEMBER_GATEWAY: "mg/portal",
}
SERVED = [service for name, service in ALL_SERVICES.items() if name != "coalition.v1.SettlementService"]
METHODS = {f"/{service.full_name}/{method.name}": method for service in SERVED for method in service.methods}


@pytest.mark.parametrize("role", PATHS)
@pytest.mark.parametrize("rpc", METHODS)
def test_a_role_that_the_table_does_not_name_is_denied_before_existence(
    channel: Callable[[str], grpc.Channel], address: str, rpc: str, role: Role
):
    """The callers here are of participants that do not exist, and every message is empty: who may not call learns
    neither. Who may, is told that it stands in no register, or that the message is malformed.
    """
    reason = reason_of(channel(PATHS[role]), rpc, METHODS[rpc])

    assert (reason == "PERMISSION_DENIED") == (role not in RULES[rpc]), reason
    if role in RULES[rpc] and role in {Role.PARTICIPANT_HQ, Role.TILL_SERVER, Role.TERMINAL}:
        assert "TERMINAL_UNKNOWN" == reason


def reason_of(channel: grpc.Channel, rpc: str, method: MethodDescriptor) -> str:
    """Why an empty message is refused; "" when it is answered."""
    message, answer = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    try:
        if method.client_streaming:
            call = channel.stream_stream(rpc, message.SerializeToString, answer.FromString)
            list(call(iter([message()]), timeout=10))
        else:
            channel.unary_unary(rpc, message.SerializeToString, answer.FromString)(message(), timeout=10)
    except grpc.RpcError as error:
        return refusal_of(error).reason
    return ""


def test_every_rpc_has_a_rule_and_every_rule_an_rpc():
    check_complete(ALL_SERVICES.values())

    rpcs = {f"/{service.full_name}/{method.name}" for service in ALL_SERVICES.values() for method in service.methods}
    assert rpcs == {name for name in RULES if name.startswith("/coalition.v1.")}


def test_every_service_can_be_served():
    assert set(ALL_SERVICES) == set(SERVICES)


def test_a_server_does_not_start_when_an_rpc_has_no_rule(house: House, monkeypatch):
    """Deny by default is a safety net; a forgotten rule is a mistake to be told at once."""
    from coalition.server import assembly, permissions

    lacking = {name: roles for name, roles in RULES.items() if not name.endswith("/Purchase")}

    def check_lacking(services):
        permissions.check_complete(services, lacking)

    monkeypatch.setattr(assembly, "check_complete", check_lacking)
    rooms = house.serve()
    try:
        with pytest.raises(RulesIncomplete, match="TerminalService/Purchase"):
            rooms.open()
    finally:
        rooms.close()


def test_a_rule_without_an_rpc_is_told():
    with pytest.raises(RulesIncomplete, match="Purchaze"):
        check_complete(
            ALL_SERVICES.values(), {**RULES, "/coalition.v1.TerminalService/Purchaze": frozenset({Role.TERMINAL})}
        )


def test_what_is_not_in_the_table_is_denied():
    with pytest.raises(Refused) as caught:
        check_permission("/coalition.v1.TerminalService/Mint", Role.OPERATOR)

    assert Reason.PERMISSION_DENIED is caught.value.reason


def test_the_servers_own_certificate_calls_nothing():
    """Who steals it can pretend to be the server, and no more."""
    assert [] == [rpc for rpc, roles in RULES.items() if rpc.startswith("/coalition.v1.") and Role.SERVER in roles]
