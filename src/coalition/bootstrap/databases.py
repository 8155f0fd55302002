"""Ledger and key database of a house: embedded and owned, embedded and attached to, or servers named by URLs.

The server connects as coalition_app, the month as coalition_settlement; only migrating and making partitions is done as
their owner. Reads and writes no row of value.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal

import structlog

from coalition.bootstrap.clock import utc_now
from coalition.config import SettingInvalid, Settings
from coalition.storage.attach import read_attach_file, remove_attach_file, write_attach_file
from coalition.storage.connect import connect
from coalition.storage.embedded import EmbeddedPostgres
from coalition.storage.partitions import ensure_partitions, stray_rows
from coalition.storage.schema import KEYDB, LEDGER, check_schema

Role = Literal["app", "settlement", "auditor", "owner"]

OWNER: Final = "coalition"
KEYDB_SETTINGS: Final = {"shared_buffers": "32MB", "max_connections": "40"}

log = structlog.get_logger(__name__)


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
        for instance in (ledger, keydb):
            instance.start()
            # Ours from here on: of a house that another process serves we close nothing and remove no attach file.
            self._owned.append(instance)
        by_name = {"ledger": ledger, "keydb": keydb}
        self._dsn = lambda name, role: by_name[name].dsn(role)
        write_attach_file(settings.var, self._owned)
        self.migrate()

    def migrate(self) -> None:
        """Bring both databases to this release's schema, as their owner, and make the partitions ahead."""
        from coalition.storage.migrating import migrate  # noqa: PLC0415 - half a second of libraries; few processes migrate

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


def migrate_databases(settings: Settings) -> None:
    """What `coalition migrate` does: both databases to this release's schema, as their owner."""
    if not settings.is_embedded:
        Databases(settings).migrate()
        return
    with databases(settings) as opened:  # opening an embedded one migrates it
        opened.make_partitions()
