"""Alembic's entry for the ledger: plain SQL, run politely (short waits for locks) on a connection handed in."""

from coalition.storage.migrating import run_environment

run_environment()
