"""Sends checkpoints to the witnesses of a policy, keeps their cosignatures, and listens to what they say of this log.

A witness that has seen more of the log than there is here, or that sees a fork, is why a server does not start: its
database is an old copy, or somebody changed it. What a quorum has cosigned last is also kept in a file beside the
database, because an old copy of the database cannot remember it.
"""

import http.client
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Final
from urllib.parse import urlsplit

import structlog

from coalition.audit.checkpoint import Checkpoint, open_checkpoint, parse_size
from coalition.audit.errors import EvidenceBroken, EvidenceMalformed
from coalition.audit.note import NoteKey, Signature, SignedNote, Verify, parse_signatures
from coalition.audit.policy import Policy, Witness
from coalition.audit.proofs import consistency_proof
from coalition.audit.tiles import TileNodes
from coalition.audit.witnessing import AddCheckpoint
from coalition.domain.audit_records import CheckpointRecord
from coalition.domain.errors import CoalitionError, LedgerBroken
from coalition.followers.audit_tree import found_tiles, root_at
from coalition.storage import audit_tree as store
from coalition.storage import cursors
from coalition.storage.connect import Connection

PAUSE_SECONDS: Final = 10.0  # between rounds: a receipt is witnessed within a quarter of a minute
ANSWER_SECONDS: Final = 10.0
ANSWER_BYTES_MAX: Final = 64 * 1024
OK: Final = 200
CONFLICT: Final = 409
UNPROCESSABLE: Final = 422

log = structlog.get_logger(__name__)


class WitnessSilent(CoalitionError):
    """A witness did not answer, or not as a witness does. Asked again in the next round."""


class LogForked(LedgerBroken):
    """A witness has seen another log under this name than the one that is here: nothing may be written."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a witness said: its cosignature, or the size it remembers."""

    cosignature: Signature | None
    size: int


Post = Callable[[str, bytes], tuple[int, bytes]]
"""(URL, body) to (status, body). Raises OSError or http.client.HTTPException."""


