"""Terminal messages to commands, outcomes to receipts. Checks what the programme knows; the desk decides the rest.

A card number, or what was presented instead, ends here: what goes on is its keyed hash.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from coalition.domain.commands import (
    HOLD_SECONDS_DEFAULT,
    Capture,
    CashOut,
    Command,
    Funding,
    Goods,
    Hold,
    Purchase,
    Refund,
    Resolve,
    Reverse,
    TopUp,
    TopUpReturn,
    TopUpReversal,
    Upload,
    Void,
)
from coalition.domain.errors import Refused
from coalition.domain.journal import NO_FACTS, Outcome
from coalition.domain.pins import SealedPin
from coalition.domain.programme import Programme, Scheme
from coalition.domain.reasons import Reason
from coalition.domain.wallet_lines import WalletLine
from coalition.server.convert_details import details_of, item_messages, tender_messages
from coalition.server.convert_passes import (
    WITHOUT_AMOUNT,
    Asking,
    Undone,
    return_of,
    sale_of_pass,
    visit_of,
    write_pass,
)
from coalition.server.convert_points import (
    OF_POINTS,
    WITH_POINTS,
    OfPoints,
    WithPoints,
    points_taken,
    return_of_points,
    write_points,
)
from coalition.server.identity import Caller, Role
from coalition.server.presented import Presenting
from coalition.server.request_ids import parse_request_id
from coalition.v1 import operations_pb2, terminal_pb2

Token: TypeAlias = Callable[[Presenting | operations_pb2.UploadRequest], bytes]
"""Hashes what a request presents (presented.py)."""
OperationRequest: TypeAlias = (
    operations_pb2.TopUpRequest
    | operations_pb2.PurchaseRequest
    | operations_pb2.RefundRequest
    | operations_pb2.AuthorizeRequest
    | operations_pb2.CaptureRequest
    | operations_pb2.VoidRequest
    | operations_pb2.ReverseRequest
    | operations_pb2.UploadRequest
    | operations_pb2.ReturnTopUpRequest
    | operations_pb2.ReverseTopUpRequest
    | operations_pb2.CashOutRequest
    | operations_pb2.SellPassRequest
    | Undone
    | OfPoints
)
Undoing: TypeAlias = (
    operations_pb2.VoidRequest
    | operations_pb2.ReverseRequest
    | operations_pb2.ReturnTopUpRequest
    | operations_pb2.ReverseTopUpRequest
    | operations_pb2.CashOutRequest
    | Undone
    | OfPoints
)


FUNDINGS: Final = {
    operations_pb2.FUNDING_UNSPECIFIED: Funding.CASH,
    operations_pb2.FUNDING_CASH: Funding.CASH,
    operations_pb2.FUNDING_BANK_TRANSFER: Funding.BANK_TRANSFER,
    operations_pb2.FUNDING_DEBIT_CARD: Funding.DEBIT_CARD,
    operations_pb2.FUNDING_CREDIT_CARD: Funding.CREDIT_CARD,
}
GOODS: Final = {
    operations_pb2.RETURNED_GOODS_UNSPECIFIED: Goods.OWN,
    operations_pb2.RETURNED_GOODS_KEPT: Goods.KEPT,
    operations_pb2.RETURNED_GOODS_PASSED_ON: Goods.PASSED_ON,
}


# Tuples made once: a union of types is made anew wherever it is written.
UNDOING: Final = (
    operations_pb2.VoidRequest,
    operations_pb2.ReverseRequest,
    operations_pb2.ReturnTopUpRequest,
    operations_pb2.ReverseTopUpRequest,
    operations_pb2.CashOutRequest,
    *WITHOUT_AMOUNT,
    *OF_POINTS,
)


HEADQUARTERS: Final = frozenset({Role.OPERATOR, Role.PARTICIPANT_HQ})
"""Who asks for an operation without a till: only where the permission table lets it."""
NANOS: Final = 1_000_000_000


class Seat(NamedTuple):
    """The till an operation is made at."""

    participant_id: int
    store_id: int
    terminal_id: int


class Office(NamedTuple):
    """Headquarters, which has no till."""

    participant_id: int
    store_id: None = None
    terminal_id: None = None


def seat_of(caller: Caller, named: operations_pb2.TerminalRef | None, programme: Programme) -> Seat:
    """The terminal a caller speaks for. `named` is the one the request names, if any.

    Raises Refused: TERMINAL_OF_OTHER_STORE (before it is looked at whether that terminal exists), TERMINAL_UNKNOWN,
    TERMINAL_SUSPENDED; FIELD_INVALID when a till server names none.
    """
    if caller.role is Role.TERMINAL and caller.store_id is not None and caller.terminal_id is not None:
        if named is not None and (named.participant, named.store, named.terminal) != caller.elements:
            raise Refused(Reason.TERMINAL_OF_OTHER_STORE, "terminal")
        return Seat(caller.participant_id, caller.store_id, caller.terminal_id)
    if named is None:
        raise Refused(Reason.FIELD_INVALID, "terminal", {"expected": "a till server names the terminal"})
    participant = programme.participant_by_code.get(named.participant)
    if participant is None or not caller.speaks_for(participant):
        raise Refused(Reason.TERMINAL_OF_OTHER_STORE, "terminal")
    store = programme.store_by_code.get((participant.participant_id, named.store))
    terminal = programme.terminal_by_code.get((store.store_id, named.terminal)) if store else None
    if store is None or terminal is None:
        raise Refused(Reason.TERMINAL_UNKNOWN, "terminal")
    if not (participant.is_active and store.is_active and terminal.is_active):
        raise Refused(Reason.TERMINAL_SUSPENDED, "terminal")
    return Seat(participant.participant_id, store.store_id, terminal.terminal_id)


def command_of(request: OperationRequest, caller: Caller, programme: Programme, token: Token) -> Command:
    """The command of a well-formed request (`check_message` has passed).

    Raises Refused: see `seat_of`, and AMOUNT_TOO_LARGE, CURRENCY_UNKNOWN, REQUEST_ID_MALFORMED, PARTICIPANT_UNKNOWN;
    FIELD_INVALID for a reversal of itself, a payment code that is none, and tenders whose sums do not agree.
    """
    named = request.terminal if request.HasField("terminal") else None
    seat = _office(caller, named) if caller.role in HEADQUARTERS else seat_of(caller, named, programme)
    occurred_time = _moment(request.occurred_time, "occurred_time") if request.HasField("occurred_time") else None
    if isinstance(request, UNDOING):
        return _undoing(request, seat, caller, occurred_time, token)
    check_money(request.amount_minor, request.currency_code, programme.scheme)
    request_id = parse_request_id(request.request_id)
    if isinstance(request, operations_pb2.UploadRequest):
        return Upload(
            participant_id=seat.participant_id,
            store_id=seat.store_id,
            terminal_id=seat.terminal_id,
            actor=caller.actor,
            request_id=request_id,
            amount_minor=request.amount_minor,
            occurred_time=occurred_time,
            sale_reference=request.sale_reference or None,
            token=token(request),
            details=details_of(request, request.sequence_number),
        )
    if isinstance(request, operations_pb2.PurchaseRequest):
        return Purchase(
            participant_id=seat.participant_id,
            store_id=seat.store_id,
            terminal_id=seat.terminal_id,
            actor=caller.actor,
            request_id=request_id,
            amount_minor=request.amount_minor,
            occurred_time=occurred_time,
            sale_reference=request.sale_reference or None,
            token=token(request),
            pin=_sealed_pin(request, caller),
            details=details_of(request),
        )
    if isinstance(request, operations_pb2.TopUpRequest):
        return TopUp(
            participant_id=seat.participant_id,
            store_id=seat.store_id,
            terminal_id=seat.terminal_id,
            actor=caller.actor,
            request_id=request_id,
            amount_minor=request.amount_minor,
            occurred_time=occurred_time,
            sale_reference=request.sale_reference or None,
            token=token(request),
            issuer_id=_issuer(request.issuer, seat, programme),
            terms_code=request.terms or None,
            funding=FUNDINGS[request.funding],
        )
    if isinstance(request, operations_pb2.AuthorizeRequest):
        return Hold(
            participant_id=seat.participant_id,
            store_id=seat.store_id,
            terminal_id=seat.terminal_id,
            actor=caller.actor,
            request_id=request_id,
            amount_minor=request.amount_minor,
            occurred_time=occurred_time,
            sale_reference=request.sale_reference or None,
            token=token(request),
            hold_seconds=request.hold_seconds or HOLD_SECONDS_DEFAULT,
            pin=_sealed_pin(request, caller),
            details=details_of(request),
        )
    if isinstance(request, operations_pb2.CaptureRequest):
        return Capture(
            participant_id=seat.participant_id,
            store_id=seat.store_id,
            terminal_id=seat.terminal_id,
            actor=caller.actor,
            request_id=request_id,
            amount_minor=request.amount_minor,
            occurred_time=occurred_time,
            sale_reference=request.sale_reference or None,
            original_request_id=_request_named(request.hold_request_id, "hold_request_id"),
            original_entry_id=request.hold_entry_id or None,
        )
    if isinstance(request, operations_pb2.SellPassRequest):
        asking = Asking(seat.participant_id, seat.store_id, seat.terminal_id, caller.actor, request_id, occurred_time)
        issuer_id = _issuer(request.issuer, seat, programme)
        return sale_of_pass(request, asking, token(request), issuer_id, FUNDINGS[request.funding])
    return Refund(
        participant_id=seat.participant_id,
        store_id=seat.store_id,
        terminal_id=seat.terminal_id,
        actor=caller.actor,
        request_id=request_id,
        amount_minor=request.amount_minor,
        occurred_time=occurred_time,
        original_request_id=_request_named(request.original_request_id, "original_request_id"),
        original_entry_id=request.original_entry_id or None,
        goods=GOODS[request.returned_goods],
    )


def _office(caller: Caller, named: operations_pb2.TerminalRef | None) -> Office:
    """Headquarters speaks for no till. Raises Refused(TERMINAL_OF_OTHER_STORE) where it names one."""
    if named is not None:
        raise Refused(Reason.TERMINAL_OF_OTHER_STORE, "terminal")
    return Office(caller.participant_id)


def _sealed_pin(
    request: operations_pb2.PurchaseRequest
    | operations_pb2.AuthorizeRequest
    | operations_pb2.CashOutRequest
    | operations_pb2.VisitPassRequest
    | WithPoints,
    caller: Caller,
) -> SealedPin | None:
    """The PIN as it was sealed, with the terminal it was typed at; `seat_of` has checked who that is."""
    if not request.sealed_pin:
        return None
    named = request.terminal
    place = (named.participant, named.store, named.terminal) if request.HasField("terminal") else caller.elements
    return SealedPin(request.sealed_pin, "/".join(place))


def resolve_of(request: terminal_pb2.ResolveRequest, caller: Caller, programme: Programme) -> Resolve:
    """The question what became of a request id. Raises Refused: see `seat_of`, and REQUEST_ID_MALFORMED."""
    seat = seat_of(caller, request.terminal if request.HasField("terminal") else None, programme)
    return Resolve(
        participant_id=seat.participant_id,
        store_id=seat.store_id,
        terminal_id=seat.terminal_id,
        actor=caller.actor,
        request_id=parse_request_id(request.request_id),
    )


def _undoing(
    request: Undoing,
    seat: Seat | Office,
    caller: Caller,
    occurred_time: datetime | None,
    token: Token,
) -> Command:
    """What names no amount: the books know it."""
    request_id = parse_request_id(request.request_id)
    if isinstance(request, operations_pb2.VoidRequest):
        return Void(
            participant_id=seat.participant_id,
            store_id=seat.store_id,
            terminal_id=seat.terminal_id,
            actor=caller.actor,
            request_id=request_id,
            occurred_time=occurred_time,
            original_request_id=_request_named(request.hold_request_id, "hold_request_id"),
            original_entry_id=request.hold_entry_id or None,
        )
    if isinstance(request, operations_pb2.CashOutRequest):
        return CashOut(
            participant_id=seat.participant_id,
            store_id=seat.store_id,
            terminal_id=seat.terminal_id,
            actor=caller.actor,
            request_id=request_id,
            occurred_time=occurred_time,
            token=token(request),
            closes=request.close_wallet,
            pin=_sealed_pin(request, caller),
        )
    if isinstance(request, operations_pb2.ReturnTopUpRequest | operations_pb2.ReverseTopUpRequest):
        bounced = isinstance(request, operations_pb2.ReverseTopUpRequest)
        return (TopUpReversal if bounced else TopUpReturn)(
            participant_id=seat.participant_id,
            store_id=seat.store_id,
            terminal_id=seat.terminal_id,
            actor=caller.actor,
            request_id=request_id,
            occurred_time=occurred_time,
            original_request_id=_request_named(request.original_request_id, "original_request_id"),
            original_entry_id=request.original_entry_id or None,
        )
    asking = Asking(seat.participant_id, seat.store_id, seat.terminal_id, caller.actor, request_id, occurred_time)
    if isinstance(request, operations_pb2.VisitPassRequest):
        return visit_of(request, asking, token(request), _sealed_pin(request, caller))
    if isinstance(request, operations_pb2.ReturnVisitRequest | operations_pb2.ReturnPassRequest):
        return return_of(request, asking, _request_named(request.original_request_id, "original_request_id"))
    if isinstance(request, WITH_POINTS):
        return points_taken(request, asking, token(request), _sealed_pin(request, caller))
    if isinstance(request, operations_pb2.ReturnPointsRequest):
        return return_of_points(request, asking, _request_named(request.original_request_id, "original_request_id"))
    original_request_id = parse_request_id(request.original_request_id, "original_request_id")
    if original_request_id == request_id:
        wish = {"expected": "the request_id of another operation"}
        raise Refused(Reason.FIELD_INVALID, "original_request_id", wish)
    return Reverse(
        participant_id=seat.participant_id,
        store_id=seat.store_id,
        terminal_id=seat.terminal_id,
        actor=caller.actor,
        request_id=request_id,
        occurred_time=occurred_time,
        original_request_id=original_request_id,
    )


def _request_named(text: str, field: str) -> UUID | None:
    """The request id by which an earlier operation is named; None where it is named by its entry."""
    return parse_request_id(text, field) if text else None


def check_money(amount_minor: int, currency_code: str, scheme: Scheme) -> None:
    """Raise Refused unless the amount is within the scheme's bound and in its currency."""
    if amount_minor > scheme.amount_max:
        raise Refused(Reason.AMOUNT_TOO_LARGE, "amount_minor", {"amount_max": str(scheme.amount_max)})
    if currency_code != scheme.currency_code:
        raise Refused(Reason.CURRENCY_UNKNOWN, "currency_code", {"currency_code": scheme.currency_code})


