"""Who calls: the SPIFFE path of the client certificate, and what the programme knows of it.

A path is parsed once and remembered under the certificate's own names, never under an address: addresses change hands.
Grants nothing; the permission table does.
"""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol

from coalition.domain.errors import Refused
from coalition.domain.programme import Participant, Programme
from coalition.domain.reasons import Reason

REMEMBERED_MAX: Final = 10_000  # certificates known at once; far above the terminals of one coalition's process


class Role(Enum):
    """The first element of an identity's path."""

    OPERATOR = "op"
    APPROVER = "ap"
    PARTICIPANT_HQ = "hq"
    TILL_SERVER = "ts"
    TERMINAL = "t"
    AUDITOR = "aud"
    MEMBER_GATEWAY = "mg"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a certificate says by itself. `elements` is the path without its role; `actor` the whole path."""

    role: Role
    elements: tuple[str, ...]
    actor: str


@dataclass(frozen=True, slots=True)
class Caller:
    """An identity that the programme knows and lets operate.

    `participant_id` is the participant it belongs to; for operator, approver, auditor and member gateway it is the
    operator's. A till server of a chain has the operator's too: there the terminal named by each operation says the
    participant.
    """

    role: Role
    elements: tuple[str, ...]
    actor: str
    participant_id: int
    store_id: int | None = None
    terminal_id: int | None = None

    def speaks_for(self, participant: Participant) -> bool:
        """Whether this caller may act for the participant: the operator for all, the others for their own.

        A till server speaks for the participant its path names, and for every participant of a chain of that name.
        """
        if self.role is Role.OPERATOR:
            return True
        if self.role is Role.TILL_SERVER:
            return self.elements[0] in {participant.code, participant.chain_code}
        return self.role in {Role.PARTICIPANT_HQ, Role.TERMINAL} and self.participant_id == participant.participant_id


class HasProgramme(Protocol):
    """Where the present snapshot of the programme is found."""

    @property
    def current(self) -> Programme: ...


ParsePath = Callable[[Sequence[str]], tuple[str, ...]]
"""Turns the URI names of a certificate into path elements, role first; raises ValueError for what is no identity."""

_CALLER: ContextVar[Caller] = ContextVar("caller")


def caller(context: Any) -> Caller:  # noqa: ARG001  how a caller travels may change, servicers need not
    """The caller of the RPC being served (each runs in a task, so a context, of its own). For servicers."""
    return _CALLER.get()


def certificate_of(context: Any) -> bytes:
    """The client's certificate of this connection, PEM. The gate lets nobody through who has none."""
    certificates = context.auth_context().get("x509_pem_cert", ())
    return bytes(certificates[0]) if certificates else b""


def set_caller(present: Caller) -> None:
    """Say who calls, for the rest of this task. For the interceptor and for tests of servicers."""
    _CALLER.set(present)


class Identities:
    """Remembers identities by certificate names, and callers by identity for as long as the programme is the same."""

    def __init__(self, parse: ParsePath, programme: HasProgramme) -> None:
        self._parse = parse
        self._programme = programme
        self._known: dict[tuple[bytes, ...], Identity] = {}
        self._callers: dict[Identity, Caller] = {}
        self._seen: Programme | None = None

    def identity(self, names: Sequence[bytes] | None) -> Identity:
        """The identity of a certificate with these names. Raises Refused(NO_CERTIFICATE or IDENTITY_MALFORMED)."""
        if not names:
            raise Refused(Reason.NO_CERTIFICATE)
        key = tuple(names)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= REMEMBERED_MAX:
                self._known.clear()
            known = self._known[key] = self._parsed(key)
        return known

    def caller(self, identity: Identity) -> Caller:
        """The caller as the programme knows it now. Raises Refused(TERMINAL_UNKNOWN or TERMINAL_SUSPENDED)."""
        programme = self._programme.current
        if programme is not self._seen:
            self._callers = {}
            self._seen = programme
        found = self._callers.get(identity)
        if found is None:
            if len(self._callers) >= REMEMBERED_MAX:
                self._callers = {}
            found = self._callers[identity] = resolve(identity, programme)
        return found

    def _parsed(self, names: tuple[bytes, ...]) -> Identity:
        try:
            elements = self._parse([name.decode("ascii") for name in names])
            return Identity(Role(elements[0]), elements[1:], "/" + "/".join(elements))
        except ValueError:
            raise Refused(Reason.IDENTITY_MALFORMED) from None


def resolve(identity: Identity, programme: Programme) -> Caller:
    """Look an identity up in the programme. Raises Refused(TERMINAL_UNKNOWN or TERMINAL_SUSPENDED)."""
    role, elements, actor = identity.role, identity.elements, identity.actor
    if role is Role.TERMINAL:
        participant = programme.participant_by_code.get(elements[0])
        store = programme.store_by_code.get((participant.participant_id, elements[1])) if participant else None
        terminal = programme.terminal_by_code.get((store.store_id, elements[2])) if store else None
        if participant is None or store is None or terminal is None:
            raise Refused(Reason.TERMINAL_UNKNOWN)
        if not (participant.is_active and store.is_active and terminal.is_active):
            raise Refused(Reason.TERMINAL_SUSPENDED)
        return Caller(role, elements, actor, participant.participant_id, store.store_id, terminal.terminal_id)
    if role is Role.PARTICIPANT_HQ:
        return Caller(role, elements, actor, _active(programme.participant_by_code.get(elements[0])))
    if role is Role.TILL_SERVER:
        participant = programme.participant_by_code.get(elements[0])
        if participant is not None:
            return Caller(role, elements, actor, _active(participant))
        if not any(each.chain_code == elements[0] for each in programme.participants.values()):
            raise Refused(Reason.TERMINAL_UNKNOWN)
    return Caller(role, elements, actor, programme.scheme.operator_id)


def _active(participant: Participant | None) -> int:
    if participant is None:
        raise Refused(Reason.TERMINAL_UNKNOWN)
    if not participant.is_active:
        raise Refused(Reason.TERMINAL_SUSPENDED)
    return participant.participant_id
