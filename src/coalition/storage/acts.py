"""Acts, exactly once: claim the request, do the work, write its entry, commit; or tell the stored answer again."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime
from typing import Any, Final

import psycopg
from psycopg.errors import InvalidSqlStatementName
from psycopg.pq import TransactionStatus

from coalition.domain.acts import JSON, Act, ActAnswer, canonical
from coalition.domain.errors import Contention, Refused
from coalition.domain.ids import entry_id, lane_of_request, lane_of_wallet
from coalition.domain.journal import Entry, Notary, Transfer
from coalition.domain.reasons import Reason, is_stored
from coalition.storage.arrays import of_one
from coalition.storage.connect import Connection, translated
from coalition.storage.journal import (
    CLAIM,
    INSERT_BATCH,
    INSERT_ENTRY,
    INSERT_TRANSFERS,
    STORED,
    TAKE_NUMBER,
    claim_of,
    requests_columns,
    write_batch,
)
from coalition.storage.pipeline import Gathered, Pipeline, forget_pipeline, pipeline_of, together

ATTEMPTS: Final = 5
BEGIN: Final = "BEGIN"
SAVE: Final = "SAVEPOINT applied"
UNDO: Final = "ROLLBACK TO SAVEPOINT applied"
COMMIT: Final = "COMMIT"
ROLLBACK: Final = "ROLLBACK"
PREPARED: Final = (
    BEGIN,
    of_one(CLAIM),
    STORED,
    SAVE,
    UNDO,
    TAKE_NUMBER,
    INSERT_ENTRY,
    INSERT_TRANSFERS,
    INSERT_BATCH,
    together(INSERT_ENTRY, INSERT_BATCH),
    COMMIT,
    ROLLBACK,
)

Apply = Callable[[Connection], dict[str, JSON]]


class Acts:
    """Performs acts on one ledger. `business_date` turns a time into the coalition's date."""

    def __init__(self, lane_count: int, business_date: Callable[[datetime], date], notary: Notary) -> None:
        self._lane_count = lane_count
        self._business_date = business_date
        self._notary = notary

    def perform(
        self,
        connection: Connection,
        act: Act,
        apply: Apply,
        *,
        transfers: Callable[[], list[Transfer]] | None = None,
        declined: Callable[[Connection], None] | None = None,
    ) -> ActAnswer:
        """Do `apply` once in one transaction with its claim and its journal entry.

        `apply` works on the connection and returns the answer to store; a Refused it raises is undone and, if its
        reason is of the stored kind, kept as the answer for ever. A `wallet_id` and a `card_id` in the answer are the
        entry's too: it lies among the wallet's entries. `transfers`, asked after `apply`, are the entry's legs.
        `declined` writes what is kept beside a decline.
        Raises Refused (also when replaying a decline), Contention after several tries, StoreUnavailable.
        """
        for _ in range(ATTEMPTS):
            pipeline = self._pipeline(connection)
            try:
                with _undone_if_it_fails(connection, pipeline):
                    answer = self._once(connection, pipeline, act, apply, transfers, declined)
                break
            except InvalidSqlStatementName:
                # The driver forgets what was prepared, ours too, once a transaction of its own is rolled back.
                forget_pipeline(connection)
            except psycopg.Error as error:
                problem = translated(error)
                if not isinstance(problem, Contention):
                    raise problem from error
        else:
            raise Contention(f"{act.kind.name} met {ATTEMPTS} rivals in a row; send it again")
        return _told(answer)

    def told_before(self, connection: Connection, act: Act) -> ActAnswer | None:
        """The stored answer of an act that was done already; None where it was not.

        Raises Refused when that answer was a decline, or the request_id was used for another act (REQUEST_ID_REUSED).
        """
        asked = requests_columns([act], self._lane_count)
        try:
            with connection.cursor() as cursor:
                rows = cursor.execute(STORED, asked).fetchall()
        except psycopg.Error as error:
            raise translated(error) from error
        return _told(_stored(rows, act)) if rows else None

    def _once(
        self,
        connection: Connection,
        pipeline: Pipeline,
        act: Act,
        apply: Apply,
        transfers: Callable[[], list[Transfer]] | None,
        declined: Callable[[Connection], None] | None,
    ) -> "tuple[ActAnswer, Refused | None]":
        pipeline.execute(BEGIN)
        claimed = pipeline.execute(*claim_of([act], self._lane_count))
        pipeline.execute(SAVE)
        pipeline.run()
        if claimed.rowcount == 0:
            found = pipeline.execute(STORED, requests_columns([act], self._lane_count))
            pipeline.execute(COMMIT)
            pipeline.run()
            return _stored(found.rows(), act)
        refusal: Refused | None = None
        try:
            stored: dict[str, JSON] = apply(connection)
        except Refused as refused:
            if not is_stored(refused.reason):
                raise
            refusal = refused
            stored = {"field": refused.field, "metadata": dict(refused.metadata), "reason": int(refused.reason)}
            pipeline.execute(UNDO)
            pipeline.run()
            if declined is not None:
                declined(connection)
        taken = pipeline.execute(TAKE_NUMBER)
        pipeline.run()
        number, time = taken.row()
        wallet_id = _number(stored, "wallet_id")
        lane = (
            lane_of_request(act.request_id, self._lane_count)
            if wallet_id is None
            else lane_of_wallet(wallet_id, self._lane_count)
        )
        entry = Entry(
            lane=lane,
            entry_id=entry_id(number, 0, lane),
            kind=act.kind,
            reason=refusal.reason if refusal else Reason.ACCEPTED,
            participant_id=act.participant_id,
            request_id=act.request_id,
            body_hash=act.body_hash,
            actor=act.actor,
            amount_minor=0,
            business_date=self._business_date(time),
            answer=canonical({"answer": stored, "time": time.isoformat()}),
            wallet_id=wallet_id,
            card_id=_number(stored, "card_id"),
            transfers=transfers() if transfers and refusal is None else (),
        )
        written = Gathered()
        write_batch(written, number, time, [entry], self._notary.seal(number, time, [entry]))
        pipeline.execute_together(written.told)
        pipeline.execute(COMMIT)
        pipeline.run()
        return ActAnswer(entry.entry_id, time, replayed=False, answer=stored), refusal

    @staticmethod
    def _pipeline(connection: Connection) -> Pipeline:
        """What sends an act's own statements. Raises StoreUnavailable and Contention."""
        try:
            return pipeline_of(connection, PREPARED)
        except psycopg.Error as error:
            raise translated(error) from error


