"""The audit tree follower: appends the leaf of every entry to the tree in journal order, and signs what it has become.

Leaves are read by ranges of numbers, a range at a time, and hashed together. A checkpoint is signed and committed
before anybody can read it. Any number of processes may run this at once: each range is folded by one of them, once.
Deleting the tiles and folding again gives the same bytes; checkpoints are never deleted, and are held against them.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Event
from typing import Final

from coalition.audit.log_signer import LogSigner
from coalition.audit.proofs import tree_hash
from coalition.audit.tiles import TILE_BITS, Edge, TileAt, TileNodes, edge_tiles, split_hashes
from coalition.domain.audit_records import CheckpointRecord
from coalition.domain.errors import CoalitionError, LedgerBroken
from coalition.followers.follower import Comparison, catch_up, compare, digest_of, follow
from coalition.storage import audit_tree as store
from coalition.storage import cursors
from coalition.storage.connect import Connection
from coalition.storage.cursors import Lag
from coalition.storage.frontier import frontier

ENTRIES_MAX: Final = 65_536  # leaves per transaction: 2 MiB, about 0.1 s
# Between checkpoints: every second look signs, about twice a second. With a fold and the signature the newest stays
# within a second of the journal.
CHECKPOINT_SECONDS: Final = 0.3


class TreeForked(LedgerBroken):
    """The tree does not contain a checkpoint that was signed: an old backup, or somebody changed the journal."""


class AuditTreeFollower:
    """One reader of the journal. `connect` opens an autocommit connection; `clock` tells UTC; `sleep` takes seconds."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        *,
        lane_count: int,
        signer: LogSigner,
        entries_max: int = ENTRIES_MAX,
    ) -> None:
        self._connect = connect
        self._clock = clock
        self._sleep = sleep
        self._lanes = range(lane_count)
        self._signer = signer
        self._entries_max = entries_max
        self._edge = Edge()
        self._cursor = 0  # up to where `_edge` was grown
        self._signed_size = 0
        self._signed_time: datetime | None = None

    @property
    def name(self) -> str:
        """Among the followers."""
        return store.FOLLOWER

    def run(self, stop: Event) -> None:
        """Follow the journal until `stop` is set; a database that does not answer is tried again for ever."""
        follow([self], self._connect, self._sleep, stop)

    def begin(self, connection: Connection) -> None:
        """Raise TreeForked unless the tiles contain the newest checkpoint that was signed."""
        newest = store.newest_checkpoint(connection)
        if newest is None or store.tree_size(connection) < newest.size:
            return  # nothing was said yet, or the fold is being made again: `_sign` looks once it has grown so far
        if root_at(connection, newest.size) != newest.root:
            raise TreeForked(
                f"the audit tree's first {newest.size} leaves do not have the root that was signed for them at "
                f"{newest.time.isoformat()}: look with `coalition audit compare`, and restore what was changed"
            )

    def step(self, connection: Connection, up_to: int) -> int:
        """Fold the next range and sign what the tree has become, where that is due; the cursor afterwards."""
        cursor = self._step(connection, up_to)
        self._sign_if_due(connection, complete=cursor >= up_to)
        return cursor

    def catch_up(self) -> CheckpointRecord | None:
        """Fold everything decided now and sign it; the newest checkpoint, None where the journal is empty.

        Raises FrontierStalled if a writer hangs, StoreUnavailable, TreeForked.
        """
        with cursors.available(), self._connect() as connection:
            self.begin(connection)
            catch_up(self, connection, frontier(connection, sleep=self._sleep))
            self._sign(connection, complete=True)
            return store.newest_checkpoint(connection)

    def lag(self) -> Lag:
        """How far the newest checkpoint is behind the journal."""
        with cursors.available(), self._connect() as connection:
            return store.lag(connection, self._clock)

    def rebuild(self) -> Comparison:
        """See `compare`; the last checkpoint of each hour and all that were cosigned are held against the new tiles.

        Raises TreeForked, Contention if somebody forgets the live tiles meanwhile.
        """
        with cursors.available(), self._connect() as connection:
            signed = [(row.size, row.root) for row in store.telling_checkpoints(connection)]
            again = TreeAgain(self._grown)
            comparison = compare(again, connection, self._clock)
            for size, root in signed:
                if size > again.edge.size or root_at(connection, size, store.SCRATCH) != root:
                    raise TreeForked(
                        f"the journal's first {size} entries do not have the root that was signed for them"
                    )
            again.drop_scratch(connection)
            return replace(comparison, size=again.edge.size)

    def forget(self) -> None:
        """Delete the tiles; the next step begins at the journal's first number."""
        with cursors.available(), self._connect() as connection:
            store.forget(connection, self._clock())

    def _step(self, connection: Connection, up_to: int) -> int:
        """Fold the next range, none above `up_to`, in one short transaction; the cursor afterwards."""
        if self._cursor >= up_to and cursors.cursor_of(connection, store.FOLLOWER) == self._cursor:
            return self._cursor
        try:
            with connection.transaction():
                time = self._clock()
                cursor = self._locked(connection, time)
                if cursor >= up_to:
                    return cursor
                reached = self._grown(connection, store.LIVE, self._edge, cursor, up_to)
                cursors.move_cursor(connection, store.FOLLOWER, reached, time)
            self._cursor = reached
            return reached
        except BaseException:
            self._cursor = -1  # the edge has grown by what was not committed
            raise

    def _locked(self, connection: Connection, time: datetime) -> int:
        """The cursor, locked; the edge is read again where another process has moved it."""
        cursor = cursors.lock_cursor(connection, store.FOLLOWER, time)
        if cursor != self._cursor:
            self._edge = read_edge(connection)
            self._cursor = cursor
            self._signed_size = 0  # so that the newest checkpoint is held against these tiles before the next
        return cursor

    def _grown(self, connection: Connection, table: str, edge: Edge, after: int, up_to: int) -> int:
        """Append the leaves of the next range to the edge and write the tiles that changed; up to where."""
        target, count = store.next_range(connection, after, up_to, entries_max=self._entries_max)
        if count == 0:
            return target
        first_new_tile = -(-edge.size >> TILE_BITS)
        hashes, starts = store.leaves(connection, self._lanes, after, target, edge.size)
        leaves = split_hashes(hashes)
        if len(leaves) != count:
            raise LedgerBroken(
                f"batches {after + 1} to {target} say they hold {count} entries, and {len(leaves)} leaves were found"
            )
        changed = [(tile.at.level, tile.at.number, tile.hashes) for tile in edge.append(leaves)]
        store.write_tiles(connection, table, changed, dict(enumerate(starts, first_new_tile)))
        return target

    def _sign_if_due(self, connection: Connection, *, complete: bool) -> None:
        now = self._clock()
        due = self._signed_time is None or not (
            timedelta() <= now - self._signed_time < timedelta(seconds=CHECKPOINT_SECONDS)
        )
        if due and self._edge.size > self._signed_size:
            self._sign(connection, complete=complete)
            self._signed_time = now

    def _sign(self, connection: Connection, *, complete: bool) -> None:
        """Sign the tree as it is and commit the checkpoint; only then can it be read by anybody.

        A tree that is being made again has not grown to the newest checkpoint yet; one that is `complete` must have.
        """
        with connection.transaction():
            time = self._clock()
            cursor = self._locked(connection, time)
            newest = store.newest_checkpoint(connection)
            size = self._edge.size
            if newest is not None and size < newest.size:
                if complete:
                    raise TreeForked(
                        f"the journal has {size} entries, and {newest.size} were signed for: some are gone"
                    )
                return
            if size and (newest is None or size > newest.size):
                if newest is not None and newest.size > self._signed_size:
                    self.begin(connection)  # somebody else's, or one from before this process began
                root = self._edge.root()
                store.insert_checkpoint(
                    connection, CheckpointRecord(size, cursor, root, str(self._signer.signed(size, root)), time)
                )
        self._signed_size = size


