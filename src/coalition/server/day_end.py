"""A terminal's day totals and the close of its day: from messages to the day's end and back. Decides nothing."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime
from uuid import UUID

from coalition.clearing.day_end import DayEnd
from coalition.domain.acts import JSON
from coalition.domain.day_close import NOTHING, DayClose, DayOperation, Total, Totals
from coalition.domain.errors import Refused
from coalition.domain.kinds import FIRST_ACT, Kind
from coalition.domain.reasons import Reason
from coalition.server.acting import act_of, receipt
from coalition.server.convert_programme import business_date as parse_date
from coalition.server.identity import Caller, HasProgramme
from coalition.server.request_ids import RequestIds
from coalition.server.seats import Seat, seat_of
from coalition.v1 import terminal_pb2


class DayEndCalls:
    """The day's end blocks, so each call runs in a worker thread. `clock` tells UTC."""

    def __init__(
        self,
        day_end: DayEnd,
        programme: HasProgramme,
        request_ids: RequestIds,
        business_date: Callable[[datetime], date],
        clock: Callable[[], datetime],
    ) -> None:
        self._day_end = day_end
        self._programme = programme
        self._request_ids = request_ids
        self._business_date = business_date
        self._clock = clock

    async def totals(
        self, request: terminal_pb2.GetDayTotalsRequest, caller: Caller
    ) -> terminal_pb2.GetDayTotalsResponse:
        """What the journal counts, up to now."""
        seat = self._seat(request, caller)
        day = (
            parse_date(request.business_date, "business_date")
            if request.business_date
            else self._business_date(self._clock().astimezone(UTC))
        )
        on_date, since_close, last = await asyncio.to_thread(self._day_end.totals, seat.terminal_id, day)
        return terminal_pb2.GetDayTotalsResponse(
            business_date=day.isoformat(),
            totals=_total_messages(on_date),
            since_close=_total_messages(since_close),
            next_number=last.number + 1,
            previous_hash=last.statement_hash,
            currency_code=self._programme.current.scheme.currency_code,
        )

    async def close(
        self, request: terminal_pb2.CloseDayRequest, caller: Caller, certificate: bytes
    ) -> terminal_pb2.CloseDayResponse:
        """Compare and record, once."""
        seat = self._seat(request, caller)
        act = await act_of(caller, Kind.TERMINAL_DAY_CLOSED, request, self._request_ids)
        close = DayClose(
            self._place(seat),
            parse_date(request.business_date, "business_date"),
            request.number,
            request.previous_hash,
            _totals_of(request),
            [_operation_of(each, index) for index, each in enumerate(request.operations)] or None,
        )
        answer = await asyncio.to_thread(
            self._day_end.close, act, seat.terminal_id, close, request.signature, certificate
        )
        told = answer.answer
        return terminal_pb2.CloseDayResponse(
            agrees=told["difference_count"] == 0,
            differences=[_difference_message(each) for each in _rows(told["differences"])],
            difference_count=int(str(told["difference_count"])),
            statement_hash=bytes.fromhex(str(told["statement_hash"])),
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed),
        )

    def _seat(self, request: terminal_pb2.GetDayTotalsRequest | terminal_pb2.CloseDayRequest, caller: Caller) -> Seat:
        return seat_of(caller, request.terminal if request.HasField("terminal") else None, self._programme.current)

    def _place(self, seat: Seat) -> str:
        programme = self._programme.current
        codes = (
            programme.participants[seat.participant_id].code,
            programme.stores[seat.store_id].code,
            programme.terminals[seat.terminal_id].code,
        )
        return "/".join(codes)


def _totals_of(request: terminal_pb2.CloseDayRequest) -> Totals:
    """The stated totals. Raises Refused(FIELD_INVALID) unless kinds are operations in rising order."""
    totals: dict[Kind, Total] = {}
    for index, each in enumerate(request.totals):
        kind = _kind(each.kind, f"totals[{index}].kind")
        if totals and kind <= max(totals):
            raise Refused(Reason.FIELD_INVALID, f"totals[{index}].kind", {"expected": "each kind once, rising"})
        totals[kind] = Total(each.accepted_count, each.accepted_minor, each.declined_count)
    return totals


def _operation_of(message: terminal_pb2.DayOperation, index: int) -> DayOperation:
    kind = _kind(message.kind, f"operations[{index}].kind")
    return DayOperation(UUID(message.request_id), kind, message.accepted, message.amount_minor)


def _kind(number: int, field: str) -> Kind:
    if number >= FIRST_ACT:
        raise Refused(Reason.FIELD_INVALID, field, {"expected": "a kind of operation, below 100"})
    return Kind(number)


def _total_messages(totals: Totals) -> list[terminal_pb2.KindTotal]:
    return [_total_message(kind, total) for kind, total in sorted(totals.items())]


def _total_message(kind: int, total: Total) -> terminal_pb2.KindTotal:
    accepted_count, accepted_minor, declined_count = total
    return terminal_pb2.KindTotal(
        kind=kind,  # type: ignore[arg-type]  # EntryKind has the numbers of Kind; a test holds them equal
        accepted_count=accepted_count,
        accepted_minor=accepted_minor,
        declined_count=declined_count,
    )


def _difference_message(told: list[JSON]) -> terminal_pb2.DayDifference:
    """A difference as the journal keeps it: kind, request_id, the terminal's count, the journal's."""
    kind, request_id, stated, recorded = told
    number = int(str(kind))
    message = terminal_pb2.DayDifference(
        stated=None if stated is None else _total_message(number, _total(stated)),
        recorded=None if recorded is None else _total_message(number, _total(recorded)),
    )
    if request_id is None:
        message.kind = number  # type: ignore[assignment]  # as above
    else:
        message.request_id = str(request_id)
    return message


def _total(told: JSON) -> Total:
    return Total(*(int(str(number)) for number in _rows(told))) if told else NOTHING


def _rows(told: JSON) -> list[list[JSON]]:
    return told if isinstance(told, list) else []  # type: ignore[return-value]  # as DayEnd.close wrote it
