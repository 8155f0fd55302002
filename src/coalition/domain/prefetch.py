"""What a batch read before it decides: answers that exist already, the locked books, its place in the journal."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from coalition.domain.books import Books
from coalition.domain.journal import Outcome


@dataclass(frozen=True, slots=True)
class Stored:
    """The answer kept under a request id, and the hash of the body it was given for; an act's answer is not shown."""

    body_hash: bytes
    outcome: Outcome | None


@dataclass(slots=True)
class Prefetched:
    """See the module. `number` and `time` were taken after the batch's last lock."""

    stored: dict[tuple[int, UUID], Stored]
    books: Books
    number: int
    time: datetime
