"""The audit log's rows as messages: checkpoints with their cosignatures, and leaves opened."""

from coalition.audit.errors import EvidenceMalformed
from coalition.audit.leaf import leaf_data, payload
from coalition.audit.note import SignedNote, parse_signatures
from coalition.domain.audit_records import CheckpointRecord, LeafRecord
from coalition.domain.journal import micros_of
from coalition.server.convert import timestamp_of
from coalition.v1 import audit_pb2


def checkpoint_message(row: CheckpointRecord, cosignatures: list[str]) -> audit_pb2.GetCheckpointResponse:
    """A checkpoint; its note has the cosignatures below the log's own signature."""
    return audit_pb2.GetCheckpointResponse(
        note=witnessed_note(row.note, cosignatures),
        size=row.size,
        root=row.root,
        number=row.number,
        sign_time=timestamp_of(row.time),
    )


def witnessed_note(note: str, cosignatures: list[str]) -> bytes:
    """The note with the signature lines below it; as it lies in the table where somebody has damaged it."""
    try:
        read = SignedNote.parse(note.encode())
        more = [signature for line in cosignatures for signature in parse_signatures(line)]
    except EvidenceMalformed:
        return note.encode() + "".join(cosignatures).encode()
    return str(read.with_signatures(more)).encode()


def leaf_message(index: int, row: LeafRecord) -> audit_pb2.Leaf:
    """What a leaf is the hash of, built from the tables as they are: whoever changed them shows here."""
    own = payload(row.entry)
    return audit_pb2.Leaf(
        index=index,
        entry_id=row.entry.entry_id,
        data=leaf_data(micros_of(row.time), row.entry, own),
        payload=own,
        actor=row.entry.actor,
    )
