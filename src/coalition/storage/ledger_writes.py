"""What a batch writes of its books: wallets, lots, holds, devices and sale references, each kind with one statement."""

from collections.abc import Iterable, Sequence
from typing import Final

from coalition.domain.books import Books, HeldValue, Transit, Wallet
from coalition.domain.credentials import Device
from coalition.domain.ids import lane_of_sale
from coalition.domain.journal import Entry
from coalition.domain.kinds import Kind
from coalition.domain.sale_references import Sale, SaleReferences
from coalition.storage.arrays import for_rows, moments, number_columns, numbers, of_one, texts, whole_numbers
from coalition.storage.journal import (
    INSERT_ALLOCATIONS,
    INSERT_ENTRIES,
    INSERT_ENTRY,
    INSERT_TRANSFERS,
    Execute,
)
from coalition.storage.ledger_passes import write_passes
from coalition.storage.ledger_points import write_points
from coalition.storage.ledger_sponsors import write_taken_on
from coalition.storage.ledger_statements import (
    CLOSE_WALLETS,
    FREE_SALES,
    INSERT_HOLDS,
    INSERT_LOTS,
    KEEP_TRANSITS,
    MARK_LOTS,
    RESOLVE_HOLDS,
    TAKE_SALES,
    UPDATE_DEVICES,
    UPDATE_LOTS,
    UPDATE_WALLETS,
)
from coalition.storage.pipeline import together

# What small batches write as one statement: what is left in wallets and lots, then entries with their legs; of a lone
# payment of one lot or more, a lone top-up, a few payments, with top-ups among them or without.
TOGETHER: Final = (
    together(of_one(UPDATE_WALLETS), of_one(UPDATE_LOTS)),
    together(of_one(UPDATE_WALLETS), UPDATE_LOTS),
    together(of_one(UPDATE_WALLETS), INSERT_LOTS),
    together(UPDATE_WALLETS, UPDATE_LOTS),
    together(UPDATE_WALLETS, UPDATE_LOTS, INSERT_LOTS),
    together(INSERT_ENTRY, INSERT_TRANSFERS),
    together(INSERT_ENTRY, INSERT_TRANSFERS, of_one(INSERT_ALLOCATIONS)),
    together(INSERT_ENTRY, INSERT_TRANSFERS, INSERT_ALLOCATIONS),
    together(INSERT_ENTRIES, INSERT_TRANSFERS),
    together(INSERT_ENTRIES, INSERT_TRANSFERS, INSERT_ALLOCATIONS),
)


def write_books(
    pipeline: Execute, books: Books, touched: Sequence[Wallet], entries: Sequence[Entry], lane_count: int
) -> None:
    """Queue every row that this batch has changed."""
    if touched:
        _write_wallets(pipeline, touched, entries, books)
    if books.devices:
        _write_devices(pipeline, books.devices.values())
    if books.holds:
        _write_holds(pipeline, books.holds.values())
    if books.sales.held or books.sales.found:
        _write_sales(pipeline, books.sales, lane_count)
    if books.passes.passes:
        write_passes(pipeline, books.passes)
    if books.points is not None:
        write_points(pipeline, books, books.points)
    if books.taken_on:
        write_taken_on(pipeline, books.taken_on)
    if books.transits:
        _write_transits(pipeline, books.transits.values())


def sale_columns(sales: Sequence[Sale], lane_count: int) -> tuple[str, ...]:
    """lane, terminal_id, reference"""
    return (
        whole_numbers([lane_of_sale(*sale, lane_count) for sale in sales]),
        whole_numbers([sale.terminal_id for sale in sales]),
        texts([sale.reference for sale in sales]),
    )


def _write_wallets(pipeline: Execute, touched: Sequence[Wallet], entries: Sequence[Entry], books: Books) -> None:
    last_entry: dict[int, int] = {entry.wallet_id: entry.entry_id for entry in entries if entry.wallet_id is not None}
    opened_here = {entry.entry_id for entry in entries if entry.kind is Kind.TOP_UP} | books.opened
    balances = [(w.lane, w.wallet_id, w.balance_minor, last_entry[w.wallet_id]) for w in touched]
    pipeline.execute(*for_rows(UPDATE_WALLETS, balances))
    if closed := [(each.lane, each.wallet_id) for each in touched if each.closes]:
        pipeline.execute(CLOSE_WALLETS, number_columns(closed))
    changed, opened = [], []
    for wallet in touched:
        for lot in wallet.lots.values():
            if lot.lot_id in opened_here:
                opened.append(lot)
            elif lot.lot_id in wallet.moved:
                changed.append(lot)
    if changed and books.marks_lots:
        marked = [
            (lot.lane, lot.lot_id, lot.face, lot.principal, lot.reserved, int(lot.is_reversed)) for lot in changed
        ]
        pipeline.execute(MARK_LOTS, number_columns(marked))
    elif changed:
        pipeline.execute(*for_rows(UPDATE_LOTS, [(lot.lane, lot.lot_id, lot.face, lot.principal) for lot in changed]))
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
                lot.reserved,
                int(lot.is_reversed),
            )
            for lot in opened
        ]
        columns = number_columns(numbers_of)
        expiries = moments([lot.bonus_expiry for lot in opened])
        sponsored = numbers([lot.sponsored for lot in opened])
        pipeline.execute(INSERT_LOTS, (*columns[:8], expiries, *columns[8:], sponsored))


def _write_devices(pipeline: Execute, devices: Iterable[Device]) -> None:
    moved = [
        (each.lane, each.card_id, each.used_counter, each.tried_counter, each.tries, each.drift)
        for each in devices
        if each.is_moved
    ]
    if moved:
        pipeline.execute(UPDATE_DEVICES, number_columns(moved))


def _write_holds(pipeline: Execute, holds: Iterable[HeldValue]) -> None:
    made, resolved = [], []
    for hold in holds:
        if hold.is_new:
            made.append(hold)
        elif hold.is_moved and hold.resolved_kind is not None:
            resolved.append((hold.lane, hold.entry_id, hold.resolved_kind))
    if made:
        columns = number_columns(
            [(h.lane, h.entry_id, h.wallet.wallet_id, h.participant_id, h.amount_minor) for h in made]
        )
        ends = (numbers([hold.resolved_kind for hold in made]), moments([hold.expire_time for hold in made]))
        pipeline.execute(INSERT_HOLDS, (*columns, *ends))
    if resolved:
        pipeline.execute(RESOLVE_HOLDS, number_columns(resolved))


def _write_sales(pipeline: Execute, sales: SaleReferences, lane_count: int) -> None:
    """What is free first: the same reference may be taken again in one batch."""
    if freed := sales.freed():
        pipeline.execute(FREE_SALES, sale_columns(freed, lane_count))
    if taken := sales.taken():
        columns = sale_columns([each.sale for each in taken], lane_count)
        pipeline.execute(TAKE_SALES, (*columns, whole_numbers([each.entry_id for each in taken])))


def _write_transits(pipeline: Execute, transits: Iterable[Transit]) -> None:
    """One statement for what left and for what arrived; what did both in one batch is a row that was never open."""
    rows = [(each.lane, each.entry_id, each.to_wallet_id, int(each.is_open)) for each in transits]
    pipeline.execute(KEEP_TRANSITS, number_columns(rows))
