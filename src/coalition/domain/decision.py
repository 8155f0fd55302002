"""A decision: what an accepted command does to the books. Nothing is changed until it is applied."""

from dataclasses import dataclass, field

from coalition.domain.books import Books, HeldValue, Original, Reservation, Wallet
from coalition.domain.commands import Command
from coalition.domain.journal import AllocationRow, Transfer
from coalition.domain.kinds import Kind
from coalition.domain.lots import Allocation, Lot
from coalition.domain.reasons import Reason


@dataclass(slots=True)
class Decision:
    """What an accepted command does. `changes` are (lot, face change, principal change); a new lot is in `opens`.

    `reserves` are kept aside by a hold; `captures` is the hold whose reservations end; `reverses` the reversed lot.
    """

    wallet: Wallet
    amount_minor: int
    principal_minor: int
    bonus_minor: int
    balance_change: int
    transfers: list[Transfer]
    last_four: str
    card_id: int | None = None
    changes: list[tuple[Lot, int, int]] = field(default_factory=list)
    opens: Lot | None = None
    reverses: Lot | None = None
    reserves: list[Reservation] = field(default_factory=list)
    captures: HeldValue | None = None
    allocations: list[AllocationRow] = field(default_factory=list)
    original: Original | None = None
    agreement_id: int | None = None
    agreement_version: int | None = None

    def apply(self, books: Books, command: Command, entry_id: int) -> None:
        """Bring the books up to this decision, so that the batch's next command sees it."""
        wallet = self.wallet
        wallet.balance_minor += self.balance_change
        if self.opens is not None:
            wallet.lots[self.opens.lot_id] = self.opens
        for lot, face, principal in self.changes:
            lot.face += face
            lot.principal += principal
            wallet.moved.add(lot.lot_id)
        if self.reverses is not None:
            self.reverses.is_reversed = True
            wallet.moved.add(self.reverses.lot_id)
        if command.kind is Kind.REFUND and self.original is not None:
            _count_returns(self.original, self.allocations)
        elif command.kind is Kind.HOLD or command.kind is Kind.CAPTURE:
            self._apply_hold(books, command, entry_id)
        if not books.names_originals:
            return
        original = Original(
            entry_id,
            wallet.lane,
            command.kind,
            Reason.ACCEPTED,
            command.participant_id,
            wallet.wallet_id,
            self.amount_minor,
            self.agreement_id,
            self.agreement_version,
            self.last_four,
            [Allocation(row.place, row.lot_id, *row[2:6]) for row in self.allocations],
        )
        books.originals_by_request[command.participant_id, command.request_id] = original
        books.originals_by_entry[entry_id] = original

    def _apply_hold(self, books: Books, command: Command, entry_id: int) -> None:
        for lot, face in self.reserves:
            lot.reserved += face
        if self.captures is not None:
            for lot, face in self.captures.reservations:
                lot.reserved -= face
            self.captures.is_open = False
        else:
            books.holds[entry_id] = HeldValue(
                entry_id,
                command.participant_id,
                self.wallet,
                self.amount_minor,
                self.last_four,
                self.card_id,
                self.reserves,
            )


def _count_returns(original: Original, rows: list[AllocationRow]) -> None:
    back = {row.place: row for row in rows}
    original.allocations = [
        allocation._replace(
            returned_face=allocation.returned_face + back[allocation.place].face,
            returned_principal=allocation.returned_principal + back[allocation.place].principal,
        )
        if allocation.place in back
        else allocation
        for allocation in original.allocations
    ]
