"""The plans of the desk's statements on tables that are empty still: a session keeps them, and the tables grow."""

import itertools
import re

from coalition.storage import journal, ledger_statements, pins
from coalition.storage.connect import connect
from coalition.storage.ledger import DESK_SESSION
from tests.clearing.house import House

READS = [each for each in (*journal.PREPARED, *ledger_statements.PREPARED, *pins.PREPARED) if "FROM unnest" in each]
# A scan that knows the lane alone reads a whole lane for each row asked for; one without a condition all lanes.
WHOLE_LANE = re.compile(r"Index Cond: \(lane = [\w.]+\)$|Seq Scan on (?!pg_)\w+", re.MULTILINE)


def test_no_statement_of_the_desk_reads_more_than_it_asks_for(house: House) -> None:
    plans = {}
    with connect(house.dsn(), "test") as connection:
        for setting in DESK_SESSION:
            connection.execute(setting)
        for statement in READS:
            numbers = itertools.count(1)
            generic = re.sub("%s", lambda _, numbers=numbers: f"${next(numbers)}", statement)  # type: ignore[misc]
            rows = connection.execute(f"EXPLAIN (GENERIC_PLAN) {generic}".encode()).fetchall()
            plans[statement] = "\n".join(line for (line,) in rows)

    assert [] == [statement + plan for statement, plan in plans.items() if WHOLE_LANE.search(plan)]
