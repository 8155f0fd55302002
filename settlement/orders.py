"""HQ's two orders over the wire, each exactly once by its request_id: close a window, net a window.

What the commands do by themselves is done here as an act of the journal: an order that is sent again gets its first
answer, also when that was a decline. Decides nothing about money; closing and netting do.
"""

from collections.abc import Callable
from dataclasses import replace

from coalition.domain.acts import JSON, Act, ActAnswer
from coalition.domain.errors import CoalitionError, Contention, LedgerBroken, Refused
from coalition.domain.journal import Notary
from coalition.domain.reasons import Reason
from coalition.followers.follower import Follower
from coalition.storage import settlement as store
from coalition.storage.acts import Acts, Apply
from coalition.storage.connect import Connection
from coalition.storage.cursors import available
from coalition.storage.lease import Lease
from settlement import closing, netting
from settlement.errors import BooksDiffer, ChangedMeanwhile, SettlementError


class Orders:
    """Callable from any thread: each order leases a connection for itself, as role coalition_settlement."""

    def __init__(
        self,
        lease: Lease,
        acts: Acts,
        follower: Follower,
        notary: Notary,
        sleep: Callable[[float], None],
    ) -> None:
        self._lease = lease
        self._acts = acts
        self._follower = follower
        self._notary = notary
        self._sleep = sleep

    def close(self, act: Act, calendar: str, label: str) -> ActAnswer:
        """Close the open window `label` and open the next. Raises Refused(WINDOW_UNKNOWN, WINDOW_STATE_CONFLICT).

        Contention after the last try against batches that hold the windows: nothing was changed, send it again.
        """

        def apply(connection: Connection) -> dict[str, JSON]:
            try:
                closed = closing.close_in_transaction(
                    connection, calendar, label=label, following=None, clock=lambda: store.now(connection)
                )
            except SettlementError as error:
                raise refusal(connection, calendar, label, error) from error
            return closed.answer()

        def perform() -> ActAnswer:
            with available(), self._lease() as connection:
                return self._acts.perform(connection, act, apply)

        return closing.patiently(perform, self._sleep)

    def net(self, act: Act, calendar: str, label: str) -> ActAnswer:
        """Net the closed window `label`; the netting's own entry answers the order.

        Raises Refused(WINDOW_UNKNOWN, WINDOW_STATE_CONFLICT), BooksDiffer if the figures do not agree (never stored).
        """
        with available(), self._lease() as connection:
            before = self._acts.told_before(connection, act)
            if before is not None:
                return before
            try:
                netting.net(connection, self._follower, calendar, label, notary=self._notary, order=act)
            except BooksDiffer:
                raise
            except SettlementError as error:
                decline = refusal(connection, calendar, label, error)
                return self._acts.perform(connection, act, refusing(decline))
            answer = self._acts.told_before(connection, act)
        if answer is None:
            raise LedgerBroken(f"window {label} was netted, yet its entry is not there")
        return replace(answer, replayed=False)


def refusal(connection: Connection, calendar: str, label: str, error: SettlementError) -> CoalitionError:
    """Why an order cannot be carried out, in the words of the wire: a decline, or Contention where a retry may do."""
    windows = store.windows(connection, calendar)
    named = next((window for window in windows if window.label == label), None)
    if named is None:
        return Refused(Reason.WINDOW_UNKNOWN, "label", {"calendar": calendar, "label": label})
    if isinstance(error, ChangedMeanwhile):
        return Contention(str(error))
    facts = {"calendar": calendar, "label": label, "state": named.state, "cause": str(error)}
    return Refused(Reason.WINDOW_STATE_CONFLICT, "label", facts)


def refusing(decline: CoalitionError) -> Apply:
    """An act that does nothing but keep its decline."""

    def apply(_: Connection) -> dict[str, JSON]:
        raise decline

    return apply
