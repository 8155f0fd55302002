"""Limits of sponsors: after each step of what was granted, under which terms the limit is reached (watch.py).

No more bonus is granted under them, but for those whose issuer bears the rest (domain/sponsorship.py).
"""

from dataclasses import replace
from datetime import date

import structlog

from coalition.domain.agreements import Terms
from coalition.domain.events import EventKind
from coalition.domain.programme import Programme
from coalition.domain.sponsorship import is_held
from coalition.followers.watch import Watch
from coalition.storage import sponsored as store
from coalition.storage import watched
from coalition.storage.connect import Connection
from coalition.storage.folds import Fold
from coalition.storage.settlement_events import notice
from coalition.storage.sponsored import SPONSORED

log = structlog.get_logger(__name__)


class SponsorsWatch(Watch):
    """Of all terms whose sponsor has a limit, those that grant no bonus now, or do again."""

    kind = "TERMS"

    def look(self, connection: Connection, programme: Programme, after: int, up_to: int) -> bool:  # noqa: ARG002 - all are looked at
        """Record what is reached, and what is not any more: a later version may raise the limit, or end it."""
        limited = limits(programme, watched.business_date(connection))
        before = store.reached(connection)
        if not limited and not before:
            return False
        borne = dict.fromkeys(limited, 0)
        for (terms_id, version), amount in store.granted(connection, list(limited)).items():
            borne[terms_id] += programme.terms_sold(terms_id, version).sponsored_part(amount)
        changed: dict[int, tuple[bool, int]] = dict.fromkeys(before - limited.keys(), (False, 0))
        for terms_id, (_, limit, is_exact) in limited.items():
            now = borne[terms_id] >= limit
            if now != (terms_id in before):
                changed[terms_id] = (now, min(borne[terms_id], limit) if is_exact else borne[terms_id])
        if changed:
            store.record(connection, changed, up_to)
        for terms_id, (is_reached, amount) in changed.items():
            log.warning("sponsor_reached" if is_reached else "sponsor_cleared", terms_id=terms_id, borne_minor=amount)
            if is_reached:
                sponsor = programme.participant_by_code[limited[terms_id][0]]
                notice(connection, up_to, sponsor.participant_id, EventKind.SPONSOR_REACHED, amount)
        return bool(changed)


def limits(programme: Programme, day: date) -> dict[int, tuple[str, int, bool]]:
    """Sponsor, limit in minor units, and whether its sponsor bears no more, of the terms in force on `day`."""
    found: dict[int, tuple[str, int, bool]] = {}
    for version in sorted(programme.versions.values(), key=lambda each: each.version):
        if version.effective_from > day or not isinstance(version.content, Terms):
            continue
        found.pop(version.agreement_id, None)  # a later version decides alone
        terms = version.content
        if version.in_force(day) and terms.sponsor is not None and terms.sponsor_limit_minor is not None:
            found[version.agreement_id] = terms.sponsor, terms.sponsor_limit_minor, is_held(terms)
    return found


def limited_sponsors() -> Fold:
    """The fold of what was granted with a watch over sponsors' limits, for one ledger."""
    return replace(SPONSORED, stepped=SponsorsWatch().stepped)
