"""The programme's rows as lists show them: whole, current, in the words of the schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from coalition.domain.acts import JSON


@dataclass(frozen=True, slots=True)
class ParticipantRecord:
    """A participant; `state` is ACTIVE or SUSPENDED."""

    code: str
    display_name: str
    role: str
    chain_code: str | None
    state: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class StoreRecord:
    """A store and the code of its participant."""

    participant: str
    code: str
    display_name: str
    state: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class TerminalRecord:
    """A terminal and the codes of where it stands."""

    participant: str
    store: str
    code: str
    state: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class AgreementRecord:
    """One version of an agreement; `content` in the stored form (see domain/agreements.py). Unsigned it never holds."""

    code: str
    kind: str
    version: int
    effective_from: date
    effective_until: date | None
    content: Mapping[str, JSON]
    create_time: datetime
    is_signed: bool = True
    unit: int | None = None
