"""What a till presents instead of a card: from its digits to a token, and to the evidence that the desk judges by.

A card number or an id is hashed at once. A payment code or a phone is looked up besides, off the loop; what is found
out travels with the command, and nothing is declined or counted before the desk has checked for a replay. The exception
is a terminal that has guessed too often: it is refused, which is not stored, but hears answers that are.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, NamedTuple, Protocol, TypeAlias
from uuid import UUID

import structlog

from coalition.clearing.queue import Answer
from coalition.domain.commands import Command, Presented
from coalition.domain.credentials import (
    Evidence,
    KeyedHashes,
    PhoneEvidence,
    number_token,
    phone_token,
    ticket_token,
    virtual_token,
)
from coalition.domain.errors import CoalitionError, Refused
from coalition.domain.journal import Outcome
from coalition.domain.members import KnownTicket
from coalition.domain.payment_codes import PaymentCode, parse_code
from coalition.domain.phones import normalize_phone
from coalition.domain.reasons import Reason
from coalition.membership.device_desk import CodeFinding
from coalition.server.wrong_codes import Till, WrongCodes
from coalition.v1 import operations_pb2, terminal_pb2

WRONG: Final = frozenset({Reason.PAYMENT_CODE_WRONG, Reason.CARD_UNKNOWN})

Presenting: TypeAlias = (
    operations_pb2.TopUpRequest
    | operations_pb2.PurchaseRequest
    | operations_pb2.AuthorizeRequest
    | operations_pb2.CashOutRequest
    | operations_pb2.SellPassRequest
    | operations_pb2.VisitPassRequest
    | operations_pb2.SpendPointsRequest
    | operations_pb2.ConvertPointsRequest
    | operations_pb2.RepayPointsRequest
    | terminal_pb2.GetBalanceRequest
    | terminal_pb2.ListEntriesRequest
)

log = structlog.get_logger(__name__)


class Devices(Protocol):
    """What finds out about payment codes. Blocks."""

    def find_out(self, code: PaymentCode) -> CodeFinding: ...

    def keep_tickets(self, ticket: KnownTicket) -> None: ...

    def handle(self, card_id: int) -> bytes: ...


class KnownRequests(Protocol):
    """Asks the ledger whether a request was answered. Blocks."""

    def is_known(self, participant_id: int, request_id: UUID) -> bool: ...


class Tools(NamedTuple):
    """What this works with. `phone_handle` finds the member of a phone; it blocks."""

    hashes: KeyedHashes
    devices: Devices
    phone_handle: Callable[[str], bytes | None]
    known: KnownRequests
    clock: Callable[[], float]


class Presentations:
    """Belongs to the loop."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._wrong = WrongCodes(tools.clock)
        self._keeping: dict[int, asyncio.Task[None]] = {}

    def token(self, request: Presenting | operations_pb2.UploadRequest) -> bytes:
        """What stands for what was presented. Raises Refused(FIELD_INVALID)."""
        hashes = self._tools.hashes
        if request.card_number:
            return number_token(hashes, request.card_number)
        if isinstance(request, operations_pb2.UploadRequest):
            # A sale without a line is made by what never changes: a code would be hours old by now.
            return virtual_token(hashes, request.virtual_id.namespace, request.virtual_id.subject)
        match request.WhichOneof("credential"):
            case "payment_code":
                return ticket_token(hashes, parse_code(request.payment_code).ticket)
            case "virtual_id":
                return virtual_token(hashes, request.virtual_id.namespace, request.virtual_id.subject)
            case "phone":
                return phone_token(hashes, normalize_phone(request.phone))
        raise Refused(Reason.FIELD_INVALID, "credential", {"expected": "a card, or what stands for one"})

    def are_due(self, request: Any, command: Command) -> bool:
        """Whether `evidenced` has something to find out: of a code or a phone."""
        return isinstance(command, Presented) and _is_looked_up(request)

    async def evidenced(self, request: Any, command: Command) -> Command:
        """The command with what is found out about its code or phone.

        Raises Refused(CREDENTIALS_LOCKED), unless the request has its stored answer already.
        """
        till = (command.participant_id, command.terminal_id)
        if self._wrong.locked_seconds(till) > 0 and not await asyncio.to_thread(
            self._tools.known.is_known, command.participant_id, command.request_id
        ):
            self._check_lock(till)
        return replace(command, evidence=await self._found(request))  # type: ignore[call-arg]  # it is Presented

    async def handle(self, request: Presenting, till: Till) -> bytes:
        """The token of the card to read. A look uses no code up, but is refused a wrong one, and counted.

        Raises Refused: CARD_UNKNOWN, PAYMENT_CODE_WRONG, PAYMENT_CODE_USED, CREDENTIALS_LOCKED, FIELD_INVALID.
        """
        token = self.token(request)
        if not _is_looked_up(request):
            return token
        self._check_lock(till)
        try:
            return await self._handle(request)
        except Refused as refused:
            if refused.reason in WRONG:
                self._wrong.count(till)
            raise

    def heard(self, command: Command, answer: Answer) -> None:
        """The desk has answered: a wrong code or phone counts against its terminal, once for each request."""
        if (
            isinstance(command, Presented)
            and command.evidence is not None
            and isinstance(answer, Outcome)
            and answer.reason in WRONG
            and not answer.replayed
        ):
            self._wrong.count((command.participant_id, command.terminal_id))

    async def _found(self, request: Presenting) -> Evidence:
        if request.WhichOneof("credential") == "phone":
            phone = normalize_phone(request.phone)
            return PhoneEvidence(await asyncio.to_thread(self._tools.phone_handle, phone))
        return (await self._finding(request)).evidence

    async def _handle(self, request: Presenting) -> bytes:
        if request.WhichOneof("credential") == "phone":
            handle = await asyncio.to_thread(self._tools.phone_handle, normalize_phone(request.phone))
            if handle is None:
                raise Refused(Reason.CARD_UNKNOWN)
            return handle
        finding = await self._finding(request)
        if finding.ticket is None or finding.evidence.card_id is None:
            raise Refused(Reason.CARD_UNKNOWN)
        if finding.ticket.counter <= finding.ticket.used_counter:
            raise Refused(Reason.PAYMENT_CODE_USED)
        if finding.evidence.drift is None:
            raise Refused(Reason.PAYMENT_CODE_WRONG)
        return self._tools.devices.handle(finding.evidence.card_id)

    async def _finding(self, request: Presenting) -> CodeFinding:
        finding = await asyncio.to_thread(self._tools.devices.find_out, parse_code(request.payment_code))
        ticket = finding.ticket
        if ticket is not None and finding.needs_tickets and ticket.seed.card_id not in self._keeping:
            keeping = asyncio.get_running_loop().create_task(self._keep(ticket))
            self._keeping[ticket.seed.card_id] = keeping
        return finding

    async def _keep(self, ticket: KnownTicket) -> None:
        """Keep the device's next tickets, while its payment goes on. Where that fails, the next code does it."""
        try:
            await asyncio.to_thread(self._tools.devices.keep_tickets, ticket)
        except CoalitionError as trouble:
            log.warning("tickets_not_kept", card_id=ticket.seed.card_id, trouble=type(trouble).__name__)
        finally:
            self._keeping.pop(ticket.seed.card_id, None)

    def _check_lock(self, till: Till) -> None:
        seconds = self._wrong.locked_seconds(till)
        if seconds > 0:
            raise Refused(Reason.CREDENTIALS_LOCKED, metadata={"seconds": str(math.ceil(seconds))})


def _is_looked_up(request: Presenting) -> bool:
    # The look at the number is quicker than the other, and nearly always enough.
    return not request.card_number and request.WhichOneof("credential") in ("payment_code", "phone")
