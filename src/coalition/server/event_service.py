"""EventService: what happened, for member gateways, headquarters, operator and auditors, each its own. Reads only."""

import asyncio
from collections.abc import Collection
from typing import Any, Protocol

from coalition.domain.event_records import MemberEvent, MemberEvents, SettlementEvent
from coalition.domain.events import EventKind
from coalition.domain.pages import page_limit
from coalition.domain.programme import Programme
from coalition.server.convert import timestamp_of, wallet_entry_of
from coalition.server.convert_portal import ending_message, lot_message
from coalition.server.identity import HasProgramme, Role, caller
from coalition.server.own import own_codes
from coalition.v1 import events_pb2, events_pb2_grpc


class MemberEventReads(Protocol):
    """Blocking reads, (entry, place) says behind what."""

    def page(self, after: tuple[int, int], limit: int) -> MemberEvents: ...


class SettlementEventReads(Protocol):
    """The same; of these participants and of everybody, or (None) of anybody."""

    def page(self, after: tuple[int, int], within: Collection[int] | None, limit: int) -> list[SettlementEvent]: ...


class EventService(events_pb2_grpc.EventServiceServicer):
    """Who calls says which events they are; nobody can ask for another's."""

    def __init__(self, members: MemberEventReads, settlement: SettlementEventReads, programme: HasProgramme) -> None:
        self._members = members
        self._settlement = settlement
        self._programme = programme

    async def GetEvents(self, request: events_pb2.GetEventsRequest, context: Any) -> events_pb2.GetEventsResponse:
        after, limit = position(request.after), page_limit(request.page_size)
        who, programme = caller(context), self._programme.current
        if who.role is Role.MEMBER_GATEWAY:
            page = await asyncio.to_thread(self._members.page, after, limit)
            told = [member_event(event, programme) for event in page.events]
            return events_pb2.GetEventsResponse(events=told, next_after=name_of(*page.next_after))
        own = own_codes(who, programme)
        within = None if own is None else [programme.participant_by_code[code].participant_id for code in own]
        events = await asyncio.to_thread(self._settlement.page, after, within, limit)
        last = (events[-1].entry_id, events[-1].place) if events else after
        currency_code = programme.scheme.currency_code
        return events_pb2.GetEventsResponse(
            events=[settlement_event(event, currency_code) for event in events], next_after=name_of(*last)
        )


def position(after: str) -> tuple[int, int]:
    """Where a cursor stands; the proto says that it is two numbers or nothing."""
    entry, _, place = after.partition("-")
    return int(entry or 0), int(place or 0)


def name_of(entry_id: int, place: int) -> str:
    """An event's name, and the cursor behind it."""
    return f"{entry_id}-{place}"


def settlement_event(event: SettlementEvent, currency_code: str) -> events_pb2.Event:
    """What a participant is told; a subject's parts are of codes and words, which have no slash."""
    told = events_pb2.Event(
        event_id=name_of(event.entry_id, event.place),
        kind=_kind(event.kind),
        time=timestamp_of(event.time),
        participant=event.participant,
        amount_minor=event.amount_minor,
        currency_code=currency_code,
        run_id=event.run_id,
        window=event.window,
    )
    about, _, what = event.subject.partition("/")
    if event.kind is EventKind.HANDED_OVER:
        told.about, told.successor = about, what
    elif event.kind is EventKind.PARTICIPANT_STATE_CHANGED:
        told.about, told.state = about, what
    else:
        told.dispute_id = event.subject
    return told


def member_event(event: MemberEvent, programme: Programme) -> events_pb2.Event:
    """What a member is told: a line of the wallet as any list of them shows it, a lot, or points that end."""
    currency_code = programme.scheme.currency_code
    return events_pb2.Event(
        event_id=name_of(event.entry_id, event.place),
        kind=_kind(event.kind),
        time=timestamp_of(event.time),
        member_id=str(event.member_id),
        currency_code=currency_code,
        successor=event.successor,
        wallet_entry=wallet_entry_of(event.line, programme) if event.line else None,
        lot=lot_message(event.lot, currency_code) if event.lot else None,
        points=ending_message(event.points) if event.points else None,
    )


def _kind(kind: EventKind) -> events_pb2.EventKind.ValueType:
    return events_pb2.EventKind.Value(f"EVENT_KIND_{kind.name}")
