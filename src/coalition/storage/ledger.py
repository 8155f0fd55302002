"""One batch of the desk as one transaction: claim, lock, read, number; then write, commit (DESIGN section 4).

READ COMMITTED, every step a statement of its own, so each sees what committed while it waited. Statements of a step
travel together in pipeline mode: a small batch costs three round trips. Planner settings of this session are pinned to
index look-ups, because a plan made while a table was small would be kept when it no longer is.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import psycopg

from coalition.domain.books import Books, Card, Original, Wallet
from coalition.domain.commands import Command, Refund
from coalition.domain.errors import Contention, LedgerBroken
from coalition.domain.ids import lane_of_entry
from coalition.domain.journal import Entry, Notary, Outcome
from coalition.domain.kinds import Kind
from coalition.domain.lots import Allocation, Lot
from coalition.domain.prefetch import Prefetched, Stored
from coalition.domain.programme import Programme
from coalition.domain.reasons import Reason
from coalition.storage.arrays import byte_strings, moments, plain_texts, whole_numbers
from coalition.storage.connect import Connection, connect, translated
from coalition.storage.journal import (
    CLAIM,
    COPY_FROM,
    HOLD_JOURNAL,
    STORED,
    TAKE_NUMBER,
    claim_parameters,
    copy_batch,
    write_batch,
)

WINDOW_TRIES: Final = 3

RESOLVE: Final = "SELECT token, lane, wallet_id, card_id FROM credentials WHERE token = ANY(%s::bytea[])"
ORIGINALS_BY_REQUEST: Final = """
SELECT e.entry_id, e.lane, e.kind, e.reason, e.participant_id, e.wallet_id, e.amount_minor, e.agreement_id,
       e.agreement_version, e.card_id, e.request_id
FROM unnest(%s::integer[], %s::uuid[]) AS asked (participant_id, request_id)
JOIN entries e USING (participant_id, request_id)
"""
ORIGINALS_BY_ENTRY: Final = """
SELECT e.entry_id, e.lane, e.kind, e.reason, e.participant_id, e.wallet_id, e.amount_minor, e.agreement_id,
       e.agreement_version, e.card_id, e.request_id
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, entry_id)
JOIN entries e USING (lane, entry_id)
"""
LOCK_WALLETS: Final = """
SELECT w.lane, w.wallet_id, w.balance_minor, w.recruiter_id, w.state
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, wallet_id)
JOIN wallets w USING (lane, wallet_id)
ORDER BY w.lane, w.wallet_id FOR UPDATE OF w
"""
CARDS: Final = """
SELECT c.card_id, c.wallet_id, c.state, c.last_four
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, card_id)
JOIN cards c USING (lane, card_id)
"""
LOT_COLUMNS: Final = """l.lane, l.lot_id, l.wallet_id, l.issuer_id, l.custodian_id, l.seller_id, l.terms_id,
    l.terms_version, l.bonus_expiry, l.face_sold, l.principal_sold, l.face, l.principal, l.reserved, l.is_reversed"""
OPEN_LOTS: Final = f"""
SELECT {LOT_COLUMNS}
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, wallet_id)
JOIN lots l USING (lane, wallet_id) WHERE l.is_open
"""
ORIGINAL_LOTS: Final = f"""
SELECT DISTINCT {LOT_COLUMNS}
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, entry_id)
JOIN allocations a USING (lane, entry_id) JOIN lots l USING (lane, lot_id)
"""
ALLOCATIONS: Final = """
SELECT a.entry_id, a.place, a.lot_id, a.face, a.principal, a.agreement_id, a.agreement_version,
       (SELECT coalesce(sum(b.face), 0)::bigint FROM allocations b
        WHERE b.lane = a.lane AND b.original_entry_id = a.entry_id AND b.place = a.place),
       (SELECT coalesce(sum(b.principal), 0)::bigint FROM allocations b
        WHERE b.lane = a.lane AND b.original_entry_id = a.entry_id AND b.place = a.place)
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, entry_id)
JOIN allocations a USING (lane, entry_id)
ORDER BY a.entry_id, a.place
"""
OPEN_WINDOWS: Final = """
SELECT w.calendar_id, w.window_id, (SELECT epoch FROM config_epoch)
FROM windows w WHERE w.state = 'OPEN' ORDER BY w.window_id FOR SHARE OF w
"""
UPDATE_WALLETS: Final = """
UPDATE wallets w SET balance_minor = new.balance_minor, last_entry_id = new.last_entry_id
FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[], %s::bigint[])
    AS new (lane, wallet_id, balance_minor, last_entry_id)
