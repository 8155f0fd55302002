"""The rooms of one server process, put together and handed their stores, clock, chance and keys.

Works on databases that are migrated; starts the desk's workers and no other process, and reads no environment.
"""

import os
import random
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from coalition.bootstrap.clock import business_date_in, unix_milliseconds, utc_now
from coalition.bootstrap.identities import path_parser, server_credentials
from coalition.bootstrap.key_events import key_rows
from coalition.bootstrap.limits import limits_of
from coalition.bootstrap.pins import RingPins
from coalition.bootstrap.revocations import watched_revocations
from coalition.bootstrap.seeds import seal_seed
from coalition.bootstrap.statements import signed_by
from coalition.bootstrap.strongroom import notary
from coalition.bootstrap.telemetry import Telemetry
from coalition.bootstrap.workers import Workers
from coalition.clearing.bonus_expiry import expiring_bonuses
from coalition.clearing.day_end import DayEnd
from coalition.clearing.desk import Desk
from coalition.clearing.expiry import expiring_holds
from coalition.clearing.merging import moving_merged_value
from coalition.clearing.points_expiry import expiring_points
from coalition.clearing.sweeping import tended
from coalition.config import Settings
from coalition.followers import folds
from coalition.followers.day_limits import day_totals
from coalition.followers.follower import Follower
from coalition.membership.device_desk import DeviceDesk
from coalition.membership.reception import Reception
from coalition.programme.office import Office
from coalition.server.audit_log import AuditLog
from coalition.server.audit_service import AuditService
from coalition.server.audit_state import AuditState
from coalition.server.day_end import DayEndCalls
from coalition.server.event_service import EventService
from coalition.server.front_door import FrontDoor
from coalition.server.identity import Identities
from coalition.server.member_service import MemberService
from coalition.server.portal_service import PortalService
from coalition.server.presented import Presentations, Tools
from coalition.server.programme_service import ProgrammeService
from coalition.server.programme_watch import ProgrammeWatch
from coalition.server.request_ids import RequestIds
from coalition.server.terminal import TerminalServicer
from coalition.storage.acts import Acts
from coalition.storage.audit_leaves import AuditTreeReads
from coalition.storage.audit_reads import AuditReads
from coalition.storage.audit_state import AuditStateReads
from coalition.storage.bonuses import BonusReads
from coalition.storage.connect import connect
from coalition.storage.day_closes import DayCloses
from coalition.storage.devices import DeviceStore
from coalition.storage.frontier import frontier
from coalition.storage.holds import HoldReads
from coalition.storage.keydb import KeyDatabase
from coalition.storage.lease import Lease
from coalition.storage.member_events import MemberEventReads
from coalition.storage.membership import MemberStore
from coalition.storage.merge_reads import MergeReads
from coalition.storage.points_ends import PointsEndReads
from coalition.storage.pool import open_pool
from coalition.storage.portal_reads import PortalReads
from coalition.storage.programme import lay_scheme
from coalition.storage.programme_reads import ProgrammeReads
from coalition.storage.programme_store import ProgrammeStore
from coalition.storage.reads import WalletReads, read_epoch, read_programme
from coalition.storage.settlement_events import SettlementEventReads
from keys import KeyRing, WrappedKey

POOL_SIZE: Final = 12  # threads that read or act at once; of the 120 connections of an embedded database
KEYDB_POOL_SIZE: Final = 4


@dataclass(slots=True)
class House:
    """The rooms of one server process, put together; `open` their front door, `close` all."""

    settings: Settings
    watch: ProgrammeWatch
    front_door: FrontDoor
    _telemetry: Telemetry
    _closing: ExitStack

    def open(self) -> str:
        """Publish the metrics, open the desk and serve; the address bound."""
        self._telemetry.publish()
        return self.front_door.open()

    @property
    def metrics_address(self) -> str | None:
        """Where the metrics are, once it is open; None when nobody asked for them."""
        return self._telemetry.metrics_address

    def close(self) -> None:
        """Drain: calls in the house are answered, then the desk, then the connections."""
        self.front_door.close()
        self._closing.close()


def house(settings: Settings, ring: KeyRing, app_dsn: str, keydb_dsn: str) -> House:
    """Furnish a server process on databases that are migrated and laid; what keeps it from that leaves nothing open."""
    with ExitStack() as closing:
        watch, front_door, telemetry = _furnish(closing, settings, ring, app_dsn, keydb_dsn)
        return House(settings, watch, front_door, telemetry, closing.pop_all())