def write_receipt(receipt: operations_pb2.Receipt, request_id: str, outcome: Outcome, currency_code: str) -> None:
    """Write the receipt of an accepted operation into the answer it is part of; apart and copied it costs twice."""
    receipt.request_id = request_id
    receipt.entry_id = outcome.entry_id
    write_time(receipt.post_time, outcome.post_time)
    receipt.kind = outcome.kind.value  # type: ignore[assignment]  # EntryKind has the numbers of Kind; a test holds them equal
    receipt.amount_minor = outcome.amount_minor
    receipt.principal_minor = outcome.principal_minor
    receipt.bonus_minor = outcome.bonus_minor
    receipt.balance_minor = outcome.balance_minor
    receipt.balance_here_minor = outcome.balance_here_minor
    receipt.currency_code = currency_code
    receipt.card_last_four = outcome.last_four
    receipt.replayed = outcome.replayed
    receipt.window_labels.extend(outcome.window_labels)
    if outcome.hold_expire_time is not None:
        write_time(receipt.hold_expire_time, outcome.hold_expire_time)
    if outcome.facts:
        receipt.shortfall_minor = shortfall_minor(outcome)
        receipt.shortfall_bearer = outcome.facts.get("shortfall_bearer", "")
        receipt.shortfall_reason = outcome.facts.get("shortfall_reason", "")
        receipt.wallet_closed = outcome.facts.get("wallet_state") == "CLOSED"
        if "pass" in outcome.facts:
            write_pass(receipt, outcome.facts)
        if "points" in outcome.facts:
            write_points(receipt, outcome.facts)


