"""The audit log for readers: checkpoints, tiles, proofs, opened leaves. Proves from tiles, signs nothing."""

from collections.abc import Collection
from typing import Final, Protocol
from uuid import UUID

from coalition.audit.errors import EvidenceMalformed
from coalition.audit.merkle import root_hash
from coalition.audit.proofs import HASH_BYTES, Nodes, consistency_proof, inclusion_proof
from coalition.audit.tiles import TILE_BITS, TILE_WIDTH, TileAt, TileNodes
from coalition.domain.audit_records import CheckpointRecord, LeafRecord
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.ids import number_of
from coalition.domain.journal_records import BatchRecord
from coalition.domain.pages import number_key, page_limit, page_token
from coalition.domain.reasons import Reason
from coalition.server.convert_audit import batch_message
from coalition.server.convert_log import checkpoint_message, leaf_message
from coalition.v1 import audit_pb2

SIZE_MAX: Final = 2**52
"""Far above what a log can have grown to; larger numbers are a mistake of the caller's."""


class AuditTreeReads(Protocol):
    """Blocking reads of what is folded and signed."""

    def newest_checkpoint(self) -> CheckpointRecord | None: ...

    def checkpoint_of(self, size: int) -> CheckpointRecord | None: ...

    def checkpoints(self, first: int, limit: int) -> list[CheckpointRecord]: ...

    def codes(self) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]: ...

    def cosignatures(self, size: int) -> list[str]: ...

    def tiles(self, wanted: list[tuple[int, int]]) -> dict[tuple[int, int], bytes]: ...

    def index_of(self, entry_id: int) -> int | None: ...

    def leaves(self, first: int, limit: int, size: int) -> list[LeafRecord]: ...

    def seals(self, first: int, last: int, limit: int) -> list[BatchRecord]: ...

    def batch(self, number: int) -> tuple[BatchRecord, list[LeafRecord]] | None: ...

    def entry_of(self, request_id: UUID, participant_id: int) -> int | None: ...


