"""Many statements in one round trip: libpq's pipeline mode with statements prepared once a session.

A desk's small batch is a dozen tiny statements, so what the driver spends on each is what a lone terminal waits for;
this speaks to libpq through psycopg's own wrapper (about 10 us a statement, measured, where a cursor in its pipeline
block takes about 70). Used by one thread. Results are loaded by psycopg's loaders; errors are psycopg's errors.
"""

import select
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final, TypeAlias

from psycopg import abc as psycopg_abc
from psycopg import errors, pq
from psycopg.adapt import Transformer

from coalition.domain.errors import LedgerBroken
from coalition.storage.connect import Connection

Parameters: TypeAlias = "tuple[str | None, ...]"

KEPT_AS: Final = "coalition_pipeline"
WAIT_SECONDS: Final = 90.0  # above every statement_timeout of a session


class Answer:
    """What a queued statement answered; of use after `Pipeline.run`."""

    __slots__ = ("_transformer", "result")

    def __init__(self, transformer: psycopg_abc.Transformer) -> None:
        self._transformer = transformer
        self.result: pq.abc.PGresult | None = None

    @property
    def rowcount(self) -> int:
        """Rows that an INSERT or UPDATE touched."""
        return (self._got.command_tuples or 0) if self.result is not None else 0

    def rows(self) -> list[tuple[Any, ...]]:
        """All rows, as Python values."""
        result = self._got
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples or 0, tuple)

    def row(self) -> tuple[Any, ...]:
        """The one row of a statement that always has one. Raises LedgerBroken otherwise."""
        rows = self.rows()
        if len(rows) != 1:
            raise LedgerBroken(f"a statement that always answers one row answered {len(rows)}")
        return rows[0]

    @property
    def _got(self) -> pq.abc.PGresult:
        if self.result is None:
            raise LedgerBroken("a statement's answer was read before it was run")
        return self.result


class Pipeline:
    """Queue statements with `execute`, send them and wait for all answers with `run`."""

    def __init__(self, connection: Connection) -> None:
        # A driver that has prepared anything itself, as it does with what is sent often, forgets every statement of the
        # session at the next ROLLBACK, ours too.
        connection.prepare_threshold = None
        self._connection = connection
        self._pgconn = connection.pgconn
        self._transformer: psycopg_abc.Transformer = Transformer.from_context(connection)
        self._names: dict[str, bytes] = {}
        self._queued: list[Answer] = []
        self._poll = select.poll()

    def prepare(self, statement: str) -> bytes:
        """The session's name for a statement, prepared on first use. `%s` stands for a parameter, passed as text."""
        name = self._names.get(statement)
        if name is None:
            name = f"s{len(self._names)}".encode()
            numbered = statement
            for number in range(1, statement.count("%s") + 1):
                numbered = numbered.replace("%s", f"${number}", 1)
            self._raise_if_bad(self._pgconn.prepare(name, numbered.encode()))
            self._names[statement] = name
        return name

    def execute(self, statement: str, parameters: Parameters = (), *, prepare: bool = True) -> Answer:  # noqa: ARG002
        """Queue a statement (the signature of a cursor's, so that writers serve both)."""
        name = self._names.get(statement)
        if name is None:
            # Preparing is a round trip of its own and only allowed outside pipeline mode: run what is queued first.
            raise LedgerBroken("a statement was not prepared when the session began")
        if not self._queued:
            self._pgconn.enter_pipeline_mode()
        answer = Answer(self._transformer)
        self._queued.append(answer)
        self._pgconn.send_query_prepared(name, [None if each is None else each.encode() for each in parameters])
        return answer

    def execute_together(self, told: Sequence[tuple[str, Parameters]]) -> None:
        """Queue statements of which nobody reads the answers, as many as one as are prepared so, from the first on."""
        while told:
            for count in range(len(told), 0, -1):
                statements, parameters = zip(*told[:count], strict=True)
                one = together(*statements)
                if one in self._names or count == 1:
                    self.execute(one, tuple(chain.from_iterable(parameters)))
                    told = told[count:]
                    break

    def flush(self) -> None:
        """Let the database begin with what is queued while more is being made ready."""
        if self._queued:
            self._pgconn.flush()

    def run(self) -> None:
        """Send, wait, give every answer its result. Raises psycopg's error of the first statement that failed."""
        self.send()
        self.wait()

    def send(self) -> None:
        """Send what is queued; nothing more may be queued before `wait`."""
        if self._queued:
            self._pgconn.pipeline_sync()
            self._pgconn.flush()

    def wait(self) -> None:
        """Wait for what was sent and give every answer its result. Raises as `run`."""
        queued, self._queued = self._queued, []
        if not queued:
            return
        pgconn = self._pgconn
        failure: pq.abc.PGresult | None = None
        for answer in queued:
            while (result := self._next_result()) is not None:
                answer.result = result
                if result.status == pq.ExecStatus.FATAL_ERROR and failure is None:
                    failure = result
        self._next_result()  # the sync itself
        pgconn.exit_pipeline_mode()
        if failure is not None:
            self._raise_if_bad(failure)

    def _next_result(self) -> pq.abc.PGresult | None:
        """Libpq's next result; waits without holding the interpreter."""
        pgconn = self._pgconn
        while pgconn.is_busy():
            wants = select.POLLIN | (select.POLLOUT if pgconn.flush() else 0)
            self._poll.register(pgconn.socket, wants)
            if not self._poll.poll(WAIT_SECONDS * 1000):
                self._connection.close()
                raise errors.ConnectionTimeout("the database has not answered for too long")
            pgconn.consume_input()
        return pgconn.get_result()

    def _raise_if_bad(self, result: pq.abc.PGresult) -> None:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise errors.error_from_result(result, encoding=self._connection.info.encoding)


@cache
def together(*statements: str) -> str:
    """Statements that write different rows as one: the last, with the others before it in WITH.

    A statement costs the database and the driver 30 us before it has touched a row.
    """
    *others, last = statements
    if not others:
        return last
    return "WITH " + ", ".join([f"t{place} AS ({each})" for place, each in enumerate(others)]) + f" {last.lstrip()}"


class Gathered:
    """Keeps what it is told to execute, for `Pipeline.execute_together`."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Parameters]] = []

    def execute(self, statement: str, parameters: Parameters = (), *, prepare: bool = True) -> None:  # noqa: ARG002
        """Keep it."""
        self.told.append((statement, parameters))


def pipeline_of(connection: Connection, statements: Iterable[str]) -> Pipeline:
    """A borrowed connection's pipeline, with `statements` prepared: made on its first loan, kept as long as it is.

    Raises psycopg's errors.
    """
    pipeline: Pipeline | None = getattr(connection, KEPT_AS, None)
    if pipeline is None:
        pipeline = Pipeline(connection)
        # With the connection itself: they hold each other, and go together.
        setattr(connection, KEPT_AS, pipeline)
    for statement in statements:
        pipeline.prepare(statement)
    return pipeline


def forget_pipeline(connection: Connection) -> None:
    """Let the next `pipeline_of` prepare everything anew: what was prepared is there no more."""
    connection.execute("DEALLOCATE ALL", prepare=False)
    setattr(connection, KEPT_AS, None)
