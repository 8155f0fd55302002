"""The desk's store: one session of the database, pinned to what a batch needs, reopened when it breaks.

Planner settings of the session are pinned to index look-ups, because a plan made while a table was small would be kept
when it no longer is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final
from uuid import UUID

import psycopg
from psycopg.pq import PipelineStatus

from coalition.domain.commands import Command, Paying
from coalition.domain.errors import StoreUnavailable
from coalition.domain.journal import Notary
from coalition.domain.pins import CountedTry
from coalition.domain.programme import Programme
from coalition.storage import journal, ledger_passes, ledger_points, ledger_sponsors, ledger_statements, pins
from coalition.storage.connect import Connection, connect, translated
from coalition.storage.ledger_batch import BusinessDate, LedgerBatch, Pointer, Pointers
from coalition.storage.ledger_credentials import name_of
from coalition.storage.ledger_usage import Bounds
from coalition.storage.ledger_writes import TOGETHER
from coalition.storage.pipeline import Pipeline

DESK_SESSION: Final = (
    "SET plan_cache_mode = force_generic_plan",
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET enable_bitmapscan = off",
    # Joins as they are written: what was asked for first. Of empty tables any order is as good (7 ms a capture).
    "SET join_collapse_limit = 1",
)
PREPARED: Final = (
    *journal.PREPARED,
    *ledger_statements.PREPARED,
    *ledger_passes.PREPARED,
    *ledger_points.PREPARED,
    *ledger_sponsors.PREPARED,
    *pins.PREPARED,
    *TOGETHER,
    "BEGIN",
    "COMMIT",
)
KNOWN_CARDS: Final = "SELECT token, lane, wallet_id, card_id FROM credentials WHERE wallet_id IS NOT NULL LIMIT %s"
POINTERS_MAX: Final = 250_000  # about 50 MB; a store that meets more cards forgets them all and begins again

Loader = Callable[[Connection], Programme]


class LedgerStore:
    """Opens batches, one at a time. Used by one thread."""

    def __init__(
        self,
        dsn: str,
        load: Loader,
        business_date: BusinessDate,
        notary: Notary,
    ) -> None:
        self._dsn = dsn
        self._load = load
        self._business_date = business_date
        self._notary = notary
        self._connection: Connection | None = None
        self._pipeline: Pipeline | None = None
        self._programme: Programme | None = None
        self._pointers: Pointers = {}
        self._bounds: Bounds = {}

    @contextmanager
    def batch(self) -> Iterator[LedgerBatch]:
        """A transaction that commits when the block ends well. See clearing.store.Store for what it raises."""
        with self._errors():
            connection, pipeline, programme = self._ready()
            if len(self._pointers) > POINTERS_MAX:
                self._pointers.clear()
            batch = LedgerBatch(
                connection,
                pipeline,
                programme,
                self._pointers,
                self._load,
                self._business_date,
                self._notary,
                self._bounds,
            )
            yield batch
            batch.commit()
            self._programme = batch.programme

    def unanswered(self, commands: Sequence[Command]) -> set[tuple[int, UUID]]:
        """Those (participant, request_id) that have no stored answer."""
        with self._errors():
            _, pipeline, programme = self._ready()
            return pins.unanswered(pipeline, programme.scheme.lane_count, commands)

    def count_tries(self, commands: Sequence[Paying]) -> Mapping[tuple[int, UUID], CountedTry]:
        """Count and commit a try for each command that has no stored answer and whose card leads to a wallet."""
        with self._errors():
            _, pipeline, programme = self._ready()
            pointers = {name: self._pointers.get(name) for name in map(name_of, commands)}
            known = {
                token: (pointer.lane, pointer.wallet_id)
                for token, pointer in pointers.items()
                if pointer is not None and pointer.wallet_id is not None
            }
            return pins.count_and_commit(pipeline, programme.scheme.lane_count, known, commands)

    def warm_up(self) -> None:
        """Connect, load and learn before the first customer waits for it. Raises StoreUnavailable and Contention."""
        with self._errors():
            self._ready()

    def close(self) -> None:
        """Drop the session; what was not committed is gone."""
        if self._connection is not None:
            self._connection.close()
            self._connection = self._pipeline = None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Whatever breaks, nothing stays open that must not, and a database's error becomes the house's own."""
        try:
            yield
        except psycopg.Error as error:
            problem = translated(error)
            if isinstance(problem, StoreUnavailable):
                self.close()  # the next session may reach a server that answers
            else:
                self._roll_back()
            raise problem from error
        except BaseException:
            self._roll_back()
            raise

    def _ready(self) -> tuple[Connection, Pipeline, Programme]:
        """The session, opened if it is not, and the programme as it was last seen."""
        if self._connection is None or self._pipeline is None or self._connection.closed:
            self._connection, self._pipeline = self._open()
        if self._programme is None:
            self._programme = self._load(self._connection)
            self._learn_cards(self._connection)
        return self._connection, self._pipeline, self._programme

    def _open(self) -> tuple[Connection, Pipeline]:
        """A session with all of its settings and statements, or none: preparing one may wait for a window's close."""
        connection = connect(self._dsn, "coalition desk")
        try:
            for setting in DESK_SESSION:
                connection.execute(setting)
            pipeline = Pipeline(connection)
            for statement in PREPARED:
                pipeline.prepare(statement)
        except BaseException:
            connection.close()
            raise
        return connection, pipeline

    def _learn_cards(self, connection: Connection) -> None:
        """Learn where the cards lead before the first customer waits for it; half of what the memory holds."""
        if not self._pointers:
            known = connection.execute(KNOWN_CARDS, (POINTERS_MAX // 2,))
            self._pointers.update({token: Pointer(*where) for token, *where in known})

    def _roll_back(self) -> None:
        """Undo; a session that is in the middle of something, or broken, is dropped, which undoes too."""
        if self._connection is None:
            return
        if self._connection.closed or self._connection.pgconn.pipeline_status != PipelineStatus.OFF:
            self.close()
            return
        try:
            self._connection.execute("ROLLBACK")
        except psycopg.Error:
            self.close()
