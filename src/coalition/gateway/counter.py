"""The counter: one message in, one answer out. Notes the request_id, then sends, then answers; never the other way.

Decides about nothing but the order of these steps. What it does when the service is silent: it notes a reversal of the
operation in the outbox, answers 91, and from then on does not send that operation again. An offline sale it does not
reverse: that has taken place, and is told again by its terminal.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

import structlog

from coalition.gateway import codes
from coalition.gateway.codes import REVERSALS, Family
from coalition.gateway.errors import Declined, Malformed, NoAnswer, NotebookUnavailable, Unreadable
from coalition.gateway.fields import Field
from coalition.gateway.local_time import moment_of
from coalition.gateway.message import Message, masked
from coalition.gateway.notebook import Notebook
from coalition.gateway.outbox import Outbox
from coalition.gateway.tills import Tills
from coalition.gateway.traces import Noted, Undone
from coalition.gateway.translate import (
    ADVICE,
    AUTHORIZATION,
    FINANCIAL,
    Act,
    Details,
    Seat,
    balance_fields,
    balance_request,
    details_of,
    is_offline_sale,
    original_of,
    receipt_fields,
    reference_of,
    request_of,
    reversed_by,
    trace_of,
)

ACTS: Final[Mapping[Family, Mapping[str, Act]]] = {
    Family.AUTHORIZATION: AUTHORIZATION,
    Family.FINANCIAL: FINANCIAL,
    Family.ADVICE: ADVICE,
}
REFERRING: Final = frozenset({Act.REFUND, Act.CAPTURE, Act.VOID})
Fields = dict[str, str]
log = structlog.get_logger(__name__)


class Calls(Protocol):
    """The service."""

    async def send(self, identity: str, method: str, request: Any, seconds: float) -> Any: ...

    async def is_serving(self, identity: str) -> bool: ...


class Counter:
    """`identity` asks for the server's health; `answer_seconds` is how long the service may take in all."""

    def __init__(
        self,
        *,
        tills: Tills,
        notebook: Notebook,
        outbox: Outbox,
        calls: Calls,
        clock: Callable[[], datetime],
        zone: ZoneInfo,
        currency_code: str,
        identity: str,
        answer_seconds: float,
    ) -> None:
        self._tills = tills
        self._notebook = notebook
        self._outbox = outbox
        self._calls = calls
        self._clock = clock
        self._zone = zone
        self._currency_code = currency_code
        self._currency_number = codes.CURRENCY_NUMBERS[currency_code]
        self._identity = identity
        self._seconds = answer_seconds
        self._under_way: dict[tuple[object, ...], asyncio.Future[Fields]] = {}

    async def answer(self, message: Message, peer: str | None = None) -> Fields:
        """The fields of the answer. `peer` is the identity in the sender's certificate, where it had to show one.

        Raises Unreadable for what is no request.
        """
        mti = codes.answer_mti(message.mti)
        if mti is None:
            raise Unreadable("no request")
        try:
            said = await self._said(message, peer)
        except Malformed as error:
            said = refused(codes.MALFORMED, f"FIELD_INVALID DE{error.field}")
        except Declined as error:
            said = refused(codes.response_code(error.reason), error.reason)
        except NoAnswer as error:
            said = refused(codes.NO_ANSWER, error.reason)
        except NotebookUnavailable as error:
            log.warning("gateway_notebook_unavailable", cause=str(error))
            said = refused(codes.BROKEN, "NOTEBOOK_UNAVAILABLE")
        answer = {"t": mti, **message.echo(), **said}
        log.debug("gateway_answered", message=masked(message.fields), answer=masked(answer))
        return answer

    async def _said(self, message: Message, peer: str | None) -> Fields:
        if message.malformed is not None:
            raise Malformed(message.malformed)
        family = codes.family_of(message.mti)
        if family is None:
            return refused(codes.NOT_SUPPORTED, "MESSAGE_TYPE_UNKNOWN")
        if family is Family.NETWORK:
            return await self._network(message)
        if Field.PIN_BLOCK in message.fields:
            return refused(codes.PIN_REFUSED, "PIN_NOT_TAKEN")
        merchant_id, terminal_id = message.text(Field.MERCHANT_ID).rstrip(), message.text(Field.TERMINAL_ID).rstrip()
        till = self._tills.get((merchant_id, terminal_id))
        if till is None:
            return refused(codes.MERCHANT_UNKNOWN, "TERMINAL_NOT_MAPPED")
        if peer not in {None, till.identity, f"t/{till.path}"}:
            return refused(codes.TERMINAL_REFUSED, "TERMINAL_OF_OTHER_CERTIFICATE")
        seat = Seat(till, self._currency_code, self._currency_number)
        if family in REVERSALS:
            return await self._once(message, family, self._reverse(message, seat))
        act = ACTS[family].get(message.text(Field.PROCESSING_CODE)[:2])
        if act is None:
            return refused(codes.NOT_SUPPORTED, "PROCESSING_CODE_UNKNOWN")
        if message.optional(Field.CURRENCY) not in {"", self._currency_number}:
            return refused(codes.CURRENCY_WRONG, "CURRENCY_UNKNOWN")
        if act is Act.BALANCE:
            return await self._balance(message, seat)
        if act is Act.CAPTURE:
            act = _advised(message)
        return await self._once(message, family, self._operation(message, act, seat))

    async def _once(self, message: Message, family: Family, work: Any) -> Fields:
        """Do the work, or wait for the same message that is being worked on: both get one answer."""
        same = (family, *(message.fields.get(number) for number in SAME))
        under_way = self._under_way.get(same)
        if under_way is not None:
            work.close()
            return dict(await asyncio.shield(under_way))
        task = self._under_way[same] = asyncio.ensure_future(work)
        task.add_done_callback(lambda _: self._under_way.pop(same, None))
        return dict(await asyncio.shield(task))

    async def _operation(self, message: Message, act: Act, seat: Seat) -> Fields:
        trace = trace_of(message)
        # Everything that can be wrong with the message is found before an id is noted for it.
        blank = details_of(message, act, Noted("", self._occurred_s(trace.local_time), Undone.NO), reference_of(trace))
        blank = await self._with_original(blank, message, act)
        noted = await self._notebook.operation(trace, blank.occurred_s)
        if noted.undone is not Undone.NO:
            return refused(codes.REENTER, "KILLED")
        details = replace(blank, request_id=noted.request_id, occurred_s=noted.occurred_s)
        try:
            answer = await self._calls.send(
                seat.till.identity, act.value, request_of(act, details, seat), self._seconds
            )
        except NoAnswer as failure:
            # The goods of an offline sale are gone: its terminal repeats the advice until it is answered.
            if failure.maybe_posted and act is not Act.UPLOAD:
                await self._outbox.put(noted.request_id, seat.till)
            raise
        if await self._notebook.undone(noted.request_id) is not Undone.NO:
            # Its reversal overtook the answer: what was posted is being taken back.
            return refused(codes.REENTER, "KILLED")
        return {Field.RESPONSE_CODE: codes.APPROVED, **receipt_fields(answer.receipt, seat)}

    async def _with_original(self, details: Details, message: Message, act: Act) -> Details:
        """The details with the operation they refer to. Raises Malformed, Declined when that is not known here."""
        if act not in REFERRING:
            return details
        original = original_of(message, trace_of(message))
        if original is None:
            raise Malformed(Field.ORIGINAL)
        if original.trace is None:
            return replace(details, original_entry_id=original.entry_id)
        found = await self._notebook.original(original.trace)
        if found is None:
            raise Declined("ORIGINAL_UNKNOWN" if act is Act.REFUND else "HOLD_UNKNOWN")
        return replace(details, original_request_id=found.request_id)

    async def _reverse(self, message: Message, seat: Seat) -> Fields:
        trace = trace_of(message)
        original = reversed_by(message, trace)
        self._occurred_s(original.local_time, Field.ORIGINAL)
        undoing, undone = await self._notebook.reversal(trace, original, self._occurred_s(trace.local_time))
        details = Details(undoing.request_id, undoing.occurred_s, original_request_id=undone.request_id)
        try:
            answer = await self._calls.send(
                seat.till.identity, Act.REVERSE.value, request_of(Act.REVERSE, details, seat), self._seconds
            )
        except NoAnswer:
            await self._outbox.put(undone.request_id, seat.till, undoing)
            raise
        except Declined:
            await self._notebook.settle(undone.request_id, accepted=False)
            raise
        await self._notebook.settle(undone.request_id, accepted=True)
        return {Field.RESPONSE_CODE: codes.APPROVED, **receipt_fields(answer.receipt, seat)}

    async def _balance(self, message: Message, seat: Seat) -> Fields:
        message.text(Field.STAN)
        answer = await self._calls.send(
            seat.till.identity, Act.BALANCE.value, balance_request(message, seat), self._seconds
        )
        balance = answer.balance
        return {
            Field.RESPONSE_CODE: codes.APPROVED,
            **balance_fields(balance.balance_minor, balance.balance_here_minor, seat),
        }

    async def _network(self, message: Message) -> Fields:
        """Sign-on, sign-off and echo alike: is the service there?"""
        message.text(Field.STAN)
        if not await self._calls.is_serving(self._identity):
            return refused(codes.NO_ANSWER, "UNAVAILABLE")
        return {Field.RESPONSE_CODE: codes.APPROVED}

    def _occurred_s(self, local_time: str, field: Field = Field.LOCAL_TIME) -> int:
        """Seconds since 1970 of a terminal's time. Raises Malformed naming `field` for what is no time."""
        try:
            return int(moment_of(local_time, self._clock(), self._zone).timestamp())
        except Malformed as error:
            raise Malformed(field if field is Field.ORIGINAL else error.field) from None


def _advised(message: Message) -> Act:
    """What an advice tells. Raises Malformed."""
    if int(message.text(Field.AMOUNT)) == 0:
        return Act.VOID  # nothing was taken in the end: the whole hold is released
    return Act.UPLOAD if is_offline_sale(message) else Act.CAPTURE


SAME: Final = (
    Field.MERCHANT_ID,
    Field.TERMINAL_ID,
    Field.STAN,
    Field.RETRIEVAL_REFERENCE,
    Field.LOCAL_DATE,
    Field.LOCAL_TIME,
    Field.PROCESSING_CODE,
    Field.AMOUNT,
    Field.CARD_NUMBER,
    Field.TRACK_TWO,
    Field.ORIGINAL,
    Field.ENTRY_ID,
)
"""Two messages that agree in these are one message and its repeat."""


def refused(code: str, reason: str) -> Fields:
    """DE39 and, for those who read logs, why in words (DE63)."""
    return {Field.RESPONSE_CODE: code, Field.REASON: reason}
