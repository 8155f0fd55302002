"""The same step from many sides at once: one carries it out, the others learn that it is done."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from coalition.domain.errors import CoalitionError, Refused
from coalition.storage.runs import read_run
from settlement.errors import NothingToDo
from tests.ledger_fixtures import Ledger, new_ledger
from tests.postgres import SharedPostgres
from tests.settlement.runs_month import (
    WORKED,
    abort,
    approve,
    bank_says,
    confirm,
    decide,
    dues,
    export,
    furnish,
    parties,
    prepare,
    state,
    trade_and_net,
    windows,
)

RIVALS = 6


@pytest.fixture
def month(postgres: SharedPostgres) -> Iterator[Ledger]:
    ledger = new_ledger(postgres)
    furnish(ledger)
    trade_and_net(ledger, WORKED)
    yield ledger
    postgres.drop(ledger.database)


def outcomes(*steps: Callable[[], object]) -> list[str]:
    """What became of each, all started at once: "done", or the name of the error."""

    def tried(step: Callable[[], object]) -> str:
        try:
            step()
        except Refused as refused:
            return refused.reason.name
        except CoalitionError as error:
            return type(error).__name__
        return "done"

    with ThreadPoolExecutor(len(steps)) as pool:
        return sorted(pool.map(tried, steps))


def count(ledger: Ledger, kind: int) -> int:
    with ledger.connect() as connection:
        return int(connection.execute("SELECT count(*) FROM entries WHERE kind = %s", (kind,)).fetchall()[0][0])


def advanced_minor(ledger: Ledger) -> int:
    with ledger.connect() as connection:
        run = read_run(connection, 1)
        assert run is not None
        return run.advanced_minor


def test_every_step_from_many_sides_is_taken_once(month: Ledger):
    others = ["NothingToDo"] * (RIVALS - 1)
    assert [*others, "done"] == outcomes(*[lambda: prepare(month)] * RIVALS)
    assert 1 == count(month, 130)
    said = outcomes(*[lambda: decide(month, "/ap/liu", approval_id=1)] * RIVALS)
    assert ["APPROVAL_STATE_CONFLICT"] * (RIVALS - 1) == [each for each in said if each != "done"]
    assert ["done"] * RIVALS == outcomes(*[lambda: export(month)] * RIVALS)
    assert ("SETTLING", 1) == (state(month), count(month, 133))
    file = bank_says(("b1", parties(month)[3], "BOOKED"))
    assert [*others, "done"] == outcomes(*[lambda: confirm(month, file)] * RIVALS)
    assert (1, 1) == (count(month, 134), count(month, 22))
    assert {1: 180, 4: 29_520} == dues(month)


def test_two_files_that_tell_the_same_lines_at_once_post_them_once(month: Ledger):
    """Where the payment out came before the payment in, the operator has laid it out: an entry and a due of its own."""
    prepare(month, limit=10**6)
    approve(month)
    export(month)
    given = parties(month)
    files = [
        bank_says(*[(f"b{each}", given[each], "BOOKED") for each in order]) for order in ((3, 4), (4, 3), (3,), (4,))
    ]
    said = outcomes(*[lambda file=file: confirm(month, file) for file in files])
    advanced = advanced_minor(month)

    assert {"done"} == set(said)
    assert advanced in {0, 29_520}
    assert (2 + bool(advanced), {1: 180 + advanced}) == (count(month, 22), dues(month))


@pytest.mark.parametrize("turn", range(3))
def test_an_abort_and_the_last_approval_or_the_export_never_both_win(month: Ledger, turn: int):
    """Either the run is taken back and no file exists, or it is handed out and stays."""
    prepare(month)
    if turn:
        approve(month)

    def other() -> object:
        return decide(month, "/ap/liu", approval_id=1) if turn == 0 else export(month)

    said = outcomes(lambda: abort(month), other)
    with month.connect() as connection:
        files = connection.execute("SELECT count(*) FROM run_files").fetchall()[0][0]
    if state(month) == "ABORTED":
        assert ({}, 0, "CLOSED") == (dues(month), files, windows(month)["2017-01"])
    else:
        assert (turn > 0, "SETTLING", "NETTED") == (files > 0, state(month), windows(month)["2017-01"])
    assert "done" in said


def test_a_repeated_abort_is_nothing_to_do(month: Ledger):
    prepare(month)
    assert ["NothingToDo"] * (RIVALS - 1) + ["done"] == outcomes(*[lambda: abort(month)] * RIVALS)
    assert 1 == count(month, 24)
    with pytest.raises(NothingToDo):
        abort(month)
