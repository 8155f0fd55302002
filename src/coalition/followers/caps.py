"""Net debit caps: after each step of the exposures, who has reached its cap and who goes on again (watch.py)."""

from dataclasses import replace
from typing import Final

import structlog

from coalition.domain.caps import Caps, is_stopped
from coalition.domain.events import EventKind
from coalition.domain.programme import Programme
from coalition.followers.watch import Watch
from coalition.storage import exposures as store
from coalition.storage import watched
from coalition.storage.connect import Connection
from coalition.storage.exposures import EXPOSURES_FOLD, Exposure
from coalition.storage.folds import Fold
from coalition.storage.settlement_events import last_notices, notice

NOTHING: Final = Exposure(0, 0)

log = structlog.get_logger(__name__)


class CapsWatch(Watch):
    """Of all participants with a cap, those that are stopped now, or no more."""

    kind = "CAPS"

    def __init__(self) -> None:
        super().__init__()
        self._warned: dict[int, int | None] | None = None  # by participant: of which cap; None: one before our time

    def look(self, connection: Connection, programme: Programme, after: int, up_to: int) -> bool:  # noqa: ARG002 - all are looked at
        """Record who is stopped, and who is not any more: a cap is no cap for good. Each is told of it (an event)."""
        day = watched.business_date(connection)
        caps = {each: found for each in programme.participants if (found := programme.caps(each, day)) is not None}
        before = store.stopped(connection)
        owed = store.exposures(connection, caps.keys())
        changed: dict[int, tuple[bool, int]] = {}
        for participant, agreed in caps.items():
            exposure = owed.get(participant, NOTHING)
            was_stopped = participant in before
            now = is_stopped(agreed, exposure.owed_minor, exposure.collateral_minor, was_stopped=was_stopped)
            if now != was_stopped:
                changed[participant] = (now, exposure.owed_minor)
            if self._is_news(connection, participant, agreed, exposure, stopped=now):
                notice(connection, up_to, participant, EventKind.CAP_NEAR, exposure.owed_minor)
        changed |= dict.fromkeys(before - caps.keys(), (False, 0))
        if changed:
            store.record(connection, changed, up_to)
        for participant, (stopped, owes) in changed.items():
            log.warning("cap_reached" if stopped else "cap_cleared", participant_id=participant, owed_minor=owes)
            notice(connection, up_to, participant, EventKind.CAP_REACHED if stopped else EventKind.CAP_CLEARED, owes)
        return bool(changed)

    def _is_news(
        self, connection: Connection, participant: int, agreed: Caps, exposure: Exposure, *, stopped: bool
    ) -> bool:
        """Whether it has come near to a cap that it was not near before; another cap is news again."""
        if self._warned is None:
            near = (each for each, kind in last_notices(connection).items() if kind is EventKind.CAP_NEAR)
            self._warned = dict.fromkeys(near)
        cap, mark = agreed.cap(exposure.collateral_minor), agreed.warns_at(exposure.collateral_minor)
        if exposure.owed_minor < mark or not cap:
            self._warned.pop(participant, None)
            return False
        known = self._warned.get(participant, -1)
        if stopped or known == cap or known is None:
            return False
        self._warned[participant] = cap
        log.warning("cap_near", participant_id=participant, owed_minor=exposure.owed_minor, cap_minor=cap)
        return True


def capped_exposures() -> Fold:
    """The exposures fold with a watch over caps, for one ledger."""
    return replace(EXPOSURES_FOLD, stepped=CapsWatch().stepped)
