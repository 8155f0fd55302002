"""Handing out a run's payment instructions: collections at once, payments when they are covered.

A file is recorded by its hash before anybody has it, in an act of the journal, and is the same bytes whenever it is
made again. Instructing payments only when the money is there, or the operator's advance makes up for it, is what keeps
the bank's account, and with it custody's money, from being overdrawn.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid5

from coalition.domain.acts import JSON, Act, body_hash
from coalition.domain.approvals import Subject
from coalition.domain.errors import LedgerBroken
from coalition.domain.kinds import Kind
from coalition.domain.settlement_runs import Run, content_hash
from coalition.storage import approvals, runs
from coalition.storage import settlement as store
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection
from coalition.storage.runs import RunFile
from coalition.storage.settlement_entries import due
from settlement.errors import BooksDiffer, NeedsHuman
from settlement.instructions import PAYMENTS, makers, read_content


@dataclass(frozen=True, slots=True)
class Exported:
    """The files of a run as they were made; `uncovered_minor` above zero: payments wait until so much has come in."""

    run_id: int
    files: Mapping[str, bytes]
    uncovered_minor: int


def export(
    connection: Connection, acts: Acts, run_id: int, *, actor: str = store.ACTOR, order: Act | None = None
) -> Exported:
    """Make every file of the run that may be handed out by now; records those that nobody had before.

    Needs an autocommit connection. Raises NeedsHuman if the run is unknown, not approved or aborted, BooksDiffer if a
    file would not be what it was.
    """
    run = runs.read_run(connection, run_id)
    check_exportable(run, run_id)
    content = runs.run_content(connection, run_id)
    check_approved(connection, run_id, content)
    recorded = runs.run_files(connection, run_id)
    uncovered = uncovered_minor(connection, run_id)
    whole = read_content(content)
    files = {
        name: make(whole)
        for name, (sign, make) in makers().items()
        if whole.instructed(sign) and (not uncovered or not name.startswith(PAYMENTS) or name in recorded)
    }
    check_unchanged(files, recorded)
    fresh = [
        RunFile(name, hashlib.sha256(file).digest(), len(file)) for name, file in files.items() if name not in recorded
    ]
    if fresh or order is not None:
        known = store.scheme(connection)
        body: dict[str, JSON] = {
            "run_id": run_id,
            "files": {file.name: file.sha256.hex() for file in fresh},
            "handed_out": [*files],
            "uncovered_minor": uncovered,
        }
        own_id = uuid5(known.deployment_id, f"export/{run_id}/{','.join(file.name for file in fresh)}")
        act = order or Act(
            Kind.INSTRUCTIONS_EXPORTED, known.operator_id, own_id, body_hash(Kind.INSTRUCTIONS_EXPORTED, body), actor
        )
        acts.perform(connection, act, lambda connection: record(connection, run_id, content, fresh, body))
    return Exported(run_id, files, uncovered)


def record(
    connection: Connection, run_id: int, content: bytes, fresh: list[RunFile], body: dict[str, JSON]
) -> dict[str, JSON]:
    """Within the act's transaction: the run is SETTLING from here on, and may not be aborted any more."""
    run = runs.lock_run(connection, run_id)
    check_exportable(run, run_id)
    check_approved(connection, run_id, content)
    known_files = runs.run_files(connection, run_id)
    runs.add_run_files(connection, run_id, [file for file in fresh if file.name not in known_files])
    if run is not None and run.state == "APPROVED":
        runs.set_state(connection, run_id, "SETTLING")
    return body


def write(exported: Exported, directory: Path) -> list[Path]:
    """Write the files to a directory, each whole or not at all; one that is there is replaced by the same bytes."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, file in exported.files.items():
        path = directory / f"run-{exported.run_id}-{name}"
        draft = path.with_name(f".{path.name}.draft")
        draft.touch(mode=0o600)
        draft.write_bytes(file)
        draft.replace(path)
        written.append(path)
    return written


def uncovered_minor(connection: Connection, run_id: int) -> int:
    """How much more has to come in before the run's payments are covered; 0 when they are.

    All dues add up to the money that lies in the bank for settlement, so what is there before the payments is the sum
    of them. The operator's advance makes up for what is missing, up to the run's limit.
    """
    run = runs.read_run(connection, run_id)
    parties = runs.run_parties(connection, run_id)
    waiting = sum(each.instructed_minor for each in parties if each.state == "WAITING" and each.instructed_minor > 0)
    if run is None or not waiting:
        return 0
    allowed = run.advance_limit_minor - run.advance_minor - run.advanced_minor
    return max(0, waiting - sum(due(connection).values()) - max(0, allowed))


def check_exportable(run: Run | None, run_id: int) -> None:
    """NeedsHuman unless the run is approved and not aborted."""
    if run is None:
        raise NeedsHuman(f"there is no run {run_id}: see `python -m settlement status`")
    if run.state == "PREPARED":
        raise NeedsHuman(f"run {run_id} is not approved yet: see `python -m settlement inbox`")
    if run.state == "ABORTED":
        raise NeedsHuman(f"run {run_id} is ABORTED: nothing of it is to be paid")


def check_approved(connection: Connection, run_id: int, content: bytes) -> None:
    """Hold the content against what everybody agreed to, whatever the run's state says."""
    if not approvals.approved(connection, Subject.RUN, str(run_id), content_hash(content)):
        raise LedgerBroken(f"run {run_id} is not what was approved: nothing is handed out")


def check_unchanged(files: Mapping[str, bytes], recorded: Mapping[str, RunFile]) -> None:
    """BooksDiffer if a file that somebody may have would be made otherwise now: both might be paid."""
    differences = [
        f"{name}: sha256 {hashlib.sha256(files[name]).hexdigest()}, handed out was {file.sha256.hex()}"
        for name, file in recorded.items()
        if name in files and hashlib.sha256(files[name]).digest() != file.sha256
    ]
    if differences:
        raise BooksDiffer("payment files do not come out as they were handed out", differences)
