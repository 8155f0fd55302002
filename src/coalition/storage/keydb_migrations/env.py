"""Alembic's entry for the key database: migrations are plain SQL, run on a connection handed in."""

from coalition.storage.migrating import run_environment

run_environment()
