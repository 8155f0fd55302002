"""The points of a closed window become money: valued once, posted once as its VALUATION entry, before it is netted.

What is valued is the follower's fold of claims up to the window's cut. A second run finds the entry and changes
nothing. Its claims lie in the window although their batch came after the cut, as those of its fees do.
"""

from collections.abc import Iterable, Sequence
from uuid import uuid5
from zoneinfo import ZoneInfo

from coalition.domain.acts import JSON, Act, body_hash
from coalition.domain.agreements import Version
from coalition.domain.ids import number_of
from coalition.domain.journal import Notary
from coalition.domain.kinds import Kind
from coalition.domain.points_programme import PointsProgramme
from coalition.domain.valuation import Valued, Worth, valuation_transfers, value_points
from coalition.storage import settlement as store
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection
from coalition.storage.positions import Claim
from coalition.storage.programme import load
from settlement.errors import ChangedMeanwhile


def value_window(
    connection: Connection, window: store.Window, claims: Sequence[Claim], *, notary: Notary
) -> int | None:
    """Post what the points among a closed window's `claims` are worth; the batch's number, None where there are none.

    Needs an autocommit connection. Raises ChangedMeanwhile if somebody netted the window since it was looked at.
    """
    if window.valuation_entry_id is not None:
        return number_of(window.valuation_entry_id)
    told = [(claim.debtor_id, claim.creditor_id, claim.unit, claim.amount_minor) for claim in claims]
    valued = value_points(told, worths(load(connection).versions.values()))
    if not valued:
        return None
    known = store.scheme(connection)
    body: dict[str, JSON] = {
        "calendar": window.calendar,
        "label": window.label,
        "valued": [row_of(each) for each in valued],
    }

    def apply(connection: Connection) -> dict[str, JSON]:
        if store.lock_window(connection, window.window_id).state != "CLOSED":
            raise ChangedMeanwhile(f"window {window.label} was netted while its points were valued: run it again")
        return body

    own_id = uuid5(known.deployment_id, f"valuation/{window.window_id}")
    act = Act(Kind.VALUATION, known.operator_id, own_id, body_hash(Kind.VALUATION, body), store.ACTOR)
    acts = Acts(known.lane_count, lambda time: time.astimezone(ZoneInfo(known.zone)).date(), notary)
    with connection.transaction():
        entry_id = acts.perform(
            connection, act, apply, transfers=lambda: valuation_transfers(valued, window.window_id)
        ).entry_id
        store.note_valuation(connection, window.window_id, entry_id)
    return number_of(entry_id)


def worths(versions: Iterable[Version]) -> dict[int, Worth]:
    """What a point is worth, by the unit of its version."""
    return {
        version.unit: Worth(version.agreement_id, version.version, version.content.value)
        for version in versions
        if isinstance(version.content, PointsProgramme) and version.unit is not None
    }


def row_of(valued: Valued) -> dict[str, JSON]:
    """How a claim in money came about, for the journal."""
    return {
        "debtor_id": valued.debtor_id,
        "creditor_id": valued.creditor_id,
        "unit": valued.unit,
        "agreement_id": valued.worth.agreement_id,
        "version": valued.worth.version,
        "value": str(valued.worth.value),
        "points": valued.points,
        "amount_minor": valued.amount_minor,
    }
