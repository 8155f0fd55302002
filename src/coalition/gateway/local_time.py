"""Times of terminals: month, day and clock, in the coalition's zone, without a year: that is the gateway's to find."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from coalition.gateway.errors import Malformed
from coalition.gateway.fields import Field

YEARS_BACK: Final = 8  # 29 February comes every four years, once in a while every eight
HALF_A_YEAR: Final = timedelta(days=183)


def moment_of(local_time: str, now: datetime, zone: ZoneInfo) -> datetime:
    """The instant, UTC, of MMDDhhmmss: of all years the latest at most half a year ahead, so the nearest one.

    Raises Malformed for what is no date or no time of day.
    """
    month, day, hour, minute, second = (int(local_time[at : at + 2]) for at in range(0, 10, 2))
    for year in range(now.year + 1, now.year - YEARS_BACK, -1):
        try:
            day_start = datetime(year, month, day, tzinfo=zone)
        except ValueError:
            continue
        try:
            moment = day_start.replace(hour=hour, minute=minute, second=second)
        except ValueError:
            raise Malformed(Field.LOCAL_TIME) from None
        if moment - now <= HALF_A_YEAR:
            return moment.astimezone(UTC)
    raise Malformed(Field.LOCAL_DATE)
