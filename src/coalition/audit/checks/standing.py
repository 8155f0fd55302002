"""V20 of members: whether each is active, locked, merged or erased in the tables is what acts made of it."""

from typing import Any, Final

from coalition.audit.bundle import Bundle
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Report
from coalition.audit.checks.told import Latest, Tables
from coalition.domain.kinds import Kind

ENDS: Final = {int(Kind.MEMBER_ERASED): "ERASED", int(Kind.MEMBERS_MERGED): "MERGED"}


class StandingChecks:
    """Sees every act, then the members of the tables. Memory grows with members."""

    def __init__(self, bundle: Bundle, report: Report, tables: Tables) -> None:
        self._bundle = bundle
        self._check = report.checks["V20"]
        self._tables = tables
        self._states: Latest[str] = Latest(tables.since)

    def act(self, opened: Opened, told: dict[str, Any]) -> None:
        """The next act."""
        kind = opened.entry.kind
        if kind == Kind.MEMBER_ENROLLED:
            self._states.tell(told["member_id"], "ACTIVE", opened)
        elif kind == Kind.MEMBERS_IMPORTED:
            for member_id in told.get("records", ()):
                self._states.tell(member_id, "ACTIVE", opened)
        elif kind == Kind.MEMBER_STATE_CHANGED:
            self._states.tell(told["member_id"], str(told["state"]), opened)
        elif kind in ENDS:
            self._states.tell(told["member_id"], ENDS[kind], opened)

    def finish(self) -> None:
        """Everything was seen."""
        if not self._tables.are_there:
            return
        missing = set(self._states.due())
        for member_id, state in self._bundle.state("members"):
            self._check.looked_at += 1
            missing.discard(member_id)
            possible = self._states.possible(member_id)
            if not possible:
                self._tables.stray(self._check, f"no entry makes member {member_id}, which is in the tables")
            elif state not in possible:
                self._tables.differs(
                    self._check, f"member {member_id} is {state} in the tables, and {possible[-1]} by the log"
                )
        for member_id in sorted(missing):
            self._check.breach(f"member {member_id} is gone from the tables")