WHERE w.lane = new.lane AND w.wallet_id = new.wallet_id
"""
UPDATE_LOTS: Final = """
UPDATE lots l SET face = new.face, principal = new.principal, is_open = new.face > 0
FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[], %s::bigint[]) AS new (lane, lot_id, face, principal)
WHERE l.lane = new.lane AND l.lot_id = new.lot_id
"""
INSERT_LOTS: Final = """
INSERT INTO lots (lane, lot_id, wallet_id, issuer_id, custodian_id, seller_id, terms_id, terms_version, bonus_expiry,
    face_sold, principal_sold, face, principal, is_open)
SELECT *, true FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[], %s::integer[], %s::integer[], %s::integer[],
    %s::integer[], %s::integer[], %s::date[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
"""
DESK_SESSION: Final = (
    "SET plan_cache_mode = force_generic_plan",
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET enable_bitmapscan = off",
)

Loader = Callable[[Connection], Programme]
BusinessDate = Callable[[datetime], date]


class LedgerStore:
    """The desk's store: one connection, reopened when it breaks. Used by one thread."""

    def __init__(self, dsn: str, load: Loader, business_date: BusinessDate, notary: Notary) -> None:
        self._dsn = dsn
        self._load = load
        self._business_date = business_date
        self._notary = notary
        self._connection: Connection | None = None
        self._programme: Programme | None = None

    @contextmanager
    def batch(self) -> Iterator["LedgerBatch"]:
        """A transaction that commits when the block ends well. See clearing.store.Store for what it raises."""
        batch: LedgerBatch | None = None
        try:
            connection = self._connected()
            batch = LedgerBatch(connection, self._current(connection), self._load, self._business_date, self._notary)
            yield batch
            batch.commit()
            self._programme = batch.programme
        except psycopg.Error as error:
            self._roll_back()
            raise translated(error) from error
        except BaseException:
            self._roll_back()
            raise

    def close(self) -> None:
        """Drop the connection; what was not committed is gone."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._dsn, "coalition desk")
            self._connection.prepare_threshold = 0
            self._connection.prepared_max = 200
            for setting in DESK_SESSION:
                self._connection.execute(setting)
        return self._connection

    def _current(self, connection: Connection) -> Programme:
        if self._programme is None:
            self._programme = self._load(connection)
        return self._programme

    def _roll_back(self) -> None:
        if self._connection is None:
            return
        try:
            self._connection.execute("ROLLBACK")
        except psycopg.Error:
            self.close()


class LedgerBatch:
    """See the module: `prefetch` once, `write` once, `commit` by the store."""

    def __init__(
        self,
        connection: Connection,
        programme: Programme,
        load: Loader,
        business_date: BusinessDate,
        notary: Notary,
    ) -> None:
        self._connection = connection
        self.programme = programme
        self._load = load
        self._business_date = business_date
        self._notary = notary
        self._wrote = False

    def prefetch(self, commands: Sequence[Command]) -> Prefetched:
        """Claim, resolve, lock, read, take a number. `commands` have distinct (participant, request_id)."""
        stored, pointers, originals = self._claim(commands)
        wallet_keys = {(lane, wallet) for lane, wallet, _ in pointers.values() if wallet is not None}
        wallet_keys |= {(o.lane, o.wallet_id) for o, _, _ in originals if o.wallet_id is not None}
        return self._lock(sorted(wallet_keys), pointers, originals, stored)

    def write(self, prefetched: Prefetched, entries: Sequence[Entry], touched: Sequence[Wallet]) -> None:
        """Send every insert and update of the batch, sealed, and its COMMIT: one round trip for a small batch."""
        connection, number, time = self._connection, prefetched.number, prefetched.time
        with connection.cursor() as cursor:
            large = len(entries) >= COPY_FROM
            seal = self._notary.seal(number, time, entries) if entries else None
            if seal and large:
                copy_batch(cursor, number, time, entries, seal)
            with connection.pipeline():
                if seal and not large:
                    write_batch(cursor, number, time, entries, seal)
                if touched:
                    _write_wallets(cursor, touched, entries)
                cursor.execute("COMMIT", prepare=True)
        self._wrote = True

    def commit(self) -> None:
        """Commit a batch in which nothing had to be written (all of it was replayed)."""
        if not self._wrote:
            self._connection.execute("COMMIT")

    def _claim(
        self, commands: Sequence[Command]
    ) -> tuple[
        dict[tuple[int, UUID], Stored],
        dict[bytes, tuple[int, int | None, int]],
        list[tuple[Original, int | None, UUID]],
    ]:
        connection = self._connection
        claim = claim_parameters(commands, self.programme.scheme.lane_count)
        tokens = {token for command in commands if (token := getattr(command, "token", None)) is not None}
        refunds = [command for command in commands if isinstance(command, Refund)]
        by_request = [(r.participant_id, r.original_request_id) for r in refunds if r.original_request_id is not None]
        by_entry = [r.original_entry_id for r in refunds if r.original_entry_id is not None]
        with connection.pipeline():
            connection.execute("BEGIN", prepare=True)
            claimed = connection.execute(CLAIM, claim, prepare=True)
            resolved = connection.execute(RESOLVE, (byte_strings(tokens),), prepare=True) if tokens else None
            named: list[psycopg.Cursor[Any]] = []
            if by_request:
                columns = (
                    whole_numbers([participant for participant, _ in by_request]),
                    plain_texts([request for _, request in by_request]),
                )
                named.append(connection.execute(ORIGINALS_BY_REQUEST, columns, prepare=True))
            if by_entry:
                entry_columns = whole_numbers(map(lane_of_entry, by_entry)), whole_numbers(by_entry)
                named.append(connection.execute(ORIGINALS_BY_ENTRY, entry_columns, prepare=True))
        stored: dict[tuple[int, UUID], Stored] = {}
        if claimed.rowcount < len(commands):
            rows = connection.execute(STORED, claim[:3], prepare=True).fetchall()
            if len(rows) != len(commands) - claimed.rowcount:
                raise Contention("a rival's claim is not visible yet")
            for request_id, participant_id, body_hash, _, kind, answer in rows:
                outcome = Outcome.from_answer(answer) if kind < Kind.PARTICIPANT_CREATED else None
                stored[participant_id, UUID(request_id)] = Stored(body_hash, outcome)
        pointers = (
            {token: (lane, wallet, card) for token, lane, wallet, card in resolved.fetchall()} if resolved else {}
        )
        return stored, pointers, [_original(row) for cursor in named for row in cursor.fetchall()]

    def _lock(
        self,
        wallet_keys: list[tuple[int, int]],
        pointers: dict[bytes, tuple[int, int | None, int]],
        originals: list[tuple[Original, int | None, UUID]],
        stored: dict[tuple[int, UUID], Stored],
    ) -> Prefetched:
        connection = self._connection
        wallets_by = whole_numbers([lane for lane, _ in wallet_keys]), whole_numbers([w for _, w in wallet_keys])
        card_keys = [(lane, card) for lane, _, card in pointers.values()]
        card_keys += [(o.lane, card) for o, card, _ in originals if card is not None]
        cards_by = whole_numbers([lane for lane, _ in card_keys]), whole_numbers([card for _, card in card_keys])
        originals_by = (
            whole_numbers([o.lane for o, _, _ in originals]),
            whole_numbers([o.entry_id for o, _, _ in originals]),
        )
        with connection.pipeline():
            wallet_rows = connection.execute(LOCK_WALLETS, wallets_by, prepare=True)
            card_rows = connection.execute(CARDS, cards_by, prepare=True)
            lot_rows = [connection.execute(OPEN_LOTS, wallets_by, prepare=True)]
            allocation_rows = None
            if originals:
                lot_rows.append(connection.execute(ORIGINAL_LOTS, originals_by, prepare=True))
                allocation_rows = connection.execute(ALLOCATIONS, originals_by, prepare=True)
            window_rows = connection.execute(OPEN_WINDOWS, prepare=True)
            connection.execute(HOLD_JOURNAL, prepare=True)
            number_row = connection.execute(TAKE_NUMBER, prepare=True)
        windows, epoch = _windows(window_rows)
        number, time = _row(number_row)
        windows, epoch, number, time = self._until_all_open(windows, epoch, number, time)
        if epoch != self.programme.epoch:
            self.programme = self._load(connection)
        books = Books(self.programme, self._business_date(time), windows)
        for row in wallet_rows.fetchall():
            books.wallets[row[1]] = Wallet(*row)
        for cursor in lot_rows:
            for row in cursor.fetchall():
                books.wallets[row[2]].lots[row[1]] = Lot(*row)
        _fill_cards(books, card_rows.fetchall(), pointers, originals)
        _fill_originals(books, originals, allocation_rows.fetchall() if allocation_rows else [])
        return Prefetched(stored, books, number, time)

    def _until_all_open(
        self, windows: dict[int, int], epoch: int, number: int, time: datetime
    ) -> tuple[dict[int, int], int, int, datetime]:
        """A calendar without a window was being closed: the next one is in a newer snapshot, so look again.

        The number is taken anew, because it must come after the last lock; the unused one stays a gap.
        """
        for _ in range(WINDOW_TRIES):
            if set(self.programme.calendars.values()) <= windows.keys():
                break
            with self._connection.pipeline():
                window_rows = self._connection.execute(OPEN_WINDOWS, prepare=True)
                number_row = self._connection.execute(TAKE_NUMBER, prepare=True)
            windows, epoch = _windows(window_rows)
            number, time = _row(number_row)
        return windows, epoch, number, time


def _row(cursor: "psycopg.Cursor[Any]") -> tuple[Any, ...]:
    """The one row of a statement that always has one. Raises LedgerBroken otherwise."""
    row = cursor.fetchone()
    if row is None:
        raise LedgerBroken("a statement that always answers one row answered none")
    return tuple(row)


def _windows(cursor: "psycopg.Cursor[Any]") -> tuple[dict[int, int], int]:
    rows = cursor.fetchall()
    return {calendar: window for calendar, window, _ in rows}, rows[0][2] if rows else -1


def _original(row: tuple[Any, ...]) -> tuple[Original, int | None, UUID]:
    entry, lane, kind, reason, participant, wallet, amount, agreement, version, card, request_id = row
    original = Original(
        entry, lane, Kind(kind), Reason(reason), participant, wallet, amount, agreement, version, last_four=""
    )
    return original, card, request_id


def _fill_cards(
    books: Books,
    rows: list[tuple[Any, ...]],
    pointers: dict[bytes, tuple[int, int | None, int]],
    originals: list[tuple[Original, int | None, UUID]],
) -> None:
    cards = {row[0]: Card(*row) for row in rows}
    for token, (_, _, card_id) in pointers.items():
        card = cards.get(card_id)
        if card is None or (card.wallet_id is not None and card.wallet_id not in books.wallets):
            raise Contention("a card moved to another wallet while it was read")
        books.cards[token] = card
    for original, paid_with, _ in originals:
        if paid_with in cards:
            original.last_four = cards[paid_with].last_four


def _fill_originals(
    books: Books, originals: list[tuple[Original, int | None, UUID]], allocations: list[tuple[Any, ...]]
) -> None:
    for original, _, request_id in originals:
        known = books.originals_by_entry.setdefault(original.entry_id, original)
        books.originals_by_request[original.participant_id, request_id] = known
    for row in allocations:
        allocation = Allocation(*row[1:])
        kept = books.originals_by_entry[row[0]].allocations
        if all(each.place != allocation.place for each in kept):
            kept.append(allocation)


def _write_wallets(cursor: "psycopg.Cursor[Any]", touched: Sequence[Wallet], entries: Sequence[Entry]) -> None:
    last_entry: dict[int, int] = {entry.wallet_id: entry.entry_id for entry in entries if entry.wallet_id is not None}
    opened_here = {entry.entry_id for entry in entries if entry.kind is Kind.TOP_UP}
    balances = [(w.lane, w.wallet_id, w.balance_minor, last_entry[w.wallet_id]) for w in touched]
    cursor.execute(UPDATE_WALLETS, _columns(balances), prepare=True)
    changed, opened = [], []
    for wallet in touched:
        for lot in wallet.lots.values():
            if lot.lot_id in opened_here:
                opened.append(lot)
            elif lot.lot_id in wallet.moved:
                changed.append((lot.lane, lot.lot_id, lot.face, lot.principal))
    if changed:
        cursor.execute(UPDATE_LOTS, _columns(changed), prepare=True)
    if opened:
        numbers_of = [
            (
                lot.lane,
                lot.lot_id,
                lot.wallet_id,
                lot.issuer_id,
                lot.custodian_id,
                lot.seller_id,
                lot.terms_id,
                lot.terms_version,
                lot.face_sold,
                lot.principal_sold,
                lot.face,
                lot.principal,
            )
            for lot in opened
        ]
        columns = _columns(numbers_of)
        expiries = moments([lot.bonus_expiry for lot in opened])
        cursor.execute(INSERT_LOTS, (*columns[:8], expiries, *columns[8:]), prepare=True)


def _columns(rows: Sequence[tuple[int, ...]]) -> tuple[str, ...]:
    return tuple(whole_numbers(column) for column in zip(*rows, strict=True))
