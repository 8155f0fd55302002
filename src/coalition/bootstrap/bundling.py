"""Making bundles, proofs and receipts of what AuditService tells: the auditor's or headquarters' side of a connection.

Believes nothing it is told: what is written is checked afterwards, by whoever has the trust file.
"""

import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias

from coalition.audit.bundle_format import STATE_SECTIONS, BatchSeal
from coalition.audit.bundle_writer import BundleWriter
from coalition.audit.checkpoint import Checkpoint
from coalition.audit.note import SignedNote
from coalition.audit.receipt import Receipt
from coalition.audit.tiles import Edge, edge_tiles
from coalition.client import Connection
from coalition.v1 import audit_pb2

PAGE: Final = 1000
# A page has to fit a message: an agreement may have 64 KB, a close of a day its certificate, a wallet many lots.
PAGES: Final = {"agreements": 20, "day_closes": 100, "disclosures": 500, "records": 500, "wallets": 500}
Patience: TypeAlias = Callable[[], bool]
"""Waits a little and says whether to ask again."""


def write_bundle(
    connection: Connection,
    directory: Path,
    *,
    start_size: int,
    end_size: int,
    receipts: Sequence[Path],
    settlements: Sequence[Path],
    made: datetime,
    patience: Patience,
    progress: Callable[[int, int], None],
) -> audit_pb2.GetCheckpointResponse:
    """Write the log from a signed size (0: the first entry) to another (0: the newest); the checkpoint it ends at.

    A bundle that ends at the newest holds the tables beside the log, as `ListState` tells them; `patience` waits a
    little, and says whether to ask again, for the checkpoint that covers what they tell.
    Raises BundleDamaged, and what a call raises (CallRefused, ServerUnreachable).
    """
    audit = connection.audit
    end = connection.call(audit.GetCheckpoint, audit_pb2.GetCheckpointRequest(size=end_size))
    origin = Checkpoint.parse(SignedNote.parse(end.note).text).origin
    writer = BundleWriter(directory, origin, start_size, made.isoformat())
    if not end_size:
        end = _write_tables(connection, writer, patience)
    start = edge = None
    if start_size:
        start = connection.call(audit.GetCheckpoint, audit_pb2.GetCheckpointRequest(size=start_size))
        edge = _edge(connection, start_size)
    writer.ends_at(end.size)
    last_number = 0
    index = start_size
    while index < end.size:
        request = audit_pb2.GetLeavesRequest(first_index=index, count=min(PAGE, end.size - index), size=end.size)
        page = connection.call(audit.GetLeaves, request)
        if not page.leaves:
            break  # what is missing shows in the checks
        writer.add_leaves((leaf.data, leaf.payload, leaf.actor) for leaf in page.leaves)
        seals = [seal_of(batch) for batch in page.batches if batch.number > last_number]
        writer.add_batches(seals)
        last_number = seals[-1].number if seals else last_number
        index += len(page.leaves)
        progress(index - start_size, end.size - start_size)
    between = [note for size, note in _between(connection, start_size) if start_size < size < end.size]
    writer.add_checkpoints(None if start is None else start.note, edge or Edge(), between, end.note)
    names = connection.call(audit.GetNames, audit_pb2.GetNamesRequest())
    writer.add_names(
        {each.number: each.code for each in names.participants}, {each.number: each.code for each in names.agreements}
    )
    for path in receipts:
        writer.add_receipt(path.read_bytes())
    for path in settlements:
        writer.add_settlement(path)
    writer.close()
    return end


def patient(seconds: float, pause: float = 0.2) -> Patience:
    """Asks again for so many seconds."""
    left = iter(range(int(seconds / pause)))

    def again() -> bool:
        time.sleep(pause)
        return next(left, None) is not None

    return again


def _write_tables(connection: Connection, writer: BundleWriter, patience: Patience) -> audit_pb2.GetCheckpointResponse:
    """Write every section; the newest checkpoint, which covers what they tell unless patience ends before."""
    tables = Tables(connection)
    begin = tables.number()
    for section in STATE_SECTIONS:
        writer.add_state(section, tables.rows(section))
    until = tables.number()
    writer.state_read(begin, until)
    while True:
        end = connection.call(connection.audit.GetCheckpoint, audit_pb2.GetCheckpointRequest())
        if end.number >= until or not patience():
            return end


class Tables:
    """What a server tells of its tables, section by section."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def number(self) -> int:
        """The newest batch that what is asked for after this includes."""
        return self._page(audit_pb2.ListStateRequest(section=audit_pb2.STATE_SECTION_RIGHTS, page_size=1)).number

    def rows(self, section: str) -> Iterator[bytes]:
        """Every row of a section."""
        number = audit_pb2.StateSection.Value(f"STATE_SECTION_{section.upper()}")
        request = audit_pb2.ListStateRequest(section=number, page_size=PAGES.get(section, PAGE))
        while True:
            page = self._page(request)
            yield from page.rows
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def _page(self, request: audit_pb2.ListStateRequest) -> audit_pb2.ListStateResponse:
        return self._connection.call(self._connection.audit.ListState, request)


def seal_of(batch: audit_pb2.Batch) -> BatchSeal:
    """A batch's seal as bundles hold it."""
    time_us = batch.time.seconds * 1_000_000 + batch.time.nanos // 1000
    return BatchSeal(batch.number, time_us, batch.count, batch.root, batch.signature)


def sealed_receipt(answer: audit_pb2.GetSealedReceiptResponse) -> Receipt:
    """The receipt of an answer, to be kept in a file."""
    leaf, batch = answer.leaf, answer.batch
    return Receipt(
        number=batch.number,
        count=batch.count,
        leaf=leaf.data,
        payload=leaf.payload,
        actor=leaf.actor,
        path=tuple(answer.path),
        root=batch.root,
        signature=batch.signature,
    )


def proof_text(answer: audit_pb2.GetInclusionProofResponse) -> str:
    """An inclusion proof as C2SP tlog-proof writes it, checkpoint and cosignatures included."""
    hashes = "".join(f"{b64encode(each).decode()}\n" for each in answer.proof)
    return f"c2sp.org/tlog-proof@v1\nindex {answer.index}\n{hashes}\n{answer.checkpoint.note.decode()}"


def _edge(connection: Connection, size: int) -> Edge:
    """The edge of the tree at a signed size, from its partial tiles."""
    tiles = [
        connection.call(
            connection.audit.GetTile, audit_pb2.GetTileRequest(level=at.level, number=at.number, size=size)
        ).hashes
        for at, _ in edge_tiles(size)
    ]
    return Edge.from_bytes(size, b"".join(tiles))


def _between(connection: Connection, first_size: int) -> Iterator[tuple[int, bytes]]:
    request = audit_pb2.ListCheckpointsRequest(first_size=first_size, page_size=PAGE)
    while True:
        page = connection.call(connection.audit.ListCheckpoints, request)
        for checkpoint in page.checkpoints:
            yield checkpoint.size, checkpoint.note
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
