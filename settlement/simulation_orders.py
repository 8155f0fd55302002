"""Simulations over the wire: the same as the command, its complaints in the words of the wire. Writes nothing."""

import threading
from collections.abc import Sequence

from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from coalition.domain.simulation import Proposal
from coalition.domain.simulation_records import Outcome
from coalition.followers.follower import Follower
from coalition.storage.cursors import available
from coalition.storage.lease import Lease
from settlement import simulating
from settlement.errors import ProposalRefused, WindowNotNetted
from settlement.orders import refusal


class Simulations:
    """Callable from any thread; one at a time, as each reads months of the journal."""

    def __init__(self, lease: Lease, follower: Follower) -> None:
        self._lease = lease
        self._follower = follower
        self._under_way = threading.Lock()

    def simulate(self, calendar: str, labels: Sequence[str], proposals: Sequence[Proposal]) -> Outcome:
        """Raises Refused: CALLS_EXCEEDED, WINDOW_UNKNOWN, WINDOW_STATE_CONFLICT, FIELD_INVALID; BooksDiffer."""
        if not self._under_way.acquire(blocking=False):
            raise Refused(Reason.CALLS_EXCEEDED)
        try:
            with available(), self._lease() as connection:
                try:
                    return simulating.simulate(connection, self._follower, calendar, labels, proposals)
                except ProposalRefused as error:
                    raise Refused(Reason.FIELD_INVALID, "proposals", {"cause": str(error)}) from error
                except WindowNotNetted as error:
                    raise refusal(connection, calendar, error.label, error) from error
        finally:
            self._under_way.release()
