"""Bringing a database to this release's schema. Whether it is there already, schema.py tells without Alembic."""

from pathlib import Path
from typing import Final

import sqlalchemy
from alembic import command, context
from alembic.config import Config

from coalition.storage.connect import connect
from coalition.storage.schema import LEDGER

# A migration that has to wait longer than this for a lock gives up, so that it never stalls the tills behind it.
POLITE: Final = ("SET lock_timeout = '4s'", "SET statement_timeout = '5min'")


def migrate(dsn: str, scripts: Path = LEDGER) -> None:
    """Upgrade the database to the newest revision; does nothing when it is there already.

    In one transaction, but for a migration that builds an index beside the tills: it commits what lies before it.
    """
    owner = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: connect(dsn, "coalition migrate"))
    with owner.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        config = _config(scripts)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    owner.dispose()


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
