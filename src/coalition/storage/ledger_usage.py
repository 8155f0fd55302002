"""What wallets have spent lately, read from the journal for the batches in which a limit asks (domain/usage.py).

The wallets are locked: whoever else writes an entry of theirs waits, and whoever did has committed.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from coalition.domain.books import Books, Wallet
from coalition.domain.ids import entry_id
from coalition.domain.journal import moment_of
from coalition.domain.kinds import Kind
from coalition.domain.usage import Line, Tier, Usage
from coalition.storage.arrays import number_columns
from coalition.storage.ledger_statements import NUMBER_BEFORE, USAGE
from coalition.storage.pipeline import Pipeline

EARLIEST: Final = timedelta(hours=15)
"""No business date begins longer before its midnight UTC: zones go to UTC+14; an hour is for clocks that disagree."""
BOUNDS_MAX: Final = 8

Bounds = dict[date, int]
"""The last batch that is surely older than a date; found once, because the past does not change."""


def read_usage(pipeline: Pipeline, books: Books, wallets: Sequence[Wallet], bounds: Bounds) -> None:
    """Give the wallets their usage, since the month began where a card's month is limited, else since yesterday.

    Yesterday, because a clock hour may have begun then.
    """
    day = books.business_date
    counted = {wallet.wallet_id for wallet in wallets}
    by_month = any(card.month_limit_minor is not None for card in books.cards.values() if card.wallet_id in counted)
    since = min(day.replace(day=1), day - timedelta(days=1)) if by_month else day - timedelta(days=1)
    bound = entry_id(_number_before(pipeline, since, bounds) + 1, 0, 0) - 1
    keys = number_columns([(wallet.lane, wallet.wallet_id) for wallet in wallets])
    answer = pipeline.execute(USAGE, (*keys, str(bound), since.isoformat()))
    pipeline.run()
    for wallet in wallets:
        wallet.usage = Usage()
    for wallet_id, *row in answer.rows():
        usage = books.wallets[wallet_id].usage
        if usage is not None:
            usage.take(_line(*row))


def _line(
    entry: int,
    kind: int,
    card_id: int | None,
    amount: int,
    business_date: date,
    micros: int,
    tier: str | None,
    original: int | None,
) -> Line:
    return Line(
        entry, Kind(kind), card_id, amount, business_date, moment_of(micros), Tier(tier or Tier.STATIC), original
    )


def _number_before(pipeline: Pipeline, day: date, bounds: Bounds) -> int:
    """The number of a batch before which, it included, all are older than `day`; 0 where there is none."""
    if day not in bounds:
        moment: Any = (datetime.combine(day, time.min, UTC) - EARLIEST).isoformat()
        answer = pipeline.execute(NUMBER_BEFORE, (moment, moment))
        pipeline.run()
        if len(bounds) >= BOUNDS_MAX:
            bounds.clear()
        bounds[day] = int(answer.row()[0])
    return bounds[day]
