"""Puts the house together: the only module that knows every room, the real clock, real chance and the key files.

Makes on the first start what is missing below var: two embedded databases, a key ring, a development authority. Decides
nothing about value. The server connects as coalition_app, never as an owner or superuser.
"""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

import structlog

from coalition.audit.notary import BatchNotary
from coalition.clearing.desk import Desk
from coalition.config import SettingInvalid, Settings, environment_of, load_settings
from coalition.domain.errors import CoalitionError, Contention
from coalition.domain.journal import Notary
from coalition.followers.positions import PositionsFollower
from coalition.log import set_up_log
from coalition.membership.reception import Reception
from coalition.programme.office import Office
from coalition.server.assembly import Credentials
from coalition.server.audit_service import AuditService
from coalition.server.front_door import FrontDoor
from coalition.server.identity import Identities, ParsePath
from coalition.server.member_service import MemberService
from coalition.server.portal_service import PortalService
from coalition.server.programme_service import ProgrammeService
from coalition.server.programme_watch import ProgrammeWatch
from coalition.server.request_ids import RequestIds
from coalition.server.terminal import TerminalServicer
from coalition.storage import launch
from coalition.storage.acts import Acts
from coalition.storage.audit_reads import AuditReads
from coalition.storage.connect import Connection, connect
from coalition.storage.embedded import EmbeddedPostgres, read_attach_file, remove_attach_file, write_attach_file
from coalition.storage.embedded_error import EmbeddedError
from coalition.storage.keydb import KeyDatabase
from coalition.storage.lease import Lease
from coalition.storage.ledger import LedgerStore
from coalition.storage.membership import MemberStore
from coalition.storage.migrating import KEYDB, LEDGER, check_schema, migrate
from coalition.storage.partitions import ensure_partitions, stray_rows
from coalition.storage.pool import open_pool
from coalition.storage.portal_reads import PortalReads
from coalition.storage.programme import lay_scheme, load
from coalition.storage.programme_reads import ProgrammeReads
from coalition.storage.programme_store import ProgrammeStore
from coalition.storage.reads import WalletReads, read_epoch, read_programme
from keys import (
    CertificateFiles,
    KeyRing,
    KeysError,
    SpiffeError,
    WrappedKey,
    certificate_files,
    create_authority,
    create_ring,
    issue,
    parse_spiffe,
)

Role = Literal["app", "settlement", "auditor", "owner"]

OWNER: Final = "coalition"
SERVER_FILE: Final = "server.json"
CERTIFICATE_DAYS: Final = 90
FIRST_IDENTITIES: Final = ("/server", "/op/admin")
POOL_SIZE: Final = 12  # threads that read or act at once; of the 120 connections of an embedded database
KEYDB_POOL_SIZE: Final = 4
KEYDB_SETTINGS: Final = {"shared_buffers": "32MB", "max_connections": "40"}
PARTITION_SECONDS: Final = 3600.0
SUPERVISE_SECONDS: Final = 0.5
CHILD_SECONDS: Final = 15.0
DESK_THREADS: Final = 2  # one decides while the database writes the other's batch; the interpreter runs one at a time
GC_THRESHOLDS: Final = (50_000, 20, 20)

# What every room says when the house cannot be put together: each sentence names the cause and its cure.
HOUSE_ERRORS: Final = (CoalitionError, EmbeddedError, KeysError)

log = structlog.get_logger(__name__)
Say = Callable[[str], None]


def utc_now() -> datetime:
    """The present, UTC."""
    return datetime.now(UTC)


