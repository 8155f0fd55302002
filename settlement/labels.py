"""Names of windows: which period a label means, and which label comes next. Pure; dates are business dates.

A period may be cut before it is over (interim settlement): 2017-01 is then followed by 2017-01.2 of the same period.
"""

import re
from datetime import date, timedelta

MONTH = re.compile(r"(\d{4})-(\d{2})")
WEEK = re.compile(r"(\d{4})-W(\d{2})")
INTERIM = re.compile(r"\.(\d{1,4})$")


def period_end(cadence: str, label: str) -> date | None:
    """The first day after the period `label` names; None if the cadence is MANUAL or the label is not of its form."""
    label = INTERIM.sub("", label)
    try:
        if cadence == "MONTHLY" and (month := MONTH.fullmatch(label)):
            return first_of_next_month(date(int(month[1]), int(month[2]), 1))
        if cadence == "WEEKLY" and (week := WEEK.fullmatch(label)):
            return date.fromisocalendar(int(week[1]), int(week[2]), 1) + timedelta(days=7)
        if cadence == "DAILY":
            return date.fromisoformat(label) + timedelta(days=1)
    except ValueError:
        return None
    return None


def period_start(cadence: str, label: str) -> date | None:
    """The first day of the period `label` names; None where `period_end` is."""
    end = period_end(cadence, label)
    if end is None:
        return None
    last = end - timedelta(days=1)
    if cadence == "MONTHLY":
        return last.replace(day=1)
    return last - timedelta(days=6 if cadence == "WEEKLY" else 0)


def next_label(cadence: str, label: str) -> str | None:
    """2017-01 is followed by 2017-02, 2017-W05 by 2017-W06, 2017-01-31 by 2017-02-01; None where `period_end` is."""
    start = period_end(cadence, label)
    return None if start is None else label_of(cadence, start)


def interim_label(label: str) -> str:
    """The rest of a period that is cut early: 2017-01 is followed by 2017-01.2, 2017-01.2 by 2017-01.3."""
    part = INTERIM.search(label)
    return f"{INTERIM.sub('', label)}.{int(part[1]) + 1 if part else 2}"


def label_of(cadence: str, day: date) -> str:
    """The label of the period that holds `day`."""
    if cadence == "MONTHLY":
        return f"{day.year:04}-{day.month:02}"
    if cadence == "WEEKLY":
        year, week, _ = day.isocalendar()
        return f"{year:04}-W{week:02}"
    return day.isoformat()


def first_of_next_month(day: date) -> date:
    """The first day of the month after the month of `day`."""
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)
