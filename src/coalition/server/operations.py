"""Operations of a batch or a stream: each becomes a command or a refusal of its own, and gets its own result."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from coalition.clearing.queue import Answer
from coalition.domain.commands import Command
from coalition.domain.errors import Refused
from coalition.domain.journal import Outcome
from coalition.domain.programme import Programme
from coalition.domain.reasons import Reason
from coalition.server.asking import Token
from coalition.server.convert import write_receipt
from coalition.server.convert_commands import OperationRequest, command_of
from coalition.server.identity import Caller
from coalition.server.status import FieldsInvalid, declined, status_of
from coalition.server.validation import check_message
from coalition.v1 import operations_pb2

Asked = TypeVar("Asked")
Made = TypeVar("Made")


def commands_of(
    operations: Sequence[operations_pb2.Operation], caller: Caller, programme: Programme, token: Token
) -> list[Command | Refused]:
    """The command of each operation, or why it is refused.

    All are checked before the first becomes a command: taken one by one, both steps cost a fifth more.
    """

    def command(request: Any) -> Command:  # one of OperationRequest, which mypy would join to Message
        return command_of(request, caller, programme, token)

    requests = [_attempt(_checked, operation) for operation in operations]
    return [_attempt(command, request) for request in requests]


def write_result(result: operations_pb2.OperationResult, request_id: str, answer: Answer, currency_code: str) -> None:
    """Write what became of one operation into its place in the response."""
    result.request_id = request_id
    if isinstance(answer, Outcome):
        if answer.reason is Reason.ACCEPTED:
            write_receipt(result.receipt, request_id, answer, currency_code)
            return
        answer = declined(answer)
    result.error.CopyFrom(status_of(answer))


def asked_of(operation: operations_pb2.Operation) -> Any:
    """What a well-formed operation asks for."""
    return getattr(operation, operation.WhichOneof("operation") or "")


def request_id_of(operation: operations_pb2.Operation) -> str:
    """The request id of an operation as it was sent; empty where it carries none."""
    which = operation.WhichOneof("operation")
    return "" if which is None else str(getattr(operation, which).request_id)


def _checked(operation: operations_pb2.Operation) -> OperationRequest:
    """What the operation asks for, well formed. Raises Refused."""
    which = operation.WhichOneof("operation")
    if which is None:
        raise FieldsInvalid(Reason.FIELD_INVALID, [("operation", "exactly one operation is required")])
    request: OperationRequest = getattr(operation, which)
    check_message(request)
    return request


def _attempt(step: Callable[[Asked], Made], asked: Asked | Refused) -> Made | Refused:
    """What the step makes of what was asked, or why it is refused, now or by the step before."""
    if isinstance(asked, Refused):
        return asked
    try:
        return step(asked)
    except Refused as refused:
        return refused
