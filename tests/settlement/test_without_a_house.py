"""What a command of the month says when there is no house to work in."""

from pathlib import Path

import pytest

from settlement.cli import main


def test_without_running_databases_a_human_is_told_what_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A timer that fires before the server is up finds a sentence in its log, and exit code 1."""
    monkeypatch.setenv("COALITION_VAR", str(tmp_path))

    assert 1 == main(["status"])
    assert "start the server with `coalition serve`" in capsys.readouterr().err
