"""The house's keys in the journal: which versions there are and in which state, and that member keys or indexes were
made anew. Acts of the operator, so that an auditor sees the life of every key in the log.

A server tells what is new in its ring when it starts, `coalition keys record` at any time. Nothing secret is told: of a
key only its public check.
"""

from collections.abc import Callable, Iterable, Mapping
from uuid import UUID

from coalition.bootstrap.clock import business_date_in
from coalition.bootstrap.databases import databases
from coalition.bootstrap.errors import StrongroomRefused
from coalition.bootstrap.strongroom import notary
from coalition.client import new_request_id
from coalition.config import Settings
from coalition.domain.acts import JSON, Act, body_hash
from coalition.domain.kinds import Kind
from coalition.storage import key_versions as store
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection, connect
from coalition.storage.key_versions import ToldVersion
from coalition.storage.programme import load
from keys import KeyRing, KeyVersion

ACTOR = "/op/keys"


def record_key_ring(settings: Settings, ring: KeyRing, dsn: str) -> list[ToldVersion]:
    """Tell the journal of every key version of the ring that it does not know as it is; which these were."""
    versions = [told_of(version) for version in ring.versions]
    with connect(dsn, "coalition keys") as connection:
        if not store.untold(connection, versions):
            return []
        told: list[ToldVersion] = []

        def apply(inside: Connection) -> dict[str, JSON]:
            store.lock(inside)
            told[:] = store.untold(inside, versions)
            store.put(inside, told)
            return {"versions": [told_row(version) for version in told]}

        _perform(connection, settings, ring, Kind.KEYS_CHANGED, apply)
        return told


def record_rewrapped(settings: Settings, ring: KeyRing, exchanged: int, broken: int, counts: Mapping[int, int]) -> None:
    """Tell the journal that member keys were wrapped anew: how many, and how many each version wraps now."""
    facts: dict[str, JSON] = {
        "broken": broken,
        "exchanged": exchanged,
        "kek_version": ring.kek_version,
        "wrapped": [[version, count] for version, count in sorted(counts.items())],
    }
    _record(settings, ring, Kind.KEYS_REWRAPPED, facts)


def record_reindexed(
    settings: Settings, ring: KeyRing, version: int, exchanged: int, keyless: int, broken: int
) -> None:
    """Tell the journal that members were indexed anew."""
    facts: dict[str, JSON] = {"broken": broken, "exchanged": exchanged, "keyless": keyless, "version": version}
    _record(settings, ring, Kind.INDEXES_REMADE, facts)


def told_of(version: KeyVersion) -> ToldVersion:
    """A version of the ring as the journal is told of it."""
    return ToldVersion(version.purpose.value, version.version, version.state.value, version.primary, version.check)


def told_row(version: ToldVersion) -> list[JSON]:
    """Purpose, version, state, whether it is the primary one, check in hex."""
    return [version.purpose, version.version, version.state, version.is_primary, version.check.hex()]


def key_rows(versions: Iterable[KeyVersion]) -> list[list[JSON]]:
    """Every version of a ring as the journal is told of it, in order."""
    return [told_row(each) for each in sorted(map(told_of, versions))]


def record_on_attached(settings: Settings, ring: KeyRing) -> list[ToldVersion]:
    """`record_key_ring` on the ledger of a running house. Raises StoreUnavailable, SettingInvalid."""
    with databases(settings, attach=True) as opened:
        return record_key_ring(settings, ring, opened.dsn())


def _record(settings: Settings, ring: KeyRing, kind: Kind, facts: dict[str, JSON]) -> None:
    with databases(settings, attach=True) as opened, connect(opened.dsn(), "coalition keys") as connection:
        _perform(connection, settings, ring, kind, lambda _: facts)


def _perform(
    connection: Connection,
    settings: Settings,
    ring: KeyRing,
    kind: Kind,
    apply: Callable[[Connection], dict[str, JSON]],
) -> None:
    scheme = load(connection).scheme
    ((deployment_id,),) = connection.execute("SELECT deployment_id FROM scheme").fetchall()
    if deployment_id != ring.deployment_id:
        raise StrongroomRefused(
            f"this ring is of another deployment, {ring.deployment_id}: the ledger is of {deployment_id}. Name its own "
            "ring with COALITION_KEYS"
        )
    request_id = new_request_id()
    act = Act(kind, scheme.operator_id, UUID(request_id), body_hash(kind, {"request_id": request_id}), ACTOR)
    acts = Acts(scheme.lane_count, business_date_in(settings.zone), notary(ring))
    acts.perform(connection, act, apply)
