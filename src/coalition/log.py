"""The log: one JSON object a line on stderr. Constant event names, ids and durations; nothing personal, nothing secret.

Known sensitive fields are dropped here as a second wall; the first is not to log them. An exception is told by its type
and the lines it passed through, not by its message: a database's message may quote what was written.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, Final

import structlog

from coalition.domain.errors import CoalitionError

SENSITIVE: Final = frozenset(
    {
        "card_number",
        "payment_code",
        "ticket",
        "seed",
        "subject",
        "name",
        "phone",
        "birth_month",
        "token",
        "pin",
        "key",
        "secret",
        "password",
        "authorization",
        "dsn",
        "url",
        "body",
        "request",
        "response",
    }
)
REDACTED: Final = "[redacted]"
FRAMES_MAX: Final = 12

Event = MutableMapping[str, Any]


def set_up_log(level: str = "info") -> None:
    """Send structlog's lines to stderr as JSON, from `level` (debug, info, warning, error) on."""
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=number, stream=sys.stderr, format="%(message)s", force=True)
    # Libraries speak in prose and may quote what they were given; only their troubles are wanted, by name.
    for library in ("grpc", "asyncio", "sqlalchemy", "psycopg", "psycopg.pool", "alembic"):
        logging.getLogger(library).setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redacted,
            with_frames,
            structlog.processors.JSONRenderer(default=_name_of_type, sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def redacted(_: object, __: str, event: Event) -> Event:
    """Replace the value of every sensitive field."""
    for field in SENSITIVE & event.keys():
        event[field] = REDACTED
    return event


def with_frames(_: object, __: str, event: Event) -> Event:
    """Turn `exc_info` into the error's type and the last lines of code it passed; messages of our own errors only."""
    given = event.pop("exc_info", None)
    error = sys.exception() if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        if isinstance(error, CoalitionError):
            event["cause"] = str(error)
        event["frames"] = _frames(error.__traceback__)
    return event


def _frames(trace: TracebackType | None) -> list[str]:
    return [f"{frame.name}:{frame.lineno} {frame.filename}" for frame in traceback.extract_tb(trace)[-FRAMES_MAX:]]


def _name_of_type(value: object) -> str:
    """What cannot be written as JSON is no id: tell what it was, not what was in it."""
    return f"<{type(value).__name__}>"
