"""Bringing a database to this release's schema, and refusing to start on any other."""

from pathlib import Path
from typing import Final

import sqlalchemy
from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from coalition.domain.errors import CoalitionError
from coalition.storage.connect import connect

HERE: Final = Path(__file__).parent
LEDGER: Final = HERE / "migrations"
KEYDB: Final = HERE / "keydb_migrations"
# A migration that has to wait longer than this for a lock gives up, so that it never stalls the tills behind it.
POLITE: Final = ("SET lock_timeout = '4s'", "SET statement_timeout = '5min'")


class SchemaMismatch(CoalitionError):
    """The database's schema is not the one this release works with."""

    def __init__(self, found: str | None, wanted: str) -> None:
        cure = "run `coalition migrate`" if found is None or found < wanted else "install the release that made it"
        super().__init__(f"the database is at schema version {found or 'none'}, this release needs {wanted}: {cure}")
        self.found = found
        self.wanted = wanted


def migrate(dsn: str, scripts: Path = LEDGER) -> None:
    """Upgrade the database to the newest revision in one transaction; does nothing when it is there already."""
    owner = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: connect(dsn, "coalition migrate"))
    with owner.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        config = _config(scripts)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    owner.dispose()


def check_schema(dsn: str, scripts: Path = LEDGER) -> None:
    """Raise SchemaMismatch unless the database is at exactly this release's revision."""
    reader = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: connect(dsn, "coalition check"))
    with reader.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    reader.dispose()
    wanted = ScriptDirectory.from_config(_config(scripts)).get_current_head()
    if wanted is None or found != wanted:
        raise SchemaMismatch(found, wanted or "none")


def run_environment() -> None:
    """What an `env.py` does: run on the connection handed in, or print SQL when Alembic is offline."""
    if context.is_offline_mode():
        context.configure(dialect_name="postgresql", literal_binds=True)
        with context.begin_transaction():
            for setting in POLITE:
                context.execute(setting)
            context.run_migrations()
        return
    connection = context.config.attributes["connection"]
    context.configure(connection=connection)
    with context.begin_transaction():
        for setting in POLITE:
            connection.execute(sqlalchemy.text(setting))
        context.run_migrations()


def _config(scripts: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    return config
