"""V8 of top-ups whose sponsor bears no more than its limit: what each lot's sponsor takes on follows from those before.

What the terms say is read from the bundle's tables, whose content the log has the hash of (V16). What was taken on
before the bundle is not guessed at.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from coalition.audit.bundle import Bundle
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.passes import FACTS
from coalition.audit.checks.report import Report
from coalition.domain.accounts import WALLET, TransferCode
from coalition.domain.agreements import Terms, parse_content
from coalition.domain.errors import Refused
from coalition.domain.kinds import Kind
from coalition.domain.sponsorship import is_held, part_of_sponsor

TOP_UP: Final = int(Kind.TOP_UP)
GRANTING: Final = frozenset({TOP_UP, int(Kind.POINTS_CONVERSION)})
BONUS: Final = int(TransferCode.BONUS)


class SponsorChecks:
    """Sees every accepted entry of an operation, in order."""

    def __init__(self, bundle: Bundle, report: Report) -> None:
        self._bundle = bundle
        self._check = report.checks["V8"]
        self._is_whole = bundle.start_size == 0
        self._terms: dict[tuple[str, int], Terms] | None = None
        self._taken_on: dict[int, int] = defaultdict(int)

    def leaf(self, opened: Opened, answer: list[Any]) -> None:
        """The next entry; only top-ups, and points that become a voucher, say anything of a sponsor."""
        entry, facts = opened.entry, answer[FACTS] if isinstance(answer[FACTS], Mapping) else {}
        if entry.kind not in GRANTING:
            return
        own = facts.get("sponsored_minor")
        sold_under = (entry.agreement_id, entry.agreement_version)
        if entry.kind != TOP_UP:
            try:
                agreement, _, version = str(facts["terms"]).partition("/")
                sold_under = int(agreement), int(version)
            except (KeyError, ValueError):
                return  # what a conversion says of its terms is looked at with its points
        terms = self._terms_of(*sold_under)
        if terms is None or not is_held(terms):
            if terms is not None and own is not None:
                self._breach(opened, "a lot has a sponsor's part of its own under terms that know of none")
            return
        bonus = sum(leg[2] for leg in entry.transfers if leg[1] == WALLET and leg[3] == BONUS)
        before = self._taken_on[sold_under[0]]
        try:
            part = terms.sponsored_part(bonus) if own is None else int(own)
        except (TypeError, ValueError):
            self._breach(opened, "what a lot's sponsor takes on cannot be read")
            return
        self._taken_on[sold_under[0]] = before + part
        if not self._is_whole:
            self._check.lacks("what sponsors had taken on lies before the bundle's start")
        elif part != part_of_sponsor(terms, bonus, before):
            self._breach(opened, "a lot's sponsor takes on another part than its limit leaves")

    def _terms_of(self, agreement_id: int, version: int) -> Terms | None:
        if self._terms is None:
            self._terms = terms_of(self._bundle)
        return self._terms.get((self._bundle.agreements.get(agreement_id, ""), version))

    def _breach(self, opened: Opened, sentence: str) -> None:
        self._check.breach(sentence, opened.at, opened.entry.entry_id)


def terms_of(bundle: Bundle) -> dict[tuple[str, int], Terms]:
    """The versions of terms in the bundle's tables, by code and number; a row of another shape is none, as V22 says."""
    found: dict[tuple[str, int], Terms] = {}
    for row in bundle.state("agreements") if bundle.state_numbers is not None else ():
        match row:
            case [str() as code, int() as version, "TERMS", _, _, dict() as content]:
                try:
                    parsed = parse_content("TERMS", content)
                except Refused:
                    continue
                if isinstance(parsed, Terms):
                    found[code, version] = parsed
            case _:
                continue
    return found
