"""Runs and approvals in pages. Reads only; settlement's own SQL is beside it."""

from collections.abc import Collection

from coalition.domain.approvals import Approval
from coalition.domain.settlement_runs import Run, RunParty
from coalition.storage import approvals, runs
from coalition.storage.connect import Connection
from coalition.storage.lease import Lease, leased


class RunReads:
    """Callable from any thread: each call leases a connection for itself."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def runs(self, before: int | None, limit: int) -> list[tuple[Run, list[str]]]:
        """Runs with a number below `before`, newest first, each with its windows."""
        with leased(self._lease) as connection:
            return [(run, _windows(connection, run.run_id)) for run in runs.list_runs(connection, before, limit)]

    def run(self, run_id: int) -> tuple[Run, list[str]] | None:
        """One run with its windows."""
        with leased(self._lease) as connection:
            run = runs.read_run(connection, run_id)
            return None if run is None else (run, _windows(connection, run_id))

    def parties(self, run_id: int, after: str | None, limit: int, within: Collection[str] | None) -> list[RunParty]:
        """What the run has for each participant, by code; few enough to sort here, whatever the collation."""
        with leased(self._lease) as connection:
            rows = runs.run_parties(connection, run_id)
        told = [row for row in rows if (within is None or row.code in within) and (after is None or row.code > after)]
        return sorted(told, key=lambda row: row.code)[:limit]

    def inbox(self, approver: str | None, after: int, limit: int) -> list[Approval]:
        """What waits for an approver; for None whatever waits for anybody."""
        with leased(self._lease) as connection:
            offices = None if approver is None else approvals.offices_of(connection, approver)
            return approvals.inbox(connection, offices, after, limit)


def _windows(connection: Connection, run_id: int) -> list[str]:
    return [f"{window.calendar}/{window.label}" for window in runs.run_windows(connection, run_id)]
