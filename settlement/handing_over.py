"""A participant leaves: proposed, approved by others, then carried out in one act while no batch is under way.

The act holds the windows as a close does, adds up what the lots still owe, posts the hand-over and lets every desk
notice: a batch before it posts for the one that leaves, a batch after it for the successor.
"""

from collections.abc import Callable

from coalition.domain.acts import JSON, Act, ActAnswer
from coalition.domain.approvals import Subject, content_hash
from coalition.domain.errors import Contention, Refused
from coalition.domain.journal import Transfer
from coalition.domain.reasons import Reason
from coalition.domain.succession import (
    check_succession,
    points_programmes,
    points_succession,
    succession_transfers,
)
from coalition.storage import approvals
from coalition.storage import settlement as store
from coalition.storage import succession as lots
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection
from coalition.storage.cursors import available
from coalition.storage.lease import Lease
from coalition.storage.programme import load
from settlement.closing import patiently

CALENDAR = "monthly"


class HandingOver:
    """Callable from any thread: each act leases a connection for itself, as role coalition_settlement."""

    def __init__(self, lease: Lease, acts: Acts, sleep: Callable[[float], None]) -> None:
        self._lease = lease
        self._acts = acts
        self._sleep = sleep

    def propose(self, act: Act, leaving: str, successor: str, bonus_price_minor: int) -> ActAnswer:
        """Ask for the approval; the answer holds its id, and what is owed now. Refused: see `check_succession`."""

        def apply(connection: Connection) -> dict[str, JSON]:
            ours, _ = check_succession(load(connection), leaving, successor)
            owed = lots.owed(connection, ours)
            principal, bonus = sum(each.principal_minor for each in owed), sum(each.bonus_minor for each in owed)
            approval_id = approvals.ask(
                connection,
                Subject.ADJUSTMENT,
                name_of(leaving),
                content_hash=content_hash(agreed_on(leaving, successor, bonus_price_minor)),
                amount_minor=principal + bonus_price_minor,
                maker=act.actor,
                time=store.now(connection),
            )
            return {"approval": approval_id, "principal_minor": principal, "bonus_minor": bonus}

        with available(), self._lease() as connection:
            return self._acts.perform(connection, act, apply)

    def carry_out(self, act: Act, leaving: str, successor: str, bonus_price_minor: int) -> ActAnswer:
        """Hand over. Refused: see `check_succession`; APPROVAL_MISSING unless exactly this was approved.

        Contention after the last try against batches that hold the windows: nothing was changed, send it again.
        """
        transfers: list[Transfer] = []

        def apply(connection: Connection) -> dict[str, JSON]:
            store.lock_windows(connection)
            programme = load(connection)
            ours, theirs = check_succession(programme, leaving, successor)
            agreed = content_hash(agreed_on(leaving, successor, bonus_price_minor))
            if not approvals.approved(connection, Subject.ADJUSTMENT, name_of(leaving), agreed):
                raise Refused(Reason.APPROVAL_MISSING, "participant")
            window = next((each for each in store.windows(connection, CALENDAR) if each.state == "OPEN"), None)
            if window is None:
                raise Contention(f"calendar {CALENDAR} has no open window now; send it again")
            owed = lots.owed(connection, ours)
            points = lots.owed_points(connection, points_programmes(programme, ours))
            transfers[:] = [
                *succession_transfers(ours, theirs, owed, bonus_price_minor, window.window_id),
                *points_succession(ours, theirs, points, window.window_id),
            ]
            lots.hand_over(connection, ours, theirs)
            return {
                "participant": leaving,
                "successor": successor,
                "principal_minor": sum(each.principal_minor for each in owed),
                "bonus_minor": sum(each.bonus_minor for each in owed),
                "bonus_price_minor": bonus_price_minor,
            }

        def perform() -> ActAnswer:
            with available(), self._lease() as connection:
                return self._acts.perform(connection, act, apply, transfers=lambda: transfers)

        return patiently(perform, self._sleep)


def name_of(leaving: str) -> str:
    """How its approval is known."""
    return f"hand-over/{leaving}"


def agreed_on(leaving: str, successor: str, bonus_price_minor: int) -> dict[str, JSON]:
    """What approvers agree to; the value itself moves until the hand-over, as trade goes on."""
    return {"participant": leaving, "successor": successor, "bonus_price_minor": bonus_price_minor}
