"""Which schema version a database is at, and which one this release works with. Changes nothing: migrating.py does.

Asks without Alembic and SQLAlchemy, whose loading takes longer than a whole command of the month: a revision is a
number, and its file's name begins with it (tests/storage/test_migrating.py holds that against Alembic's own reading).
"""

from pathlib import Path
from typing import Final

import psycopg

from coalition.domain.errors import CoalitionError
from coalition.storage.connect import connect, translated

HERE: Final = Path(__file__).parent
LEDGER: Final = HERE / "migrations"
KEYDB: Final = HERE / "keydb_migrations"


class SchemaMismatch(CoalitionError):
    """The database's schema is not the one this release works with."""

    def __init__(self, found: str | None, wanted: str) -> None:
        cure = "run `coalition migrate`" if found is None or found < wanted else "install the release that made it"
        super().__init__(f"the database is at schema version {found or 'none'}, this release needs {wanted}: {cure}")
        self.found = found
        self.wanted = wanted


def check_schema(dsn: str, scripts: Path = LEDGER) -> None:
    """Raise SchemaMismatch unless the database is at exactly this release's revision. Raises StoreUnavailable."""
    found, wanted = current_revision(dsn), newest_revision(scripts)
    if found != wanted:
        raise SchemaMismatch(found, wanted)


def current_revision(dsn: str) -> str | None:
    """The database's revision; None before its first migration. Raises StoreUnavailable."""
    with connect(dsn, "coalition check") as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except psycopg.errors.UndefinedTable:
            return None
        except psycopg.Error as error:
            raise translated(error) from error
    return None if row is None else str(row[0])


def newest_revision(scripts: Path = LEDGER) -> str:
    """The revision of this release, such as "0001"."""
    return max(file.name.partition("_")[0] for file in (scripts / "versions").glob("[0-9]*_*.py"))
