"""Sales and what gave back of them, each with all that its claims followed from, in journal order. Reads only.

Ranges of journal numbers, each in a short transaction of its own, as statements read them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any, Final

from coalition.domain.accounts import Account, AccountKind, TransferCode, Unit
from coalition.domain.books import Original, Wallet
from coalition.domain.ids import NUMBER_SHIFT, number_of
from coalition.domain.journal import Transfer
from coalition.domain.kinds import Kind
from coalition.domain.lots import SHORTFALL_LOT, Allocation, Lot
from coalition.domain.programme import Programme
from coalition.domain.reasons import Reason
from coalition.domain.refund import REFUNDABLE
from coalition.domain.simulation import GIVES_BACK, Cash, Posted
from coalition.storage.connect import Connection
from coalition.storage.settlement_entries import WHOLE_JOURNAL_PATIENCE
from coalition.storage.statement_lines import NUMBERS_MAX, Ranges

ROWS_FETCHED: Final = 2_000
ENTRIES: Final = """
SELECT entry_id, lane, kind, participant_id, amount_minor, business_date,
       CASE WHEN kind = ANY (%(sales)s) THEN entry_id ELSE original_entry_id END
FROM entries
WHERE entry_id >= %(first)s AND entry_id < %(end)s AND reason = 0 AND amount_minor > 0 AND kind = ANY (%(kinds)s)
ORDER BY entry_id
"""
SALES: Final = """
SELECT s.entry_id, s.lane, s.kind, s.participant_id, s.wallet_id, s.amount_minor, s.agreement_id, s.agreement_version,
       s.business_date, c.issuer_id, w.recruiter_id
FROM unnest(%(lanes)s::smallint[], %(sold)s::bigint[]) AS asked (lane, entry_id)
JOIN entries s USING (lane, entry_id)
JOIN wallets w ON w.lane = s.lane AND w.wallet_id = s.wallet_id
LEFT JOIN cards c ON c.lane = s.lane AND c.card_id = s.card_id
WHERE s.kind = ANY (%(sales)s) AND s.reason = 0
"""
# Rows of lots say what is left now; what a past claim followed from is fixed when the lot is sold. Whether it had been
# reversed is asked of the journal, and only of the few that are. `+ 0` leaves the indexes of what a row belongs to as
# the only ones that help: by the primary keys each row would read a whole lane.
DRAWN: Final = """
SELECT asked.before, a.place, a.lot_id, a.face, a.principal, a.agreement_id, a.agreement_version,
       back.face, back.principal, l.issuer_id, l.custodian_id, l.seller_id, l.terms_id, l.terms_version,
       l.face_sold, l.principal_sold, l.is_reversed AND EXISTS (
           SELECT FROM entries r WHERE r.lane = l.lane AND r.wallet_id = l.wallet_id AND r.entry_id + 0 < asked.before
               AND r.original_entry_id = l.lot_id AND r.reason = 0 AND r.kind = ANY (%(reverses)s)
       ), l.sponsored
FROM unnest(%(lanes)s::smallint[], %(sold)s::bigint[], %(befores)s::bigint[]) AS asked (lane, entry_id, before)
JOIN allocations a USING (lane, entry_id) LEFT JOIN lots l USING (lane, lot_id)
CROSS JOIN LATERAL (
    SELECT coalesce(sum(b.face), 0)::bigint AS face, coalesce(sum(b.principal), 0)::bigint AS principal
    FROM allocations b WHERE b.lane = a.lane AND b.original_entry_id = a.entry_id AND b.place + 0 = a.place
        AND b.entry_id + 0 < asked.before
) AS back
ORDER BY asked.before, a.place
"""
# In money: points are valued once the window is closed, and no proposal that is simulated changes what they are worth.
CLAIMS: Final = """
SELECT entry_id, debit, credit, amount_minor, code, window_id FROM transfers
WHERE entry_id >= %(first)s AND entry_id <= %(last)s AND window_id IS NOT NULL AND unit = %(money)s
"""
# Principal that came in at a counter for a lot of these terms, or was paid out: the lot's custodian has it or had it.
CASH: Final = """
SELECT e.entry_id, e.participant_id, l.principal_sold, true, %(in)s, e.lane, l.lot_id, l.wallet_id, l.issuer_id,
       l.custodian_id, l.seller_id, l.terms_id, l.terms_version, l.face_sold, l.principal_sold, false, l.sponsored