def shortfall_minor(outcome: Outcome) -> int:
    """What the answer says of a shortfall, minor units."""
    return int(outcome.facts.get("shortfall_minor", 0))


def wallet_entry_of(line: WalletLine, programme: Programme) -> operations_pb2.WalletEntry:
    """A line of a wallet with the codes of where it was made."""
    outcome = line.outcome
    moved = outcome.facts if outcome.reason is Reason.ACCEPTED else NO_FACTS
    participant = programme.participants.get(line.participant_id)
    store = programme.stores.get(line.store_id) if line.store_id is not None else None
    terminal = programme.terminals.get(line.terminal_id) if line.terminal_id is not None else None
    return operations_pb2.WalletEntry(
        entry_id=line.entry_id,
        kind=outcome.kind.value,  # type: ignore[arg-type]  # as in write_receipt
        reason=outcome.reason.name,
        request_id=str(line.request_id),
        post_time=timestamp_of(outcome.post_time),
        occurred_time=timestamp_of(line.occurred_time) if line.occurred_time else None,
        business_date=line.business_date.isoformat(),
        participant=participant.code if participant else "",
        store=store.code if store else "",
        terminal=terminal.code if terminal else "",
        amount_minor=outcome.amount_minor,
        balance_change_minor=line.balance_change_minor,
        balance_minor=outcome.balance_minor,
        currency_code=programme.scheme.currency_code,
        original_entry_id=line.original_entry_id or 0,
        card_last_four=outcome.last_four,
        sale_reference=line.sale_reference or "",
        items=item_messages(line.details),
        tenders=tender_messages(line.details),
        sequence_number=line.details.sequence_number,
        shortfall_minor=shortfall_minor(outcome),
        points=int(moved.get("points", 0)),
        points_balance=int(moved.get("points_balance", 0)),
        points_programme=moved.get("points_programme", ""),
    )


def _moment(told: Timestamp, field: str) -> datetime:
    """A moment that a request tells. The rules of the proto look at the seconds and at the order, not at `nanos` alone.

    Raises Refused(FIELD_INVALID).
    """
    if not 0 <= told.nanos < NANOS:
        raise Refused(Reason.FIELD_INVALID, field, {"expected": f"nanos from 0 to {NANOS - 1}"})
    return told.ToDatetime(UTC)


def timestamp_of(moment: datetime) -> Timestamp:
    """An aware time, to the microsecond."""
    timestamp = Timestamp()
    write_time(timestamp, moment)
    return timestamp


def write_time(timestamp: Timestamp, moment: datetime) -> None:
    """Write an aware time, to the microsecond."""
    timestamp.seconds = int(moment.timestamp() // 1)
    timestamp.nanos = moment.microsecond * 1000


def _issuer(code: str, seat: Seat | Office, programme: Programme) -> int:
    if not code:
        return seat.participant_id
    issuer = programme.participant_by_code.get(code)
    if issuer is None:
        raise Refused(Reason.PARTICIPANT_UNKNOWN, "issuer")
    return issuer.participant_id
