"""A closed window as Parquet, read by another engine."""

from pathlib import Path

import duckdb

from settlement import archive, cli
from tests.ledger_fixtures import Ledger, write_batch
from tests.settlement.test_papers import closed


def traded(ledger: Ledger) -> None:
    """Two batches in January, one in February."""
    with ledger.connect("coalition_app") as connection:
        write_batch(connection, [(3, 4, 25000), (5, 4, 1250)])
        write_batch(connection, [(3, 4, 100)])
    closed(ledger)
    with ledger.connect("coalition_app") as connection:
        write_batch(connection, [(3, 4, 7)])


def test_another_engine_nets_the_archive_to_the_same_claims(ledger: Ledger, tmp_path: Path, capsys):
    traded(ledger)

    assert 0 == cli.main(["archive", "2017-01", "--out", str(tmp_path), "--database-url", ledger.dsn()])
    claims = (
        duckdb.connect()
        .execute(
            "SELECT debit >> 24 & 16777215, credit >> 24 & 16777215, sum(amount_minor)::bigint, count(*) "
            f"FROM read_parquet('{tmp_path}/transfers/*/*/*.parquet', hive_partitioning = true) "
            "WHERE \"window\" = '2017-01' AND calendar = 'monthly' GROUP BY 1, 2 ORDER BY 1, 2"
        )
        .fetchall()
    )
    entries = (
        duckdb.connect()
        .execute(f"SELECT count(*), min(number), max(number) FROM '{tmp_path}/entries/*/*/*.parquet'")
        .fetchall()
    )

    assert [(3, 4, 25100, 2), (5, 4, 1250, 1)] == claims
    assert [(3, 1, 2)] == entries


def test_a_window_is_archived_again_to_the_same_bytes(ledger: Ledger, tmp_path: Path):
    traded(ledger)
    with ledger.connect() as connection:
        for name in ("first", "second"):
            archive.archive(connection, "monthly", "2017-01", tmp_path / name)
            archive.archive(connection, "monthly", "2017-01", tmp_path / name)
    files = [sorted(path for path in (tmp_path / name).rglob("*") if path.is_file()) for name in ("first", "second")]

    assert [2, 2] == [len(each) for each in files]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]


def test_an_open_window_is_not_archived(ledger: Ledger, tmp_path: Path, capsys):
    assert 1 == cli.main(["archive", "2017-01", "--out", str(tmp_path), "--database-url", ledger.dsn()])
    assert "close it first" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
