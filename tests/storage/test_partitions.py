"""Partitions are there before they are needed, are made beside working tills, and lose no row if they are not."""

import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4, uuid5

import pytest

from coalition.domain.acts import Act, body_hash
from coalition.domain.errors import Contention
from coalition.domain.ids import entry_id, lane_of_request
from coalition.domain.kinds import Kind
from coalition.storage import partitions
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection
from coalition.storage.partitions import (
    AHEAD,
    DEFAULT_PARTITIONS,
    JOURNAL_TABLES,
    SPAN_BITS,
    NotTheOwner,
    Stray,
    attached,
    ensure_partitions,
    request_id_bound,
    stray_rows,
    wanted,
)
from tests.offices import BUSINESS_DATE, LANES, PlainNotary, at_once
from tests.storage.databases import Database, operator_id, request_made

NOW = datetime(2026, 11, 22, 5, 30, tzinfo=UTC)
JANUARY_2017 = 2017 * 12


def set_number(connection: Connection, number: int) -> None:
    connection.execute("SELECT setval('journal_number', %s)", (number,))


def new_request(moment: datetime = NOW) -> UUID:
    return request_made(moment, uuid4().int)


def claim(connection: Connection, request_id: UUID) -> str:
    """Store a request, and say which partition it went to."""
    lane = lane_of_request(request_id, LANES)
    row = connection.execute(
        "INSERT INTO requests (lane, request_id, participant_id, body_hash) VALUES (%s, %s, 1, '') "
        "RETURNING tableoid::regclass::text",
        (lane, request_id),
    ).fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize(
    ("month", "bound"),
    [
        # 2017-01-01T00:00:00Z is 1,483,228,800,000 ms after 1970.
        (JANUARY_2017, "01595753-6400-0000-0000-000000000000"),
        (JANUARY_2017 + 12, "0160af04-9000-0000-0000-000000000000"),
    ],
)
def test_a_months_first_bound_is_its_first_millisecond_in_48_bits_and_zeros(month: int, bound: str) -> None:
    """Every id made in the month is at or above the bound, every earlier one below, whatever its random bits."""
    first = datetime(month // 12, 1, 1, tzinfo=UTC)

    assert bound == request_id_bound(month)
    assert UUID(bound) <= new_request(first)
    assert new_request(first - timedelta(milliseconds=1)) < UUID(bound)


def test_what_is_wanted_runs_from_two_months_ago_to_two_years_ahead_and_joins_without_a_gap() -> None:
    """A gap would send rows to the default partition; an overlap could not be attached."""
    months = sorted((each for each in wanted(0, NOW) if each.parent == "requests"), key=lambda each: each.name)

    assert ("requests_2026_09", "requests_2028_11") == (months[0].name, months[-1].name)
    assert [each.end for each in months[:-1]] == [each.first for each in months[1:]]


def test_the_month_is_the_one_in_utc() -> None:
    """The bounds are in UTC; half past midnight on the first in Shanghai is still last month there."""
    local = datetime.fromisoformat("2026-12-01T00:30:00+08:00")

    assert "requests_2026_11" == next(each.name for each in wanted(0, local) if each.parent == "requests")


@pytest.mark.parametrize("number", [0, 1, (1 << SPAN_BITS) - 1, 1 << SPAN_BITS, 5 << SPAN_BITS])
def test_four_whole_partitions_lie_ahead_of_the_current_number(number: int) -> None:
    """A fold reads by number range; a busy coalition must not run off the prepared end between two checks."""
    for table in JOURNAL_TABLES:
        mine = [each for each in wanted(number, NOW) if each.parent == table]

        assert AHEAD + 1 == len(mine)
        assert int(mine[0].first) <= entry_id(number, 0, 0) < int(mine[0].end)
        assert [each.end for each in mine[:-1]] == [each.first for each in mine[1:]]


def test_what_is_missing_is_made_once_and_a_second_call_does_nothing(ledger: Database) -> None:
    """It runs at every start and every hour; then there is almost always nothing to do."""
    with ledger.connect() as connection:
        first = ensure_partitions(connection, NOW)
        second = ensure_partitions(connection, NOW)
        present = attached(connection)

        assert {"entries_4", "transfers_4", "allocations_4"} == {n for n in first.made if "requests" not in n}
        assert 27 == sum(name.startswith("requests_2") for name in first.made)
        assert () == first.occupied
        assert ((), ()) == (second.made, second.occupied)
        assert {each.name for each in wanted(0, NOW)} | set(DEFAULT_PARTITIONS) <= present


def test_a_new_partition_has_the_parents_keys_checks_and_indexes(ledger: Database) -> None:
    """A leg without amount or an entry twice must be as impossible there as in the first partition."""
    query = """
        SELECT count(*) FILTER (WHERE i.indisprimary), count(*),
               (SELECT count(*) FROM pg_constraint c WHERE c.conrelid = i.indrelid AND c.contype = 'c')
        FROM pg_index i WHERE i.indrelid = %s::regclass GROUP BY i.indrelid
    """
    with ledger.connect() as connection:
        ensure_partitions(connection, NOW)
        for table in JOURNAL_TABLES:
            expected = connection.execute(query, (f"{table}_0",)).fetchall()

            assert expected == connection.execute(query, (f"{table}_4",)).fetchall()


def test_a_request_goes_to_the_month_of_its_id(ledger: Database) -> None:
    """Also at the edges; what is older or much younger than all partitions is kept by the default one."""
    december = datetime(2026, 12, 1, tzinfo=UTC)
    with ledger.connect() as connection:
        ensure_partitions(connection, NOW)

        assert "requests_2026_11" == claim(connection, new_request())
        assert "requests_2026_11" == claim(connection, new_request(december - timedelta(milliseconds=1)))
        assert "requests_2026_12" == claim(connection, new_request(december))
        assert "requests_rest" == claim(connection, new_request(datetime(2017, 1, 1, tzinfo=UTC)))
        assert [Stray("requests_rest", 1)] == stray_rows(connection)


def test_a_request_id_that_tells_no_time_belongs_in_the_default_partition(ledger: Database) -> None:
    """Settlement derives its request id from the window, so it has no month; it must raise no alarm."""
    with ledger.connect() as connection:
        claim(connection, uuid5(UUID(int=7), "netting/1/0"))

        assert [] == stray_rows(connection)


def test_rows_in_a_default_partition_stay_are_reported_and_block_only_their_own_range(ledger: Database) -> None:
    """If nobody made partitions in time the tills went on; their rows are not touched, and the next range is made."""
    beyond = 6 << SPAN_BITS
    operator = operator_id(ledger)
    with ledger.connect() as connection:
        set_number(connection, beyond - 1)
        acts = Acts(LANES, lambda _: BUSINESS_DATE, PlainNotary())
        act = Act(Kind.CARD_FROZEN, operator, new_request(), body_hash(Kind.CARD_FROZEN, {}), "/op/hq")
        acts.perform(connection, act, lambda _: {})
        before = connection.execute("SELECT tableoid::regclass::text, * FROM entries WHERE entry_id >= 0").fetchall()
        ensured = ensure_partitions(connection, NOW)
        after = connection.execute("SELECT tableoid::regclass::text, * FROM entries WHERE entry_id >= 0").fetchall()

        assert "entries_rest" == before[-1][0]
        assert before == after
        assert ("entries_6", "requests_2026_11") == ensured.occupied
        assert {"transfers_6", "entries_7", "entries_10", "requests_2026_12"} <= set(ensured.made)
        assert [Stray("entries_rest", 1), Stray("requests_rest", 1)] == stray_rows(connection)


def test_two_makers_at_once_make_each_partition_once(ledger: Database) -> None:
    """Several servers may start together, each with its migrate job."""

    def make() -> tuple[str, ...]:
        with ledger.connect() as connection:
            return ensure_partitions(connection, NOW).made

    made = at_once([make, make, make])

    assert sorted({name for names in made for name in names}) == sorted(name for names in made for name in names)
    assert 30 == sum(map(len, made))


def test_tills_go_on_while_partitions_are_made(ledger: Database) -> None:
    """Making partitions ahead happens on a live ledger: no act may fail for it."""
    stop = threading.Event()
    operator = operator_id(ledger)
    done: list[int] = []

    def work() -> int:
        count = 0
        acts = Acts(LANES, lambda _: BUSINESS_DATE, PlainNotary())
        with ledger.connect("coalition_app") as connection:
            while not stop.is_set():
                kind = Kind.CARD_FROZEN
                act = Act(kind, operator, new_request(), body_hash(kind, {"n": count}), "/op/hq")
                answer = acts.perform(connection, act, lambda _: {})
                assert answer.entry_id == acts.perform(connection, act, lambda _: {}).entry_id
                count += 1
        done.append(count)
        return count

    def make() -> int:
        made = 0
        try:
            with ledger.connect() as connection:
                for step in range(1, 13):
                    set_number(connection, step << SPAN_BITS)
                    made += len(ensure_partitions(connection, NOW + timedelta(days=31 * step)).made)
        finally:
            stop.set()
        return made

    results = at_once([work, work, work, make])

    assert results[3] >= 12 * 3 + 27
    assert all(count > 10 for count in done)


def test_a_long_reader_makes_it_give_up_with_the_cure_and_keep_what_was_made(
    ledger: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dump reads every table for its whole length; tills queue behind a waiting ATTACH, so it must not insist."""
    monkeypatch.setattr(partitions, "ATTEMPTS", 2)
    with ledger.connect() as reader, ledger.connect() as connection:
        with reader.transaction():
            reader.execute("SELECT count(*) FROM requests").fetchone()
            with pytest.raises(Contention, match="coalition migrate"):
                ensure_partitions(connection, NOW)

            assert "entries_4" in attached(connection)

        assert 27 == len(ensure_partitions(connection, NOW).made)


def test_a_role_that_does_not_own_the_tables_is_told_who_may(ledger: Database) -> None:
    """The server's role cannot make tables; that is the point of it."""
    with ledger.connect("coalition_app") as connection, pytest.raises(NotTheOwner):
        ensure_partitions(connection, NOW)


def test_partitions_of_the_journal_are_vacuumed_often_the_first_and_the_later_ones(ledger: Database):
    with ledger.connect() as connection:
        set_number(connection, 1 << SPAN_BITS)
        made = ensure_partitions(connection, NOW).made
        rows = connection.execute(
            "SELECT relname, reloptions FROM pg_inherits JOIN pg_class ON oid = inhrelid "
            "WHERE inhparent = ANY (ARRAY['entries', 'transfers', 'allocations']::regclass[])"
        )
        options = dict(rows.fetchall())

    assert "transfers_5" in made
    assert options
    assert {tuple(each or ()) for each in options.values()} == {
        ("autovacuum_vacuum_insert_scale_factor=0", "autovacuum_vacuum_insert_threshold=1000000")
    }
