"""The rules between agreements: who may be named, which dates may follow which, what may not overlap. Pure.

The form of one agreement's content is judged before, by `domain.agreements.parse_content`.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Final

from coalition.domain.acts import JSON, canonical
from coalition.domain.agreements import RECRUITER, Acceptance, Acquiring, Content, Terms, Version
from coalition.domain.caps import Caps
from coalition.domain.card_rules import CardRules
from coalition.domain.day_limits import DayLimits
from coalition.domain.errors import Refused
from coalition.domain.pass_terms import PassTerms
from coalition.domain.points_programme import PointsProgramme
from coalition.domain.reasons import Reason
from coalition.domain.window_fees import OPERATOR, WindowFees

NAMED_FIRST: Final = {
    Terms: "issuer",
    PassTerms: "issuer",
    Acceptance: "issuer",
    WindowFees: "payer",
    Caps: "participant",
    PointsProgramme: "debtor",
}
"""The field that a complaint about other parties names, where it is not the acquirer."""


def check_period(effective_from: date, effective_until: date | None) -> None:
    """`effective_until` is the first day on which the version no longer holds."""
    if effective_until is not None and effective_until <= effective_from:
        raise invalid("effective_until", "a day after effective_from")


def content_hash(kind: str, content: Mapping[str, JSON], effective_from: date, effective_until: date | None) -> str:
    """SHA-256, in hex, by which the journal names a version's content; docs/audit-log.md has the bytes."""
    until = None if effective_until is None else effective_until.isoformat()
    told = {"content": dict(content), "from": effective_from.isoformat(), "kind": kind, "until": until}
    return hashlib.sha256(canonical(told)).hexdigest()


def check_names(content: Content, parties: frozenset[str], calendars: frozenset[str]) -> None:
    """Every party, sponsor, recipient and calendar that the content names exists."""
    for field, name, may_be_chain in _names(content):
        if name not in parties or (not may_be_chain and name.startswith("chain:")):
            wish = "a participant's code" + (", or chain: and the chain code of one" if may_be_chain else "")
            raise invalid(f"content.{field}", wish)
    if not isinstance(content, CardRules | DayLimits | Caps) and content.calendar not in calendars:
        raise invalid("content.calendar", " or ".join(sorted(calendars)))


def check_alone(
    code: str, content: Content, effective_from: date, effective_until: date | None, others: Iterable[Version]
) -> None:
    """No other agreement answers the same question on the same day.

    An issuer may sell under several terms, and several passes, at a time (a sale names one); what an acquirer takes or
    pays must be one, and so must the card rules of the scheme.
    """
    if isinstance(content, Terms | PassTerms):
        return
    for other, end in _with_ends(others):
        is_rival = other.code != code and _answer_alike(other.content, content)
        if is_rival and _overlap(effective_from, effective_until, other.effective_from, end):
            raise Refused(
                Reason.AGREEMENT_INVALID,
                "effective_from",
                {"expected": "days on which no other agreement of these parties holds", "overlaps": other.code},
            )


def _answer_alike(one: Content, other: Content) -> bool:
    """Whether two agreements of a kind answer the same question: of points, where both say what is earned."""
    if isinstance(one, PointsProgramme) and isinstance(other, PointsProgramme):
        return not set(one.earned_at).isdisjoint(other.earned_at)
    return parties_of(one) == parties_of(other)


def check_licence(
    content: Content,
    effective_from: date,
    groups: Mapping[str, str],
    rules: Iterable[Version],
    terms: Iterable[Version],
    acceptances: Iterable[Version],
) -> None:
    """Without the licence no issuer-held value is taken across groups: refuse the agreement that would complete it.

    `groups` names the group of each party: its chain, or itself. Raises Refused(LICENCE_MISSING).
    """
    if not isinstance(content, Terms | PassTerms | Acceptance) or _is_licensed(rules, effective_from):
        return
    held = [each for each in _latest(terms, effective_from) if isinstance(each, Terms | PassTerms)]
    taken = [each for each in _latest(acceptances, effective_from) if isinstance(each, Acceptance)]
    if isinstance(content, Acceptance):
        taken = [content]
    else:
        held = [content]
    for agreed in taken:
        issuer = groups[agreed.issuer]
        if not agreed.accepted or issuer == groups[agreed.acquirer]:
            continue
        for sold in held:
            if sold.custody == "ISSUER_HELD" and groups[sold.issuer] == issuer:
                facts = {"issuer": agreed.issuer, "acquirer": agreed.acquirer}
                field = "content.acquirer" if isinstance(content, Acceptance) else "content.custody"
                raise Refused(Reason.LICENCE_MISSING, field, facts)


