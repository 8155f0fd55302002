"""A participant leaves: what its lots still owe is handed over to a successor, who stands for it from then on.

The lots keep their issuer; spends, refunds and claims on or for the one that left fall to the successor (`Postings`),
so no member loses anything (SUMS section 4). Pure: the postings of the hand-over.
"""

from collections.abc import Iterable
from typing import NamedTuple

from coalition.domain.accounts import (
    TransferCode,
    Unit,
    bonus_account,
    clearing_account,
    float_account,
    pass_account,
    points_account,
    points_unit,
)
from coalition.domain.errors import Refused
from coalition.domain.journal import Transfer
from coalition.domain.points_programme import PointsProgramme
from coalition.domain.programme import Programme
from coalition.domain.reasons import Reason


class Owed(NamedTuple):
    """What lots and passes of a participant, and of those it stands for, still owe: by who holds the principal.

    Minor units, and the visits of passes.
    """

    custodian_id: int
    principal_minor: int
    bonus_minor: int
    visits: int = 0


class OwedPoints(NamedTuple):
    """What members have of a programme whose debtor leaves, below 0 where they owe it some.

    `unit` is that of the points, `worth_unit` that of the newest version, which says what they are worth.
    """

    unit: int
    worth_unit: int
    points: int


def points_programmes(programme: Programme, leaving_id: int) -> dict[int, tuple[int, int]]:
    """The programmes whose points a participant owes today, by agreement: units of the points and of their worth."""
    found: dict[int, tuple[int, int]] = {}
    for (agreement_id, _), version in sorted(programme.versions.items()):
        if isinstance(version.content, PointsProgramme):
            debtor_id = programme.participant_by_code[version.content.debtor].participant_id
            if programme.standing_for(debtor_id) == leaving_id:
                found[agreement_id] = programme.points_unit(agreement_id), programme.unit_of(version)
    return found


def points_succession(leaving_id: int, successor_id: int, owed: Iterable[OwedPoints], window_id: int) -> list[Transfer]:
    """`POINTS(G)->POINTS(A) n`, and `A=>G n` for what they are worth when the window is netted.

    Points that members owe go the other way: the successor pays for what it will be given.
    """
    code = TransferCode.SUCCESSION
    legs = []
    for unit, worth_unit, points in sorted(owed):
        parties = (successor_id, leaving_id) if points > 0 else (leaving_id, successor_id)
        taking, giving = map(points_account, parties)
        debtor, creditor = map(clearing_account, reversed(parties))
        if points:
            legs.append(Transfer(taking, giving, abs(points), code, unit=points_unit(unit)))
            legs.append(Transfer(debtor, creditor, abs(points), code, window_id, points_unit(worth_unit)))
    return legs


def check_succession(programme: Programme, leaving: str, successor: str) -> tuple[int, int]:
    """The numbers of both. Raises Refused unless the one may hand over to the other.

    PARTICIPANT_UNKNOWN; FIELD_INVALID for operator and custody, for one that has left, and for a successor that is not
    active or has left itself.
    """
    numbers = []
    for field, code in (("participant", leaving), ("successor", successor)):
        found = programme.participant_by_code.get(code)
        if found is None:
            raise Refused(Reason.PARTICIPANT_UNKNOWN, field, {"participant": code})
        gone = found.participant_id in programme.successors
        if gone or found.participant_id == programme.scheme.custody_id:
            raise Refused(Reason.FIELD_INVALID, field, {"expected": "a participant that has not left, no custody pool"})
        numbers.append(found.participant_id)
    ours, theirs = numbers
    if ours in {theirs, programme.scheme.operator_id}:
        raise Refused(Reason.FIELD_INVALID, "participant", {"expected": "another than the successor and the operator"})
    if not programme.participants[theirs].is_active:
        raise Refused(Reason.FIELD_INVALID, "successor", {"expected": "an active participant"})
    return ours, theirs


def succession_transfers(
    leaving_id: int, successor_id: int, owed: Iterable[Owed], bonus_price_minor: int, window_id: int
) -> list[Transfer]:
    """`FLOAT(G)->FLOAT(A) P`, `BONUS(G)->BONUS(A) B`, `PASS(G)->PASS(A)` visits; `A=>G` the principal A held itself.

    A price of the bonus is added to that claim. Principal that custody holds stays there: only whose it is changes.
    """
    code = TransferCode.SUCCESSION
    legs: list[Transfer] = []
    principal = bonus = visits = 0
    for custodian_id, principal_minor, bonus_minor, visits_owed in sorted(owed):
        is_own = custodian_id == leaving_id
        holder_id = successor_id if is_own else custodian_id
        taking, giving = float_account(holder_id, successor_id), float_account(custodian_id, leaving_id)
        legs.append(Transfer(taking, giving, principal_minor, code))
        principal += principal_minor if is_own else 0
        bonus += bonus_minor
        visits += visits_owed
    legs.append(Transfer(pass_account(successor_id), pass_account(leaving_id), visits, code, unit=Unit.VISITS))
    legs.append(Transfer(bonus_account(successor_id), bonus_account(leaving_id), bonus, code))
    claim = (clearing_account(leaving_id), clearing_account(successor_id))
    legs.append(Transfer(*claim, principal + bonus_price_minor, code, window_id))
    return [leg for leg in legs if leg.amount_minor]
