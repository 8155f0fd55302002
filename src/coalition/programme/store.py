"""What HQ's office asks of its cellar. The doors are typed here, the SQL is in storage."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Protocol, TypeAlias

from coalition.domain.acts import JSON, Act, ActAnswer
from coalition.domain.agreements import Version
from coalition.domain.approvals import Subject
from coalition.domain.programme import Participant, Store, Terminal

Answer: TypeAlias = dict[str, JSON]


class ProgrammeBooks(Protocol):
    """The programme inside one act's transaction, which no other act of HQ's shares.

    Each `add_` answers False, and writes nothing, where the code is taken.
    """

    def participant(self, code: str) -> Participant | None: ...

    def add_participant(
        self, code: str, display_name: str, role: str, chain_code: str | None, create_time: datetime
    ) -> bool: ...

    def set_participant_state(self, participant_id: int, state: str) -> None: ...

    def store(self, participant_id: int, code: str) -> Store | None: ...

    def add_store(self, participant_id: int, code: str, display_name: str, create_time: datetime) -> bool: ...

    def set_store_state(self, store_id: int, state: str) -> None: ...

    def terminal(self, store_id: int, code: str) -> Terminal | None: ...

    def add_terminal(self, store_id: int, code: str, create_time: datetime) -> bool: ...

    def set_terminal_state(self, terminal_id: int, state: str) -> None: ...

    def parties(self) -> frozenset[str]:
        """Every name an agreement may use: participant codes, and `chain:<code>` for each chain with participants."""

    def groups(self) -> dict[str, str]:
        """The group of each such name: its chain, or a participant that is of none itself."""

    def calendars(self) -> frozenset[str]: ...

    def versions(self, kind: str) -> list[Version]:
        """Every version of every agreement of `kind`, by agreement and version."""

    def agreement(self, code: str) -> list[Version]:
        """Every version of one agreement, oldest first; empty where there is none."""

    def add_agreement(self, code: str, kind: str, create_time: datetime) -> int:
        """The new agreement's number; the caller has made sure that the code is free."""

    def add_version(
        self,
        agreement_id: int,
        version: int,
        effective_from: date,
        effective_until: date | None,
        content: Answer,
        create_time: datetime,
    ) -> None: ...

    def unit(self, agreement_id: int, version: int) -> int | None: ...

    def content(self, agreement_id: int, version: int) -> Answer:
        """The content of a version as it was told."""

    def needs_approval(self) -> bool:
        """Whether a version holds only once others have approved it."""

    def require_approval(self) -> None:
        """From now on one does."""

    def unsign(self, agreement_id: int, version: int) -> None:
        """A version that was just added waits for approval: it does not hold."""

    def sign(self, agreement_id: int, version: int) -> None:
        """It holds."""

    def ask_approval(
        self, subject: Subject, name: str, content_hash: bytes, amount_minor: int, maker: str, time: datetime
    ) -> int:
        """The id of the approval asked for."""

    def is_approved(self, subject: Subject, name: str, content_hash: bytes) -> bool:
        """Whether everybody has agreed to exactly this."""


class ProgrammeStore(Protocol):
    """Performs acts exactly once."""

    def perform(self, act: Act, apply: Callable[[ProgrammeBooks], Answer]) -> ActAnswer:
        """Run `apply` in a transaction of its own, or tell the stored answer again. Raises Refused."""
