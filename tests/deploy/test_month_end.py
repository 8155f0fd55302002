"""deploy/month_end.py, the job a timer starts: what is due is done once, in order, whatever was done before."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keys import create_ring
from tests.ledger_fixtures import Ledger, new_ledger, write_batch
from tests.postgres import SharedPostgres

JOB = Path(__file__).parent.parent.parent / "deploy" / "month_end.py"


@pytest.fixture
def ledger(postgres: SharedPostgres) -> Iterator[Ledger]:
    """One whose open window is over."""
    ledger = new_ledger(postgres, label=last_month())
    yield ledger
    postgres.drop(ledger.database)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys") / "ring"
    create_ring(directory, random=os.urandom)
    return directory


def last_month() -> str:
    """The label of the month before this one, in the zone of the ledger's scheme (UTC+8)."""
    first = (datetime.now(UTC) + timedelta(hours=8)).replace(day=1)
    return f"{first - timedelta(days=1):%Y-%m}"


def run(ledger: Ledger, keys: Path, reports: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "COALITION_SETTLEMENT_DATABASE_URL": ledger.dsn("coalition_settlement"),
        "COALITION_KEYS": str(keys),
    }
    command = [sys.executable, str(JOB), "--reports", str(reports)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def states(ledger: Ledger) -> list[str]:
    with ledger.connect() as connection:
        return [row[0] for row in connection.execute("SELECT state FROM windows ORDER BY window_id")]


@pytest.mark.xdist_group("serial")
def test_the_month_that_is_over_is_closed_netted_and_reported_and_then_nothing_is_due(
    ledger: Ledger, keys: Path, tmp_path: Path
) -> None:
    """The timer fires on the first, and may fire twice: Persistent=true runs it again when the machine was off."""
    with ledger.connect() as connection:
        write_batch(connection, [(3, 4, 25_000)])
    first = run(ledger, keys, tmp_path)
    manifest = tmp_path / "monthly" / last_month() / "manifest.json"

    assert 0 == first.returncode, first.stderr
    assert ["NETTED", "OPEN"] == states(ledger)
    assert manifest.is_file()

    again = run(ledger, keys, tmp_path)

    assert 2 == again.returncode, again.stderr
    assert ["NETTED", "OPEN"] == states(ledger)


@pytest.mark.xdist_group("serial")
def test_a_job_killed_between_two_steps_goes_on_where_it_was(ledger: Ledger, keys: Path, tmp_path: Path) -> None:
    """Killed after the close, the window is CLOSED and no other close is due: it must be netted all the same."""
    with ledger.connect() as connection:
        write_batch(connection, [(3, 4, 25_000)])
    command = [sys.executable, "-m", "settlement", "close", "--json", "--database-url", ledger.dsn()]
    environment = {**os.environ, "COALITION_KEYS": str(keys)}
    closed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    assert last_month() == json.loads(closed.stdout)["label"]
    assert 0 == run(ledger, keys, tmp_path).returncode
    assert ["NETTED", "OPEN"] == states(ledger)


@pytest.mark.xdist_group("serial")
def test_a_human_is_asked_for_when_a_step_refuses(ledger: Ledger, tmp_path: Path) -> None:
    """Without a key ring nothing can be sealed; the job ends with 1 and leaves the window OPEN for the next run."""
    (tmp_path / "ring").mkdir(mode=0o755)
    (tmp_path / "ring" / "ring.json").write_text("{}", encoding="utf-8")
    ended = run(ledger, tmp_path / "ring", tmp_path / "reports")

    assert 1 == ended.returncode
    assert "month-end stopped at: python -m settlement close" in ended.stderr
    assert ["OPEN"] == states(ledger)


@pytest.mark.xdist_group("serial")
def test_a_command_never_makes_a_key_ring_of_its_own(ledger: Ledger, tmp_path: Path) -> None:
    """A ring made where a command happened to run would seal the month with a key nobody knows."""
    ended = run(ledger, tmp_path / "nowhere", tmp_path / "reports")

    assert 1 == ended.returncode
    assert "COALITION_KEYS" in ended.stderr
    assert not (tmp_path / "nowhere").exists()
