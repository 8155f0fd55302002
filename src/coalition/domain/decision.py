"""A decision: what an accepted command does to the books. Nothing is changed until it is applied."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from coalition.domain.books import Books, HeldValue, Original, Reservation, Wallet
from coalition.domain.commands import Command
from coalition.domain.ids import lane_of_entry
from coalition.domain.journal import NO_FACTS, AllocationRow, Transfer
from coalition.domain.kinds import Kind
from coalition.domain.lots import Allocation, Lot
from coalition.domain.points import PointsChange
from coalition.domain.reasons import Reason
from coalition.domain.sale_references import TakenSale
from coalition.domain.usage import Line, Tier


@dataclass(slots=True)
class Decision:
    """What an accepted command does. `changes` are (lot, face change, principal change); a new lot is in `opens`.

    `reserves` are kept aside by a hold until `hold_expire_time`; `resolves` is the hold whose reservations end;
    `reverses` the reversed lot; `closes`: the wallet is closed; `points` what happens to its points, `repays` what it
    owes less of others. Only a reversal of what never took place has no wallet. `facts` are what the answer, and so the
    journal, keeps besides: the tier of a spend, how a top-up was paid, a shortfall, a used code, that the wallet is
    closed, a pass, points.
    """

    wallet: Wallet | None
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
    hold_expire_time: datetime | None = None
    resolves: HeldValue | None = None
    allocations: list[AllocationRow] = field(default_factory=list)
    original: Original | None = None
    agreement_id: int | None = None
    agreement_version: int | None = None
    facts: Mapping[str, str] | None = None
    card_issuer_id: int | None = None
    closes: bool = False
    points: PointsChange | None = None
    repays: PointsChange | None = None

    def apply(self, books: Books, command: Command, entry_id: int) -> None:
        """Bring the books up to this decision, so that the batch's next command sees it."""
        wallet = self.wallet
        if wallet is not None:
            self._apply_to_wallet(wallet, books)
            if wallet.usage is not None:
                wallet.usage.take(self._line(books, command, entry_id))
            if self.repays is not None:
                books.points_book().repay(self.repays, wallet.wallet_id)
            if self.points is not None:
                books.points_book().take(self.points, wallet.lane, wallet.wallet_id, entry_id, books.business_date)
        if self.original is not None:
            _count_returns(self.original, self.allocations)
        if self.resolves is not None:
            self.resolves.resolved_kind = command.kind
            self.resolves.is_moved = True
        if command.sale_reference is not None or command.frees_reference:
            self._apply_to_sales(books, command, entry_id)
        if books.tickets:
            self.facts = {**(self.facts or NO_FACTS), **books.use_code(command)}
        if not books.names_originals and self.hold_expire_time is None:
            return
        original = Original(
            entry_id,
            wallet.lane if wallet else lane_of_entry(entry_id),
            command.kind,
            Reason.ACCEPTED,
            command.participant_id,
            wallet.wallet_id if wallet else None,
            self.amount_minor,
            self.agreement_id,
            self.agreement_version,
            self.last_four,
            books.business_date,
            [Allocation(row.place, row.lot_id, *row[2:6]) for row in self.allocations],
            self.card_issuer_id,
            self._takes(command, entry_id),
        )
        books.originals_by_request[command.participant_id, command.request_id] = original
        books.originals_by_entry[entry_id] = original
        if wallet is not None and self.hold_expire_time is not None:
            books.holds[entry_id] = self._hold(wallet, original, self.hold_expire_time)

    def _apply_to_sales(self, books: Books, command: Command, entry_id: int) -> None:
        if (sale := command.sale) is not None:
            books.sales.take(sale, entry_id)
        if command.frees_reference and self.original is not None and self.original.takes is not None:
            books.sales.free(self.original.takes)

    def _takes(self, command: Command, entry_id: int) -> TakenSale | None:
        """The sale reference that is freed when the entry is undone; a capture's is its hold's."""
        if command.kind is Kind.CAPTURE:
            return self.original.takes if self.original else None
        return TakenSale(sale, entry_id) if (sale := command.sale) is not None else None

    def _apply_to_wallet(self, wallet: Wallet, books: Books) -> None:
        wallet.balance_minor += self.balance_change
        if self.closes:
            wallet.state, wallet.closes = "CLOSED", True
        if self.opens is not None:
            wallet.lots[self.opens.lot_id] = self.opens
        for lot, face, principal in self.changes:
            lot.face += face
            lot.principal += principal
            wallet.moved.add(lot.lot_id)
        if self.reverses is not None:
            self.reverses.is_reversed = True
            wallet.moved.add(self.reverses.lot_id)
            books.marks_lots = True
        if self.reserves or self.resolves is not None:
            self._apply_reservations(wallet)
            books.marks_lots = True

    def _apply_reservations(self, wallet: Wallet) -> None:
        for lot, face in self.reserves:
            lot.reserved += face
            wallet.moved.add(lot.lot_id)
        if self.resolves is not None:
            for lot, face in self.resolves.reservations:
                lot.reserved -= face
                wallet.moved.add(lot.lot_id)

    def _line(self, books: Books, command: Command, entry_id: int) -> Line:
        return Line(
            entry_id,
            command.kind,
            self.card_id,
            self.amount_minor,
            books.business_date,
            books.time,
            Tier((self.facts or NO_FACTS).get("tier", Tier.STATIC)),
            self.original.entry_id if self.original else None,
        )

    def _hold(self, wallet: Wallet, made: Original, expire_time: datetime) -> HeldValue:
        return HeldValue(
            made.entry_id,
            made.lane,
            made.participant_id,
            wallet,
            self.amount_minor,
            self.last_four,
            self.card_id,
            expire_time,
            self.reserves,
            is_new=True,
        )


def _count_returns(original: Original, rows: list[AllocationRow]) -> None:
    back = {row.place: row for row in rows if row.original_entry_id == original.entry_id}
    original.allocations = [
        allocation._replace(
            returned_face=allocation.returned_face + back[allocation.place].face,
            returned_principal=allocation.returned_principal + back[allocation.place].principal,
        )
        if allocation.place in back
        else allocation
        for allocation in original.allocations
    ]
