"""Closing while eight writer processes work: prompt, exact, and no claim lost or counted twice (DESIGN section 4)."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from coalition.storage import positions as folded
from coalition.storage import settlement as store
from settlement import closing, netting
from tests.ledger_fixtures import NOTARY, Ledger

ROOT = Path(__file__).parents[2]
WRITERS = 8
pytestmark = pytest.mark.xdist_group("serial")


def test_a_window_closes_promptly_and_exactly_under_eight_writers(ledger: Ledger):
    """One process does not show a starving lock; eight overlapping ones did, for 6 to 54 s, before the table lock."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.ledger_fixtures", ledger.dsn("coalition_app"), str(seed)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(WRITERS)
    ]
    close_seconds = []
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "writing\n"
        with ledger.connect() as connection:
            for label in ("2017-01", "2017-02", "2017-03"):
                time.sleep(0.7)
                started = time.perf_counter()
                closing.close(
                    connection,
                    "monthly",
                    label=label,
                    following=None,
                    clock=lambda: store.now(connection),
                    sleep=time.sleep,
                    notary=NOTARY,
                )
                close_seconds.append(time.perf_counter() - started)
            time.sleep(0.5)
            first = netting.net(connection, ledger.follower(), "monthly", "2017-01", notary=NOTARY)
    finally:
        told = [writer.communicate("stop\n", timeout=60)[0] for writer in writers]
    results = [json.loads(text) for text in told]
    written: dict[str, int] = {}
    for result in results:
        for key, amount in result["written"].items():
            written[key] = written.get(key, 0) + amount
    follower = ledger.follower()
    follower.catch_up()
    with ledger.connect() as connection:
        windows = store.windows(connection, "monthly")
        claims = [claim for window in windows for claim in folded.bilateral(connection, window.window_id)]
        for label in ("2017-02", "2017-03"):
            netting.net(connection, follower, "monthly", label, notary=NOTARY)
        beyond = connection.execute(
            "SELECT count(*) FROM transfers t JOIN windows w USING (window_id) "
            "WHERE t.code <> 20 AND (t.entry_id >> 22) > w.cut_number"
        ).fetchone()
    print(
        f"close under {WRITERS} writers: {', '.join(f'{1000 * seconds:.0f} ms' for seconds in close_seconds)}; "
        f"{sum(result['batches'] for result in results)} batches, slowest "
        f"{1000 * max(result['slowest_seconds'] for result in results):.0f} ms"
    )

    assert {f"{c.window_id},{c.debtor_id},{c.creditor_id}": c.amount_minor for c in claims} == written
    assert beyond == (0,)
    assert first.gross_minor == sum(c.amount_minor for c in claims if c.window_id == windows[0].window_id)
    assert all(any(c.window_id == window.window_id for c in claims) for window in windows)
    assert follower.rebuild().equal
    assert max(close_seconds) < 5
