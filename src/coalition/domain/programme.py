"""The programme: a frozen snapshot of everything HQ decides, as of one `epoch`.

The desk holds one and reloads it when the database's `config_epoch` has moved on. Look-ups that a purchase needs (which
agreement is in force between whom today) are remembered, so they cost a dictionary access.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Final
from uuid import UUID

from coalition.domain.accounts import PARTICIPANT_BITS
from coalition.domain.agreement_fields import CHAIN_PREFIX
from coalition.domain.agreements import Acceptance, Acquiring, Terms, Version
from coalition.domain.bearing import Bearing, bearing
from coalition.domain.caps import Caps
from coalition.domain.card_rules import CardRules
from coalition.domain.day_limits import DayKey, DayLimits, Flow, Subject
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.lots import Lot
from coalition.domain.pass_terms import PassTerms
from coalition.domain.points_programme import PointsProgramme
from coalition.domain.reasons import Reason
from coalition.domain.sponsorship import is_held, share_of
from coalition.domain.window_fees import OPERATOR, AgreedFee, WindowFees

CARD_RULES_KEY: Final = ("CARD_RULES",)
FEES: Final = "FEES"
POINTS_KEY: Final = ("POINTS",)
NO_WINDOWS: Final[Mapping[int, str]] = MappingProxyType({})
NO_SUCCESSORS: Final[Mapping[int, int]] = MappingProxyType({})
NOBODY: Final[frozenset[int]] = frozenset()
NOTHING_REACHED: Final[Mapping[DayKey, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Scheme:
    """What is fixed when the database is made. `amount_max` bounds one operation, minor units."""

    deployment_id: UUID
    display_name: str
    trust_domain: str
    zone: str
    currency_code: str
    lane_count: int
    amount_max: int
    operator_id: int
    custody_id: int


@dataclass(frozen=True, slots=True)
class Participant:
    """A chain store, chain or alliance merchant; one is the operator, one the custody pool."""

    participant_id: int
    code: str
    display_name: str
    role: str
    chain_code: str | None
    is_active: bool

    @property
    def parties(self) -> tuple[str, ...]:
        """The names an agreement may call it by, most specific first."""
        return (self.code,) if self.chain_code is None else (self.code, f"{CHAIN_PREFIX}{self.chain_code}")


@dataclass(frozen=True, slots=True)
class Store:
    """A physical shop of a participant."""

    store_id: int
    participant_id: int
    code: str
    display_name: str
    is_active: bool


@dataclass(frozen=True, slots=True)
class Terminal:
    """A till of a store."""

    terminal_id: int
    store_id: int
    code: str
    is_active: bool


@dataclass(frozen=True, slots=True, eq=False)
class AcceptanceInForce:
    """What holds between an issuer and an acquirer on a day; `version` is None on-us, where nothing is owed, and within
    a chain that has agreed on nothing else: the issuer bears the bonus, and no interchange is owed.

    One object for each version: it is compared and hashed by identity.
    """

    version: Version | None
    content: Acceptance | None


ON_US = AcceptanceInForce(None, None)


@dataclass(slots=True)
class _Remembered:
    """Look-ups answered for one business date; a new date starts anew, so that memory stays flat for months."""

    day: date
    acceptance: dict[int, AcceptanceInForce | None] = field(default_factory=dict)
    taken: dict[int, AcceptanceInForce | None] = field(default_factory=dict)
    acquiring: dict[int, Version | None] = field(default_factory=dict)
    terms: dict[tuple[int, str | None], Version | None] = field(default_factory=dict)
    card_rules: dict[date, CardRules | None] = field(default_factory=dict)
    day_limits: dict[int, DayLimits | None] = field(default_factory=dict)
    points: dict[int, tuple[Version, PointsProgramme] | None] = field(default_factory=dict)


class Programme:
    """See the module. Built by storage; immutable but for its memory of look-ups."""

    def __init__(
        self,
        epoch: int,
        scheme: Scheme,
        participants: Iterable[Participant],
        stores: Iterable[Store],
        terminals: Iterable[Terminal],
        calendars: dict[str, int],
        versions: Iterable[Version],
        windows: Mapping[int, str] = NO_WINDOWS,
        reached: Mapping[DayKey, int] = NOTHING_REACHED,
        stopped: frozenset[int] = NOBODY,
        successors: Mapping[int, int] = NO_SUCCESSORS,
        without_bonus: frozenset[int] = NOBODY,
    ) -> None:
        """`windows` names every settlement window, "calendar/label" by window_id.

        `reached` are the counters of present days that had reached a limit, with their totals, minor units; `stopped`
        the participants that had reached their net debit caps; `successors` who stands for one that has left;
        `without_bonus` the terms whose sponsors had taken on all they agreed to.
        """
        self.epoch = epoch
        self.scheme = scheme
        self.calendars = calendars
        self.windows = windows
        self._reached = reached
        self.stopped = stopped
        self.successors = successors
        self.without_bonus = without_bonus
        self.participants = {participant.participant_id: participant for participant in participants}
        self.participant_by_code = {participant.code: participant for participant in self.participants.values()}
        self.stores = {store.store_id: store for store in stores}
        self.store_by_code = {(store.participant_id, store.code): store for store in self.stores.values()}
        self.terminals = {terminal.terminal_id: terminal for terminal in terminals}
        self.terminal_by_code = {(terminal.store_id, terminal.code): terminal for terminal in self.terminals.values()}
        self.versions = {(version.agreement_id, version.version): version for version in versions}
        self._agreements: dict[int, list[Version]] = {}
        for version in sorted(self.versions.values(), key=lambda each: each.version, reverse=True):
            self._agreements.setdefault(version.agreement_id, []).append(version)
        self._by_key: dict[tuple[str, ...], list[int]] = {}
        for agreement_id, newest_first in sorted(self._agreements.items(), reverse=True):
            for key in {_key_of(version) for version in newest_first}:
                self._by_key.setdefault(key, []).append(agreement_id)
        self._held = {
            (version.agreement_id, version.version): AcceptanceInForce(version, version.content)
            for version in self.versions.values()
            if isinstance(version.content, Acceptance)
        }
        self._may_operate: dict[tuple[int, int | None], bool] = {}
        self._bearings: dict[tuple[int, int, AcceptanceInForce], Bearing] = {}
        self._remembered = _Remembered(date.min)
        self.held_terms = _held_terms(self.versions.values())
        """By issuer, as agreements name it, the terms of which a sale holds what their sponsor has taken on."""
        self.has_points = POINTS_KEY in self._by_key
        """Whether there is a points programme, or ever was."""
        self.has_ending_points = any(
            isinstance(version.content, PointsProgramme) and version.content.months is not None
            for version in self.versions.values()
        )
        """Whether points of any version end."""

    def may_operate(self, participant_id: int, terminal_id: int | None) -> bool:
        """Whether the participant is active, and the terminal (if one asks) and its store are, and belong to it."""
        key = (participant_id, terminal_id)
        if key not in self._may_operate:
            participant = self.participants.get(participant_id)
            active = participant is not None and participant.is_active
            self._may_operate[key] = active and (terminal_id is None or self._stands_at(participant_id, terminal_id))
        return self._may_operate[key]

    def _stands_at(self, participant_id: int, terminal_id: int) -> bool:
        terminal = self.terminals.get(terminal_id)
        store = self.stores.get(terminal.store_id) if terminal and terminal.is_active else None
        return store is not None and store.is_active and store.participant_id == participant_id

    def version(self, agreement_id: int, version: int) -> Version:
        """A version that an entry was made under. Raises LedgerBroken when it is not there: versions never go away."""
        try:
            return self.versions[agreement_id, version]
        except KeyError:
            raise LedgerBroken(f"agreement {agreement_id} has lost its version {version}") from None

    def terms_sold(self, terms_id: int, terms_version: int) -> Terms:
        """The terms a lot was sold under."""
        content = self.version(terms_id, terms_version).content
        if not isinstance(content, Terms):
            raise LedgerBroken(f"agreement {terms_id} is not terms, yet a lot was sold under it")
        return content

    def pass_sold(self, issuer_id: int, code: str | None, day: date) -> tuple[Version, PassTerms]:
        """The pass that the issuer sells on `day`: the one named, or the only one. Raises Refused(PASS_UNKNOWN)."""
        for party in self.participants[issuer_id].parties:
            versions = self._in_force(("PASSES", party), day)
            found = [version for version in versions if code is None or version.code == code]
            if len(found) == 1 and isinstance(found[0].content, PassTerms):
                return found[0], found[0].content
        raise Refused(Reason.PASS_UNKNOWN)

    def pass_terms_sold(self, terms_id: int, terms_version: int) -> PassTerms:
        """What a pass was sold under."""
        content = self.version(terms_id, terms_version).content
        if not isinstance(content, PassTerms):
            raise LedgerBroken(f"agreement {terms_id} sells no pass, yet one was sold under it")
        return content

    def points_earned_at(self, acquirer_id: int, day: date) -> tuple[Version, PointsProgramme] | None:
        """The programme under which members earn points at a participant on `day`; its own before its chain's."""
        memory = self._on(day).points
        if acquirer_id not in memory:
            parties = self.participants[acquirer_id].parties
            agreed = self._points_in_force(day)
            found = (each for party in parties for each in agreed if party in each[1].earned_at)
            memory[acquirer_id] = next(found, None)
        return memory[acquirer_id]

    def points_honoured_at(self, acquirer_id: int, code: str | None, day: date) -> tuple[Version, PointsProgramme]:
        """The programme whose points a participant takes on `day`: the one named, or the only one.

        Raises Refused: POINTS_PROGRAMME_UNKNOWN; PARTICIPANT_CAPPED where their debtor has reached its net debit cap.
        """
        parties = self.participants[acquirer_id].parties
        found = [
            (version, content)
            for version, content in self._points_in_force(day)
            if (code is None or version.code == code) and any(party in content.honoured_at for party in parties)
        ]
        if len(found) != 1:
            raise Refused(Reason.POINTS_PROGRAMME_UNKNOWN)
        debtor_id = self.standing_for(self.participant_by_code[found[0][1].debtor].participant_id)
        if debtor_id in self.stopped and debtor_id != acquirer_id:
            raise Refused(Reason.PARTICIPANT_CAPPED, metadata={"participant": self.participants[debtor_id].code})
        return found[0]

    def points_called(self, code: str, day: date) -> tuple[Version, PointsProgramme]:
        """The programme of that name, in force on `day`. Raises Refused(POINTS_PROGRAMME_UNKNOWN)."""
        for version, content in self._points_in_force(day):
            if version.code == code:
                return version, content
        raise Refused(Reason.POINTS_PROGRAMME_UNKNOWN)

    def points_version(self, programme_id: int, version: int) -> tuple[Version, PointsProgramme]:
        """The version that points were moved under."""
        found = self.version(programme_id, version)
        if not isinstance(found.content, PointsProgramme):
            raise LedgerBroken(f"agreement {programme_id} is no points programme, yet points were moved under it")
        return found, found.content

    def points_unit(self, programme_id: int) -> int:
        """The unit of a programme's points: that of its first version, whatever a point is worth by now."""
        return self.unit_of(self.version(programme_id, 1))

    def unit_of(self, version: Version) -> int:
        """The unit of claims made under a version of a points programme."""
        if version.unit is None:
            raise LedgerBroken(f"version {version.version} of {version.code} has no unit")
        return version.unit

    def _points_in_force(self, day: date) -> list[tuple[Version, PointsProgramme]]:
        versions = self._in_force(POINTS_KEY, day)
        return [(each, each.content) for each in versions if isinstance(each.content, PointsProgramme)]

    def held_then(self, agreement_id: int | None, version: int | None) -> AcceptanceInForce:
        """The acceptance a draw was made under, whatever is in force today; None, None on-us."""
        if agreement_id is None or version is None:
            return ON_US
        try:
            return self._held[agreement_id, version]
        except KeyError:
            raise LedgerBroken(f"no version {version} of acceptance agreement {agreement_id} is known") from None

    def bearing(self, lot: Lot, held: AcceptanceInForce) -> Bearing:
        """Who bears the bonus of a lot taken under `held`."""
        if lot.sponsored is not None:
            return self._bearing(lot, held)
        # `held` itself is the key's third part: there is one for each version, and it is hashed by identity.
        key = (lot.terms_id, lot.terms_version, held)
        found = self._bearings.get(key)
        if found is None:
            found = self._bearings[key] = self._bearing(lot, held)
        return found

    def _bearing(self, lot: Lot, held: AcceptanceInForce) -> Bearing:
        terms = self.terms_sold(lot.terms_id, lot.terms_version)
        calendar_id = self.calendar_id(held.content.calendar if held.content else terms.calendar)
        sponsor_id = self.participant_by_code[terms.sponsor].participant_id if terms.sponsor else 0
        terms_calendar_id = self.calendar_id(terms.calendar)
        return bearing(terms, held.content, calendar_id, terms_calendar_id, sponsor_id, share_of(terms, lot))

    def acceptance(self, issuer_id: int, acquirer_id: int, day: date) -> AcceptanceInForce | None:
        """What lets `acquirer` take lots of `issuer` on `day`; None where nothing does."""
        memory = self._on(day).acceptance
        key = issuer_id << PARTICIPANT_BITS | acquirer_id
        try:
            return memory[key]
        except KeyError:
            found = memory[key] = self._find_acceptance(issuer_id, acquirer_id, day)
            return found

    def taken(self, issuer_id: int, acquirer_id: int, day: date) -> AcceptanceInForce | None:
        """As `acceptance`, for what is spent anew: None also where the issuer has reached its net debit cap."""
        memory = self._on(day).taken
        key = issuer_id << PARTICIPANT_BITS | acquirer_id
        try:
            return memory[key]
        except KeyError:
            owing_id = self.standing_for(issuer_id)
            is_stopped = owing_id in self.stopped and owing_id != acquirer_id
            found = memory[key] = None if is_stopped else self.acceptance(issuer_id, acquirer_id, day)
            return found

    def standing_for(self, participant_id: int) -> int:
        """The participant itself, or the successor to which it has handed over."""
        return self.successors.get(participant_id, participant_id)

    def acquiring(self, acquirer_id: int, day: date) -> Version | None:
        """The acquiring agreement of a participant on `day`; its own before its chain's."""
        memory = self._on(day).acquiring
        try:
            return memory[acquirer_id]
        except KeyError:
            parties = self.participants[acquirer_id].parties
            found = memory[acquirer_id] = self._first([("ACQUIRING", party) for party in parties], day)
            return found

    def terms_of(self, issuer_id: int, terms_code: str | None, day: date) -> Version | None:
        """The terms the issuer sells under on `day`: those named, or the only ones; None where there is no such one."""
        memory = self._on(day).terms
        key = (issuer_id, terms_code)
        if key not in memory:
            memory[key] = self._find_terms(issuer_id, terms_code, day)
        return memory[key]

    def card_rules(self, day: date) -> CardRules | None:
        """The scheme's card rules on `day`; None where there are none, and nothing but the balance binds."""
        # Whatever `day` is, in the memory of the newest: an older one is asked for when a top-up is returned.
        memory = self._remembered.card_rules
        if day not in memory:
            version = self._first([CARD_RULES_KEY], day)
            memory[day] = version.content if version and isinstance(version.content, CardRules) else None
        return memory[day]

    def day_limits(self, acquirer_id: int, day: date) -> DayLimits | None:
        """The day limits of a participant; its own before its chain's. None where there are none."""
        memory = self._on(day).day_limits
        if acquirer_id not in memory:
            version = self._first([("LIMITS", party) for party in self.participants[acquirer_id].parties], day)
            memory[acquirer_id] = version.content if version and isinstance(version.content, DayLimits) else None
        return memory[acquirer_id]

    def caps(self, participant_id: int, day: date) -> Caps | None:
        """What a participant may owe; its own agreement before its chain's. None: nobody minds."""
        version = self._first([("CAPS", party) for party in self.participants[participant_id].parties], day)
        return version.content if version and isinstance(version.content, Caps) else None

    def window_fees(self, calendar: str, day: date) -> list[AgreedFee]:
        """The fee schedules that hold for windows of a calendar whose last business date is `day`, one a payer.

        Of a payer's schedules with the same payee and base its own goes before its chain's.
        """
        measures = {key[2:] for key in self._by_key if key[0] == FEES}
        found = []
        for participant in self.participants.values():
            for payee, base in sorted(measures):
                version = self._first([(FEES, party, payee, base) for party in participant.parties], day)
                if version is None or not isinstance(version.content, WindowFees):
                    continue
                if version.content.calendar == calendar:
                    payee_id = (
                        self.scheme.operator_id if payee == OPERATOR else self.participant_by_code[payee].participant_id
                    )
                    agreed = (version.agreement_id, version.version, version.code)
                    found.append(AgreedFee(*agreed, participant.participant_id, payee_id, version.content))
        return found

    def day_is_full(self, participant_id: int, terminal_id: int | None, flow: Flow, day: date) -> Subject | None:
        """Whose limit is reached on that business date, if one is: the terminal's or the participant's."""
        if not self._reached:
            return None
        limits = self.day_limits(participant_id, day)
        if limits is not None:
            for subject, subject_id in ((Subject.TERMINAL, terminal_id), (Subject.PARTICIPANT, participant_id)):
                limit = limits.limit(subject, flow)
                if limit is None or subject_id is None:
                    continue
                if self._reached.get(DayKey(day, subject, subject_id, flow), 0) >= limit:
                    return subject
        return None

    def calendar_id(self, code: str) -> int:
        """Raises LedgerBroken for a calendar that is not laid: agreements are checked for it when they are made."""
        try:
            return self.calendars[code]
        except KeyError:
            raise LedgerBroken(f"calendar {code} does not exist") from None

    def custodian(self, terms: Terms | PassTerms, issuer_id: int) -> int:
        return self.scheme.custody_id if terms.custody == "OPERATOR_HELD" else issuer_id

    def _on(self, day: date) -> _Remembered:
        memory = self._remembered
        if memory.day != day:
            memory = self._remembered = _Remembered(day)
        return memory

    def _find_acceptance(self, issuer_id: int, acquirer_id: int, day: date) -> AcceptanceInForce | None:
        owing_id = self.standing_for(issuer_id)
        if acquirer_id in {issuer_id, owing_id}:
            return ON_US
        # What was agreed with who has left still holds for its lots; where nothing was, its successor's word does.
        issuers = self.participants[issuer_id].parties
        if owing_id != issuer_id:
            issuers += self.participants[owing_id].parties
        acquirers = self.participants[acquirer_id].parties
        version = self._first([("ACCEPTANCE", issuer, acquirer) for issuer in issuers for acquirer in acquirers], day)
        if version is None and self._share_a_chain(owing_id, acquirer_id):
            return ON_US  # a chain's card is honoured in all of the chain, unless something else is agreed
        if version is None or not isinstance(version.content, Acceptance) or not version.content.accepted:
            return None
        return self._held[version.agreement_id, version.version]

    def _share_a_chain(self, one_id: int, other_id: int) -> bool:
        chain = self.participants[one_id].chain_code
        return chain is not None and chain == self.participants[other_id].chain_code

    def _find_terms(self, issuer_id: int, terms_code: str | None, day: date) -> Version | None:
        for party in self.participants[issuer_id].parties:
            versions = self._in_force(("TERMS", party), day)
            found = [version for version in versions if terms_code is None or version.code == terms_code]
            if found:
                return found[0] if len(found) == 1 else None
        return None

    def _first(self, keys: Iterable[tuple[str, ...]], day: date) -> Version | None:
        """The version in force under the first of `keys` that has one; of rival agreements, the youngest."""
        return next((version for key in keys for version in self._in_force(key, day)), None)

    def _in_force(self, key: tuple[str, ...], day: date) -> list[Version]:
        """The versions in force between these parties, at most one of each agreement.

        The highest version that has begun decides alone. Once that one has ended nothing is in force, whatever an
        earlier one without an end said: so a revision that has an end ends the agreement.
        """
        begun = [
            next((version for version in self._agreements[agreement_id] if version.effective_from <= day), None)
            for agreement_id in self._by_key.get(key, [])
        ]
        return [version for version in begun if version and version.in_force(day) and _key_of(version) == key]


def _held_terms(versions: Iterable[Version]) -> dict[str, list[int]]:
    found: dict[str, set[int]] = {}
    for version in versions:
        if isinstance(version.content, Terms) and is_held(version.content):
            found.setdefault(version.content.issuer, set()).add(version.agreement_id)
    return {issuer: sorted(terms) for issuer, terms in found.items()}


def _key_of(version: Version) -> tuple[str, ...]:
    content = version.content
    match content:
        case Terms():
            return ("TERMS", content.issuer)
        case Acceptance():
            return ("ACCEPTANCE", content.issuer, content.acquirer)
        case Acquiring():
            return ("ACQUIRING", content.acquirer)
        case CardRules():
            return CARD_RULES_KEY
        case DayLimits():
            return ("LIMITS", content.acquirer)
        case WindowFees():
            return (FEES, content.payer, content.payee, content.base.value)
        case Caps():
            return ("CAPS", content.participant)
        case PassTerms():
            return ("PASSES", content.issuer)
        case PointsProgramme():
            return POINTS_KEY
