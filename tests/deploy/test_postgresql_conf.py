"""deploy/postgresql.conf, line by line, as a real server takes it."""

import re
from pathlib import Path

import psycopg
from psycopg import sql

from tests.postgres import SharedPostgres

FRAGMENT = Path(__file__).parent.parent.parent / "deploy" / "postgresql.conf"
LINE = re.compile(r"^(?P<name>[a-z_]+) = (?:'(?P<quoted>[^']*)'|(?P<plain>\S+))$")


def settings() -> dict[str, str]:
    lines = [line for line in FRAGMENT.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    found = [LINE.match(line) for line in lines]
    assert None not in found
    return {match["name"]: match["quoted"] or match["plain"] for match in found if match is not None}


def test_postgresql_takes_every_line(postgres: SharedPostgres) -> None:
    """ALTER SYSTEM checks name and value without acting on them; a misspelt line would keep a server from starting."""
    with psycopg.connect(postgres.dsn("coalition", "postgres"), autocommit=True) as connection:
        # The embedded server is built without TLS, so these it cannot judge.
        for name, value in settings().items() - {("ssl", "on"), ("ssl_min_protocol_version", "TLSv1.3")}:
            statement = sql.SQL("ALTER SYSTEM SET {} = {}")
            connection.execute(statement.format(sql.Identifier(name), sql.Literal(value)))
        connection.execute("ALTER SYSTEM RESET ALL")


def test_commits_are_durable_and_the_log_says_nothing_personal() -> None:
    """What the promises of durability and secrecy stand on; a change of these lines must be meant."""
    wanted = {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "data_sync_retry": "off",
        "log_statement": "none",
        "log_min_duration_statement": "-1",
        "log_min_error_statement": "panic",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "log_error_verbosity": "terse",
        "max_prepared_transactions": "0",
    }

    assert wanted == {name: value for name, value in settings().items() if name in wanted}
