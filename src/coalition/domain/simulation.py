"""A past window under agreements that are only proposed: who would have owed whom what.

Nothing is decided anew. What was drawn of which lots, and what was given back, stays as the journal has it; `spend` and
`give_value_back`, the desk's own rules, post it once under the versions it names and once under those that the proposal
puts in their place. What the first gives must be what the journal says. Goods are not routed elsewhere: a sale that the
proposal would have declined keeps its claims and is told.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final, NamedTuple

from coalition.domain.accounts import TransferCode
from coalition.domain.agreements import Content, Terms, Version
from coalition.domain.books import Books, Original, Wallet
from coalition.domain.errors import LedgerBroken
from coalition.domain.ids import number_of
from coalition.domain.journal import EPOCH, Transfer
from coalition.domain.kinds import Kind
from coalition.domain.lots import Allocation, Draw, Lot
from coalition.domain.postings import Postings
from coalition.domain.programme import AcceptanceInForce, Programme
from coalition.domain.purchase import Accepted, spend
from coalition.domain.reasons import Reason
from coalition.domain.refund import REFUNDABLE, give_value_back
from coalition.domain.return_elsewhere import price_of_goods
from coalition.domain.shortfall import Shortfall, shortfall_of
from coalition.domain.simulation_sums import Claims, Floats, claims_in, moved

SIMULATED_KINDS: Final = frozenset({"ACCEPTANCE", "ACQUIRING", "FEES", "TERMS"})
"""Agreements that say what is owed for what was sold. Others decide which lots, sales and limits there are at all; of
terms the sponsor, its share and the custody alone do not.
"""
GIVES_BACK: Final = (Kind.REFUND, Kind.REVERSAL)
ELSEWHERE: Final = 0
"""Stands for the windows of other calendars, whose claims are not asked for."""


class Proposal(NamedTuple):
    """The next version of the agreement `code`, or a new agreement."""

    code: str
    kind: str
    content: Content


class Pair(NamedTuple):
    """The programme as it was, and with the proposed versions; the second knows every version of the first."""

    real: Programme
    proposed: Programme


class Posted(NamedTuple):
    """A sale, or what gave back of one, as the journal keeps it.

    `sale` holds what had been returned of it before this entry; `wallet` its recruiter and the lots it drew, of which
    only who owes them, their terms and whether they had been reversed is read. `claims` are all that the entry posted.
    """

    entry_id: int
    kind: Kind
    participant_id: int
    amount_minor: int
    business_date: date
    sale: Original
    wallet: Wallet
    claims: list[Transfer]


class Cash(NamedTuple):
    """What came in for a lot, or was paid out of it, at a participant's counter: principal that its custodian has.

    `code` is that of the claim: TOP_UP_CASH for a sale and what takes it back, CASH_OUT.
    """

    entry_id: int
    participant_id: int
    principal_minor: int
    comes_in: bool
    code: TransferCode
    lot: Lot


class Simulated(NamedTuple):
    """What one entry made the participants owe, what it would have, and why it would have been declined.

    `moved` is how much more principal would lie with each custodian after it.
    """

    real: Claims
    proposed: Claims
    declined: Reason | None
    moved: Floats


def pair(programme: Programme, proposals: Iterable[Proposal], successors: Mapping[int, int]) -> Pair:
    """The programme with these successors, and the same with every proposal in force on all days there are.

    A proposal is the version after the latest: the highest version that has begun decides alone.
    """
    versions = list(programme.versions.values())
    for proposal in proposals:
        known = [version for version in versions if version.code == proposal.code]
        agreement_id = known[0].agreement_id if known else max((each.agreement_id for each in versions), default=0) + 1
        number = max((each.version for each in known), default=0) + 1
        version = (agreement_id, number, proposal.code, proposal.kind, date.min, None, proposal.content)
        versions.append(Version(*version))
    return Pair(
        _with(programme, programme.versions.values(), successors),
        _with(programme, versions, successors),
    )


def _with(programme: Programme, versions: Iterable[Version], successors: Mapping[int, int]) -> Programme:
    return Programme(
        programme.epoch,
        programme.scheme,
        programme.participants.values(),
        (),
        (),
        programme.calendars,
        versions,
        successors=successors,
    )


class Simulation:
    """One window. `programmes` gives the programmes as of a journal number; `numbers` are all that is simulated.

    What gives back of a sale of other numbers follows the agreements that the sale was really made under.
    """

    def __init__(
        self, programmes: Callable[[int], Pair], calendar_id: int, window_id: int, numbers: Sequence[range]
    ) -> None:
        self._programmes = programmes
        self._window_id = window_id
        self._numbers = numbers
        real, proposed = programmes(0)
        self._terms = dict(_newest_terms(proposed).items() - _newest_terms(real).items())
        self._sold_as = proposed
        calendars = real.calendars.values()
        self._windows = dict.fromkeys(calendars, ELSEWHERE) | {calendar_id: window_id}

    def simulate(self, posted: Posted) -> Simulated:
        """Both sums of one entry. Raises LedgerBroken where the agreements it names do not lead to what it posted."""
        now = self._programmes(number_of(posted.entry_id))
        legs = self._legs(posted, posted.sale, posted.wallet, now.real)
        real = claims_in(legs, self._window_id)
        stored = claims_in(posted.claims, self._window_id)
        if posted.kind is Kind.CAPTURE:
            # What its hold released to a lot that was reversed meanwhile: the same under every proposal.
            stored = Counter({key: amount for key, amount in stored.items() if key[2] is not TransferCode.TOP_UP_CASH})
        if real != stored:
            raise LedgerBroken(f"entry {posted.entry_id}: its claims do not follow from the agreements it names")
        sale, declined = self._proposed(posted)
        as_it_was = declined is not None or not self._is_simulated(posted.sale.entry_id)
        wallet = posted.wallet if as_it_was else self._sold_under(posted.wallet)
        if (sale, wallet) == (posted.sale, posted.wallet):
            return Simulated(real, real, declined, Counter())
        would_be = self._legs(posted, sale, wallet, now.proposed)
        return Simulated(real, claims_in(would_be, self._window_id), declined, moved(legs, would_be))

    def simulate_cash(self, cash: Cash) -> Simulated:
        """Both sums of one payment at a counter."""
        now = self._programmes(number_of(cash.entry_id))
        legs = self._cash_legs(cash, cash.lot, now.real)
        would_be = self._cash_legs(cash, self._as_sold(cash.lot), now.proposed)
        real, proposed = (claims_in(each, self._window_id) for each in (legs, would_be))
        return Simulated(real, proposed, None, moved(legs, would_be))

    def _cash_legs(self, cash: Cash, lot: Lot, programme: Programme) -> list[Transfer]:
        postings = Postings(self._windows, programme.successors)
        calendar_id = programme.calendar_id(programme.terms_sold(lot.terms_id, lot.terms_version).calendar)
        parties = (cash.participant_id, lot.custodian_id)
        if cash.comes_in:
            postings.restore(lot, cash.principal_minor, 0)
        else:
            postings.spend(lot, cash.principal_minor, 0)
            parties = parties[::-1]
        postings.claim(*parties, cash.principal_minor, cash.code, calendar_id)
        return postings.transfers()

    def _sold_under(self, wallet: Wallet) -> Wallet:
        """The wallet, its lots of the simulated numbers sold under the proposed terms; as it is where none were."""
        lots = {lot_id: self._as_sold(lot) for lot_id, lot in wallet.lots.items()}
        return wallet if lots == wallet.lots else replace(wallet, lots=lots)

    def _as_sold(self, lot: Lot) -> Lot:
        """The lot as it would have been sold: its principal lies where the proposed terms say."""
        if lot.terms_id not in self._terms or not self._is_simulated(lot.lot_id):
            return lot
        version = self._terms[lot.terms_id]
        terms = self._sold_as.terms_sold(lot.terms_id, version)
        return replace(lot, terms_version=version, custodian_id=self._sold_as.custodian(terms, lot.issuer_id))

    def _is_simulated(self, entry_id: int) -> bool:
        return any(number_of(entry_id) in numbers for numbers in self._numbers)

    def _legs(self, posted: Posted, sale: Original, wallet: Wallet, programme: Programme) -> list[Transfer]:
        books = Books(programme, posted.business_date, self._windows, EPOCH, wallets={wallet.wallet_id: wallet})
        if posted.kind in REFUNDABLE:
            return _spent(sale, wallet, books)
        undone = posted.kind is Kind.REVERSAL
        legs = give_value_back(sale, posted.amount_minor, books, fees_always=undone).transfers
        if any(claim.code is TransferCode.RETURNED_GOODS for claim in posted.claims):
            legs += price_of_goods(posted.participant_id, sale, legs, books)
        return legs

    def _proposed(self, posted: Posted) -> tuple[Original, Reason | None]:
        """The sale as it would have been made; as it was where it would not have been, with the reason."""
        sale = posted.sale
        if not self._is_simulated(sale.entry_id):
            return sale, None
        programmes = self._programmes(number_of(sale.entry_id))
        at, day = sale.participant_id, sale.business_date
        before, after = (each.acquiring(at, day) for each in programmes)
        under = (sale.agreement_id, sale.agreement_version)
        if _key(before) != _key(after):
            if after is None:
                return sale, Reason.NO_ACQUIRING_AGREEMENT
            under = (after.agreement_id, after.version)
        allocations = []
        for allocation in sale.allocations:
            changed = self._allocation(programmes, sale, posted.wallet, allocation)
            if changed is None:
                return sale, Reason.NOT_ACCEPTED_HERE
            allocations.append(changed)
        return replace(sale, agreement_id=under[0], agreement_version=under[1], allocations=allocations), None

    def _allocation(
        self, programmes: Pair, sale: Original, wallet: Wallet, allocation: Allocation
    ) -> Allocation | None:
        """The draw under the acceptance that would have held, None where none would; a shortfall is always borne."""
        short = allocation.is_shortfall
        issuer_id = sale.card_issuer_id if short else wallet.lots[allocation.lot_id].issuer_id
        if issuer_id is None:
            raise LedgerBroken(f"upload {sale.entry_id} names no card, yet its wallet fell short")
        at, day = sale.participant_id, sale.business_date
        before, after = (each.acceptance(issuer_id, at, day) for each in programmes)
        if _acceptance_key(before) == _acceptance_key(after):
            return allocation
        if short:
            agreed = shortfall_of(after, sale.amount_minor, allocation.face, issuer_id, at)
            after = agreed.held if agreed else None
        if after is None:
            return None
        version = after.version
        under = (version.agreement_id, version.version) if version else (None, None)
        return allocation._replace(agreement_id=under[0], agreement_version=under[1])


def _newest_terms(programme: Programme) -> dict[int, int]:
    """The newest version of all terms, by agreement."""
    newest: dict[int, int] = {}
    for each in programme.versions.values():
        if isinstance(each.content, Terms):
            newest[each.agreement_id] = max(each.version, newest.get(each.agreement_id, 0))
    return newest


def _spent(sale: Original, wallet: Wallet, books: Books) -> list[Transfer]:
    """The legs of a purchase, a capture or an upload that drew so much of each lot under the versions it names."""
    programme = books.programme
    if sale.agreement_id is None or sale.agreement_version is None:
        raise LedgerBroken(f"purchase {sale.entry_id} names no acquiring agreement")
    acquiring = programme.version(sale.agreement_id, sale.agreement_version)
    draws: list[Draw] = []
    accepted: Accepted = {}
    shortfall: Shortfall | None = None
    for part in sale.allocations:
        held = programme.held_then(part.agreement_id, part.agreement_version)
        if part.is_shortfall:
            issuer_id = sale.card_issuer_id or sale.participant_id
            shortfall = shortfall_of(held, sale.amount_minor, part.face, issuer_id, sale.participant_id)
        else:
            draws.append(Draw(wallet.lots[part.lot_id], part.face, part.principal))
            accepted[part.lot_id] = held
    return spend(books, wallet, sale.participant_id, acquiring, draws, accepted, shortfall).transfers


def _key(version: Version | None) -> tuple[int, int] | None:
    return None if version is None else (version.agreement_id, version.version)


def _acceptance_key(held: AcceptanceInForce | None) -> tuple[bool, tuple[int, int] | None]:
    return held is not None, None if held is None else _key(held.version)
