"""HQ's own server process: SettlementService alone, under the database role coalition_settlement.

The same assembly, identities and permission table as the coalition's server; only this one closes and nets. It joins
the databases that are running and never starts or migrates one.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import structlog

from coalition.bootstrap.addresses import SETTLEMENT, announced
from coalition.bootstrap.clock import business_date_in, unix_milliseconds, utc_now
from coalition.bootstrap.databases import databases
from coalition.bootstrap.identities import path_parser, server_credentials
from coalition.bootstrap.limits import limits_of, make_room_for_connections
from coalition.bootstrap.revocations import watched_revocations
from coalition.bootstrap.signals import stop_on_signals
from coalition.bootstrap.strongroom import existing_key_ring, notary
from coalition.config import Settings
from coalition.domain.journal import Notary
from coalition.followers.follower import Follower
from coalition.log import set_up_log
from coalition.server.assembly import Credentials
from coalition.server.debt_calls import DebtCalls
from coalition.server.dispute_calls import DisputeCalls
from coalition.server.front_door import FrontDoor
from coalition.server.identity import Identities
from coalition.server.programme_watch import ProgrammeWatch
from coalition.server.request_ids import RequestIds
from coalition.server.settlement_service import SettlementService
from coalition.server.simulation_calls import SimulationCalls
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection, connect
from coalition.storage.month_reads import MonthReads
from coalition.storage.pool import open_pool
from coalition.storage.positions import POSITIONS
from coalition.storage.reads import WalletReads, read_epoch, read_programme
from coalition.storage.run_reads import RunReads
from settlement.disputing import Disputes
from settlement.handing_over import HandingOver
from settlement.member_debts import MemberDebts
from settlement.orders import Orders
from settlement.run_orders import RunOrders
from settlement.simulation_orders import Simulations

POOL_SIZE: Final = 6  # HQ asks seldom; of the connections that the tills' server leaves
APPLICATION: Final = "coalition settlement"

log = structlog.get_logger(__name__)


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; the process's exit code. Belongs to the main thread.

    Raises CoalitionError when it cannot start: no database, no scheme yet, address taken.
    """
    set_up_log(settings.log_level)
    stop = stop_on_signals()
    make_room_for_connections(settings)
    with databases(settings, attach=True) as opened:
        credentials, seal = server_credentials(settings), notary(existing_key_ring(settings))
        with settlement_server(settings, opened.dsn("settlement"), credentials, seal) as front_door:
            address = front_door.open()
            with announced(settings, SETTLEMENT, address):
                log.info("settlement_server_started", address=address)
                stop.wait()
        log.info("settlement_server_stopped")
    return 0


@contextmanager
def settlement_server(settings: Settings, dsn: str, credentials: Credentials, seal: Notary) -> Iterator[FrontDoor]:
    """A furnished server, to be opened; at the end calls in the house are answered, then its connections close."""

    def open_connection() -> Connection:
        return connect(dsn, APPLICATION)

    with ExitStack() as closing:
        lease = closing.enter_context(open_pool(dsn, size=POOL_SIZE, application=APPLICATION)).connection
        watch = ProgrammeWatch(lambda: read_programme(lease), lambda: read_epoch(lease))
        scheme = watch.current.scheme
        acts = Acts(scheme.lane_count, business_date_in(scheme.zone), seal)
        follower = Follower(POSITIONS, open_connection, utc_now, time.sleep)
        request_ids = RequestIds(WalletReads(lease, scheme.lane_count), unix_milliseconds)
        service = SettlementService(
            MonthReads(lease),
            watch,
            request_ids,
            Orders(lease, acts, follower, seal, time.sleep),
            RunReads(lease),
            RunOrders(lease, acts, seal),
            DisputeCalls(Disputes(lease, acts, business_date_in(scheme.zone)), watch, request_ids),
            DebtCalls(MemberDebts(lease, acts), watch, request_ids),
            HandingOver(lease, acts, time.sleep),
            SimulationCalls(Simulations(lease, follower), watch),
        )
        stop = threading.Event()
        watcher = threading.Thread(target=watch.run, args=(stop,), name="programme watch", daemon=True)
        watcher.start()
        closing.callback(watcher.join)
        closing.callback(stop.set)
        identities = Identities(path_parser(settings.trust_domain), watch)
        front_door = FrontDoor(
            lambda: (service,),
            credentials,
            identities,
            settings.settlement_listen,
            limits=limits_of(settings),
            revocations=closing.enter_context(watched_revocations(settings)),
        )
        closing.callback(front_door.close)
        yield front_door
