"""The points of a batch: read under the wallets' locks once the programme is known, written where they changed.

A round trip of its own, for batches in which a sale may earn, something is given back, or points are moved; no batch of
a scheme without a points programme, and none at participants without one, runs a statement of these.
"""

from collections.abc import Sequence
from typing import Final

from coalition.domain.books import Books
from coalition.domain.commands import Command, FollowUp
from coalition.domain.points import PointsBook, PointsDraw, PointsMove
from coalition.storage.arrays import moments, number_columns, numbers
from coalition.storage.journal import Execute
from coalition.storage.ledger_books import Named
from coalition.storage.pipeline import Pipeline

BALANCES: Final = """
SELECT p.wallet_id, p.programme_id, p.balance
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, wallet_id)
JOIN points p USING (lane, wallet_id)
"""
MOVE: Final = """m.lane, m.entry_id, m.wallet_id, m.programme_id, m.programme_version, m.points, m.given_back,
    m.last_day, m.used, m.ended"""
MOVES: Final = f"""
SELECT {MOVE}
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, entry_id)
JOIN points_moves m USING (lane, entry_id)
"""
# Along points_moves_open.
ENDING: Final = f"""
SELECT {MOVE}
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, wallet_id)
JOIN points_moves m ON m.lane = asked.lane AND m.wallet_id = asked.wallet_id AND m.is_open
"""
DRAWS: Final = f"""
SELECT {MOVE}, d.lane, d.entry_id, d.place, d.of_entry_id, d.points, d.returned
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, entry_id)
JOIN points_draws d USING (lane, entry_id)
JOIN points_moves m ON m.lane = d.lane AND m.entry_id = d.of_entry_id
ORDER BY d.entry_id, d.place
"""
MOVE_COLUMNS: Final = 10
KEEP_BALANCES: Final = """
INSERT INTO points AS p (lane, wallet_id, programme_id, balance)
SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::integer[], %s::bigint[])
ON CONFLICT (lane, wallet_id, programme_id) DO UPDATE SET balance = excluded.balance
"""
KEEP_MOVES: Final = """
INSERT INTO points_moves AS m (lane, entry_id, wallet_id, programme_id, programme_version, points, given_back,
    last_day, used, ended, is_open)
SELECT lane, entry_id, wallet_id, programme_id, programme_version, points, given_back, last_day, used, ended,
    last_day IS NOT NULL AND points > given_back + used + ended
FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[], %s::integer[], %s::integer[], %s::bigint[], %s::bigint[],
    %s::date[], %s::bigint[], %s::bigint[])
    AS new (lane, entry_id, wallet_id, programme_id, programme_version, points, given_back, last_day, used, ended)
ON CONFLICT (lane, entry_id) DO UPDATE
SET given_back = excluded.given_back, used = excluded.used, ended = excluded.ended, is_open = excluded.is_open
"""
KEEP_DRAWS: Final = """
INSERT INTO points_draws AS d (lane, entry_id, place, of_entry_id, points, returned)
SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::smallint[], %s::bigint[], %s::bigint[], %s::bigint[])
ON CONFLICT (lane, entry_id, place) DO UPDATE SET returned = excluded.returned
"""
PREPARED: Final = (BALANCES, MOVES, ENDING, DRAWS, KEEP_BALANCES, KEEP_MOVES, KEEP_DRAWS)


def read_points(pipeline: Pipeline, books: Books, commands: Sequence[Command], named: Sequence[Named]) -> None:
    """Put the points of the batch into the books, if any of its commands may move some.

    Those with a last day are read where others than sales move points, and only in a scheme where some end.
    """
    programme, day = books.programme, books.business_date
    takes = any(command.uses_points or isinstance(command, FollowUp) for command in commands)
    if not takes and all(programme.points_earned_at(each.participant_id, day) is None for each in commands):
        return
    book = books.points = PointsBook()
    wallets = number_columns(sorted((wallet.lane, wallet.wallet_id) for wallet in books.wallets.values()))
    places = number_columns(sorted({(each.original.lane, each.original.entry_id) for each in named}))
    follows = takes and programme.has_ending_points
    balances = pipeline.execute(BALANCES, wallets) if wallets else None
    ending = pipeline.execute(ENDING, wallets) if wallets and follows else None
    moves = pipeline.execute(MOVES, places) if places else None
    draws = pipeline.execute(DRAWS, places) if places and follows else None
    pipeline.run()
    if balances is not None:
        book.balances.update({(wallet, programme_id): held for wallet, programme_id, held in balances.rows()})
    for answer in (moves, ending):
        for row in answer.rows() if answer is not None else ():
            book.know(PointsMove(*row))
    for row in draws.rows() if draws is not None else ():
        book.know(PointsMove(*row[:MOVE_COLUMNS]))
        draw = PointsDraw(*row[MOVE_COLUMNS:])
        book.draws.setdefault(draw.entry_id, []).append(draw)


def write_points(pipeline: Execute, books: Books, book: PointsBook) -> None:
    """Queue every balance, move and draw that the batch has changed."""
    if book.touched:
        rows = [(books.wallets[key[0]].lane, *key, book.balances[key]) for key in sorted(book.touched)]
        pipeline.execute(KEEP_BALANCES, number_columns(rows))
    if book.moved:
        moves = [book.moves[entry_id] for entry_id in sorted(book.moved)]
        columns = number_columns([(m.lane, m.entry_id) for m in moves])
        told = number_columns([(m.programme_id, m.version, m.points, m.given_back) for m in moves])
        ends = (moments([m.last_day for m in moves]), *number_columns([(m.used, m.ended) for m in moves]))
        pipeline.execute(KEEP_MOVES, (*columns, numbers([m.wallet_id for m in moves]), *told, *ends))
    if book.drawn:
        draws = [draw for entry_id in sorted(book.drawn) for draw in book.draws[entry_id]]
        rows_of = [(d.lane, d.entry_id, d.place, d.of_entry_id, d.points, d.returned) for d in draws]
        pipeline.execute(KEEP_DRAWS, number_columns(rows_of))