def check_succession(latest: Version, expected_version: int, content: Content, effective_from: date) -> None:
    """A new version follows the one its author read, in number and in time, between the same parties.

    For other parties it would silently end what the old ones agreed: that is another agreement.
    """
    if expected_version != latest.version:
        raise Refused(Reason.AGREEMENT_VERSION_CONFLICT, "expected_version", {"latest_version": str(latest.version)})
    if parties_of(content) != parties_of(latest.content):
        field = NAMED_FIRST.get(type(content), "acquirer")
        if isinstance(content, Acceptance) and content.issuer == parties_of(latest.content)[0]:
            field = "acquirer"
        raise invalid(f"content.{field}", "the same parties as before; make another agreement for others")
    if effective_from < latest.effective_from:
        raise invalid(
            "effective_from", f"{latest.effective_from.isoformat()} or later, where the latest version begins"
        )


def check_sponsorship(versions: Iterable[Version], content: Content) -> None:
    """All versions of terms that have a sponsor say the same of what comes after its limit.

    Otherwise what was granted under an earlier one would not be counted, or not as it was granted.
    """
    if not isinstance(content, Terms) or content.sponsor is None:
        return
    before = {
        each.content.when_used_up
        for each in versions
        if isinstance(each.content, Terms) and each.content.sponsor is not None
    }
    if before - {content.when_used_up}:
        wish = f"{' or '.join(sorted(before))} as in earlier versions; make other terms where it is not so any more"
        raise invalid("content.when_used_up", wish)


def parties_of(content: Content) -> tuple[str, ...]:
    """Whose question the agreement answers; nobody's in particular for the scheme's own rules."""
    match content:
        case Terms() | PassTerms():
            return (content.issuer,)
        case Acceptance():
            return (content.issuer, content.acquirer)
        case Acquiring() | DayLimits():
            return (content.acquirer,)
        case WindowFees():
            return (content.payer, content.payee, content.base.value)
        case Caps():
            return (content.participant,)
        case PointsProgramme():
            return (content.debtor,)
        case CardRules():
            return ()


def invalid(field: str, expected: str) -> Refused:
    """The complaint about one field of an agreement, with what is expected there."""
    return Refused(Reason.AGREEMENT_INVALID, field, {"expected": expected})


def _names(content: Content) -> Iterator[tuple[str, str, bool]]:
    """Each name in the content as (field, name, whether it may be a chain)."""
    match content:
        case Terms():
            yield "issuer", content.issuer, True
            yield from _listed("sellers", content.sellers)
            if content.sponsor is not None:
                yield "sponsor", content.sponsor, False
        case Acceptance():
            yield "issuer", content.issuer, True
            yield "acquirer", content.acquirer, True
        case Acquiring():
            yield "acquirer", content.acquirer, True
            if content.commission_to != RECRUITER:
                yield "commission_to", content.commission_to, False
            yield from _listed("returns_at", content.returns_at)
        case DayLimits():
            yield "acquirer", content.acquirer, True
        case PassTerms() | PointsProgramme():
            yield from _names_of_units(content)
        case WindowFees():
            yield "payer", content.payer, True
            if content.payee != OPERATOR:
                yield "payee", content.payee, False
        case Caps():
            yield "participant", content.participant, True
        case _:
            return


def _names_of_units(content: PassTerms | PointsProgramme) -> Iterator[tuple[str, str, bool]]:
    if isinstance(content, PassTerms):
        yield "issuer", content.issuer, True
        yield from _listed("sellers", content.sellers)
        yield from _listed("honoured_at", content.honoured_at)
    else:
        yield "debtor", content.debtor, False
        yield from _listed("earned_at", content.earned_at)
        yield from _listed("spent_at", content.spent_at)
        if content.conversion is not None:
            yield "conversion.issuer", content.conversion.issuer, False


def _listed(field: str, parties: Iterable[str]) -> Iterator[tuple[str, str, bool]]:
    for index, party in enumerate(parties):
        yield f"{field}[{index}]", party, True


def _is_licensed(rules: Iterable[Version], day: date) -> bool:
    found = [each for each in _latest(rules, day) if isinstance(each, CardRules)]
    return all(each.issuer_held_across_groups_allowed for each in found)


def _latest(versions: Iterable[Version], day: date) -> list[Content]:
    """Of each agreement its highest version, unless it has ended by that day."""
    newest = {each.agreement_id: each for each in sorted(versions, key=lambda each: each.version)}
    return [each.content for each in newest.values() if each.effective_until is None or each.effective_until > day]


def _with_ends(versions: Iterable[Version]) -> Iterator[tuple[Version, date | None]]:
    """Each version with the first day it no longer holds: its own end, or the day its successor begins."""
    known = list(versions)
    successors = {(version.agreement_id, version.version - 1): version.effective_from for version in known}
    for version in known:
        days = (version.effective_until, successors.get((version.agreement_id, version.version)))
        yield version, min((day for day in days if day is not None), default=None)


def _overlap(left_from: date, left_until: date | None, right_from: date, right_until: date | None) -> bool:
    """Whether two periods, each without its last day, share a day; None never ends."""
    left_end, right_end = left_until or date.max, right_until or date.max
    return max(left_from, right_from) < min(left_end, right_end)
