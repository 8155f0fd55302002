"""Netting itself: from claims to multilateral positions, and what that saves. Pure integers, no database, no clock."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from coalition.domain.accounts import Unit
from coalition.storage.positions import Claim, Position


def net(claims: Iterable[Claim], participant_ids: Iterable[int]) -> list[Position]:
    """Each participant's position, by unit and number, also of those without a claim; every unit sums to zero.

    Raises ValueError if a claim names a participant that is not listed.
    """
    received: dict[tuple[int, int], int] = defaultdict(int)
    sent: dict[tuple[int, int], int] = defaultdict(int)
    for claim in claims:
        received[claim.unit, claim.creditor_id] += claim.amount_minor
        sent[claim.unit, claim.debtor_id] += claim.amount_minor
    listed = sorted(set(participant_ids))
    strangers = {participant for _, participant in (*received, *sent)} - set(listed)
    if strangers:
        raise ValueError(f"claims name participants that do not exist: {sorted(strangers)}")
    units = sorted({int(Unit.MONEY)} | {unit for unit, _ in received})
    return [
        Position(participant, unit, received.get((unit, participant), 0), sent.get((unit, participant), 0))
        for unit in units
        for participant in listed
    ]


def gross(claims: Iterable[Claim], unit: int = Unit.MONEY) -> int:
    """What would be paid if every claim were paid by itself."""
    return sum(claim.amount_minor for claim in claims if claim.unit == unit)


def pairs(claims: Iterable[Claim], unit: int = Unit.MONEY) -> dict[tuple[int, int], int]:
    """What each debtor owes each creditor, over all codes."""
    owed: dict[tuple[int, int], int] = defaultdict(int)
    for claim in claims:
        if claim.unit == unit:
            owed[claim.debtor_id, claim.creditor_id] += claim.amount_minor
    return dict(sorted(owed.items()))


def paid(positions: Iterable[Position], unit: int = Unit.MONEY) -> int:
    """What is paid after netting: the sum of what net payers pay, which is what net receivers receive."""
    return sum(position.net_minor for position in positions if position.unit == unit and position.net_minor > 0)


def imbalance(positions: Sequence[Position]) -> dict[int, int]:
    """The sum of net positions of each unit that is not zero; empty when the books are right."""
    totals: dict[int, int] = defaultdict(int)
    for position in positions:
        totals[position.unit] += position.net_minor
    return {unit: total for unit, total in totals.items() if total != 0}


def saving_percent(gross_minor: int, paid_minor: int) -> str:
    """The share of gross that netting saved in percent, two decimals, rounded half-even: "83.12"; of nothing "0.00"."""
    if gross_minor == 0:
        return "0.00"
    quotient, rest = divmod((gross_minor - paid_minor) * 10_000, gross_minor)
    if rest * 2 > gross_minor or (rest * 2 == gross_minor and quotient % 2):
        quotient += 1
    return f"{quotient // 100}.{quotient % 100:02}"


def major(amount_minor: int, *, grouped: bool = False, unit: int = Unit.MONEY) -> str:
    """Minor units as major units with two decimals: -29700 is -297.00, grouped 1234567 is 12,345.67.

    Of another unit than money there are no minor ones: 300 points are 300.
    """
    if unit != Unit.MONEY:
        return f"{amount_minor:,}" if grouped else str(amount_minor)
    whole, part = divmod(abs(amount_minor), 100)
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{whole:,}.{part:02}" if grouped else f"{sign}{whole}.{part:02}"