@contextmanager
def _undone_if_it_fails(connection: Connection, pipeline: Pipeline) -> Iterator[None]:
    """Leave no transaction open behind an act that was not committed."""
    try:
        yield
    except BaseException:
        if connection.info.transaction_status is not TransactionStatus.IDLE:
            with suppress(psycopg.Error):
                pipeline.execute(ROLLBACK)
                pipeline.run()
        if connection.info.transaction_status is not TransactionStatus.IDLE:
            with suppress(psycopg.Error):
                connection.execute(ROLLBACK)
        raise


def _stored(rows: Sequence[tuple[Any, ...]], act: Act) -> "tuple[ActAnswer, Refused | None]":
    """The answer of an act that was done already, and what it was refused with."""
    if not rows:
        raise Contention("a rival's claim is not visible yet; send it again")
    _, _, body_hash, entry, kind, answer = rows[0]
    if body_hash != act.body_hash or kind != act.kind:
        raise Refused(Reason.REQUEST_ID_REUSED, field="request_id")
    told = json.loads(answer)
    stored = told["answer"]
    refusal = None
    if "reason" in stored and "metadata" in stored:
        refusal = Refused(Reason(stored["reason"]), stored["field"], stored["metadata"])
    return ActAnswer(entry, datetime.fromisoformat(told["time"]), replayed=True, answer=stored), refusal


def _number(answer: dict[str, JSON], name: str) -> int | None:
    value = answer.get(name)
    return value if isinstance(value, int) else None


def _told(answer: tuple[ActAnswer, Refused | None]) -> ActAnswer:
    result, refusal = answer
    if refusal is not None:
        refusal.metadata.setdefault("replayed", str(result.replayed).lower())
        refusal.metadata.setdefault("entry_id", str(result.entry_id))
        raise refusal
    return result