def _furnish(
    closing: ExitStack, settings: Settings, ring: KeyRing, app_dsn: str, keydb_dsn: str
) -> tuple[ProgrammeWatch, FrontDoor, Telemetry]:
    """The rooms, shut by `closing` from the last to the first."""
    pool = closing.enter_context(open_pool(app_dsn, size=POOL_SIZE, application="coalition server"))
    keydb_pool = closing.enter_context(open_pool(keydb_dsn, size=KEYDB_POOL_SIZE, application="coalition server"))
    lease: Lease = pool.connection
    seal, business_date = notary(ring), business_date_in(settings.zone)
    watch = ProgrammeWatch(lambda: read_programme(lease), lambda: read_epoch(lease))
    lane_count = watch.current.scheme.lane_count
    acts = Acts(lane_count, business_date, seal)
    reads = WalletReads(lease, lane_count)
    request_ids = RequestIds(reads, unix_milliseconds)
    office = Office(ProgrammeStore(lease, acts), utc_now)
    follower = Follower(day_totals(), lambda: connect(app_dsn, "coalition day end"), utc_now, time.sleep)
    day_end = DayEndCalls(
        DayEnd(DayCloses(lease, acts), follower.catch_up, signed_by), watch, request_ids, business_date, utc_now
    )
    pins = RingPins(ring)
    members, member_keys = MemberStore(lease, acts, lane_count), KeyDatabase(keydb_pool.connection, WrappedKey)
    retention = timedelta(days=settings.retention_days)
    reception = Reception(members, ring, member_keys, utc_now, os.urandom, pins, retention=retention)
    reception.erasures.finish()  # what a crash interrupted
    devices = DeviceDesk(members, DeviceStore(lease, lane_count), ring, member_keys, seal_seed, utc_now, os.urandom)
    tools = Tools(ring, devices, reception.phone_handle, reads, time.monotonic)
    telemetry = Telemetry(settings, random.random)
    closing.callback(telemetry.close)
    workers = Workers(settings)
    closing.callback(workers.close)
    desk = Desk(
        workers.open,
        settings.desk_workers,
        batch_max=settings.desk_batch_max,
        queue_max=settings.desk_queue_max,
        clock=time.monotonic,
        observer=telemetry.desk_observer,
    )
    telemetry.watch(desk, {"ledger": pool, "keydb": keydb_pool}, folds())
    stop = threading.Event()
    watcher = threading.Thread(target=watch.run, args=(stop,), name="programme watch", daemon=True)
    watcher.start()
    closing.callback(watcher.join)
    closing.callback(stop.set)

    audit_log = AuditLog(AuditTreeReads(lease, lane_count))
    decided = partial(frontier, sleep=time.sleep)
    audit_state = AuditState(AuditStateReads(lease, decided), lambda: key_rows(ring.versions))

    def servicers() -> Sequence[object]:
        return (
            TerminalServicer(
                desk, watch, reads, request_ids, Presentations(tools), business_date, pins.public_key, day_end
            ),
            ProgrammeService(office, ProgrammeReads(lease), watch, request_ids),
            MemberService(reception, devices, watch, request_ids, desk),
            AuditService(AuditReads(lease, lane_count, time.sleep), audit_log, audit_state, watch),
            PortalService(PortalReads(lease), reads, reception.reading, watch),
            EventService(MemberEventReads(lease, lane_count, business_date), SettlementEventReads(lease), watch),
        )

    revocations = closing.enter_context(watched_revocations(settings))
    operator_id = watch.current.scheme.operator_id
    identities = Identities(path_parser(settings.trust_domain), watch)
    front_door = FrontDoor(
        servicers,
        server_credentials(settings),
        identities,
        settings.listen,
        desk=tended(
            desk,
            [
                expiring_holds(HoldReads(lease), operator_id),
                expiring_bonuses(BonusReads(lease), operator_id, lambda: business_date(utc_now())),
                expiring_points(PointsEndReads(lease), operator_id, lambda: business_date(utc_now())),
                moving_merged_value(MergeReads(lease), operator_id),
            ],
        ),
        limits=limits_of(settings),
        revocations=revocations,
        observe=telemetry.observe,
        tracer=telemetry.tracer,
    )
    return watch, front_door, telemetry


def lay(settings: Settings, ring: KeyRing, dsn: str) -> bool:
    """Lay the scheme on an empty ledger, or check that it is the one of the settings. Raises SchemeDiffers."""
    now = utc_now()
    with connect(dsn, "coalition lay") as connection:
        return lay_scheme(
            connection,
            deployment_id=ring.deployment_id,
            display_name=settings.display_name,
            trust_domain=settings.trust_domain,
            zone=settings.zone,
            currency_code=settings.currency,
            lane_count=settings.lane_count,
            time=now,
            business_date=business_date_in(settings.zone)(now),
            first_label=settings.first_window,
        )