Grown = Callable[[Connection, str, Edge, int, int], int]


class TreeAgain:
    """The tiles made again in a scratch table, from an edge of its own."""

    def __init__(self, grown: Grown) -> None:
        self._grown = grown
        self.edge = Edge()

    @property
    def name(self) -> str:
        return store.FOLLOWER

    def make_scratch(self, connection: Connection) -> None:
        store.make_scratch(connection)

    def fold(self, connection: Connection, after: int, up_to: int) -> int:
        return self._grown(connection, store.SCRATCH, self.edge, after, up_to)

    def digests(self, connection: Connection) -> tuple[str, str]:
        live, rebuilt = store.serialised(connection, store.LIVE), store.serialised(connection, store.SCRATCH)
        return digest_of(live), digest_of(rebuilt)

    def drop_scratch(self, connection: Connection) -> None:
        store.drop_scratch(connection)


def read_edge(connection: Connection) -> Edge:
    """The right edge of the live tiles. Raises LedgerBroken where a tile of it is missing."""
    size = store.tree_size(connection)
    wanted = list(edge_tiles(size))
    found = store.tiles(connection, [(at.level, at.number) for at, _ in wanted])
    parts = [found.get((at.level, at.number), b"")[: width * store.HASH_BYTES] for at, width in wanted]
    try:
        return Edge.from_bytes(size, b"".join(parts))
    except CoalitionError as error:
        raise LedgerBroken(f"the audit tiles are incomplete: {error}; make them again") from error


def root_at(connection: Connection, size: int, table: str = store.LIVE) -> bytes:
    """The root of the tree's first `size` leaves, from tiles."""
    asking = TileNodes()
    tree_hash(size, asking)
    return tree_hash(size, TileNodes(found_tiles(connection, sorted(asking.needed), table)))


def found_tiles(connection: Connection, wanted: Sequence[TileAt], table: str = store.LIVE) -> dict[TileAt, bytes]:
    """The tiles, all of them. Raises LedgerBroken where one is missing."""
    found = {TileAt(*key): hashes for key, hashes in store.tiles(connection, wanted, table).items()}
    if missing := [at for at in wanted if at not in found]:
        raise LedgerBroken(f"the audit tiles are incomplete: no tile {missing[0].number} of level {missing[0].level}")
    return found
