"""The life of the house's keys as the log tells it (V14): which versions there are, and what they may have sealed."""

from typing import Any, Final

from coalition.audit.bundle import Bundle
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Report
from coalition.audit.checks.told import Tables, ToldStates
from coalition.domain.kinds import Kind

KEY_ENCRYPTION: Final = "key-encryption"
DESTROYED: Final = "DESTROYED"
STATES: Final = frozenset({"ENABLED", "DISABLED", "DESTROY_SCHEDULED", DESTROYED})


class KeyChecks:
    """Sees every act, then answers for versions of the key-encryption key."""

    def __init__(self, bundle: Bundle, report: Report, tables: Tables) -> None:
        self._bundle = bundle
        self._check = report.checks["V14"]
        self._tables = tables
        self._states = ToldStates()
        self._checks: dict[tuple[str, int], str] = {}
        self._known_from: dict[tuple[str, int], int] = {}  # the place in the log that told of a version first
        self._destroyed: dict[tuple[str, int], int] = {}
        self._is_first = True

    def act(self, opened: Opened, told: dict[str, Any]) -> None:
        """The next act."""
        if opened.entry.kind != Kind.KEYS_CHANGED:
            return
        self._check.looked_at += 1
        for purpose, version, state, is_primary, public in told["versions"]:
            key = str(purpose), int(version)
            if state not in STATES:
                self._breach(f"{named(key)} is in no known state, {state}", opened)
            if self._checks.setdefault(key, public) != public:
                self._breach(f"{named(key)} became another key under its old name", opened)
            if key in self._destroyed and state != DESTROYED:
                self._breach(f"{named(key)} was destroyed, and is {state} now", opened)
            if state == DESTROYED:
                self._destroyed.setdefault(key, opened.at)
            # What the first act of all tells was there before it: the log was told of the ring it began with.
            self._known_from.setdefault(key, 0 if self._is_first else opened.at)
            self._states.tell(key, (state, is_primary), opened)
        self._is_first = False

    def finish(self) -> None:
        """Everything was seen: the ring has the versions and states that the log tells of, and no other."""
        if not self._tables.are_there:
            return
        missing = self._states.keys_since(self._tables.since)
        for purpose, version, state, is_primary, public in self._bundle.state("keys"):
            self._check.looked_at += 1
            key = str(purpose), int(version)
            missing.discard(key)
            if not self._states.knows(key):
                self._tables.stray(self._check, f"no entry tells of {named(key)}, which the ring has")
            # Any that was told: a server may have read its ring before the newest change of it.
            elif self._checks[key] != public or (state, is_primary) not in self._states.values(key):
                self._check.breach(f"the ring has {named(key)} {state}: no entry tells so")
        for key in sorted(missing):
            # No breach: a server that was not started again since a rotation has the ring of before.
            self._check.lacks(f"the ring that was told has no {named(key)}: ask a server that was started since")

    def may_seal(self, version: int, at: int) -> str:
        """Why nothing may have been sealed under this version at that place of the log; empty where it may."""
        key = KEY_ENCRYPTION, version
        if key not in self._known_from:
            return f"{named(key)} was never made"
        if at < self._known_from[key]:
            return f"{named(key)} was made later"
        return f"{named(key)} was destroyed before" if self._destroyed.get(key, at) < at else ""

    @property
    def are_told(self) -> bool:
        """Whether the log tells of keys at all."""
        return bool(self._known_from)

    def _breach(self, sentence: str, opened: Opened) -> None:
        self._check.breach(sentence, opened.at, opened.entry.entry_id)


def named(key: tuple[str, int]) -> str:
    """A version as people call it."""
    return f"{key[0]} key version {key[1]}"
