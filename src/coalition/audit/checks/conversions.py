"""V8 and V11 of points that become value: so many, for so much, paid for by their debtor, and undone as a mirror."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from coalition.domain.accounts import (
    FIRST_OF_POINTS,
    POINTS_HELD,
    WALLET,
    AccountKind,
    TransferCode,
    bonus_account,
    clearing_account,
    kind_of,
    parties_of,
    points_account,
)
from coalition.domain.points_programme import PointsProgramme

PRINCIPAL, BONUS, CONVERSION = map(int, (TransferCode.PRINCIPAL, TransferCode.BONUS, TransferCode.POINTS_CONVERSION))

Leg: TypeAlias = tuple[int, int, int, int]
"""Debit, credit, amount, code; without the window, which is another one where something is undone."""


def legs_of(transfers: Sequence[Sequence[Any]]) -> list[Leg]:
    """In an order that does not depend on how they were posted."""
    return sorted((leg[0], leg[1], leg[2], leg[3]) for leg in transfers)


def is_mirror(legs: Sequence[Leg], original: Sequence[Leg]) -> bool:
    """Whether what was posted is what the original posted, the other way."""
    return list(legs) == sorted((credit, debit, amount, code) for debit, credit, amount, code in original)


def fault_of_conversion(
    transfers: Sequence[Sequence[Any]], points: int, rule: PointsProgramme, participants: Mapping[int, str]
) -> str | None:
    """What is wrong with an entry that turned `points` into value, by the rule it names; None where nothing is."""
    conversion = rule.conversion
    if conversion is None or not conversion.takes(points):
        return f"{points} points become value, and that was not agreed on"
    worth = conversion.worth(points)
    owed = [leg[1] for leg in transfers if leg[5] >= FIRST_OF_POINTS and leg[0] == POINTS_HELD]
    value = [(leg[0], leg[1], leg[2], leg[3]) for leg in transfers if leg[5] < FIRST_OF_POINTS]
    if len(owed) != 1 or kind_of(owed[0]) is not AccountKind.POINTS:
        return "points that become value go to nobody, or to several"
    debtor_id = parties_of(owed[0])[0]
    if owed[0] != points_account(debtor_id):
        return "points that become value go to no debtor"
    if conversion.voucher_months is not None:
        is_agreed = value == [(bonus_account(debtor_id), WALLET, worth, BONUS)]
    else:
        is_agreed = _is_paid(value, worth, debtor_id, conversion.issuer, participants)
    return None if is_agreed else f"{points} points do not become {worth} as it was agreed"


def _is_paid(value: Sequence[Leg], worth: int, debtor_id: int, issuer: str, participants: Mapping[int, str]) -> bool:
    """`FLOAT(k,A)->WALLET`, and `E=>k` unless the debtor holds it itself."""
    floats = [leg for leg in value if kind_of(leg[0]) is AccountKind.FLOAT]
    if len(floats) != 1:
        return False
    custodian_id, issuer_id = parties_of(floats[0][0])
    expected = [(floats[0][0], int(WALLET), worth, PRINCIPAL)]
    if custodian_id != debtor_id:
        expected.append((clearing_account(debtor_id), clearing_account(custodian_id), worth, CONVERSION))
    return sorted(value) == sorted(expected) and participants.get(issuer_id) == issuer
