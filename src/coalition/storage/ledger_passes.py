"""The passes of a batch: read under the wallet's lock where a command needs them, written where they changed.

No batch without passes runs a statement of these.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from coalition.domain.kinds import Kind
from coalition.domain.passes import Pass, PassBook, Visit, is_open
from coalition.storage.arrays import moments, number_columns, numbers
from coalition.storage.journal import Execute
from coalition.storage.ledger_books import Named
from coalition.storage.pipeline import Answer, Pipeline

COLUMNS: Final = """p.lane, p.pass_id, p.wallet_id, p.issuer_id, p.custodian_id, p.seller_id, p.terms_id,
    p.terms_version, p.last_day, p.visits_sold, p.price_minor, p.visits, p.principal, p.is_over"""
OPEN_PASSES: Final = f"""
SELECT {COLUMNS}
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, wallet_id)
JOIN passes p USING (lane, wallet_id) WHERE p.is_open
"""
NAMED_PASSES: Final = f"""
SELECT {COLUMNS}
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, pass_id)
JOIN passes p USING (lane, pass_id)
"""
VISITS: Final = """
SELECT v.lane, v.entry_id, v.pass_id, v.visits, v.principal, v.agreement_id, v.agreement_version, v.is_returned
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, entry_id)
JOIN pass_visits v USING (lane, entry_id)
"""
VISITED_PASSES: Final = f"""
SELECT {COLUMNS}
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, entry_id)
JOIN pass_visits v USING (lane, entry_id) JOIN passes p USING (lane, pass_id)
"""
INSERT_PASSES: Final = """
INSERT INTO passes (lane, pass_id, wallet_id, issuer_id, custodian_id, seller_id, terms_id, terms_version, visits_sold,
    price_minor, visits, principal, is_over, is_open, last_day)
SELECT lane, pass_id, wallet_id, issuer_id, custodian_id, seller_id, terms_id, terms_version, visits_sold,
    price_minor, visits, principal, is_over <> 0, is_open <> 0, last_day
FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[], %s::integer[], %s::integer[], %s::integer[], %s::integer[],
    %s::integer[], %s::integer[], %s::bigint[], %s::integer[], %s::bigint[], %s::smallint[], %s::smallint[], %s::date[])
    AS new (lane, pass_id, wallet_id, issuer_id, custodian_id, seller_id, terms_id, terms_version, visits_sold,
        price_minor, visits, principal, is_over, is_open, last_day)
"""
UPDATE_PASSES: Final = """
UPDATE passes p SET visits = new.visits, principal = new.principal, is_over = new.is_over <> 0,
    is_open = new.is_open <> 0
FROM unnest(%s::smallint[], %s::bigint[], %s::integer[], %s::bigint[], %s::smallint[], %s::smallint[])
    AS new (lane, pass_id, visits, principal, is_over, is_open)
WHERE p.lane = new.lane AND p.pass_id = new.pass_id
"""
# One statement for visits taken and for those that came back; what did both in one batch is a row that was returned.
KEEP_VISITS: Final = """
INSERT INTO pass_visits AS v (lane, entry_id, pass_id, visits, principal, is_returned, agreement_id, agreement_version)
SELECT lane, entry_id, pass_id, visits, principal, is_returned <> 0, agreement_id, agreement_version
FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[], %s::integer[], %s::bigint[], %s::smallint[], %s::integer[],
    %s::integer[]) AS new (lane, entry_id, pass_id, visits, principal, is_returned, agreement_id, agreement_version)
ON CONFLICT (lane, entry_id) DO UPDATE SET is_returned = excluded.is_returned
"""
PREPARED: Final = (OPEN_PASSES, NAMED_PASSES, VISITS, VISITED_PASSES, INSERT_PASSES, UPDATE_PASSES, KEEP_VISITS)


class LockedPasses(NamedTuple):
    """The answers that make a batch's book of passes, not read yet."""

    passes: list[Answer]
    visits: Answer | None


def lock_passes(pipeline: Pipeline, wallets: Iterable[tuple[int, int]], named: Sequence[Named]) -> LockedPasses | None:
    """Queue what is read of the passes of `wallets` (lane, id) and of what follow-ups name; None where that is nothing.

    The wallets are locked before: a pass changes only under its wallet's lock.
    """
    passes: list[Answer] = []
    visits = None
    if by_wallet := number_columns(sorted(wallets)):
        passes.append(pipeline.execute(OPEN_PASSES, by_wallet))
    if sold := number_columns(_places(named, Kind.PASS_SALE)):
        passes.append(pipeline.execute(NAMED_PASSES, sold))
    if visited := number_columns(_places(named, Kind.PASS_VISIT)):
        passes.append(pipeline.execute(VISITED_PASSES, visited))
        visits = pipeline.execute(VISITS, visited)
    return LockedPasses(passes, visits) if passes else None


def read_passes(locked: LockedPasses) -> PassBook:
    """The book of what was read."""
    book = PassBook()
    for answer in locked.passes:
        for row in answer.rows():
            held = Pass(*row)
            book.passes[held.pass_id] = held
    for row in locked.visits.rows() if locked.visits else ():
        visit = Visit(*row)
        book.visits[visit.entry_id] = visit
    return book


def write_passes(pipeline: Execute, book: PassBook) -> None:
    """Queue every pass and visit that the batch has made or changed."""
    opened = [book.passes[each] for each in sorted(book.opened)]
    if opened:
        columns = number_columns(
            [
                (
                    each.lane,
                    each.pass_id,
                    each.wallet_id,
                    each.issuer_id,
                    each.custodian_id,
                    each.seller_id,
                    each.terms_id,
                    each.terms_version,
                    each.visits_sold,
                    each.price_minor,
                    each.visits,
                    each.principal,
                    int(each.is_over),
                    int(is_open(each)),
                )
                for each in opened
            ]
        )
        pipeline.execute(INSERT_PASSES, (*columns, moments([each.last_day for each in opened])))
    moved = [book.passes[each] for each in sorted(book.moved - book.opened)]
    if moved:
        rows = [
            (each.lane, each.pass_id, each.visits, each.principal, int(each.is_over), int(is_open(each)))
            for each in moved
        ]
        pipeline.execute(UPDATE_PASSES, number_columns(rows))
    taken = [book.visits[each] for each in sorted(book.taken)]
    if taken:
        columns = number_columns(
            [(v.lane, v.entry_id, v.pass_id, v.visits, v.principal, int(v.is_returned)) for v in taken]
        )
        under = (numbers([v.agreement_id for v in taken]), numbers([v.agreement_version for v in taken]))
        pipeline.execute(KEEP_VISITS, (*columns, *under))


def _places(named: Sequence[Named], kind: Kind) -> list[tuple[int, int]]:
    return [(each.original.lane, each.original.entry_id) for each in named if each.original.kind is kind]