class Databases:
    """Ledger and key database: embedded and owned, embedded and attached to, or servers named by URLs."""

    def __init__(self, settings: Settings, *, attach: bool = False) -> None:
        self._settings = settings
        self._attach = attach
        self._owned: list[EmbeddedPostgres] = []
        self._dsn: Callable[[str, str], str] | None = None

    @property
    def is_embedded(self) -> bool:
        """Whether the databases are the embedded ones, a development house with an authority of its own."""
        return self._settings.is_embedded

    def stray_partitions(self) -> list[str]:
        """Default partitions that hold rows, which `coalition migrate` should have made partitions for."""
        with connect(self.dsn(), "coalition check") as connection:
            return [stray.partition for stray in stray_rows(connection)]

    @property
    def is_owner(self) -> bool:
        """Whether this process runs the embedded databases."""
        return bool(self._owned)

    def open(self) -> None:
        """Start, attach or check; afterwards `dsn` works. Raises EmbeddedError, SchemaMismatch, StoreUnavailable."""
        settings = self._settings
        if not settings.is_embedded:
            if settings.keydb_url is None:
                raise SettingInvalid(
                    "setting keydb_url (COALITION_KEYDB_URL): must be given together with database_url"
                )
            check_schema(self.dsn("app"))
            check_schema(self.keydb_dsn(), KEYDB)
            return
        if self._attach:
            instances = read_attach_file(settings.var)
            self._dsn = lambda name, role: instances[name].dsn(role)
            check_schema(self.dsn("app"))
            return
        settings.var.mkdir(parents=True, exist_ok=True)
        ledger = EmbeddedPostgres(settings.var.resolve(), "ledger")
        keydb = EmbeddedPostgres(settings.var.resolve(), "keydb", settings=KEYDB_SETTINGS)
        self._owned = [ledger, keydb]
        for instance in self._owned:
            instance.start()
        by_name = {"ledger": ledger, "keydb": keydb}
        self._dsn = lambda name, role: by_name[name].dsn(role)
        write_attach_file(settings.var, self._owned)
        self.migrate()

    def migrate(self) -> None:
        """Bring both databases to this release's schema, as their owner, and make the partitions ahead."""
        migrate(self.dsn("owner"), LEDGER)
        migrate(self.keydb_dsn("owner"), KEYDB)
        self.make_partitions()

    def make_partitions(self) -> None:
        """Make the journal's next partitions; only their owner can."""
        with connect(self.dsn("owner"), "coalition partitions") as connection:
            ensure_partitions(connection, utc_now())

    def dsn(self, role: Role = "app") -> str:
        """How to reach the ledger as `role`. Raises SettingInvalid when its URL was not given."""
        settings = self._settings
        if self._dsn is not None:
            return self._dsn("ledger", OWNER if role == "owner" else f"coalition_{role}")
        urls = {
            "app": settings.database_url,
            "settlement": settings.settlement_database_url,
            "auditor": settings.auditor_database_url,
            "owner": settings.owner_database_url,
        }
        return _given(urls[role], "database_url" if role == "app" else f"{role}_database_url")

    def keydb_dsn(self, role: Literal["app", "owner"] = "app") -> str:
        """How to reach the key database."""
        if self._dsn is not None:
            return self._dsn("keydb", OWNER if role == "owner" else "coalition_app")
        if role == "owner":
            return _given(self._settings.keydb_owner_url, "keydb_owner_url")
        return _given(self._settings.keydb_url, "keydb_url")

    def restart_dead(self) -> None:
        """Start an embedded database again that has died. For the main thread's loop."""
        restarted = [instance.restart_if_dead() for instance in self._owned]
        if any(restarted):
            log.warning("embedded_database_restarted")
            write_attach_file(self._settings.var, self._owned)

    def close(self) -> None:
        """Stop what this process owns."""
        if self._owned:
            remove_attach_file(self._settings.var)
        for instance in reversed(self._owned):
            instance.stop()


def _given(url: str | None, setting: str) -> str:
    if url is None:
        raise SettingInvalid(
            f"setting {setting} (COALITION_{setting.upper()}): must name the database for what you asked, "
            "because database_url names a server of your own"
        )
    return url


@contextmanager
def databases(settings: Settings, *, attach: bool = False) -> Iterator[Databases]:
    """Both databases, open until the block ends."""
    opened = Databases(settings, attach=attach)
    try:
        opened.open()
        yield opened
    finally:
        opened.close()


