"""The books made of the rows that a batch has locked and read: what follow-ups name, with its holds."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from coalition.domain.books import Books, HeldValue, Original, Reservation
from coalition.domain.kinds import Kind
from coalition.domain.lots import Allocation
from coalition.domain.reasons import Reason
from coalition.domain.sale_references import TAKERS, Sale, TakenSale


class Named(NamedTuple):
    """An original that a command names, the card it was made with, its request, and the entry it names itself."""

    original: Original
    card_id: int | None
    request_id: UUID
    original_entry_id: int | None


def named_of(row: tuple[Any, ...]) -> Named:
    """A row of ORIGINALS_BY_REQUEST or ORIGINALS_BY_ENTRY."""
    entry, lane, kind, reason, participant, wallet, amount, agreement, version, day, card, request_id, *sale = row
    terminal, reference, original_entry_id = sale
    original = Original(
        entry, lane, Kind(kind), Reason(reason), participant, wallet, amount, agreement, version, "", day
    )
    if kind in TAKERS and reference is not None and terminal is not None:
        original.takes = TakenSale(Sale(terminal, reference), entry)
    return Named(original, card, request_id, original_entry_id)


def captures_of(named: Sequence[Named]) -> dict[int, Named]:
    """The captures among what was named, by the entry of their hold."""
    return {
        each.original_entry_id: each
        for each in named
        if each.original.kind is Kind.CAPTURE and each.original_entry_id is not None
    }


def fill_originals(books: Books, named: Sequence[Named], allocations: Sequence[tuple[Any, ...]]) -> None:
    """Put what was named into the books, with what it drew or reserved and what has been returned of it."""
    for original, _, request_id, _ in named:
        known = books.originals_by_entry.setdefault(original.entry_id, original)
        books.originals_by_request[original.participant_id, request_id] = known
    for row in allocations:
        allocation = Allocation(*row[1:])
        kept = books.originals_by_entry[row[0]].allocations
        if all(each.place != allocation.place for each in kept):
            kept.append(allocation)


def fill_holds(books: Books, named: Sequence[Named], rows: Sequence[tuple[Any, ...]]) -> None:
    """Put the holds among what was named into the books; their lots are there already."""
    ends = {entry: (expire_time, resolved) for entry, expire_time, resolved in rows}
    for original, card_id, *_ in named:
        if original.entry_id not in ends or original.wallet_id is None:
            continue
        expire_time, resolved = ends[original.entry_id]
        wallet = books.wallets[original.wallet_id]
        books.holds[original.entry_id] = HeldValue(
            original.entry_id,
            original.lane,
            original.participant_id,
            wallet,
            original.amount_minor,
            original.last_four,
            card_id,
            expire_time,
            [
                Reservation(wallet.lots[row.lot_id], row.face)
                for row in books.originals_by_entry[original.entry_id].allocations
            ],
            None if resolved is None else Kind(resolved),
        )
