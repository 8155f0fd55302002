"""V17 of papers: each settlement report that the journal says was sealed is in the bundle, whole, as it was sealed.

Every file of it was hashed when the bundle was opened; here those hashes are held against the report's manifest, the
manifest against the act that sealed it (settlement/sealing.py), and the signed note against both.
"""

import json
from typing import Any, Final, NamedTuple

from coalition.audit.bundle import Bundle
from coalition.audit.bundle_format import REPORT_MANIFEST, REPORT_NOTE
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Report
from coalition.audit.errors import EvidenceBroken, EvidenceMalformed
from coalition.audit.note import SignedNote, Verify
from coalition.audit.report_seal import ReportSeal, open_seal
from coalition.audit.trust import Trust
from coalition.domain.ids import number_of
from coalition.domain.kinds import Kind

OUTSIDE: Final = frozenset({REPORT_MANIFEST, REPORT_NOTE})
"""What a manifest cannot list: itself, and the signature over it."""


class Seal(NamedTuple):
    """What an act sealed: the SHA-256 of a manifest in hex, and where the act is."""

    manifest_sha256: str
    at: int
    entry_id: int


class SealedReportChecks:
    """Sees every act, then the reports of the bundle."""

    def __init__(self, bundle: Bundle, report: Report, trust: Trust, verify: Verify) -> None:
        self._bundle = bundle
        self._check = report.checks["V17"]
        self._trust = trust
        self._verify = verify
        self._seals: dict[str, list[Seal]] = {}  # by window, such as monthly/2017-01; netted anew it is sealed anew

    def act(self, opened: Opened, told: dict[str, Any]) -> None:
        """The next act."""
        if opened.entry.kind == Kind.REPORT_SEALED:
            seal = Seal(str(told["manifest_sha256"]), opened.at, opened.entry.entry_id)
            self._seals.setdefault(f"{told['calendar']}/{told['label']}", []).append(seal)

    def finish(self) -> None:
        """Everything was seen."""
        found = set()
        for place, digests in self._bundle.report_digests():
            if REPORT_MANIFEST in digests:
                found.add(digests[REPORT_MANIFEST])
                self._report(place, digests)
        for window, seals in self._seals.items():
            newest = seals[-1]
            self._check.looked_at += 1
            if newest.manifest_sha256 not in found:
                self._check.lacks(
                    f"the report of window {window} that entry {newest.entry_id} sealed is not in the bundle, "
                    "or without its manifest: `coalition audit bundle --settlement DIRECTORY` puts it in"
                )

    def _report(self, place: str, digests: dict[str, str]) -> None:
        check = self._check
        try:
            listed = json.loads(self._bundle.report_file(place, REPORT_MANIFEST))
            window = str(listed["window"])
            stated = {str(each["name"]): str(each["sha256"]) for each in listed["files"]}
        except (ValueError, KeyError, TypeError, RecursionError):
            return check.breach(f"{place}: the manifest of the settlement report cannot be read")
        for name in sorted(stated.keys() | digests.keys() - OUTSIDE):
            if digests.get(name) != stated.get(name):
                what = "missing" if name not in digests else "not listed" if name not in stated else "changed"
                check.breach(f"{place}: {name} of the report of window {window} is {what}")
        self._sealed(place, window, digests)
        return None

    def _sealed(self, place: str, window: str, digests: dict[str, str]) -> None:
        """The manifest is the one that was sealed, and the note says so."""
        check, digest = self._check, digests[REPORT_MANIFEST]
        seal = next((each for each in self._seals.get(window, ()) if each.manifest_sha256 == digest), None)
        if seal is None and window in self._seals:
            known = self._seals[window][-1]
            return check.breach(
                f"{place}: this is another report of window {window} than was sealed", known.at, known.entry_id
            )
        if REPORT_NOTE not in digests:
            if seal is not None:
                check.lacks(f"{place}: the report of window {window} is without its {REPORT_NOTE}")
            return None  # made without a seal: nothing but the figures in it can be checked
        try:
            note = SignedNote.parse(self._bundle.report_file(place, REPORT_NOTE))
            told = open_seal(note, self._trust, self._verify)
        except (EvidenceBroken, EvidenceMalformed) as error:
            return check.breach(f"{place}: the seal of the report of window {window} does not hold: {error}")
        if seal is None:
            sentence = f"{place}: no entry seals the report of window {window}, though its seal names {told.entry_id}"
            if self._bundle.first_number <= number_of(told.entry_id) <= self._bundle.last_number:
                return check.breach(sentence)
            return check.lacks(f"{sentence}, which the bundle does not hold")
        if told != ReportSeal(window, digest, seal.entry_id):
            check.breach(f"{place}: the seal of the report of window {window} is over another", seal.at, seal.entry_id)
        return None
