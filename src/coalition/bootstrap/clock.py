"""The real clock of the house. Every room is handed one of these; none reads the time by itself."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo


def utc_now() -> datetime:
    """The present, UTC."""
    return datetime.now(UTC)


def unix_milliseconds() -> int:
    """Milliseconds since 1970, as request ids of version 7 carry them."""
    return time.time_ns() // 1_000_000


def business_date_in(zone: str) -> Callable[[datetime], date]:
    """Turns an instant into the coalition's date."""
    there = ZoneInfo(zone)
    return lambda moment: moment.astimezone(there).date()