class AuditLog:
    """Answers for AuditService; blocking, so it is called in a thread."""

    def __init__(self, reads: AuditTreeReads) -> None:
        self._reads = reads

    def checkpoint(self, size: int) -> audit_pb2.GetCheckpointResponse:
        """The checkpoint over `size` entries; 0: the newest. Raises Refused(CHECKPOINT_UNKNOWN)."""
        return self._checkpoint_message(self._checkpoint(size))

    def checkpoints(self, request: audit_pb2.ListCheckpointsRequest) -> audit_pb2.ListCheckpointsResponse:
        """The telling checkpoints from a size on, in pages. Raises Refused(FIELD_INVALID, PAGE_TOKEN_INVALID)."""
        _check_number(request.first_size, "first_size")
        scope, limit = f"checkpoints/{request.first_size}", page_limit(request.page_size)
        after = number_key(scope, request.page_token)
        rows = self._reads.checkpoints(request.first_size if after is None else after + 1, limit + 1)
        return audit_pb2.ListCheckpointsResponse(
            checkpoints=[self._checkpoint_message(row) for row in rows[:limit]],
            next_page_token=page_token(scope, rows[limit - 1].size) if len(rows) > limit else "",
        )

    def names(self) -> audit_pb2.GetNamesResponse:
        """Codes of participants and agreements by their numbers."""
        participants, agreements = self._reads.codes()
        return audit_pb2.GetNamesResponse(
            participants=[audit_pb2.NumberName(number=number, code=code) for number, code in participants],
            agreements=[audit_pb2.NumberName(number=number, code=code) for number, code in agreements],
        )

    def tile(self, request: audit_pb2.GetTileRequest) -> audit_pb2.GetTileResponse:
        """A tile of the tree as it was at a checkpoint. Raises Refused(CHECKPOINT_UNKNOWN, ENTRY_UNKNOWN)."""
        size = self._checkpoint(request.size).size
        at = TileAt(request.level, request.number)
        width = min(TILE_WIDTH, (size >> TILE_BITS * at.level) - at.number * TILE_WIDTH)
        if width <= 0:
            raise Refused(Reason.ENTRY_UNKNOWN, "number")
        return audit_pb2.GetTileResponse(hashes=self._tiles([at])[at][: width * HASH_BYTES])

    def inclusion(self, request: audit_pb2.GetInclusionProofRequest) -> audit_pb2.GetInclusionProofResponse:
        """Raises Refused(CHECKPOINT_UNKNOWN, ENTRY_UNKNOWN)."""
        checkpoint = self._checkpoint(request.size)
        by_entry = request.WhichOneof("entry") == "entry_id"
        index = self._reads.index_of(request.entry_id) if by_entry else request.index
        if index is None or index >= checkpoint.size:
            raise Refused(Reason.ENTRY_UNKNOWN, "entry_id" if by_entry else "index")
        asking = TileNodes()
        inclusion_proof(index, checkpoint.size, asking)
        asking(0, index)
        nodes = self._nodes(asking)
        return audit_pb2.GetInclusionProofResponse(
            index=index,
            leaf=nodes(0, index),
            proof=inclusion_proof(index, checkpoint.size, nodes),
            checkpoint=self._checkpoint_message(checkpoint),
        )

    def consistency(self, request: audit_pb2.GetConsistencyProofRequest) -> audit_pb2.GetConsistencyProofResponse:
        """Raises Refused(CHECKPOINT_UNKNOWN), and FIELD_INVALID for an old size above the other."""
        checkpoint = self._checkpoint(request.size)
        if request.old_size > checkpoint.size:
            raise Refused(Reason.FIELD_INVALID, "old_size", {"expected": f"0 to {checkpoint.size}"})
        asking = TileNodes()
        consistency_proof(request.old_size, checkpoint.size, asking)
        return audit_pb2.GetConsistencyProofResponse(
            proof=consistency_proof(request.old_size, checkpoint.size, self._nodes(asking)),
            checkpoint=self._checkpoint_message(checkpoint),
        )

    def leaves(self, request: audit_pb2.GetLeavesRequest) -> audit_pb2.GetLeavesResponse:
        """Raises Refused(CHECKPOINT_UNKNOWN)."""
        size, limit = self._checkpoint(request.size).size, page_limit(request.count)
        _check_number(request.first_index, "first_index")
        rows = self._reads.leaves(request.first_index, limit, size)
        seals: list[BatchRecord] = []
        if rows:
            first, last = number_of(rows[0].entry.entry_id), number_of(rows[-1].entry.entry_id)
            seals = self._reads.seals(first, last, limit)
        return audit_pb2.GetLeavesResponse(
            leaves=[leaf_message(index, row) for index, row in enumerate(rows, request.first_index)],
            batches=[batch_message(seal) for seal in seals],
        )

    def sealed(self, request_id: UUID, participant_id: int) -> audit_pb2.GetSealedReceiptResponse:
        """What a participant's request became, under its batch's seal. Raises Refused(ENTRY_UNKNOWN)."""
        entry_id = self._reads.entry_of(request_id, participant_id)
        if entry_id is None:
            raise Refused(Reason.ENTRY_UNKNOWN, "request_id")
        return self.sealed_entry(entry_id, {participant_id}, "request_id")

    def sealed_entry(
        self, entry_id: int, participant_ids: Collection[int] | None, field: str = "entry_id"
    ) -> audit_pb2.GetSealedReceiptResponse:
        """An entry of one of these participants (None: of any). Raises Refused(ENTRY_UNKNOWN)."""
        batch = self._reads.batch(number_of(entry_id))
        seal, rows = batch or (None, [])
        place = next((place for place, row in enumerate(rows) if row.entry.entry_id == entry_id), None)
        if seal is None or place is None:
            raise Refused(Reason.ENTRY_UNKNOWN, field)
        if participant_ids is not None and rows[place].entry.participant_id not in participant_ids:
            raise Refused(Reason.ENTRY_UNKNOWN, field)
        leaves = [row.leaf for row in rows]

        def nodes(level: int, index: int) -> bytes:
            return root_hash(leaves[index << level : index + 1 << level])

        return audit_pb2.GetSealedReceiptResponse(
            leaf=leaf_message(0, rows[place]),
            path=inclusion_proof(place, len(leaves), nodes),
            batch=batch_message(seal),
        )

    def _checkpoint(self, size: int) -> CheckpointRecord:
        _check_number(size, "size")
        found = self._reads.checkpoint_of(size) if size else self._reads.newest_checkpoint()
        if found is None:
            raise Refused(Reason.CHECKPOINT_UNKNOWN, "size")
        return found

    def _checkpoint_message(self, row: CheckpointRecord) -> audit_pb2.GetCheckpointResponse:
        return checkpoint_message(row, self._reads.cosignatures(row.size))

    def _tiles(self, wanted: list[TileAt]) -> dict[TileAt, bytes]:
        found = {TileAt(*at): hashes for at, hashes in self._reads.tiles([(*at,) for at in wanted]).items()}
        if missing := [at for at in wanted if at not in found]:
            raise LedgerBroken(f"audit tile {missing[0]} is missing; the follower makes the tiles again")
        return found

    def _nodes(self, asked: TileNodes) -> Nodes:
        known = TileNodes(self._tiles(sorted(asked.needed)))

        def node(level: int, index: int) -> bytes:
            try:
                return known(level, index)
            except EvidenceMalformed as error:
                raise LedgerBroken(f"the audit tiles are incomplete: {error}") from error

        return node


def _check_number(number: int, field: str) -> None:
    if number > SIZE_MAX:
        raise Refused(Reason.FIELD_INVALID, field, {"expected": f"0 to {SIZE_MAX}"})