def key_ring(settings: Settings) -> KeyRing:
    """The key ring; made when the directory holds none yet."""
    directory = settings.keys_directory
    if (directory / "ring.json").exists() or (directory.is_dir() and any(directory.iterdir())):
        return KeyRing.load(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    return create_ring(directory, random=os.urandom, create_time=utc_now())


def certificate(settings: Settings, path: str, *, days: int = CERTIFICATE_DAYS) -> CertificateFiles:
    """The certificate files of an identity such as "/t/cafe/main/till-1".

    With the development authority, made on first use, they are issued when missing or past half their life. Where only
    the authority's certificate lies, others issue: what is there is used as it is. Raises SpiffeError for what is no
    identity, AuthorityError for a certificate that is missing and cannot be issued here.
    """
    directory = settings.certificates_directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    if not (directory / "authority.pem").exists():
        create_authority(directory, settings.trust_domain)
    path = "/" + path.strip("/")
    files = certificate_files(directory, path[1:].split("/"))
    half_life_seconds = days * 86_400 / 2
    issuing = (directory / "authority.key").exists()
    if not files.cert.exists() or (issuing and time.time() - files.cert.stat().st_mtime > half_life_seconds):
        files = issue(directory, f"spiffe://{settings.trust_domain}{path}", days=days)
    return files


def notary(ring: KeyRing) -> Notary:
    """Seals batches with the ring's signing key."""
    return BatchNotary(ring.sign_batch)


def settlement_notary(settings: Settings | None = None) -> Notary:
    """The notary for the settlement job."""
    return notary(key_ring(settings or load_settings()))


def settlement_dsn(settings: Settings | None = None) -> str:
    """How the settlement job reaches the ledger: attached to the embedded one, or the URL given for its role."""
    settings = settings or load_settings()
    with databases(settings, attach=True) as opened:
        return opened.dsn("settlement")


def migrate_databases(settings: Settings) -> None:
    """What `coalition migrate` does: both databases to this release's schema, as their owner."""
    if not settings.is_embedded:
        Databases(settings).migrate()
        return
    with databases(settings) as opened:  # opening an embedded one migrates it
        opened.make_partitions()


def business_date_in(zone: str) -> Callable[[datetime], date]:
    """Turns an instant into the coalition's date."""
    there = ZoneInfo(zone)
    return lambda moment: moment.astimezone(there).date()


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


def path_parser(trust_domain: str) -> ParsePath:
    """Reads the identity in a certificate's names."""

    def parse(names: Sequence[str]) -> tuple[str, ...]:
        try:
            return parse_spiffe(names, trust_domain)
        except SpiffeError as error:
            raise ValueError(str(error)) from None

    return parse


@dataclass(slots=True)
class House:
    """The rooms of one server process, put together; `open` their front door, `close` all."""

    settings: Settings
    desk: Desk
    watch: ProgrammeWatch
    front_door: FrontDoor
    _closing: ExitStack

    def open(self) -> str:
        """Start the desk and serve; the address bound."""
        self.desk.start()
        self._closing.callback(self.desk.close)
        return self.front_door.open()

    def close(self) -> None:
        """Drain: calls in the house are answered, then the desk, then the connections."""
        self.front_door.close()
        self._closing.close()


def house(settings: Settings, ring: KeyRing, app_dsn: str, keydb_dsn: str) -> House:
    """Furnish a server process on databases that are migrated and laid."""
    closing = ExitStack()
    pool = closing.enter_context(open_pool(app_dsn, size=POOL_SIZE, application="coalition server"))
    keydb_pool = closing.enter_context(open_pool(keydb_dsn, size=KEYDB_POOL_SIZE, application="coalition server"))
    lease: Lease = pool.connection
    seal, business_date = notary(ring), business_date_in(settings.zone)
    watch = ProgrammeWatch(lambda: read_programme(lease), lambda: read_epoch(lease))
    lane_count = watch.current.scheme.lane_count
    acts = Acts(lane_count, business_date, seal)
    reads = WalletReads(lease, lane_count)
    request_ids = RequestIds(reads, lambda: time.time_ns() // 1_000_000)
    office = Office(ProgrammeStore(lease, acts), utc_now)
    reception = Reception(
        MemberStore(lease, acts, lane_count), ring, KeyDatabase(keydb_pool.connection, WrappedKey), utc_now, os.urandom
    )
    desk = Desk(
        [LedgerStore(app_dsn, load, business_date, seal) for _ in range(DESK_THREADS)],
        batch_max=settings.desk_batch_max,
        queue_max=settings.desk_queue_max,
        clock=time.monotonic,
        pause=time.sleep,
    )
    stop = threading.Event()
    watcher = threading.Thread(target=watch.run, args=(stop,), name="programme watch", daemon=True)
    watcher.start()
    closing.callback(watcher.join)
    closing.callback(stop.set)

    def servicers() -> Sequence[object]:
        return (
            TerminalServicer(desk, watch, reads, request_ids, ring.card_token, business_date),
            ProgrammeService(office, ProgrammeReads(lease), watch, request_ids),
            MemberService(reception, watch, request_ids),
            AuditService(AuditReads(lease, lane_count, time.sleep), watch),
            PortalService(PortalReads(lease), reads, watch),
        )

    identities = Identities(path_parser(settings.trust_domain), watch)
    front_door = FrontDoor(servicers, server_credentials(settings), identities, settings.listen)
    return House(settings, desk, watch, front_door, closing)


def server_credentials(settings: Settings) -> Credentials:
    """The PEM files of /server; development certificates are made when missing."""
    files = certificate(settings, "/server")
    return Credentials(files.cert, files.key, files.chain)


def serve(settings: Settings, *, attach: bool = False, with_settlement: bool = True, say: Say = print) -> int:
    """What `coalition serve` does: everything, until SIGTERM or SIGINT; the process's exit code.

    Belongs to the main thread. `attach` joins the embedded databases of another `serve` process. Raises CoalitionError
    when it cannot start.
    """
    set_up_log(settings.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with databases(settings, attach=attach) as opened:
        ring = key_ring(settings)
        lay(settings, ring, opened.dsn())
        for identity in FIRST_IDENTITIES if opened.is_embedded else ():
            certificate(settings, identity)
        server = house(settings, ring, opened.dsn(), opened.keydb_dsn())
        follower = threading.Thread(target=_follow, args=(opened.dsn(), stop), name="positions", daemon=True)
        child: subprocess.Popen[bytes] | None = None
        try:
            tune_interpreter()
            address = server.open()
            file = _write_server_file(settings, address, own=not attach)
            if not attach:
                follower.start()
                child = _start_settlement(settings) if with_settlement else None
            for line in what_to_type(settings, address, with_settlement=child is not None):
                say(line)
            log.info("server_started", address=address)
            _supervise(opened, stop, child)
            say("stopping: calls in the house are answered first")
            file.unlink(missing_ok=True)
        finally:
            stop.set()
            _end_child(child)
            server.close()
        log.info("server_stopped")
    return 0


def _supervise(opened: Databases, stop: threading.Event, child: subprocess.Popen[bytes] | None) -> None:
    """The main thread's loop: embedded databases are its children and come back when they die."""
    next_partitions = time.monotonic() + PARTITION_SECONDS
    while not stop.wait(SUPERVISE_SECONDS):
        opened.restart_dead()
        if child is not None and child.poll() is not None:
            log.error("settlement_server_ended", exit_code=child.returncode)
            child = None
        if opened.is_owner and time.monotonic() > next_partitions:
            next_partitions = time.monotonic() + PARTITION_SECONDS
            try:
                opened.make_partitions()
            except Contention as error:
                log.warning("partitions_not_made", cause=str(error))


def follow(settings: Settings) -> int:
    """What `coalition follow` does: the positions follower as a process of its own, until SIGTERM or SIGINT.

    Needs the ledger alone: no key ring, no certificate, and of a server named by URL no key database. Any number may
    run beside each other and beside servers. Raises CoalitionError when it cannot start.
    """
    set_up_log(settings.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    opened = Databases(settings, attach=True)
    if settings.is_embedded:
        opened.open()
    else:
        check_schema(opened.dsn())
    log.info("follower_started", follower="positions")
    _follow(opened.dsn(), stop)
    log.info("follower_stopped", follower="positions")
    return 0


def _follow(dsn: str, stop: threading.Event) -> None:
    def open_connection() -> Connection:
        return connect(dsn, "coalition positions")

    PositionsFollower(open_connection, utc_now, time.sleep).run(stop)


def _start_settlement(settings: Settings) -> subprocess.Popen[bytes]:
    """HQ's own server as a child that dies with us (launch.py ties it to this thread, the main one)."""
    wrapped = [sys.executable, "-I", "-S", str(Path(launch.__file__)), str(os.getpid()), "-1", "-1"]
    return subprocess.Popen(
        [*wrapped, sys.executable, "-m", "settlement", "serve"],
        env=environment_of(settings),
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is ours, and we stop it in our order
    )


def _end_child(child: subprocess.Popen[bytes] | None) -> None:
    if child is None or child.poll() is not None:
        return
    child.send_signal(signal.SIGINT)
    try:
        child.wait(CHILD_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _write_server_file(settings: Settings, address: str, *, own: bool) -> Path:
    """Write where this server answers: var/server.json, or server-<pid>.json for one that attached."""
    file = settings.var / (SERVER_FILE if own else f"server-{os.getpid()}.json")
    settings.var.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_text(json.dumps({"version": 1, "address": address, "pid": os.getpid()}) + "\n", encoding="utf-8")
    draft.replace(file)
    return file


def tune_interpreter() -> None:
    """Settle Python for serving: what is loaded now is never scanned again, what comes is scanned rarely.

    The default collector runs every 700 new objects, which one call makes; cycles are rare here, so it may wait
    (measured: a quarter of the desk's time at batches of 1,024).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def what_to_type(settings: Settings, address: str, *, with_settlement: bool) -> Iterator[str]:
    """What a newcomer reads when the server is up."""
    yield f"coalition serves terminals, headquarters, counters and auditors at {address} (mutual TLS)"
    if with_settlement:
        yield f"the settlement server answers headquarters at {settings.settlement_listen}"
    yield f"certificates are in {settings.certificates_directory}; databases and keys below {settings.var}"
    yield "in another shell, type for example:"
    yield "  coalition participant list"
    yield "  coalition participant add bakery --name 'Bakery' --role store"
    yield "  coalition windows"
    yield "Ctrl-C stops it; what was acknowledged stays"
