"""What a command prints: tables and sentences for people, JSON for programs. Never a request, never a full card number
but the one that was just made.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

PIPED_WIDTH: Final = 200
"""Columns when nobody looks: a table in a file or a pipe is not folded."""


def console(*, stderr: bool = False) -> Console:
    """Where a command speaks. Names come from outside, so nothing in them is taken for markup."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr, width=None if stream.isatty() else PIPED_WIDTH, markup=False, highlight=False, emoji=False
    )


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table; a column whose name begins with ">" is aligned to the right.

    In a narrow terminal words are folded, so that nothing is lost; amounts and what a row is known by are not. A column
    in which no row has anything is left out.
    """
    cells = [list(row) for row in rows]
    shown = [place for place in range(len(columns)) if not cells or any(row[place] for row in cells)]
    made = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for place in shown:
        column = columns[place]
        is_amount = column.startswith(">")
        made.add_column(
            column.removeprefix(">"),
            justify="right" if is_amount else "left",
            no_wrap=is_amount or place == 0,
            overflow="fold",
        )
    for row in cells:
        made.add_row(*(row[place] for place in shown))
    return made


def print_json(value: object) -> None:
    """One JSON document on one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def to_json(message: Message) -> dict[str, Any]:
    """A message as JSON: names as in the protos, amounts as numbers, times as RFC 3339, enums by their short names."""
    return {field.name: value for field in fields_of(message) if (value := _field_value(message, field)) is not None}


def fields_of(message: Message) -> list[FieldDescriptor]:
    """The fields of a message's kind, in the order of the protos."""
    # The type file allows for two implementations of a descriptor; their attributes are the same.
    return cast("list[FieldDescriptor]", list(message.DESCRIPTOR.fields))


def short_name(field: FieldDescriptor, number: int) -> str:
    """The name of an enum value without its enum's: OPEN for WINDOW_STATE_OPEN."""
    kind = cast("EnumDescriptor", field.enum_type)
    value = kind.values_by_number.get(number)
    if value is None:
        return str(number)
    # Every enum of the protos has a value 0 named <ENUM>_UNSPECIFIED.
    return value.name.removeprefix(kind.values_by_number[0].name.removesuffix("UNSPECIFIED"))


def enum_name(message: Message, name: str) -> str:
    """The short name of an enum field: `enum_name(window, "state")` is OPEN."""
    field = next(field for field in fields_of(message) if field.name == name)
    return short_name(field, getattr(message, name))


def time_text(time: Timestamp) -> str:
    """A time as a table shows it, UTC."""
    return time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S")


def _field_value(message: Message, field: FieldDescriptor) -> Any:
    value = getattr(message, field.name)
    if field.is_repeated:
        return [_plain(field, item) for item in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _plain(field, value)


def _plain(field: FieldDescriptor, value: Any) -> Any:
    if isinstance(value, Timestamp):
        return value.ToJsonString()
    if isinstance(value, Message):
        return to_json(value)
    if isinstance(value, bytes):
        return value.hex()
    return short_name(field, value) if field.enum_type is not None else value
