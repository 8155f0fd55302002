"""Sums over the legs of simulated entries: what a window claims, and where members' principal lies."""

from collections import Counter
from collections.abc import Iterable

from coalition.domain.accounts import AccountKind, TransferCode, kind_of, parties_of
from coalition.domain.journal import Transfer

ClaimKey = tuple[int, int, TransferCode]
Claims = Counter[ClaimKey]
"""Minor units by (debtor, creditor, code)."""
Floats = Counter[tuple[int, int]]
"""Members' principal by (custodian, issuer), minor units: FLOAT(k, i)."""


def claims_in(legs: Iterable[Transfer], window_id: int) -> Claims:
    """The claims of a window among these legs."""
    claims: Claims = Counter()
    for leg in legs:
        if leg.window_id == window_id and kind_of(leg.debit) is AccountKind.CLEARING:
            claims[parties_of(leg.debit)[0], parties_of(leg.credit)[0], TransferCode(leg.code)] += leg.amount_minor
    return claims


def moved(real: Iterable[Transfer], proposed: Iterable[Transfer]) -> Floats:
    """How much more principal lies with each custodian after the proposed legs than after the real ones."""
    found: Floats = Counter()
    for legs, sign in ((real, -1), (proposed, 1)):
        for leg in legs:
            for account, direction in ((leg.debit, 1), (leg.credit, -1)):
                if kind_of(account) is AccountKind.FLOAT:
                    found[parties_of(account)] += sign * direction * leg.amount_minor
    return Counter({key: amount for key, amount in found.items() if amount})
