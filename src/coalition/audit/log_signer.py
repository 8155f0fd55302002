"""The log's own signature: a key's name and number, and the function that signs with it, handed in by bootstrap."""

from dataclasses import dataclass

from coalition.audit.checkpoint import Checkpoint
from coalition.audit.note import NoteKey, SignedNote, sign_note
from coalition.domain.journal import Sign


@dataclass(frozen=True, slots=True)
class LogSigner:
    """Signs checkpoints as the log `key.name`, which is their origin. Which key that is, the key ring decides."""

    key: NoteKey
    sign: Sign

    def signed(self, size: int, root: bytes) -> SignedNote:
        """The checkpoint over the first `size` leaves; the same bytes whenever it is asked for."""
        return sign_note(Checkpoint(self.key.name, size, root).to_text(), self.key, self.sign)
