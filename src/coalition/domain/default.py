"""A default: a participant does not pay what is due. Its collateral first, then others share the loss (SUMS section 4).

It is shared by those whose net bilateral claims made it, in proportion; the custody pool bears none, and so members'
principal does not. What is recovered later goes back in the same shares. Pure: says who bears what, and the postings.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from coalition.domain.accounts import BANK, AccountKind, TransferCode, account, due_account
from coalition.domain.journal import Transfer


@dataclass(frozen=True, slots=True)
class Default:
    """What `participant_id` owes is covered by `collateral_minor` of its own and by `shares` of the others.

    `weights` are the net bilateral claims by which the shares were taken; empty where the operator bears it.
    """

    participant_id: int
    collateral_minor: int
    shares: Mapping[int, int]
    weights: Mapping[int, int]

    @property
    def transfers(self) -> list[Transfer]:
        """`COLLATERAL(p)->DUE(p)`, then `DUE(creditor)->DUE(p)`: what p owes is 0 afterwards."""
        own = due_account(self.participant_id)
        collateral = account(AccountKind.COLLATERAL, self.participant_id)
        legs = [(collateral, own, self.collateral_minor, TransferCode.COLLATERAL)]
        legs += [
            (due_account(creditor), own, share, TransferCode.LOSS_SHARE)
            for creditor, share in sorted(self.shares.items())
        ]
        return [Transfer(debit, credit, amount, code) for debit, credit, amount, code in legs if amount]


def cover_default(
    participant_id: int,
    owed_minor: int,
    collateral_minor: int,
    claims: Iterable[tuple[int, int, int]],
    *,
    exempt: Collection[int],
    operator_id: int,
) -> Default:
    """How `owed_minor` of a participant that does not pay is covered.

    `claims` are those of the windows that it did not pay, (debtor, creditor, minor units); `exempt` are custody pools.
    Where nobody that may bear a loss has a claim on it, the operator bears it: it is paying agent to them all.
    """
    taken = min(owed_minor, max(collateral_minor, 0))
    net = net_claims_on(participant_id, claims)
    bearing = {creditor: claim for creditor, claim in net.items() if creditor not in exempt}
    shares = share_loss(owed_minor - taken, bearing or {operator_id: 1})
    return Default(participant_id, taken, shares, bearing)


def net_claims_on(participant_id: int, claims: Iterable[tuple[int, int, int]]) -> dict[int, int]:
    """What each other participant is owed by this one, less what it owes it; only those above 0."""
    net: dict[int, int] = {}
    for debtor, creditor, amount in claims:
        if debtor == participant_id:
            net[creditor] = net.get(creditor, 0) + amount
        elif creditor == participant_id:
            net[debtor] = net.get(debtor, 0) - amount
    return {other: amount for other, amount in net.items() if amount > 0}


def share_loss(loss_minor: int, weights: Mapping[int, int]) -> dict[int, int]:
    """Parts of the loss in proportion to the weights, by largest remainder; of equal remainders the lowest id first.

    They add up to the loss. Raises ValueError for no weight above 0.
    """
    total = sum(weights.values())
    if total <= 0 or min(weights.values()) < 0:
        raise ValueError("a loss is shared by weights of 0 or more, at least one above 0")
    shares = {each: loss_minor * weight // total for each, weight in weights.items()}
    remainders = sorted(weights, key=lambda each: (-(loss_minor * weights[each] % total), each))
    for each in remainders[: loss_minor - sum(shares.values())]:
        shares[each] += 1
    return {each: share for each, share in shares.items() if share}


def unpaid_windows(owed_minor: int, netted: Sequence[tuple[int, int]]) -> list[int]:
    """The windows that a participant did not pay, newest first, for the `owed_minor` that is due from it.

    `netted` are (window, what its netting made due to the participant, below 0: from it), oldest first. Payments
    settle the oldest dues first, so the newest windows are unpaid, back to where they add up to what is owed.
    """
    unpaid: list[int] = []
    left = owed_minor
    for window_id, amount in reversed(netted):
        if left <= 0:
            break
        unpaid.append(window_id)
        left += min(amount, 0)
    return unpaid


def hand_on(participant_id: int, recovered_minor: int, losses: Mapping[int, int]) -> list[Transfer]:
    """`DUE(p)->DUE(creditor)`: what came in of a defaulter goes back in the shares in which it was borne.

    `losses` are what each still bears of it. Taking what is left as the weights keeps the shares to the fen and gives
    nobody more than it bore, however a recovery is sliced. Raises ValueError for more than all bear.
    """
    if not 0 < recovered_minor <= sum(losses.values()):
        raise ValueError("what is recovered is above 0 and at most what is still borne")
    own = due_account(participant_id)
    return [
        Transfer(own, due_account(creditor), share, TransferCode.LOSS_SHARE)
        for creditor, share in sorted(share_loss(recovered_minor, losses).items())
    ]


def held_back(due: Mapping[int, int], losses: Mapping[int, Mapping[int, int]]) -> dict[int, int]:
    """How much of what is due to each defaulter no run pays out: what others still bear of it, at most what is due.

    `losses` are by defaulter and by who bears them. It is handed on to those by a recovery (`hand_on`).
    """
    held = {each: min(due.get(each, 0), sum(borne.values())) for each, borne in losses.items()}
    return {each: amount for each, amount in held.items() if amount > 0}


def collateral_payment(participant_id: int, amount_minor: int, *, back: bool) -> Transfer:
    """`BANK->COLLATERAL(p)` for collateral that was paid in, `COLLATERAL(p)->BANK` for what is paid back."""
    collateral = account(AccountKind.COLLATERAL, participant_id)
    debit, credit = (collateral, BANK) if back else (BANK, collateral)
    return Transfer(debit, credit, amount_minor, TransferCode.COLLATERAL)
