"""A shortfall: what a sale that was approved offline costs above what the wallet gives (SUMS section 3).

The member owes it; until it is paid somebody bears it. The acceptance agreement between the issuer of the card and the
acquirer says who, up to its limit an operation; above that, and where nothing is agreed, the acquirer bears it, because
its terminal took the risk. On-us the two are one. It is the entry's last allocation, of no lot and no principal.
"""

from collections.abc import Mapping
from typing import NamedTuple

from coalition.domain.accounts import TransferCode
from coalition.domain.books import Original
from coalition.domain.errors import LedgerBroken
from coalition.domain.journal import AllocationRow
from coalition.domain.lots import SHORTFALL_LOT, Return
from coalition.domain.postings import Postings
from coalition.domain.programme import ON_US, AcceptanceInForce, Programme


class Shortfall(NamedTuple):
    """`face` minor units that the wallet did not give; `held` is what was agreed of them, ON_US where nothing was."""

    face: int
    bearer_id: int
    held: AcceptanceInForce

    def post(self, postings: Postings, programme: Programme, acquirer_id: int) -> None:
        """`bearer => C`; nothing where C bears it itself."""
        if self.held.content is not None:
            calendar_id = programme.calendar_id(self.held.content.calendar)
            postings.claim(self.bearer_id, acquirer_id, self.face, TransferCode.SHORTFALL, calendar_id)

    def allocation(self, place: int) -> AllocationRow:
        """Its row in the entry; a refund returns it first."""
        version = self.held.version
        under = (version.agreement_id, version.version) if version else (None, None)
        return AllocationRow(SHORTFALL_LOT, place, self.face, 0, *under)


def shortfall_of(
    held: AcceptanceInForce | None, amount: int, missing: int, card_issuer_id: int, acquirer_id: int
) -> Shortfall | None:
    """Who bears the `missing` part of an operation of `amount`, under what is in force (None: not accepted); None of 0.

    An agreement that does not cover the operation is not named: it bound nobody.
    """
    if not missing:
        return None
    limit = held.content.offline_limit_minor if held and held.content else None
    if held is None or limit is None or amount > limit:
        return Shortfall(missing, acquirer_id, ON_US)
    return Shortfall(missing, bearer_of(held, card_issuer_id, acquirer_id), held)


def bearer_of(held: AcceptanceInForce, card_issuer_id: int, acquirer_id: int) -> int:
    """Who bears a shortfall that was agreed to under `held`."""
    at_issuer = held.content is not None and held.content.shortfall_bearer == "ISSUER"
    return card_issuer_id if at_issuer else acquirer_id


def return_shortfall(postings: Postings, programme: Programme, original: Original, part: Return) -> int:
    """`C => bearer`: the mirror of `Shortfall.post` for what is returned. Answers who gets it back."""
    if original.card_issuer_id is None:
        raise LedgerBroken(f"upload {original.entry_id} names no card, yet its wallet fell short")
    held = programme.held_then(part.allocation.agreement_id, part.allocation.agreement_version)
    bearer_id = bearer_of(held, original.card_issuer_id, original.participant_id)
    if held.content is not None:
        calendar_id = programme.calendar_id(held.content.calendar)
        postings.claim(original.participant_id, bearer_id, part.face, TransferCode.SHORTFALL, calendar_id)
    return bearer_id


def shortfall_facts(programme: Programme, face: int, bearer_id: int) -> Mapping[str, str]:
    """What an answer says of a shortfall: how much, and the code of who bears it (or had borne what came back)."""
    return {"shortfall_minor": str(face), "shortfall_bearer": programme.participants[bearer_id].code}
