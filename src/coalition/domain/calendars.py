"""Calendars: how often a settlement window is cut, and what the window of a day is called."""

from calendar import monthrange
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

CADENCES: Final = ("MONTHLY", "WEEKLY", "DAILY", "MANUAL")
FIRST_CALENDARS: Final[Mapping[str, str]] = MappingProxyType({"monthly": "MONTHLY"})


def window_label(cadence: str, day: date) -> str:
    """What the window that holds `day` is called: 2017-01, 2017-W05, 2017-01-31; a manual one by the day it opens."""
    match cadence:
        case "MONTHLY":
            return f"{day:%Y-%m}"
        case "WEEKLY":
            year, week, _ = day.isocalendar()
            return f"{year}-W{week:02}"
        case "DAILY" | "MANUAL":
            return day.isoformat()
    raise ValueError(f"cadence must be one of {', '.join(CADENCES)}")


def months_later(day: date, months: int) -> date:
    """The same day so many months later, or that month's last day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