FROM entries e JOIN lots l ON l.lane = e.lane AND l.lot_id = e.entry_id
WHERE e.entry_id >= %(first)s AND e.entry_id < %(end)s AND e.kind = %(top_up)s AND e.reason = 0
    AND l.terms_id = ANY (%(terms)s)
UNION ALL
SELECT e.entry_id, CASE e.kind WHEN %(cash_out)s THEN e.participant_id ELSE l.seller_id END, a.principal, false,
       CASE e.kind WHEN %(cash_out)s THEN %(out)s ELSE %(in)s END, e.lane, l.lot_id, l.wallet_id, l.issuer_id,
       l.custodian_id, l.seller_id, l.terms_id, l.terms_version, l.face_sold, l.principal_sold, false, l.sponsored
FROM entries e JOIN allocations a USING (lane, entry_id) JOIN lots l USING (lane, lot_id)
LEFT JOIN entries o ON o.lane = e.lane AND o.entry_id = e.original_entry_id
WHERE e.entry_id >= %(first)s AND e.entry_id < %(end)s AND e.reason = 0 AND a.original_entry_id IS NULL
    AND (e.kind = ANY (%(takes)s) OR (e.kind = %(reversal)s AND o.kind = %(top_up)s)) AND l.terms_id = ANY (%(terms)s)
ORDER BY 1
"""
FLOATS: Final = """
SELECT account >> 24 & 16777215, account & 16777215, sum(amount)::bigint FROM (
    SELECT debit AS account, amount_minor AS amount FROM transfers
        WHERE debit >> 48 = %(float)s AND unit = %(money)s AND entry_id < %(end)s
    UNION ALL SELECT credit, -amount_minor FROM transfers
        WHERE credit >> 48 = %(float)s AND unit = %(money)s AND entry_id < %(end)s
) AS legs GROUP BY 1, 2 HAVING sum(amount) <> 0 ORDER BY 1, 2
"""
HANDED_OVER: Final = """
SELECT entry_id, told.answer #>> '{answer,participant}', told.answer #>> '{answer,successor}'
FROM entries CROSS JOIN LATERAL (SELECT convert_from(answer, 'UTF8')::json AS answer) AS told
WHERE kind = %s AND reason = 0 ORDER BY entry_id
"""
LAST_BONUS_DAY: Final = date.max
"""Stands for the day on which a lot's bonus ends, of which no claim follows."""


def posted_entries(connection: Connection, ranges: Ranges) -> Iterator[Posted]:
    """The accepted purchases, captures and uploads of these numbers, their refunds and reversals, in journal order."""
    for after, up_to in ranges:
        for start in range(after, up_to, NUMBERS_MAX):
            parameters = {
                "first": start + 1 << NUMBER_SHIFT,
                "end": min(up_to, start + NUMBERS_MAX) + 1 << NUMBER_SHIFT,
                "sales": list(REFUNDABLE),
                "kinds": [*REFUNDABLE, *GIVES_BACK],
            }
            with connection.transaction(), connection.cursor("posted_entries") as rows:
                rows.execute(ENTRIES, parameters)
                while fetched := rows.fetchmany(ROWS_FETCHED):
                    yield from _posted(connection, fetched)


def cash_entries(connection: Connection, ranges: Ranges, terms: Sequence[int]) -> Iterator[Cash]:
    """What came in and was paid out at counters for lots sold under these terms, in journal order."""
    for after, up_to in ranges:
        for start in range(after, up_to, NUMBERS_MAX):
            parameters = {
                "first": start + 1 << NUMBER_SHIFT,
                "end": min(up_to, start + NUMBERS_MAX) + 1 << NUMBER_SHIFT,
                "terms": list(terms),
                "in": TransferCode.TOP_UP_CASH,
                "out": TransferCode.CASH_OUT,
                "top_up": Kind.TOP_UP,
                "cash_out": Kind.CASH_OUT,
                "reversal": Kind.REVERSAL,
                "takes": [Kind.CASH_OUT, Kind.TOP_UP_REVERSAL, Kind.TOP_UP_RETURN],
            }
            for entry_id, participant_id, principal, comes_in, code, *lot in connection.execute(CASH, parameters):
                yield Cash(entry_id, participant_id, principal, comes_in, TransferCode(code), _lot(*lot))


