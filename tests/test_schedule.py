"""`make test` keeps a module together, and a group: a run of its own shows it, for pytest and xdist change."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONFTEST = """
from tests.schedule import Schedule

def pytest_xdist_make_scheduler(config, log):
    return Schedule(config, log)
"""
MODULE = """
import time

import pytest

@pytest.mark.parametrize("number", range(4))
def test_one(number):
    time.sleep(0.05)
"""
GROUPED = f'{MODULE}\npytestmark = [pytest.mark.xdist_group("heavy")]\n'
RAN = re.compile(r"^\[(gw\d)\] .* PASSED (test_\w+)\.py::", re.MULTILINE)


def test_one_worker_runs_a_module_and_one_runs_a_group(tmp_path: Path) -> None:
    """Two tests that load the machine must not meet, and what a module shares must be made once."""
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    for name in ("test_a", "test_b", "test_c", "test_d"):
        (tmp_path / f"{name}.py").write_text(GROUPED if name in {"test_a", "test_d"} else MODULE, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-n", "2", "--dist", "loadgroup", "-c", os.devnull, "--rootdir", "."],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    ran = RAN.findall(run.stdout)
    workers = {module: {worker for worker, of in ran if of == module} for _, module in ran}

    assert 0 == run.returncode, run.stdout
    assert 16 == len(ran), run.stdout
    assert [1, 1, 1, 1] == [len(each) for each in workers.values()], workers
    assert workers["test_a"] == workers["test_d"]
    assert 2 == len(set().union(*workers.values())), "the other worker had nothing to do"
