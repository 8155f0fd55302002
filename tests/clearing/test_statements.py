"""What small batches send: statements for one row, and writes that go as one statement."""

import threading

import psycopg
import pytest

from coalition.clearing.batch import run_batch
from coalition.storage.arrays import for_rows, of_one
from coalition.storage.frontier import JOURNAL_LOCK
from coalition.storage.journal import TAKE_NUMBER
from coalition.storage.pipeline import Parameters, Pipeline, together
from tests.clearing.house import House, accepted

WRITES = ("INSERT", "UPDATE", "WITH")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The first word of each statement that a pipeline sends, as it is sent."""
    words: list[str] = []
    execute = Pipeline.execute

    def telling(self: Pipeline, statement: str, parameters: Parameters = (), *, prepare: bool = True) -> object:
        words.append(statement.split(maxsplit=1)[0])
        return execute(self, statement, parameters, prepare=prepare)

    monkeypatch.setattr(Pipeline, "execute", telling)
    return words


def test_a_statement_for_one_row_has_no_arrays_and_finds_the_same(house: House) -> None:
    statement = "SELECT a + b, c FROM unnest(%s::bigint[], %s::smallint[], %s::integer[]) AS told (a, b, c)"

    def rows(*told: tuple[int | None, ...]) -> list[tuple[object, ...]]:
        text, parameters = for_rows(statement, told)
        with psycopg.connect(house.dsn()) as connection:
            return connection.execute(text, parameters).fetchall()

    assert "[]" not in of_one(statement)
    assert rows((1, 2, None)) == [(3, None)]
    assert rows((1, 2, None), (3, 4, 5)) == [(3, None), (7, 5)]
    assert rows() == []


def test_a_lone_payment_is_eleven_statements_and_its_rows_are_two(house: House, sent: list[str]) -> None:
    """Each costs a lone terminal 30 us; BEGIN, claim, four reads, number, balances, entry, batch, COMMIT."""
    token = house.funded_card(1_000)
    store = house.store()
    try:
        accepted(run_batch(store, [house.purchase("cafe", token, 100)])[0])  # learns where the card leads
        sent.clear()
        accepted(run_batch(store, [house.purchase("cafe", token, 100)])[0])
    finally:
        store.close()

    assert len(sent) == 11
    assert [word for word in sent if word in WRITES] == ["INSERT", "WITH", "WITH", "INSERT"]


def test_a_few_payments_are_as_many_statements_as_one(house: House, sent: list[str]) -> None:
    tokens = [house.funded_card(1_000) for _ in range(3)]
    store = house.store()
    try:
        run_batch(store, [house.purchase("cafe", token, 100) for token in tokens])
        sent.clear()
        for answer in run_batch(store, [house.purchase("cafe", token, 100) for token in tokens]):
            accepted(answer)
    finally:
        store.close()

    assert [word for word in sent if word in WRITES] == ["INSERT", "WITH", "WITH", "INSERT"]


def test_statements_together_are_one_with_the_last_as_its_own() -> None:
    assert together("UPDATE a", "UPDATE b", " INSERT c") == "WITH t0 AS (UPDATE a), t1 AS (UPDATE b) INSERT c"
    assert together("UPDATE a") == "UPDATE a"


def test_the_number_is_taken_once_the_journal_is_held(house: House) -> None:
    """Else a follower's frontier may pass a batch that is not committed yet (DESIGN section 3)."""
    numbers: list[int] = []

    def take() -> None:
        with psycopg.connect(house.dsn()) as connection:
            row = connection.execute(TAKE_NUMBER).fetchone()
            numbers.append(row[0] if row else 0)

    with psycopg.connect(house.dsn()) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(%s)", (JOURNAL_LOCK,))
        before = house.query("SELECT last_value, is_called FROM journal_number")
        taker = threading.Thread(target=take)
        taker.start()
        while not house.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            taker.join(0.01)

        assert house.query("SELECT last_value, is_called FROM journal_number") == before
        holder.rollback()
    taker.join()
    assert len(numbers) == 1
