"""The schema and its versions: no process starts on another one, and the hot tables keep the shape that lanes need."""

from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from alembic import command
from alembic.script import ScriptDirectory

from coalition.storage import migrating
from coalition.storage.migrating import migrate
from coalition.storage.schema import KEYDB, LEDGER, SchemaMismatch, check_schema, newest_revision
from tests.storage.databases import Database

NEWEST = newest_revision(LEDGER)
HOT = ("wallets", "cards", "lots", "holds", "entries", "transfers", "allocations", "requests")


def set_version(database: Database, version: str) -> None:
    with database.connect() as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", (version,))


def tables(database: Database) -> int:
    with database.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_an_empty_database_is_refused_with_the_command_to_run(empty: Database) -> None:
    """A server that laid its tables by itself would need the owner's rights."""
    with pytest.raises(SchemaMismatch, match=f"version none, this release needs {NEWEST}: run `coalition migrate`"):
        check_schema(empty.dsn())


def test_an_older_schema_is_refused_with_the_command_to_run(ledger: Database) -> None:
    """This release's statements would fail on it one by one, with members waiting."""
    set_version(ledger, "0000")

    with pytest.raises(SchemaMismatch, match=f"version 0000, this release needs {NEWEST}: run `coalition migrate`"):
        check_schema(ledger.dsn("coalition_app"))


def test_a_newer_schema_is_refused_with_the_release_to_install(ledger: Database) -> None:
    """An old release cannot know what a newer schema expects of it; migrating is no cure here."""
    set_version(ledger, "9999")

    with pytest.raises(SchemaMismatch, match=f"this release needs {NEWEST}: install the release that made it"):
        check_schema(ledger.dsn("coalition_app"))


def test_the_schema_of_this_release_is_accepted_with_the_servers_own_rights(tried_ledger: Database) -> None:
    """Whoever looks at the version needs no owner's rights for it."""
    for role in ("coalition_app", "coalition_settlement"):
        check_schema(tried_ledger.dsn(role))


@pytest.mark.parametrize("scripts", [LEDGER, KEYDB])
def test_the_newest_revision_is_the_one_whose_file_has_the_highest_number(scripts: Path) -> None:
    """Every start looks at the version, and most must not load Alembic for it."""
    assert [newest_revision(scripts)] == ScriptDirectory.from_config(migrating._config(scripts)).get_heads()


def test_migrating_twice_changes_nothing(empty: Database) -> None:
    """Every start of an embedded house and every deployment runs it."""
    migrate(empty.dsn())
    laid = tables(empty)
    migrate(empty.dsn())

    assert laid == tables(empty)
    check_schema(empty.dsn())


def test_a_migration_is_all_or_nothing(empty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is killed or fails in the middle leaves the database as it was, to be run again."""
    with empty.connect() as connection:
        # The last thing the first migration does is to grant; a view in the way makes it fail before that.
        connection.execute("CREATE VIEW journal_lines AS SELECT 1")
    with pytest.raises(Exception, match="journal_lines"):
        migrate(empty.dsn())
    assert 0 == tables(empty)

    with empty.connect() as connection:
        connection.execute("DROP VIEW journal_lines")
    migrate(empty.dsn())
    check_schema(empty.dsn())


@pytest.mark.parametrize("scripts", [LEDGER, KEYDB])
def test_the_first_revision_cannot_be_undone(scripts: object, ledger: Database, keydb: Database) -> None:
    """Undoing it would drop the journal; whoever wants that drops the database, by its name."""
    database = ledger if scripts == LEDGER else keydb
    config = migrating._config(LEDGER if scripts == LEDGER else KEYDB)
    before = tables(database)
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=database.connect)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        with pytest.raises(RuntimeError, match="drop the database instead"):
            command.downgrade(config, "base")
    engine.dispose()

    assert before == tables(database)


def test_lane_stands_first_in_every_key_of_a_hot_table(tried_ledger: Database) -> None:
    """On Citus these tables are distributed by lane, and no key may be unique across lanes (DESIGN section 6).

    Transfers have no key at all (docs/decisions): then no index of theirs may be unique.
    """
    query = """
        SELECT c.relname, coalesce(array_agg(DISTINCT a.attname) FILTER (WHERE i.indisunique), '{}')
        FROM pg_class c LEFT JOIN pg_index i ON i.indrelid = c.oid
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
        WHERE c.relname = ANY(%s) AND c.relnamespace = 'public'::regnamespace GROUP BY c.relname
    """
    with tried_ledger.connect() as connection:
        first = dict(connection.execute(query, (list(HOT),)).fetchall())

    assert {**{table: ["lane"] for table in HOT}, "transfers": []} == first


def test_every_hot_row_has_a_lane(tried_ledger: Database) -> None:
    """A row without its lane could not follow its wallet to another machine."""
    query = """
        SELECT relname FROM pg_class c WHERE relname = ANY(%s) AND relnamespace = 'public'::regnamespace
            AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'lane'
                AND a.attnotnull AND a.atttypid = 'smallint'::regtype)
    """
    with tried_ledger.connect() as connection:
        assert [] == connection.execute(query, (list(HOT),)).fetchall()


def test_no_foreign_key_leads_from_or_to_a_hot_table(tried_ledger: Database) -> None:
    """Three of them made a 1,000-row insert four times slower, and none may cross lanes."""
    query = """
        SELECT conname FROM pg_constraint WHERE contype = 'f'
            AND (conrelid = ANY(%(hot)s::regclass[]) OR confrelid = ANY(%(hot)s::regclass[]))
    """
    with tried_ledger.connect() as connection:
        assert [] == connection.execute(query, {"hot": [*HOT, "batches", "followers", "window_claims"]}).fetchall()


def test_a_journal_number_is_never_handed_out_from_a_cache(tried_ledger: Database) -> None:
    """A cached range would give a later batch a smaller number: order would no longer be the order of conflicts."""
    with tried_ledger.connect() as connection:
        query = "SELECT seqcache, seqincrement, seqcycle FROM pg_sequence WHERE seqrelid = 'journal_number'::regclass"

        assert (1, 1, False) == connection.execute(query).fetchone()


def test_no_checked_table_takes_a_negative_amount(tried_ledger: Database) -> None:
    """The last wall behind the domain's rules: no wallet, lot or leg below zero."""
    leg = "INSERT INTO transfers (lane, entry_id, leg, debit, credit, amount_minor, code, unit) "
    wallet = "INSERT INTO wallets (lane, wallet_id, balance_minor, recruiter_id) "
    with tried_ledger.connect("coalition_app") as connection:
        for statement in (leg + "VALUES (0, 0, 0, 1, 2, 0, 1, 1)", leg + "VALUES (0, 0, 0, 1, 1, 5, 1, 1)"):
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute(statement)
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(wallet + "VALUES (0, 0, -1, 1)")
