"""What issuers owe to members now: open lots by age, passes, by custodian; bonus about to expire; wallets at rest.

All figures of one report come from one snapshot. Reads hot rows without locking any; never writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from coalition.domain.ids import NUMBER_SHIFT
from coalition.storage.connect import Connection

AGE_DAYS: Final = (91, 182, 365, 730)
"""A lot's age is told as the first of these it is younger than."""

OUTSTANDING: Final = f"""
SELECT l.issuer_id, l.custodian_id,
       width_bucket(%(today)s::date - (b.time AT TIME ZONE %(zone)s)::date, %(ages)s::integer[]) AS age,
       count(*), sum(l.face)::bigint, sum(l.principal)::bigint
FROM lots l JOIN batches b ON b.number = l.lot_id >> {NUMBER_SHIFT}
WHERE l.is_open AND l.face > 0
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
PASSES: Final = """
SELECT issuer_id, custodian_id, count(*), sum(visits)::bigint, sum(principal)::bigint
FROM passes WHERE is_open GROUP BY 1, 2 ORDER BY 1, 2
"""
POINTS: Final = """
SELECT programme_id, count(*) FILTER (WHERE balance > 0), coalesce(sum(balance) FILTER (WHERE balance > 0), 0)::bigint,
       coalesce(-sum(balance) FILTER (WHERE balance < 0), 0)::bigint
FROM points WHERE balance <> 0 GROUP BY 1 ORDER BY 1
"""
EXPIRING: Final = """
SELECT issuer_id, bonus_expiry, count(*), sum(face - principal)::bigint
FROM lots
WHERE is_open AND face > principal AND bonus_expiry >= %(today)s AND bonus_expiry <= %(until)s
GROUP BY 1, 2 ORDER BY 1, 2
"""
DORMANT: Final = f"""
SELECT l.issuer_id, count(DISTINCT (w.lane, w.wallet_id)), sum(l.face)::bigint, sum(l.principal)::bigint
FROM wallets w
JOIN batches b ON b.number = w.last_entry_id >> {NUMBER_SHIFT}
JOIN lots l ON l.lane = w.lane AND l.wallet_id = w.wallet_id AND l.is_open AND l.face > 0
WHERE w.balance_minor > 0 AND (b.time AT TIME ZONE %(zone)s)::date < %(since)s
GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Outstanding:
    """Open lots of one issuer at one custodian; `age` is a place in AGE_DAYS, its length for the oldest."""

    issuer_id: int
    custodian_id: int
    age: int
    lots: int
    face_minor: int
    principal_minor: int

    @property
    def bonus_minor(self) -> int:
        return self.face_minor - self.principal_minor


@dataclass(frozen=True, slots=True)
class OutstandingPasses:
    """Open passes of one issuer at one custodian: the visits left, and what was paid for them."""

    issuer_id: int
    custodian_id: int
    passes: int
    visits: int
    principal_minor: int


@dataclass(frozen=True, slots=True)
class OutstandingPoints:
    """Points of one programme: how many wallets have how many, and how many members owe because they spent too many."""

    programme_id: int
    wallets: int
    points: int
    owed_points: int


@dataclass(frozen=True, slots=True)
class Expiring:
    """Bonus of an issuer that expires at the end of a business date unless it is spent."""

    issuer_id: int
    expiry: date
    lots: int
    bonus_minor: int


@dataclass(frozen=True, slots=True)
class Dormant:
    """Wallets with value of an issuer that have done nothing for long; a wallet may hold value of several issuers."""

    issuer_id: int
    wallets: int
    face_minor: int
    principal_minor: int


@dataclass(frozen=True, slots=True)
class Liability:
    """Everything, of one snapshot; `last_number` is the last journal number when it was taken."""

    last_number: int
    outstanding: Sequence[Outstanding]
    expiring: Sequence[Expiring]
    dormant: Sequence[Dormant]
    passes: Sequence[OutstandingPasses] = ()
    points: Sequence[OutstandingPoints] = ()


def liability(
    connection: Connection, *, zone: str, today: date, expiring_until: date, dormant_since: date
) -> Liability:
    """Read it all in one snapshot. Dates are business dates of `zone`; wallets not used since `dormant_since` rest."""
    parameters = {
        "zone": zone,
        "today": today,
        "until": expiring_until,
        "since": dormant_since,
        "ages": list(AGE_DAYS),
    }
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        ((number,),) = connection.execute("SELECT coalesce(max(number), 0) FROM batches").fetchall()
        outstanding = [Outstanding(*row) for row in connection.execute(OUTSTANDING, parameters)]
        expiring = [Expiring(*row) for row in connection.execute(EXPIRING, parameters)]
        dormant = [Dormant(*row) for row in connection.execute(DORMANT, parameters)]
        passes = [OutstandingPasses(*row) for row in connection.execute(PASSES)]
        points = [OutstandingPoints(*row) for row in connection.execute(POINTS)]
    return Liability(number, outstanding, expiring, dormant, passes, points)
