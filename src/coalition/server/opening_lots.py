"""OpenLots: what members held in another system, as commands for the desk, each under a request id of its own."""

import hashlib
from collections.abc import Sequence
from datetime import date
from typing import Final
from uuid import UUID

from coalition.clearing.queue import Answer
from coalition.domain.commands import Command, OpenLot
from coalition.domain.errors import Refused
from coalition.domain.journal import Outcome
from coalition.domain.programme import Programme
from coalition.domain.reasons import Reason
from coalition.server.identity import Caller
from coalition.v1 import member_pb2, programme_pb2

AMOUNT_MAX: Final = 10**12
"""Minor units of one lot; a mistyped column is more often than such a wallet."""
CUSTODIES: Final = {
    programme_pb2.CUSTODY_UNSPECIFIED: None,
    programme_pb2.CUSTODY_ISSUER_HELD: "ISSUER_HELD",
    programme_pb2.CUSTODY_OPERATOR_HELD: "OPERATOR_HELD",
}


def holders_of(request: member_pb2.OpenLotsRequest) -> list[str | UUID]:
    """Whose each lot is: a card number or a member."""
    return [lot.card_number or UUID(lot.member_id) for lot in request.lots]


def commands_of(
    request: member_pb2.OpenLotsRequest,
    request_id: UUID,
    wallets: Sequence[int | Refused],
    present: Caller,
    programme: Programme,
) -> tuple[dict[int, Command], dict[int, Answer]]:
    """The commands of the lots that are in order, and the refusals of the others, by place."""
    commands: dict[int, Command] = {}
    refusals: dict[int, Answer] = {}
    for place, (lot, wallet) in enumerate(zip(request.lots, wallets, strict=True)):
        try:
            commands[place] = _command_of(lot, lot_request_id(request_id, place), wallet, present, programme)
        except Refused as refused:
            refusals[place] = refused
    return commands, refusals


def lot_request_id(request_id: UUID, place: int) -> UUID:
    """The one request id of a lot: of the same time as its request's."""
    random = int.from_bytes(hashlib.sha256(f"opening lot {request_id} {place}".encode()).digest()[:16], "big")
    kept = ((1 << 48) - 1) << 80 | 0xF << 76 | 0b11 << 62  # time, version and variant
    return UUID(int=request_id.int & kept | random & ~kept)


def ended(lots: Sequence[Answer]) -> list[member_pb2.OpenedLot]:
    """How each lot ended. Raises what stood in the way of all, such as a database that rests: send them again."""
    told = []
    for answer in lots:
        if isinstance(answer, Outcome):
            told.append(member_pb2.OpenedLot(entry_id=answer.entry_id, reason=answer.reason.name))
        elif isinstance(answer, Refused):
            told.append(member_pb2.OpenedLot(reason=answer.reason.name, field=answer.field or ""))
        else:
            raise answer
    return told


def _command_of(
    lot: member_pb2.OpeningLot, request_id: UUID, wallet: int | Refused, present: Caller, programme: Programme
) -> Command:
    if isinstance(wallet, Refused):
        raise wallet
    issuer = programme.participant_by_code.get(lot.issuer)
    if issuer is None:
        raise Refused(Reason.PARTICIPANT_UNKNOWN, "issuer")
    if not 0 < lot.paid_minor + lot.bonus_minor <= AMOUNT_MAX:
        raise Refused(Reason.FIELD_INVALID, "paid_minor", {"expected": f"with the bonus 1 to {AMOUNT_MAX}"})
    return OpenLot(
        participant_id=present.participant_id,
        store_id=None,
        terminal_id=None,
        actor=present.actor,
        request_id=request_id,
        wallet_id=wallet,
        issuer_id=issuer.participant_id,
        amount_minor=lot.paid_minor,
        bonus_minor=lot.bonus_minor,
        bonus_expiry=_day(lot.bonus_expiry_date),
        custody=CUSTODIES[lot.custody],
        terms_code=lot.terms or None,
    )


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused(Reason.FIELD_INVALID, "bonus_expiry_date", {"expected": "YYYY-MM-DD"}) from None
