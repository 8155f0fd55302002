"""A watch over a fold: after each step, what has reached a limit that was agreed on. Keeps no counter of its own.

What is reached is recorded and raises the programme's epoch, in the step's own transaction: a batch that begins after
it decides by it. So a limit is passed at most by what was posted between the entry that reaches it and the end of the
step that folds it (a follower's lag, well below a second), and by batches that were under way then.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Final

from coalition.domain.programme import Programme
from coalition.storage import watched
from coalition.storage.connect import Connection
from coalition.storage.programme import load

NEAR_PERCENT: Final = 80


class Watch(ABC):
    """Looks at what each step moved. Belongs to one ledger. `kind` is that of the agreements which hold its limits."""

    kind: ClassVar[str]

    def __init__(self) -> None:
        self._programme: Programme | None = None

    def stepped(self, connection: Connection, after: int, up_to: int) -> None:
        """Record what is reached now, in the transaction of a step between these numbers; warn once of what is near."""
        if not watched.any_agreed(connection, self.kind):
            return
        if self.look(connection, self._current(connection), after, up_to):
            watched.raise_epoch(connection)

    @abstractmethod
    def look(self, connection: Connection, programme: Programme, after: int, up_to: int) -> bool:
        """Record what has changed; whether something has."""

    def _current(self, connection: Connection) -> Programme:
        # Loading costs milliseconds and this runs a few times a second: read anew only what has changed.
        if self._programme is None or self._programme.epoch != watched.epoch(connection):
            self._programme = load(connection)
        return self._programme
