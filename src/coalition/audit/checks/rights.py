"""V16 and V17 beside the tables: agreements have the content that was agreed on, participants, stores and terminals the
rights that acts gave them, windows the figures that were netted.
"""

import hashlib
from typing import Any, Final

from coalition.audit.bundle import Bundle
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Report
from coalition.audit.checks.told import Tables, ToldStates
from coalition.domain.acts import canonical
from coalition.domain.kinds import Kind

AGREEMENTS: Final = frozenset({int(Kind.AGREEMENT_CREATED), int(Kind.AGREEMENT_REVISED)})
PARTICIPANTS: Final = frozenset({int(Kind.PARTICIPANT_CREATED), int(Kind.PARTICIPANT_STATE_CHANGED)})
STORES: Final = frozenset({int(Kind.STORE_CREATED), int(Kind.STORE_STATE_CHANGED)})
TERMINALS: Final = frozenset({int(Kind.TERMINAL_CREATED), int(Kind.TERMINAL_STATE_CHANGED)})
FOUNDERS: Final = frozenset({"OPERATOR", "CUSTODY"})
"""Laid with the scheme, before the first act."""


class RightsChecks:
    """Sees every act, then the tables that it changed."""

    def __init__(self, bundle: Bundle, report: Report, tables: Tables) -> None:
        self._bundle = bundle
        self._rules, self._windows = report.checks["V16"], report.checks["V17"]
        self._tables = tables
        self._contents = ToldStates()  # by code and version
        self._states = ToldStates()  # by kind and place
        self._founders: list[str] = []
        self._parties: dict[str, tuple[Any, Any]] = {}
        self._cuts = ToldStates()  # of windows, by calendar and label
        self._netted = ToldStates()

    def act(self, opened: Opened, told: dict[str, Any]) -> None:
        """The next act, or a netting."""
        kind = opened.entry.kind
        if kind in AGREEMENTS:
            self._rules.looked_at += 1
            self._contents.tell((told["agreement"], told["version"]), told.get("content_sha256"), opened)
        elif kind in PARTICIPANTS:
            self._rules.looked_at += 1
            self._states.tell(("participant", told["participant"]), told["state"], opened)
            if "role" in told:
                self._parties[told["participant"]] = told["role"], told["chain"]
        elif kind == Kind.SUCCESSION:
            self._states.tell(("participant", told["participant"]), "SUSPENDED", opened)
        elif kind in STORES:
            self._rules.looked_at += 1
            self._states.tell(("store", f"{told['participant']}/{told['store']}"), told["state"], opened)
        elif kind in TERMINALS:
            self._rules.looked_at += 1
            place = f"{told['participant']}/{told['store']}/{told['terminal']}"
            self._states.tell(("terminal", place), told["state"], opened)
        elif kind == Kind.WINDOW_CLOSED:
            self._cuts.tell((told["calendar"], told["label"]), told["cut_number"], opened)
        elif kind == Kind.NETTING:
            told_of = opened.entry.entry_id, sorted(told["positions"])
            self._netted.tell((told["calendar"], told["label"]), told_of, opened)
        elif kind == Kind.NETTING_REVERSAL:
            self._netted.tell((told["calendar"], told["label"]), None, opened)

    def finish(self) -> None:
        """Everything was seen."""
        if not self._tables.are_there:
            return
        since = self._tables.since
        contents, rights = self._contents.keys_since(since), self._states.keys_since(since)
        cut_by_then, netted_by_then = self._cuts.keys_since(since), self._netted.keys_since(since)
        windows = cut_by_then | netted_by_then
        for row in self._bundle.state("agreements"):
            contents.discard((row[0], row[1]))
            self._agreement(*row)
        for kind, place, *rest in self._bundle.state("rights"):
            rights.discard((kind, place))
            self._right(kind, place, *rest)
        for calendar, label, state, cut, netting, positions in self._bundle.state("windows"):
            name = calendar, label
            windows.discard(name)
            self._window(name, state, cut, netting, sorted(positions))
            is_netted = name in netted_by_then and not self._netted.admits(name, None, since)
            if (state == "OPEN" and name in cut_by_then) or (state == "CLOSED" and is_netted):
                self._windows.breach(f"window {calendar}/{label} is {state} in the tables, and further by the log")
        for code, version in sorted(contents):
            self._rules.breach(f"version {version} of {code} is gone from the tables")
        for kind, place in sorted(rights):
            self._rules.breach(f"{kind} {place} is gone from the tables")
        for name in sorted(windows):
            self._windows.breach(f"window {'/'.join(name)} is gone from the tables")

    def _agreement(self, code: str, version: int, kind: str, begin: str, until: str | None, content: Any) -> None:
        check, told = self._rules, self._contents.values((code, version))
        check.looked_at += 1
        if not told:
            self._tables.stray(check, f"no entry makes version {version} of {code}, which is in the tables")
        elif told[-1] is None:
            check.lacks(
                f"the act that made version {version} of {code} is of a release that told no hash of its content"
            )
        else:
            own = canonical({"content": content, "from": begin, "kind": kind, "until": until})
            if hashlib.sha256(own).hexdigest() != told[-1]:
                check.breach(f"version {version} of {code} has another content in the tables than its act made")

    def _right(self, kind: str, place: str, state: str, role: str = "", chain: str | None = None) -> None:
        check = self._rules
        check.looked_at += 1
        if role in FOUNDERS:
            self._founders.append(role)
            if state != "ACTIVE" or self._founders.count(role) > 1:
                check.breach(f"participant {place} is {role} and {state} in the tables, which no act made it")
        elif not self._states.knows((kind, place)):
            self._tables.stray(check, f"no entry makes {kind} {place}, which is in the tables")
        elif not self._states.admits((kind, place), state, self._tables.since):
            check.breach(f"{kind} {place} is {state} in the tables, which no act made it")
        elif place in self._parties and kind == "participant" and (role, chain) != self._parties[place]:
            check.breach(f"participant {place} has another role or chain in the tables than its act gave it")

    def _window(
        self, name: tuple[str, str], state: str, cut: int | None, netting: int | None, positions: list[Any]
    ) -> None:
        check, title, since = self._windows, "/".join(name), self._tables.since
        check.looked_at += 1
        cuts, netted = self._cuts.values(name), self._netted.values(name)
        if state == "OPEN" and (cut, netting) != (None, None):
            check.breach(f"window {title} is open in the tables, and was cut")
        if state != "OPEN" and not cuts:
            self._tables.stray(check, f"no entry closes window {title}, which is {state} in the tables")
        elif state != "OPEN" and cut != cuts[-1]:
            check.breach(f"window {title} was cut at {cuts[-1]}, and the tables say {cut}")
        if state not in {"OPEN", "CLOSED"} and not netted:
            self._tables.stray(check, f"no entry nets window {title}, which is {state} in the tables")
        elif state not in {"OPEN", "CLOSED"} and not self._netted.admits(name, (netting, positions), since):
            check.breach(f"the net positions of window {title} are others in the tables than were netted")
