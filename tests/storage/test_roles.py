"""What the database refuses each role, found by trying: the journal is append-only by GRANT, not by good manners."""

import contextlib
import re
from pathlib import Path

import psycopg
import pytest

from coalition.storage.partitions import JOURNAL_TABLES
from tests.storage.databases import Database

ROLES_SQL = Path(__file__).parent.parent.parent / "deploy" / "roles.sql"
JOURNAL = (*JOURNAL_TABLES, "batches", "requests")
WRITERS = ("coalition_app", "coalition_settlement")
ROLES = (*WRITERS, "coalition_auditor")
PERSONAL = (
    "members",
    "member_records",
    "member_indexes",
    "credentials",
    "cards",
    "wallets",
    "lots",
    "holds",
    "passes",
    "pass_visits",
    "points",
    "points_moves",
    "points_draws",
    "pins",
    "requests",
)
DENIED = "42501"

# Every right on every table, column, sequence and lent function of the schema, for the three roles.
RIGHTS = """
SELECT 'table', grantee, table_name, '', privilege_type FROM information_schema.role_table_grants
WHERE table_schema = 'public' AND grantee = ANY(%(roles)s)
UNION SELECT 'column', grantee, table_name, column_name, privilege_type FROM information_schema.column_privileges
WHERE table_schema = 'public' AND grantee = ANY(%(roles)s)
UNION SELECT 'sequence', r.rolname, c.relname, '', p.privilege
FROM pg_class c, pg_roles r, (VALUES ('USAGE'), ('SELECT'), ('UPDATE')) AS p (privilege)
WHERE c.relkind = 'S' AND c.relnamespace = 'public'::regnamespace AND r.rolname = ANY(%(roles)s)
    AND has_sequence_privilege(r.oid, c.oid, p.privilege)
UNION SELECT 'schema', r.rolname, 'public', '', p.privilege
FROM pg_roles r, (VALUES ('USAGE'), ('CREATE')) AS p (privilege)
WHERE r.rolname = ANY(%(roles)s) AND has_schema_privilege(r.oid, 'public', p.privilege)
UNION SELECT 'function', r.rolname, f.oid::regprocedure::text, '', 'EXECUTE' FROM pg_proc f, pg_roles r
WHERE f.pronamespace = 'public'::regnamespace AND f.prosecdef AND r.rolname = ANY(%(roles)s)
    AND has_function_privilege(r.oid, f.oid, 'EXECUTE')
"""


def refusal(database: Database, role: str, statement: str) -> str | None:
    """The SQLSTATE with which the statement is refused, None if it is not; nothing is kept."""
    with database.connect(role) as connection:
        try:
            with connection.transaction(force_rollback=True):
                connection.execute(statement)
        except psycopg.Error as error:
            return error.sqlstate
    return None


def rights(database: Database) -> set[tuple[str, ...]]:
    with database.connect() as connection:
        return {tuple(row) for row in connection.execute(RIGHTS, {"roles": list(ROLES)})}


@pytest.mark.parametrize("role", WRITERS)
@pytest.mark.parametrize("table", JOURNAL)
def test_the_journal_can_be_added_to_and_never_changed(tried_ledger: Database, role: str, table: str) -> None:
    """Whoever takes over a server process can write new entries that anyone sees; they can rewrite none."""
    column = {"batches": "count", "requests": "body_hash"}.get(table, "lane")

    assert DENIED == refusal(tried_ledger, role, f"UPDATE {table} SET {column} = {column}")
    assert DENIED == refusal(tried_ledger, role, f"DELETE FROM {table}")
    assert DENIED == refusal(tried_ledger, role, f"TRUNCATE {table}")
    assert refusal(tried_ledger, role, f"INSERT INTO {table} SELECT * FROM {table} WHERE false") is None


@pytest.mark.parametrize("role", WRITERS)
def test_a_partition_is_no_way_round(tried_ledger: Database, role: str) -> None:
    """Rights on a partition are its own; adding to it directly is refused as well."""
    for table in ("entries_0", "transfers_0", "allocations_0", "entries_rest", "requests_rest"):
        assert DENIED == refusal(tried_ledger, role, f"DELETE FROM {table}")
        assert DENIED == refusal(tried_ledger, role, f"INSERT INTO {table} SELECT * FROM {table} WHERE false")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id integer)",
        "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "DROP TABLE wallets",
        "ALTER TABLE wallets ADD COLUMN mine integer",
        "ALTER TABLE wallets DISABLE TRIGGER ALL",
        "CREATE INDEX mine ON wallets (state)",
        "ALTER SEQUENCE journal_number RESTART",
        "SELECT setval('journal_number', 1)",
        "ALTER ROLE coalition_app SUPERUSER",
        "CREATE ROLE mine",
        "SET ROLE coalition",
        "SELECT rolpassword FROM pg_authid",
        "SELECT pg_read_file('PG_VERSION')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "UPDATE alembic_version SET version_num = 'none'",
    ],
)
def test_no_role_of_a_process_owns_anything(tried_ledger: Database, role: str, statement: str) -> None:
    """Schema, numbers and roles belong to the owner, who connects for migrations only."""
    assert DENIED == refusal(tried_ledger, role, statement)


