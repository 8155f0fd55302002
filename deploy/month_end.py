"""What is due of the month, in order: close the window whose period is over, check and net what is closed, report it.

Each step looks at how things stand and does only what is missing, so it may be run by a timer, by hand, twice, and
again after it was killed anywhere. Exit codes as of `python -m settlement`: 0 done, 2 nothing was due, 1 a human is
needed (the sentence on stderr says why). Moves no money and decides nothing: it only calls the settlement commands.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

DONE = 0
HUMAN_NEEDED = 1
NOTHING_TO_DO = 2
MANIFEST = "manifest.json"


class HumanNeeded(Exception):
    """A settlement command ended with 1; it has said why."""


def settlement(*arguments: str) -> tuple[bool, dict[str, Any]]:
    """Run one command with --json: whether it did something, and the facts it printed."""
    command = [sys.executable, "-m", "settlement", *arguments, "--json", *database_url()]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode not in {DONE, NOTHING_TO_DO}:
        raise HumanNeeded(" ".join(["python -m settlement", *arguments]))
    print(ended.stdout, end="", flush=True)
    return ended.returncode == DONE, json.loads(ended.stdout or "{}")


def database_url() -> list[str]:
    """The ledger as the settlement role, named to the commands so that they open no other database."""
    from os import environ  # noqa: PLC0415  the one place that reads it

    url = environ.get("COALITION_SETTLEMENT_DATABASE_URL")
    return ["--database-url", url] if url else []


def month_end(calendar: str, reports: Path) -> bool:
    """Do what is due; whether anything was. Raises HumanNeeded."""
    did = False
    while settlement("close", "--calendar", calendar)[0]:  # more than one if a month was missed
        did = True
    _, standing = settlement("status", "--calendar", calendar)
    for window in standing["windows"]:
        label, state = window["label"], window["state"]
        directory = reports / calendar / label
        if state == "CLOSED":
            settlement("rederive", label, "--calendar", calendar)
            netted, _ = settlement("net", label, "--calendar", calendar)
            did, state = did or netted, "NETTED"
        if state in {"NETTED", "SETTLED"} and not (directory / MANIFEST).exists():
            directory.parent.mkdir(parents=True, exist_ok=True)
            settlement("report", label, "--calendar", calendar, "--out", str(directory))
            did = True
    return did


def main() -> int:
    """Read the command line, work, choose the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calendar", default="monthly", help="code of the settlement calendar (default: monthly)")
    parser.add_argument("--reports", type=Path, required=True, help="directory for the reports, one folder a window")
    asked = parser.parse_args()
    try:
        return DONE if month_end(asked.calendar, asked.reports) else NOTHING_TO_DO
    except HumanNeeded as stopped:
        print(f"month-end stopped at: {stopped}; see deploy/RUNBOOK.md, then run it again", file=sys.stderr)
        return HUMAN_NEEDED


if __name__ == "__main__":
    sys.exit(main())
