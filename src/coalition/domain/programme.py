"""The programme: a frozen snapshot of everything HQ decides, as of one `epoch`.

The desk holds one and reloads it when the database's `config_epoch` has moved on. Look-ups that a purchase needs (which
agreement is in force between whom today) are remembered, so they cost a dictionary access.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from coalition.domain.agreements import Acceptance, Acquiring, Terms, Version
from coalition.domain.errors import LedgerBroken


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
    participant_id: int
    code: str
    display_name: str
    role: str
    chain_code: str | None
    is_active: bool

    @property
    def parties(self) -> tuple[str, ...]:
        """The names an agreement may call it by, most specific first."""
        return (self.code,) if self.chain_code is None else (self.code, f"chain:{self.chain_code}")


@dataclass(frozen=True, slots=True)
class Store:
    store_id: int
    participant_id: int
    code: str
    display_name: str
    is_active: bool


@dataclass(frozen=True, slots=True)
class Terminal:
    terminal_id: int
    store_id: int
    code: str
    is_active: bool


@dataclass(frozen=True, slots=True)
class AcceptanceInForce:
    """What holds between an issuer and an acquirer on a day; `version` is None on-us, where nothing is owed."""

    version: Version | None
    content: Acceptance | None


ON_US = AcceptanceInForce(None, None)


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
    ) -> None:
        self.epoch = epoch
        self.scheme = scheme
        self.calendars = calendars
        self.participants = {participant.participant_id: participant for participant in participants}
        self.participant_by_code = {participant.code: participant for participant in self.participants.values()}
        self.stores = {store.store_id: store for store in stores}
        self.store_by_code = {(store.participant_id, store.code): store for store in self.stores.values()}
        self.terminals = {terminal.terminal_id: terminal for terminal in terminals}
        self.terminal_by_code = {(terminal.store_id, terminal.code): terminal for terminal in self.terminals.values()}
        self.versions = {(version.agreement_id, version.version): version for version in versions}
        self._by_key: dict[tuple[str, ...], list[Version]] = {}
        for version in sorted(self.versions.values(), key=lambda each: (each.version, each.agreement_id)):
            self._by_key.setdefault(_key_of(version), []).append(version)
        self._acceptance: dict[tuple[int, int, date], AcceptanceInForce | None] = {}
        self._acquiring: dict[tuple[int, date], Version | None] = {}
        self._may_operate: dict[tuple[int, int], bool] = {}

    def may_operate(self, participant_id: int, terminal_id: int) -> bool:
        """Whether the terminal, its store and its participant are all active and belong together."""
        key = (participant_id, terminal_id)
        if key not in self._may_operate:
            terminal = self.terminals.get(terminal_id)
            store = self.stores.get(terminal.store_id) if terminal else None
            participant = self.participants.get(participant_id)
            self._may_operate[key] = bool(
                terminal
                and terminal.is_active
                and store
                and store.is_active
                and store.participant_id == participant_id
                and participant
                and participant.is_active
            )
        return self._may_operate[key]

    def version(self, agreement_id: int, version: int) -> Version:
        """A version that an entry was made under. Raises LedgerBroken when it is not there: versions never go away."""
        try:
            return self.versions[agreement_id, version]
        except KeyError:
            raise LedgerBroken(f"agreement {agreement_id} has lost its version {version}") from None

    def acceptance(self, issuer_id: int, acquirer_id: int, day: date) -> AcceptanceInForce | None:
        """What lets `acquirer` take lots of `issuer` on `day`; None where nothing does."""
        key = (issuer_id, acquirer_id, day)
        if key not in self._acceptance:
            self._acceptance[key] = self._find_acceptance(issuer_id, acquirer_id, day)
        return self._acceptance[key]

    def acquiring(self, acquirer_id: int, day: date) -> Version | None:
        """The acquiring agreement of a participant on `day`; its own before its chain's."""
        key = (acquirer_id, day)
        if key not in self._acquiring:
            self._acquiring[key] = next(
                (
                    version
                    for party in self.participants[acquirer_id].parties
                    if (version := self._in_force(("ACQUIRING", party), day))
                ),
                None,
            )
        return self._acquiring[key]

    def terms_of(self, issuer_id: int, terms_code: str | None, day: date) -> Version | None:
        """The terms the issuer sells under on `day`: those named, or the only ones; None where there is no such one."""
        found = []
        for party in self.participants[issuer_id].parties:
            versions = self._by_key.get(("TERMS", party), [])
            for agreement_id in sorted({version.agreement_id for version in versions}):
                current = _latest([version for version in versions if version.agreement_id == agreement_id], day)
                if current and (terms_code is None or current.code == terms_code):
                    found.append(current)
            if found:
                break
        return found[0] if len(found) == 1 else None

    def calendar_id(self, code: str) -> int:
        """Raises LedgerBroken for a calendar that is not laid: agreements are checked for it when they are made."""
        try:
            return self.calendars[code]
        except KeyError:
            raise LedgerBroken(f"calendar {code} does not exist") from None

    def custodian(self, terms: Terms, issuer_id: int) -> int:
        return self.scheme.custody_id if terms.custody == "OPERATOR_HELD" else issuer_id

    def _find_acceptance(self, issuer_id: int, acquirer_id: int, day: date) -> AcceptanceInForce | None:
        if issuer_id == acquirer_id:
            return ON_US
        for issuer in self.participants[issuer_id].parties:
            for acquirer in self.participants[acquirer_id].parties:
                version = self._in_force(("ACCEPTANCE", issuer, acquirer), day)
                if version is not None and isinstance(version.content, Acceptance):
                    return AcceptanceInForce(version, version.content) if version.content.accepted else None
        return None

    def _in_force(self, key: tuple[str, ...], day: date) -> Version | None:
        return _latest(self._by_key.get(key, []), day)


def _latest(versions: list[Version], day: date) -> Version | None:
    """Of versions in rising order, the last that is in force."""
    return next((version for version in reversed(versions) if version.in_force(day)), None)


def _key_of(version: Version) -> tuple[str, ...]:
    content = version.content
    match content:
        case Terms():
            return ("TERMS", content.issuer)
        case Acceptance():
            return ("ACCEPTANCE", content.issuer, content.acquirer)
        case Acquiring():
            return ("ACQUIRING", content.acquirer)
