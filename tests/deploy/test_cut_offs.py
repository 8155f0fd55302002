"""The timer and the CronJob of cut-offs: the same minute, the same command, and nothing open that need not be."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are not among our packages
from typer.testing import CliRunner

from settlement.cli import app

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
JOB = DEPLOY / "kubernetes" / "cut-offs.yaml"


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    found = yaml.safe_load(JOB.read_text())
    assert ("batch/v1", "CronJob") == (found["apiVersion"], found["kind"])
    spec: dict[str, Any] = found["spec"]
    return spec


def test_both_run_the_same_command_which_exists(job: dict[str, Any]) -> None:
    unit = (DEPLOY / "systemd" / "coalition-windows.service").read_text()
    (container,) = job["jobTemplate"]["spec"]["template"]["spec"]["containers"]

    assert "-m settlement due --json --database-url ${COALITION_SETTLEMENT_DATABASE_URL}" in unit
    assert "SuccessExitStatus=2" in unit
    assert "python -m settlement due --json" in container["args"][0]
    assert container["args"][0].endswith("|| [ $? -eq 2 ]")
    assert 0 == CliRunner().invoke(app, ["due", "--help"]).exit_code


def test_both_run_at_the_same_minute_of_the_coalitions_zone(job: dict[str, Any]) -> None:
    """And one minute after midnight is before the month-end job."""
    minute = {
        name: re.search(r"^OnCalendar=\S+ 00:(\d\d):00 (\S+)$", (DEPLOY / "systemd" / name).read_text(), re.MULTILINE)
        for name in ("coalition-windows.timer", "coalition-settlement.timer")
    }
    cut, month_end = (found.groups() for found in minute.values() if found)

    assert (f"{int(cut[0])} 0 * * *", cut[1]) == (job["schedule"], job["timeZone"])
    assert cut[0] < month_end[0]
    assert cut[1] == month_end[1]


def test_the_pod_holds_no_right_it_does_not_need(job: dict[str, Any]) -> None:
    pod = job["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert "Forbid" == job["concurrencyPolicy"]
    assert ("Never", False, True) == (
        pod["restartPolicy"],
        pod["automountServiceAccountToken"],
        pod["securityContext"]["runAsNonRoot"],
    )
    assert {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}} == (
        container["securityContext"]
    )
    assert not [name for name in container if name == "env"]  # no secret in clear
