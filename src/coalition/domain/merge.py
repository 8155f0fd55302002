"""A merge of two members' wallets, lot by lot: out of the one into transit, out of transit into the other.

Each half is an entry of its own on one wallet, so that the two may lie in different lanes; in between, TRANSIT of the
lot's issuer says what is under way (SUMS section 3). A lot that arrives is a new lot of what was left: issuer,
custodian, seller, terms, principal and expiry are those it had.
"""

from coalition.domain.accounts import WALLET, TransferCode, transit_account
from coalition.domain.books import Books, Transit, Wallet
from coalition.domain.commands import Command, MergeIn, MergeOut
from coalition.domain.decision import Decision
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.journal import AllocationRow
from coalition.domain.kinds import Kind
from coalition.domain.lots import Lot
from coalition.domain.postings import Postings
from coalition.domain.reasons import Reason


class Sending(Decision):
    """What leaves a merged wallet is under way until it arrives."""

    def apply(self, books: Books, command: Command, entry_id: int) -> None:
        """See Decision.apply."""
        super().apply(books, command, entry_id)
        wallet = self.wallet
        if wallet is None or wallet.merged_into is None:
            raise LedgerBroken(f"entry {entry_id} sends value of no merged wallet")
        books.transits[entry_id] = Transit(wallet.lane, entry_id, wallet.merged_into, is_open=True)


class Arrival(Decision):
    """What arrives is under way no more; its lot is opened by this entry."""

    def apply(self, books: Books, command: Command, entry_id: int) -> None:
        """See Decision.apply."""
        super().apply(books, command, entry_id)
        if self.original is None or self.wallet is None:
            raise LedgerBroken(f"entry {entry_id} is the arrival of nothing")
        sent = self.original
        books.transits[sent.entry_id] = Transit(sent.lane, sent.entry_id, self.wallet.wallet_id, is_open=False)
        books.opened.add(entry_id)


def decide_merge_out(command: MergeOut, books: Books) -> Decision:
    """`WALLET -> TRANSIT F`: one lot leaves a wallet that was merged into another.

    Refused: MERGE_CONFLICT where the wallet was not merged, LOT_NOT_OPEN, WALLET_HAS_HOLDS.
    """
    wallet = books.wallets[command.wallet_id]
    if wallet.merged_into is None:
        raise Refused(Reason.MERGE_CONFLICT)
    lot = wallet.lots.get(command.lot_id)
    if lot is None or not lot.face:
        raise Refused(Reason.LOT_NOT_OPEN)
    if lot.reserved:
        raise Refused(Reason.WALLET_HAS_HOLDS)
    postings = Postings(books.windows, books.programme.successors)
    postings.post(WALLET, transit_account(lot.issuer_id), lot.face, TransferCode.MERGE)
    return Sending(
        wallet=wallet,
        amount_minor=lot.face,
        principal_minor=lot.principal,
        bonus_minor=lot.bonus,
        balance_change=-lot.face,
        transfers=postings.transfers(),
        last_four="",
        changes=[(lot, -lot.face, -lot.principal)],
        allocations=[AllocationRow(lot.lot_id, 0, lot.face, lot.principal, None, None)],
        agreement_id=lot.terms_id,
        agreement_version=lot.terms_version,
    )


def decide_merge_in(command: MergeIn, books: Books, entry_id: int) -> Decision:
    """`TRANSIT -> WALLET F`: what the named entry sent opens a lot of the wallet it was sent to.

    It arrives whatever became of that wallet: closed, it pays out; merged, it sends on. Refused: ORIGINAL_UNKNOWN where
    the entry sent nothing.
    """
    original, wallet = books.original_of(command), books.wallets[command.wallet_id]
    if original is None or original.kind is not Kind.MERGE_OUT or original.reason is not Reason.ACCEPTED:
        raise Refused(Reason.ORIGINAL_UNKNOWN)
    if original.wallet_id is None or len(original.allocations) != 1:
        raise LedgerBroken(f"entry {original.entry_id} sent not one lot")
    (sent,) = original.allocations
    lot = _arrived(books.wallets[original.wallet_id].lots[sent.lot_id], wallet, entry_id, sent.face, sent.principal)
    postings = Postings(books.windows, books.programme.successors)
    postings.post(transit_account(lot.issuer_id), WALLET, lot.face, TransferCode.MERGE)
    return Arrival(
        wallet=wallet,
        amount_minor=lot.face,
        principal_minor=lot.principal,
        bonus_minor=lot.bonus,
        balance_change=lot.face,
        transfers=postings.transfers(),
        last_four="",
        opens=lot,
        original=original,
        agreement_id=lot.terms_id,
        agreement_version=lot.terms_version,
    )


def _arrived(source: Lot, wallet: Wallet, lot_id: int, face: int, principal: int) -> Lot:
    """What was left of `source`, as a lot of `wallet`: sold, so to speak, when it arrived."""
    return Lot(
        lane=wallet.lane,
        lot_id=lot_id,
        wallet_id=wallet.wallet_id,
        issuer_id=source.issuer_id,
        custodian_id=source.custodian_id,
        seller_id=source.seller_id,
        terms_id=source.terms_id,
        terms_version=source.terms_version,
        bonus_expiry=source.bonus_expiry,
        face_sold=face,
        principal_sold=principal,
        face=face,
        principal=principal,
        sponsored=_sponsored(source, face - principal),
    )


def _sponsored(source: Lot, bonus: int) -> int | None:
    """The sponsor's own part of what is left of a lot's bonus, in proportion."""
    return source.sponsored * bonus // source.bonus_sold if source.sponsored is not None and bonus else None
