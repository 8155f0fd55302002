"""HQ's office: participants, stores, terminals and agreements, each written exactly once.

It changes the rules of the coalition. It never moves value and never sees personal data. Every change raises the
programme's epoch in its own transaction, so every desk learns of it before its next decision.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime

from coalition.domain.acts import JSON, Act, ActAnswer, canonical
from coalition.domain.agreements import Content, parse_content
from coalition.domain.errors import Refused
from coalition.domain.programme import Participant, Store
from coalition.domain.reasons import Reason
from coalition.programme import agreement_rules
from coalition.programme.fields import ROLES, STATES, check_among, check_code, check_display_name, invalid
from coalition.programme.signing import asked_if_needed, sign
from coalition.programme.store import Answer, ProgrammeBooks, ProgrammeStore

CONTENT_BYTES_MAX = 65_536
"""A chain with a thousand sellers by name stays below it."""


class Office:
    """Callable from any thread. Every write raises Refused with the reasons named at it, besides REQUEST_ID_REUSED.

    `act.body_hash` is the caller's; an act repeated with the same request_id and body gets its first answer again.
    """

    def __init__(self, store: ProgrammeStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def create_participant(
        self, act: Act, code: str, display_name: str, role: str, chain_code: str | None = None
    ) -> ActAnswer:
        """A new settling party, active at once. `chain_code` groups participants that agreements name together.

        PARTICIPANT_EXISTS; FIELD_INVALID.
        """
        check_code(code)
        name = check_display_name(display_name)
        check_among(role, ROLES, "role")
        chain = check_code(chain_code, "chain_code") if chain_code else None
        create_time = self._clock()

        def apply(books: ProgrammeBooks) -> Answer:
            if not books.add_participant(code, name, role, chain, create_time):
                raise Refused(Reason.PARTICIPANT_EXISTS, "code", {"participant": code})
            return {"participant": code, "state": "ACTIVE", "role": role, "chain": chain}

        return self._store.perform(act, apply)

    def set_participant_state(self, act: Act, code: str, state: str) -> ActAnswer:
        """Suspend a participant with all its terminals, or let it work again; what it has stays its own.

        PARTICIPANT_UNKNOWN; FIELD_INVALID for the operator and the custody, without whom nothing settles.
        """
        check_code(code, "participant")
        check_among(state, STATES, "state")

        def apply(books: ProgrammeBooks) -> Answer:
            participant = _participant(books, code)
            if participant.role not in ROLES:
                raise invalid("participant", "a participant other than the operator and the custody")
            books.set_participant_state(participant.participant_id, state)
            return {"participant": code, "state": state}

        return self._store.perform(act, apply)

    def create_store(self, act: Act, participant: str, code: str, display_name: str) -> ActAnswer:
        """A new shop of a participant. PARTICIPANT_UNKNOWN, STORE_EXISTS; FIELD_INVALID."""
        check_code(participant, "participant")
        check_code(code)
        name = check_display_name(display_name)
        create_time = self._clock()

        def apply(books: ProgrammeBooks) -> Answer:
            owner = _participant(books, participant)
            if not books.add_store(owner.participant_id, code, name, create_time):
                raise Refused(Reason.STORE_EXISTS, "code", {"participant": participant, "store": code})
            return {"participant": participant, "store": code, "state": "ACTIVE"}

        return self._store.perform(act, apply)

    def set_store_state(self, act: Act, participant: str, store: str, state: str) -> ActAnswer:
        """Suspend a store with all its tills, or let it work again.

        PARTICIPANT_UNKNOWN, STORE_UNKNOWN; FIELD_INVALID.
        """
        check_code(participant, "participant")
        check_code(store, "store")
        check_among(state, STATES, "state")

        def apply(books: ProgrammeBooks) -> Answer:
            books.set_store_state(_store(books, participant, store).store_id, state)
            return {"participant": participant, "store": store, "state": state}

        return self._store.perform(act, apply)

    def create_terminal(self, act: Act, participant: str, store: str, code: str) -> ActAnswer:
        """A new till of a store. PARTICIPANT_UNKNOWN, STORE_UNKNOWN, TERMINAL_EXISTS; FIELD_INVALID."""
        check_code(participant, "participant")
        check_code(store, "store")
        check_code(code)
        create_time = self._clock()

        def apply(books: ProgrammeBooks) -> Answer:
            shop = _store(books, participant, store)
            if not books.add_terminal(shop.store_id, code, create_time):
                raise Refused(
                    Reason.TERMINAL_EXISTS, "code", {"participant": participant, "store": store, "terminal": code}
                )
            return {"participant": participant, "store": store, "terminal": code, "state": "ACTIVE"}

        return self._store.perform(act, apply)

    def set_terminal_state(self, act: Act, participant: str, store: str, terminal: str, state: str) -> ActAnswer:
        """Suspend a terminal, or let it work again.

        PARTICIPANT_UNKNOWN, STORE_UNKNOWN, TERMINAL_UNKNOWN (never stored); FIELD_INVALID.
        """
        check_code(participant, "participant")
        check_code(store, "store")
        check_code(terminal, "terminal")
        check_among(state, STATES, "state")

        def apply(books: ProgrammeBooks) -> Answer:
            till = books.terminal(_store(books, participant, store).store_id, terminal)
            if till is None:
                raise Refused(
                    Reason.TERMINAL_UNKNOWN,
                    "terminal",
                    {"participant": participant, "store": store, "terminal": terminal},
                )
            books.set_terminal_state(till.terminal_id, state)
            return {"participant": participant, "store": store, "terminal": terminal, "state": state}

        return self._store.perform(act, apply)

    def create_agreement(
        self,
        act: Act,
        code: str,
        kind: str,
        content: Mapping[str, JSON],
        effective_from: date,
        effective_until: date | None = None,
    ) -> ActAnswer:
        """A new agreement, version 1.

        AGREEMENT_INVALID with the field; AGREEMENT_EXISTS where `code` is taken; LICENCE_MISSING.
        """
        check_code(code)
        parsed = parse_content(kind, _bounded(content))
        agreement_rules.check_period(effective_from, effective_until)
        create_time = self._clock()

        def apply(books: ProgrammeBooks) -> Answer:
            taken = books.agreement(code)
            if taken:
                raise Refused(Reason.AGREEMENT_EXISTS, "code", {"latest_version": str(taken[-1].version)})
            agreement_rules.check_names(parsed, books.parties(), books.calendars())
            agreement_rules.check_alone(code, parsed, effective_from, effective_until, books.versions(kind))
            _check_licence(books, parsed, effective_from)
            agreement_id = books.add_agreement(code, kind, create_time)
            books.add_version(agreement_id, 1, effective_from, effective_until, dict(content), create_time)
            period = (effective_from, effective_until)
            return asked_if_needed(books, act, agreement_id, code, 1, kind, content, period, create_time)

        return self._store.perform(act, apply)

    def revise_agreement(
        self,
        act: Act,
        code: str,
        expected_version: int,
        content: Mapping[str, JSON],
        effective_from: date,
        effective_until: date | None = None,
    ) -> ActAnswer:
        """The next version of an agreement; earlier ones stay, and entries keep the one they were made under.

        `expected_version` is the latest version the author has read. AGREEMENT_UNKNOWN, AGREEMENT_VERSION_CONFLICT,
        AGREEMENT_INVALID with the field, LICENCE_MISSING.
        """
        check_code(code)
        agreement_rules.check_period(effective_from, effective_until)
        _bounded(content)
        create_time = self._clock()

        def apply(books: ProgrammeBooks) -> Answer:
            versions = books.agreement(code)
            if not versions:
                raise Refused(Reason.AGREEMENT_UNKNOWN, "code", {"agreement": code})
            latest = versions[-1]
            parsed = parse_content(latest.kind, content)
            agreement_rules.check_succession(latest, expected_version, parsed, effective_from)
            agreement_rules.check_sponsorship(versions, parsed)
            agreement_rules.check_names(parsed, books.parties(), books.calendars())
            agreement_rules.check_alone(code, parsed, effective_from, effective_until, books.versions(latest.kind))
            _check_licence(books, parsed, effective_from)
            version = latest.version + 1
            books.add_version(latest.agreement_id, version, effective_from, effective_until, dict(content), create_time)
            period = (effective_from, effective_until)
            agreement_id, kind = latest.agreement_id, latest.kind
            return asked_if_needed(books, act, agreement_id, code, version, kind, content, period, create_time)

        return self._store.perform(act, apply)

    def sign_agreement(self, act: Act, code: str, version: int) -> ActAnswer:
        """A version that others have approved holds from now on. AGREEMENT_UNKNOWN, APPROVAL_MISSING."""
        check_code(code)
        return self._store.perform(act, lambda books: sign(books, code, version))

    def require_approval(self, act: Act) -> ActAnswer:
        """From now on a new version holds only once others have approved it. There is no way back."""

        def apply(books: ProgrammeBooks) -> Answer:
            books.require_approval()
            return {"agreements_need_approval": True}

        return self._store.perform(act, apply)


def _participant(books: ProgrammeBooks, code: str) -> Participant:
    participant = books.participant(code)
    if participant is None:
        raise Refused(Reason.PARTICIPANT_UNKNOWN, "participant", {"participant": code})
    return participant


def _store(books: ProgrammeBooks, participant: str, code: str) -> Store:
    store = books.store(_participant(books, participant).participant_id, code)
    if store is None:
        raise Refused(Reason.STORE_UNKNOWN, "store", {"participant": participant, "store": code})
    return store


def _bounded(content: Mapping[str, JSON]) -> Mapping[str, JSON]:
    if len(canonical(content)) > CONTENT_BYTES_MAX:
        raise agreement_rules.invalid("content", f"at most {CONTENT_BYTES_MAX} bytes")
    return content


def _check_licence(books: ProgrammeBooks, content: Content, effective_from: date) -> None:
    rules, terms, passes, acceptances = map(books.versions, ("CARD_RULES", "TERMS", "PASSES", "ACCEPTANCE"))
    agreement_rules.check_licence(content, effective_from, books.groups(), rules, [*terms, *passes], acceptances)
