"""Postings: the transfers of one entry, and how a purchase's value is shared out (SUMS section 3).

`Postings` collects transfers of one entry, adding up those that are alike and leaving out those of nothing or of a party to
itself. `Shares` says who owes whom what for a draw of a lot; a purchase posts it whole, a refund posts the difference
between two states of being returned, so any slicing of a full refund is the exact inverse.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from coalition.domain.accounts import (
    WALLET,
    Account,
    TransferCode,
    bonus_account,
    clearing_account,
    float_account,
)
from coalition.domain.agreements import WHOLE, ZERO, Acceptance, Acquiring, Terms
from coalition.domain.errors import LedgerBroken, NoOpenWindow
from coalition.domain.journal import Transfer
from coalition.domain.lots import Lot
from coalition.domain.programme import AcceptanceInForce, Programme
from coalition.domain.rates import Rate, cumulative_shares


class Postings:
    """The legs of one entry under construction. `windows` maps calendar_id to its open window."""

    __slots__ = ("_amounts", "_windows")

    def __init__(self, windows: Mapping[int, int]) -> None:
        self._windows = windows
        self._amounts: dict[tuple[Account, Account, TransferCode, int | None], int] = {}

    def post(self, debit: Account, credit: Account, amount: int, code: TransferCode, window: int | None = None) -> None:
        """Add `debit -> credit amount`. Nothing is posted for 0 or between an account and itself."""
        if amount < 0:
            raise LedgerBroken(f"a transfer of {amount} was computed for code {code.name}")
        if amount and debit != credit:
            key = (debit, credit, code, window)
            self._amounts[key] = self._amounts.get(key, 0) + amount

    def claim(self, debtor: int, creditor: int, amount: int, code: TransferCode, calendar_id: int) -> None:
        """Add a claim `debtor => creditor` in the open window of the calendar. Raises NoOpenWindow."""
        if amount and debtor != creditor:
            try:
                window = self._windows[calendar_id]
            except KeyError:
                raise NoOpenWindow(calendar_id) from None
            self.post(clearing_account(debtor), clearing_account(creditor), amount, code, window)

    def spend(self, lot: Lot, principal: int, bonus: int) -> None:
        """`WALLET -> FLOAT` and `WALLET -> BONUS`: value of a lot leaves the wallet."""
        self.post(WALLET, float_account(lot.custodian_id, lot.issuer_id), principal, TransferCode.PRINCIPAL)
        self.post(WALLET, bonus_account(lot.issuer_id), bonus, TransferCode.BONUS)

    def restore(self, lot: Lot, principal: int, bonus: int) -> None:
        """The mirror of `spend`: value comes back to the wallet."""
        self.post(float_account(lot.custodian_id, lot.issuer_id), WALLET, principal, TransferCode.PRINCIPAL)
        self.post(bonus_account(lot.issuer_id), WALLET, bonus, TransferCode.BONUS)

    def transfers(self) -> list[Transfer]:
        return [
            Transfer(debit, credit, amount, code, window)
            for (debit, credit, code, window), amount in self._amounts.items()
        ]


@dataclass(frozen=True, slots=True)
class Bearers:
    """Who bears the bonus of a lot at an acquirer, in order, with exact parts that add up to 1."""

    parties: tuple[int, ...]
    parts: tuple[Rate, ...]

    def shares(self, bonus: int) -> list[int]:
        """Each but the last takes the cumulative floor of its parts, the last the rest."""
        marks, taken, sum_part = [], 0, ZERO
        for part in self.parts[:-1]:
            sum_part = Rate.of(
                sum_part.numerator * part.denominator + part.numerator * sum_part.denominator,
                sum_part.denominator * part.denominator,
            )
            mark = sum_part.floor(bonus)
            marks.append(mark - taken)
            taken = mark
        return [*marks, bonus - taken]

    def shares_returned(self, bonus: int, before: int, after: int) -> list[int]:
        """What each gets back when the returned part of `bonus` grows from `before` to `after`."""
        if bonus == 0:
            return [0] * len(self.parties)
        weights = tuple(self.shares(bonus))
        now, then = cumulative_shares(after, weights, bonus), cumulative_shares(before, weights, bonus)
        return [x - y for x, y in zip(now, then, strict=True)]


def bearers(programme: Programme, lot: Lot, acceptance: Acceptance, acquirer_id: int) -> Bearers:
    """The acceptance agreement splits between issuer and acquirer; the issuer's part goes on to the lot's sponsor."""
    issuer_part = acceptance.issuer_bonus_share
    terms = programme.version(lot.terms_id, lot.terms_version).content
    sponsor_part = ZERO
    parties, parts = [], []
    if isinstance(terms, Terms) and terms.sponsor is not None and terms.sponsor_share != ZERO:
        sponsor_part = terms.sponsor_share
        own = issuer_part.times(sponsor_part.complement())
        parties += [lot.issuer_id, programme.participant_by_code[terms.sponsor].participant_id]
        parts += [own, issuer_part.times(sponsor_part)]
    else:
        parties.append(lot.issuer_id)
        parts.append(issuer_part)
    if issuer_part != WHOLE:
        parties.append(acquirer_id)
        parts.append(issuer_part.complement())
    return Bearers(tuple(parties), tuple(parts))


@dataclass(slots=True)
class Portion:
    """What an entry drew under one acceptance version: the base of its interchange, summed over the lots."""

    issuer_id: int
    content: Acceptance
    face: int = 0
    principal: int = 0

    def fee(self) -> int:
        """The interchange of the whole portion, half-even once."""
        base = self.face if self.content.interchange_base == "GROSS" else self.principal
        return self.content.interchange.half_even(base)


def entry_fees(programme: Programme, content: Acquiring, recruiter_id: int, face: int, principal: int) -> "EntryFees":
    """The operator's fee and the commission of one purchase, each rounded half-even once."""
    base = face if content.fee_base == "GROSS" else principal
    payee = (
        recruiter_id
        if content.commission_to == "RECRUITER"
        else programme.participant_by_code[content.commission_to].participant_id
    )
    return EntryFees(content.operator_fee.half_even(base), content.commission.half_even(base), payee)


