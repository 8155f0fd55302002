"""The points of a batch: read under the wallets' locks once the programme is known, written where they changed.

A round trip of its own, for batches in which a sale may earn, something is given back, or points are moved; no batch of
a scheme without a points programme, and none at participants without one, runs a statement of these.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from coalition.domain.books import Books
from coalition.domain.commands import Command, FollowUp
from coalition.domain.points import PointsBook, PointsMove
from coalition.storage.arrays import number_columns
from coalition.storage.journal import Execute
from coalition.storage.ledger_books import Named
from coalition.storage.pipeline import Pipeline

BALANCES: Final = """
SELECT p.wallet_id, p.programme_id, p.balance
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, wallet_id)
JOIN points p USING (lane, wallet_id)
"""
MOVES: Final = """
SELECT m.lane, m.entry_id, m.programme_id, m.programme_version, m.points, m.given_back
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, entry_id)
JOIN points_moves m USING (lane, entry_id)
"""
KEEP_BALANCES: Final = """
INSERT INTO points AS p (lane, wallet_id, programme_id, balance)
SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::integer[], %s::bigint[])
ON CONFLICT (lane, wallet_id, programme_id) DO UPDATE SET balance = excluded.balance
"""
KEEP_MOVES: Final = """
INSERT INTO points_moves AS m (lane, entry_id, programme_id, programme_version, points, given_back)
SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::integer[], %s::integer[], %s::bigint[], %s::bigint[])
ON CONFLICT (lane, entry_id) DO UPDATE SET given_back = excluded.given_back
"""
PREPARED: Final = (BALANCES, MOVES, KEEP_BALANCES, KEEP_MOVES)


def read_points(pipeline: Pipeline, books: Books, commands: Iterable[Command], named: Sequence[Named]) -> None:
    """Put the points of the batch into the books, if any of its commands may move some."""
    programme, day = books.programme, books.business_date
    if not any(
        command.uses_points
        or isinstance(command, FollowUp)
        or programme.points_earned_at(command.participant_id, day) is not None
        for command in commands
    ):
        return
    book = books.points = PointsBook()
    wallets = number_columns(sorted((wallet.lane, wallet.wallet_id) for wallet in books.wallets.values()))
    balances = pipeline.execute(BALANCES, wallets) if wallets else None
    places = number_columns(sorted({(each.original.lane, each.original.entry_id) for each in named}))
    moves = pipeline.execute(MOVES, places) if places else None
    pipeline.run()
    if balances is not None:
        book.balances.update({(wallet, programme_id): held for wallet, programme_id, held in balances.rows()})
    if moves is not None:
        book.moves.update({row[1]: PointsMove(*row) for row in moves.rows()})


def write_points(pipeline: Execute, books: Books, book: PointsBook) -> None:
    """Queue every balance and move that the batch has changed."""
    if book.touched:
        rows = [(books.wallets[key[0]].lane, *key, book.balances[key]) for key in sorted(book.touched)]
        pipeline.execute(KEEP_BALANCES, number_columns(rows))
    if book.moved:
        moves = [book.moves[entry_id] for entry_id in sorted(book.moved)]
        told = [(m.lane, m.entry_id, m.programme_id, m.version, m.points, m.given_back) for m in moves]
        pipeline.execute(KEEP_MOVES, number_columns(told))