@pytest.mark.parametrize("role", ROLES)
def test_no_role_can_hand_out_what_it_does_not_own(ledger: Database, role: str) -> None:
    """PostgreSQL answers such a GRANT with a warning, so it is judged by what came of it."""
    with ledger.connect(role) as connection:
        for other in ROLES:
            with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"GRANT UPDATE, DELETE, SELECT ON entries TO {other}")
    with ledger.connect() as connection:
        query = "SELECT has_table_privilege(%s, 'entries', 'UPDATE, DELETE')"

        assert {(False,)} == {connection.execute(query, (other,)).fetchone() for other in ROLES}


@pytest.mark.parametrize("table", PERSONAL)
def test_an_auditor_sees_the_journal_and_no_member(tried_ledger: Database, table: str) -> None:
    """Auditors verify records they cannot read: no member, no card, no wallet, and no request id's owner."""
    if table == "requests":  # a hash under an id: a part of the journal
        assert refusal(tried_ledger, "coalition_auditor", "SELECT * FROM requests") is None
    else:
        assert DENIED == refusal(tried_ledger, "coalition_auditor", f"SELECT * FROM {table}")


def test_an_auditor_writes_nothing(tried_ledger: Database) -> None:
    """Read-only by right, for every table there is."""
    with tried_ledger.connect() as connection:
        query = """
            SELECT c.relname, p.name FROM pg_class c,
                 unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS p (name)
            WHERE c.relkind IN ('r', 'p', 'v') AND c.relnamespace = 'public'::regnamespace
                AND (has_table_privilege('coalition_auditor', c.oid, p.name)
                     OR p.name IN ('INSERT', 'UPDATE') AND has_any_column_privilege('coalition_auditor', c.oid, p.name))
        """
        assert [] == connection.execute(query).fetchall()
    assert refusal(tried_ledger, "coalition_auditor", "SELECT * FROM journal_lines") is None


def test_the_server_opens_no_window_state_and_settlement_moves_no_wallet(tried_ledger: Database) -> None:
    """Each role has its half: the month belongs to settlement, value to the desk."""
    assert DENIED == refusal(tried_ledger, "coalition_app", "UPDATE windows SET state = 'CLOSED'")
    assert DENIED == refusal(tried_ledger, "coalition_app", "DELETE FROM net_positions")
    assert refusal(tried_ledger, "coalition_app", "SELECT * FROM windows FOR SHARE") is None
    for table in ("wallets", "lots", "cards", "members", "participants", "agreement_versions"):
        assert DENIED == refusal(tried_ledger, "coalition_settlement", f"DELETE FROM {table}")
        assert DENIED == refusal(tried_ledger, "coalition_settlement", f"INSERT INTO {table} SELECT * FROM {table}")


def test_a_members_key_is_added_read_and_deleted_but_never_changed(keydb: Database) -> None:
    """A key that could be overwritten could be exchanged for one that opens nothing, unseen."""
    assert refusal(keydb, "coalition_app", "SELECT * FROM member_keys") is None
    assert refusal(keydb, "coalition_app", "DELETE FROM member_keys") is None
    assert DENIED == refusal(keydb, "coalition_app", "UPDATE member_keys SET kek_version = 1")
    for role in ("coalition_settlement", "coalition_auditor"):
        assert DENIED == refusal(keydb, role, "SELECT * FROM member_keys")


def test_no_role_of_a_process_is_a_superuser_or_may_make_roles(tried_ledger: Database) -> None:
    """A superuser ignores every GRANT."""
    with tried_ledger.connect() as connection:
        query = """
            SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)
                AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)
        """
        assert [] == connection.execute(query, (list(ROLES),)).fetchall()


def test_roles_sql_grants_exactly_what_the_migrations_granted(ledger: Database) -> None:
    """What a DBA applies to a ledger without rights restores every right the migration gave, and no other."""
    migrated = rights(ledger)
    with ledger.connect() as connection:
        for role in ROLES:
            connection.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}")
            connection.execute(f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {role}")
            connection.execute(f"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM {role}")
            connection.execute(f"REVOKE ALL ON SCHEMA public FROM {role}")
    stripped = rights(ledger)
    apply(ledger, "ledger")

    assert {("schema", role, "public", "", "USAGE") for role in ROLES} >= stripped
    assert sorted(migrated) == sorted(rights(ledger))


def apply(database: Database, section: str) -> None:
    """Run a section of roles.sql; psql's own lines, which connect and stop on errors, are left out."""
    text = ROLES_SQL.read_text(encoding="utf-8")
    part = re.search(rf"^-- begin {section}$(.*?)^-- end {section}$", text, re.DOTALL | re.MULTILINE)
    assert part is not None
    with database.connect() as connection, connection.transaction():
        connection.execute(part.group(1))