@dataclass(frozen=True, slots=True)
class EntryFees:
    """What the acquirer owes per purchase, minor units; `payee_id` receives the commission."""

    operator_fee: int
    commission: int
    payee_id: int


def claims_of_draw(
    postings: Postings,
    programme: Programme,
    lot: Lot,
    in_force: AcceptanceInForce,
    acquirer_id: int,
    principal: int,
    bonus: int,
) -> None:
    """Post `k => C p` and `bearers => C` for a draw; on-us only a foreign custodian still owes."""
    calendar_id, borne = draw_terms(programme, lot, in_force, acquirer_id)
    postings.claim(lot.custodian_id, acquirer_id, principal, TransferCode.PRINCIPAL, calendar_id)
    if borne is not None and bonus:
        for party, share in zip(borne.parties, borne.shares(bonus), strict=True):
            postings.claim(party, acquirer_id, share, TransferCode.BONUS, calendar_id)


def claims_of_return(
    postings: Postings,
    programme: Programme,
    lot: Lot,
    in_force: AcceptanceInForce,
    acquirer_id: int,
    principal: int,
    bonus_whole: int,
    bonus_before: int,
    bonus_after: int,
) -> None:
    """The mirror of `claims_of_draw` for the part of a draw that a refund returns."""
    calendar_id, borne = draw_terms(programme, lot, in_force, acquirer_id)
    postings.claim(acquirer_id, lot.custodian_id, principal, TransferCode.PRINCIPAL, calendar_id)
    if borne is not None:
        shares = borne.shares_returned(bonus_whole, bonus_before, bonus_after)
        for party, share in zip(borne.parties, shares, strict=True):
            postings.claim(acquirer_id, party, share, TransferCode.BONUS, calendar_id)


def draw_terms(
    programme: Programme, lot: Lot, in_force: AcceptanceInForce, acquirer_id: int
) -> tuple[int, Bearers | None]:
    """The calendar of a draw's claims and who bears its bonus (None: the issuer itself, on-us, unless a sponsor does)."""
    if in_force.content is not None:
        return (
            programme.calendar_id(in_force.content.calendar),
            bearers(programme, lot, in_force.content, acquirer_id),
        )
    terms = programme.version(lot.terms_id, lot.terms_version).content
    if not isinstance(terms, Terms):
        raise LedgerBroken(f"lot {lot.lot_id} was not sold under terms")
    if terms.sponsor is None or terms.sponsor_share == ZERO:
        return programme.calendar_id(terms.calendar), None
    sponsor_id = programme.participant_by_code[terms.sponsor].participant_id
    parts = (terms.sponsor_share.complement(), terms.sponsor_share)
    return programme.calendar_id(terms.calendar), Bearers((lot.issuer_id, sponsor_id), parts)


def post_entry_fees(
    postings: Postings,
    programme: Programme,
    fees: EntryFees,
    acquirer_id: int,
    calendar_id: int,
    *,
    refund: bool,
) -> None:
    """The operator's fee and the commission: owed by the acquirer, or back to it."""
    for payee, amount, code in (
        (programme.scheme.operator_id, fees.operator_fee, TransferCode.OPERATOR_FEE),
        (fees.payee_id, fees.commission, TransferCode.COMMISSION),
    ):
        debtor, creditor = (payee, acquirer_id) if refund else (acquirer_id, payee)
        postings.claim(debtor, creditor, amount, code, calendar_id)


def add_to_portion(
    portions: dict[tuple[int, int], Portion], held: AcceptanceInForce, issuer_id: int, face: int, principal: int
) -> tuple[int, int] | None:
    """Count a draw into the interchange base of its (agreement version, issuer); None on-us."""
    if held.version is None or held.content is None:
        return None
    key = (held.version.agreement_id << 32 | held.version.version, issuer_id)
    portion = portions.get(key)
    if portion is None:
        portion = portions[key] = Portion(issuer_id, held.content)
    portion.face += face
    portion.principal += principal
    return key
