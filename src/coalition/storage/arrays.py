"""Columns on their way to PostgreSQL as array literals.

A batch goes to the database as one array a column, unnested there. Building the literal with `str.join` costs about a
tenth of adapting every element on its own, which at 50,000 values a batch is most of the client's share.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import cache
from typing import Final

_UNNESTED: Final = re.compile(r"unnest\(((?:\s*%s::\w+\[\],?)+)\)")


def numbers(values: Iterable[int | None]) -> str:
    """For smallint[], integer[] and bigint[]; None becomes NULL."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def whole_numbers(values: Iterable[int]) -> str:
    """As `numbers`, for columns that never hold NULL. Enum members are written as their number."""
    return "{" + ",".join(map(str, values)) + "}"


def number_columns(rows: Sequence[tuple[int, ...]]) -> tuple[str, ...]:
    """The columns of rows of whole numbers; none for no rows."""
    return tuple(whole_numbers(column) for column in zip(*rows, strict=True))


@cache
def of_one(statement: str) -> str:
    """The statement for one row, without arrays: to take apart arrays of one is what a lone terminal's costs most."""
    return _UNNESTED.sub(lambda columns: f"(VALUES ({columns[1].replace('[]', '')}))", statement)


def for_rows(statement: str, rows: Sequence[tuple[int | None, ...]]) -> tuple[str, tuple[str | None, ...]]:
    """What to execute for these rows of numbers, and its parameters: of a statement that unnests one array a column.

    Sessions prepare it and its `of_one`.
    """
    if len(rows) == 1:
        return of_one(statement), tuple([None if value is None else str(value) for value in rows[0]])
    if not rows:
        return statement, ("{}",) * statement.count("%s")
    return statement, tuple(numbers(column) for column in zip(*rows, strict=True))


def byte_strings(values: Iterable[bytes]) -> str:
    """For bytea[]."""
    return "{" + ",".join(['"\\\\x' + value.hex() + '"' for value in values]) + "}"


def texts(values: Iterable[str | None]) -> str:
    """For text[]; quotes and backslashes are escaped, None becomes NULL."""
    return (
        "{"
        + ",".join(
            [
                "NULL" if value is None else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
                for value in values
            ]
        )
        + "}"
    )


def plain_texts(values: Iterable[object]) -> str:
    """For uuid[] and other types whose text form needs no quoting; None becomes NULL."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def moments(values: Iterable[datetime | date | None]) -> str:
    """For timestamptz[] and date[]; None becomes NULL."""
    return "{" + ",".join(["NULL" if value is None else '"' + value.isoformat() + '"' for value in values]) + "}"