def floats_at(connection: Connection, number: int) -> dict[tuple[int, int], int]:
    """Members' principal by custodian and issuer, once the batches to `number` were written. Reads the journal."""
    parameters = {"float": AccountKind.FLOAT, "money": Unit.MONEY, "end": number + 1 << NUMBER_SHIFT}
    with connection.transaction():
        connection.execute(f"SET LOCAL statement_timeout = '{WHOLE_JOURNAL_PATIENCE}'")
        rows = connection.execute(FLOATS, parameters).fetchall()
    return {(custodian, issuer): amount for custodian, issuer, amount in rows}


def successions(connection: Connection, programme: Programme) -> list[tuple[int, dict[int, int]]]:
    """From which journal number on who stands for whom, oldest first; it begins with nobody for anybody."""
    standing: dict[int, int] = {}
    found = [(0, standing)]
    for entry_id, leaving, successor in connection.execute(HANDED_OVER, (Kind.SUCCESSION,)):
        ours, theirs = (programme.participant_by_code[code].participant_id for code in (leaving, successor))
        standing = {each: theirs if then == ours else then for each, then in standing.items()} | {ours: theirs}
        found.append((number_of(entry_id), standing))
    return found


def _posted(connection: Connection, entries: Sequence[tuple[Any, ...]]) -> Iterator[Posted]:
    """These entries with all that belongs to them; not the reversals of what is no sale."""
    asked = {
        "lanes": [entry[1] for entry in entries],
        "sold": [entry[6] for entry in entries],
        "befores": [entry[0] for entry in entries],
        "sales": list(REFUNDABLE),
        "reverses": [Kind.TOP_UP_REVERSAL, Kind.TOP_UP_RETURN, Kind.REVERSAL],
    }
    sales = {row[0]: row for row in connection.execute(SALES, asked)}
    drawn: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for before, *row in connection.execute(DRAWN, asked):
        drawn[before].append(tuple(row))
    claims: dict[int, list[Transfer]] = defaultdict(list)
    for entry_id, debit, credit, amount, code, window in connection.execute(
        CLAIMS, {"first": entries[0][0], "last": entries[-1][0], "money": Unit.MONEY}
    ):
        claims[entry_id].append(Transfer(Account(debit), Account(credit), amount, TransferCode(code), window))
    for entry_id, _, kind, participant_id, amount, day, sold in entries:
        if sold in sales:
            sale, wallet = _sale(sales[sold], drawn[entry_id])
            yield Posted(entry_id, Kind(kind), participant_id, amount, day, sale, wallet, claims[entry_id])


def _sale(row: tuple[Any, ...], drawn: Iterable[tuple[Any, ...]]) -> tuple[Original, Wallet]:
    entry_id, lane, kind, participant_id, wallet_id, amount, agreement_id, version, day, card_issuer_id, recruiter = row
    allocations, lots = [], {}
    for place, lot_id, face, principal, held_id, held_version, back, principal_back, *lot in drawn:
        allocations.append(Allocation(place, lot_id, face, principal, held_id, held_version, back, principal_back))
        if lot_id != SHORTFALL_LOT:
            lots[lot_id] = _lot(lane, lot_id, wallet_id, *lot)
    sale = Original(
        entry_id,
        lane,
        Kind(kind),
        Reason.ACCEPTED,
        participant_id,
        wallet_id,
        amount,
        agreement_id,
        version,
        "",
        day,
        allocations,
        card_issuer_id,
    )
    return sale, Wallet(lane, wallet_id, 0, recruiter, "OPEN", lots=lots)


def _lot(
    lane: int,
    lot_id: int,
    wallet_id: int,
    issuer_id: int,
    custodian_id: int,
    seller_id: int,
    terms_id: int,
    terms_version: int,
    face_sold: int,
    principal_sold: int,
    is_reversed: bool,  # noqa: FBT001 - a column
    sponsored: int | None,
) -> Lot:
    return Lot(
        lane,
        lot_id,
        wallet_id,
        issuer_id,
        custodian_id,
        seller_id,
        terms_id,
        terms_version,
        LAST_BONUS_DAY,
        face_sold,
        principal_sold,
        face_sold,
        principal_sold,
        is_reversed=is_reversed,
        sponsored=sponsored,
    )
