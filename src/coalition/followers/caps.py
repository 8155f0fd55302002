"""Net debit caps: after each step of the exposures, who has reached its cap and who goes on again (watch.py)."""

from dataclasses import replace
from typing import Final

import structlog

from coalition.domain.caps import Caps, is_stopped
from coalition.domain.programme import Programme
from coalition.followers.watch import Watch
from coalition.storage import exposures as store
from coalition.storage import watched
from coalition.storage.connect import Connection
from coalition.storage.exposures import EXPOSURES_FOLD, Exposure
from coalition.storage.folds import Fold

NOTHING: Final = Exposure(0, 0)

log = structlog.get_logger(__name__)


class CapsWatch(Watch):
    """Of all participants with a cap, those that are stopped now, or no more."""

    kind = "CAPS"

    def __init__(self) -> None:
        super().__init__()
        self._warned: set[int] = set()

    def look(self, connection: Connection, programme: Programme, after: int, up_to: int) -> bool:  # noqa: ARG002 - all are looked at
        """Record who is stopped, and who is not any more: a cap is no cap for good."""
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
            self._warn(participant, agreed, exposure, stopped=now)
        changed |= dict.fromkeys(before - caps.keys(), (False, 0))
        if changed:
            store.record(connection, changed, up_to)
        for participant, (stopped, owes) in changed.items():
            log.warning("cap_reached" if stopped else "cap_cleared", participant_id=participant, owed_minor=owes)
        return bool(changed)

    def forget_warnings(self) -> None:
        """Caps may have changed."""
        self._warned.clear()

    def _warn(self, participant: int, agreed: Caps, exposure: Exposure, *, stopped: bool) -> None:
        cap, mark = agreed.cap(exposure.collateral_minor), agreed.warns_at(exposure.collateral_minor)
        if exposure.owed_minor < mark or not cap:
            self._warned.discard(participant)
        elif not stopped and participant not in self._warned:
            self._warned.add(participant)
            log.warning("cap_near", participant_id=participant, owed_minor=exposure.owed_minor, cap_minor=cap)


def capped_exposures() -> Fold:
    """The exposures fold with a watch over caps, for one ledger."""
    return replace(EXPOSURES_FOLD, stepped=CapsWatch().stepped)