class Witnesses:
    """The witnesses of one policy. `file` is where the last note that a quorum has cosigned is kept."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        policy: Policy,
        log_key: NoteKey,
        verify: Verify,
        file: Path,
        clock: Callable[[], datetime],
        post: Post | None = None,
    ) -> None:
        self._connect = connect
        self._policy = policy
        self._log_key = log_key
        self._verify = verify
        self._file = file
        self._clock = clock
        self._post = post or post_http
        self._sizes: dict[str, int] = {}  # what each witness was heard to remember

    def run(self, stop: Event) -> None:
        """Send the newest checkpoint round after round until `stop` is set."""
        while not stop.is_set():
            try:
                with cursors.available(), self._connect() as connection:
                    while not stop.is_set():
                        self.round(connection)
                        stop.wait(PAUSE_SECONDS)
            except CoalitionError as error:
                log.warning("witnesses_retrying", error=str(error))
                stop.wait(PAUSE_SECONDS)

    def check(self) -> None:
        """Raise LogForked unless the tree here contains what was witnessed last, by the file and by the witnesses.

        For the start of a server, before it writes. A witness that is silent is logged and not waited for. What one
        says without signing it is believed as far as the policy goes: once no quorum is left without those who object.
        """
        with cursors.available(), self._connect() as connection:
            if (kept := self._kept()) is not None:
                check_contains(connection, kept, f"the note in {self._file}")
            objections = self.round(connection)
        others = [each.key for name, each in self._policy.witnesses.items() if name not in objections]
        if objections and not self._policy.is_met(others):
            raise next(iter(objections.values()))

    def round(self, connection: Connection) -> dict[str, LogForked]:
        """Have the newest checkpoint cosigned by everyone who has not yet; who objects, and how."""
        objections: dict[str, LogForked] = {}
        newest = store.newest_checkpoint(connection)
        if newest is None:
            return objections
        have = self._cosigned(connection, newest)
        for name, witness in self._policy.witnesses.items():
            if not witness.url or name in have:
                continue
            try:
                signature = self._ask(connection, witness, newest)
            except WitnessSilent as error:
                log.warning("witness_silent", witness=name, cause=str(error))
                continue
            except LogForked as error:
                log.critical("witness_objects", witness=name, cause=str(error))
                objections[name] = error
                continue
            store.insert_cosignature(connection, newest.size, name, str(signature), self._clock())
            have[name] = signature
        if have and self._policy.is_met([self._policy.witnesses[name].key for name in have]):
            self._keep(SignedNote.parse(newest.note.encode()).with_signatures(have.values()))
        return objections

    def _ask(self, connection: Connection, witness: Witness, newest: CheckpointRecord) -> Signature:
        """The witness's cosignature. Raises WitnessSilent, LogForked."""
        size = self._sizes.get(witness.name)
        if size is None:
            size = store.last_cosigned_size(connection, witness.name)
        for _ in range(2):
            answer = self._send(connection, witness, newest, size)
            if answer.cosignature is not None:
                self._sizes[witness.name] = newest.size
                return answer.cosignature
            size = answer.size
            if size > newest.size:
                check_size(connection, size, f"witness {witness.name}")
                raise WitnessSilent(f"it has seen {size} entries already, this checkpoint has {newest.size}")
        raise WitnessSilent(f"it remembers now {size}, now another size: is the log sent to it twice?")

    def _send(self, connection: Connection, witness: Witness, newest: CheckpointRecord, size: int) -> Answer:
        if size > newest.size:
            return Answer(None, size)
        asking = TileNodes()
        consistency_proof(size, newest.size, asking)
        nodes = TileNodes(found_tiles(connection, sorted(asking.needed)))
        note = SignedNote.parse(newest.note.encode())
        request = AddCheckpoint(size, tuple(consistency_proof(size, newest.size, nodes)), note)
        try:
            status, body = self._post(f"{witness.url.rstrip('/')}/add-checkpoint", request.to_bytes())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise WitnessSilent(f"no answer: {error}") from error
        return self._understood(status, body, witness, request)

    def _understood(self, status: int, body: bytes, witness: Witness, sent: AddCheckpoint) -> Answer:
        text, note = body.decode("utf-8", "replace"), sent.note
        try:
            if status == CONFLICT:
                size = parse_size(text.removesuffix("\n"))
                if size == sent.old_size:
                    raise LogForked(f"witness {witness.name} has seen another root of {size} entries than is here")
                return Answer(None, size)
            if status == OK:
                signed = SignedNote(note.text, parse_signatures(text))
                if signed.signers([witness.key], self._verify):
                    return Answer(_own(signed, witness.key), sent.old_size)
                raise WitnessSilent("its answer holds no cosignature by its key")
        except (EvidenceMalformed, EvidenceBroken) as error:
            raise WitnessSilent(f"its answer is no cosignature: {error}") from error
        if status == UNPROCESSABLE:
            raise LogForked(
                f"witness {witness.name} has seen a log that this one does not contain: {text.strip()[:200]}"
            )
        raise WitnessSilent(f"status {status}: {text.strip()[:200]}")

    def _cosigned(self, connection: Connection, row: CheckpointRecord) -> dict[str, Signature]:
        """The cosignatures there are already, by the witness's name."""
        lines = store.cosignatures(connection, row.size)
        found = [signature for line in lines for signature in parse_signatures(line)]
        return {
            name: signature
            for name, witness in self._policy.witnesses.items()
            for signature in found
            if (signature.name, signature.key_id) == (witness.key.name, witness.key.key_id)
        }

    def _kept(self) -> Checkpoint | None:
        """What the file says was witnessed last. Raises LogForked where it cannot be trusted."""
        try:
            return open_checkpoint(SignedNote.parse(self._file.read_bytes()), self._log_key, self._verify)
        except FileNotFoundError:
            return None
        except (OSError, EvidenceMalformed, EvidenceBroken) as error:
            raise LogForked(
                f"{self._file} should hold the last witnessed checkpoint of {self._log_key.name}: {error}; move it "
                "away only if you know why"
            ) from error

    def _keep(self, note: SignedNote) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._file.with_suffix(".draft")
        draft.write_text(str(note), encoding="utf-8")
        draft.replace(self._file)


def check_contains(connection: Connection, checkpoint: Checkpoint, by: str) -> None:
    """Raise LogForked unless the tree here begins with the tree of `checkpoint`."""
    check_size(connection, checkpoint.size, by)
    if checkpoint.size and root_at(connection, checkpoint.size) != checkpoint.root:
        raise LogForked(
            f"{by} has another root for the first {checkpoint.size} entries than the audit tree here: the journal was "
            "changed, or this is another ledger; compare with `coalition audit verify` before anything is written"
        )


def check_size(connection: Connection, size: int, by: str) -> None:
    """Raise LogForked unless the tree here has `size` leaves."""
    if (here := store.tree_size(connection)) < size:
        raise LogForked(
            f"{by} has seen {size} entries of this log, and the audit tree here has {here}: this database is an old "
            "copy. Restore the newest one; going on from here would lose entries that merchants hold receipts for"
        )


def post_http(url: str, body: bytes) -> tuple[int, bytes]:
    """Send a body to an http or https URL. Raises OSError, http.client.HTTPException, ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{url} is no http address")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("POST", parts.path or "/", body, {"Content-Type": "text/plain; charset=utf-8"})
        response = connection.getresponse()
        return response.status, response.read(ANSWER_BYTES_MAX)
    finally:
        connection.close()


def _own(note: SignedNote, key: NoteKey) -> Signature:
    return next(each for each in note.signatures if (each.name, each.key_id) == (key.name, key.key_id))
