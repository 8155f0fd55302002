"""The PostgreSQL that all tests of a session share, unless they kill it: templates in it, and copies to work on.

A template is made once, from a copy of another or from nothing; a copy takes a tenth of the time that migrating does.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psycopg
from psycopg import sql

from coalition.storage.embedded import SUPERUSER, EmbeddedPostgres
from coalition.storage.migrating import migrate
from coalition.storage.schema import KEYDB, LEDGER
from tests.places import passable_directory

# Nothing here is killed: durability is tried in tests/faults and tests/storage/test_embedded.py.
SETTINGS = {"shared_buffers": "128MB", "max_connections": "150", "min_wal_size": "80MB", "fsync": "off"}
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Template:
    """What a copy begins with: `base` and what `fill` does to a database of that name. Without both it is empty."""

    name: str
    fill: "Callable[[SharedPostgres, str], None]"
    base: "Template | None" = None


class SharedPostgres(EmbeddedPostgres):
    """Real PostgreSQL of which each test has databases of its own."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "ledger", settings=SETTINGS, databases=())
        self._made = {EMPTY.name}

    @classmethod
    @contextmanager
    def running(cls) -> "Iterator[Self]":
        with passable_directory() as directory, cls(directory) as server:
            yield server

    def new(self, template: Template) -> str:
        """The name of a database of the caller's own, as the template is. It may `drop` it."""
        self._make(template)
        name = f"{template.name}_{next(_numbers)}"
        self._create(name, template)
        return name

    @contextmanager
    def copy(self, template: Template) -> Iterator[str]:
        """The same, dropped at the end."""
        name = self.new(template)
        try:
            yield name
        finally:
            self.drop(name)

    def drop(self, name: str) -> None:
        """Whoever is connected is thrown out."""
        self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _make(self, template: Template) -> None:
        if template.name in self._made:
            return
        base = template.base or EMPTY
        self._make(base)
        self._create(template.name, base)
        template.fill(self, template.name)
        self._made.add(template.name)

    def _create(self, name: str, template: Template) -> None:
        # Copying files asks for checkpoints, which cost little without fsync; `wal_log` takes twice as long here.
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        self._run(statement.format(sql.Identifier(name), sql.Identifier(template.name)))

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.dsn(SUPERUSER, "postgres"), autocommit=True) as owner:
            owner.execute(statement)


EMPTY = Template("template0", lambda *_: None)
MIGRATED_LEDGER = Template("ledger", lambda server, name: migrate(server.dsn(SUPERUSER, name), LEDGER))
MIGRATED_KEYDB = Template("keydb", lambda server, name: migrate(server.dsn(SUPERUSER, name), KEYDB))
