"""Commands: what a terminal asks of the desk, already checked for form, frozen.

A command names its card by `token`, the keyed hash of what was presented: a card number, the ticket of a payment code,
another system's id, a phone. What was presented itself never reaches the desk. A
`pin` travels sealed and becomes what a counted try found; it is no part of what the request means, because a terminal
may not store a PIN for sending the request again.
Amounts are minor units of the scheme's currency.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Final, TypeAlias
from uuid import UUID

from coalition.domain.credentials import Evidence
from coalition.domain.kinds import Kind
from coalition.domain.pins import PinEvidence, SealedPin
from coalition.domain.sale_references import TAKERS, Sale

HOLD_SECONDS_DEFAULT: Final = 7 * 24 * 3600
"""How long a hold lasts when nobody said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What every operation carries: who asks (`participant_id` and its terminal; `actor` is the certificate's path).

    Store and terminal are None where no till asks: headquarters, or a job of the house.
    """

    participant_id: int
    store_id: int | None
    terminal_id: int | None
    actor: str
    request_id: UUID
    amount_minor: int
    occurred_time: datetime | None = None
    sale_reference: str | None = None
    _hash: bytes | None = field(default=None, init=False, repr=False, compare=False)

    kind = Kind.PURCHASE
    frees_reference = False
    """Whether it undoes the operation it names, whose sale reference is free then."""
    uses_passes = False
    """Whether the passes of the wallet it presents are to be read; those of what a follow-up names are in any case."""
    uses_points = False
    """Whether it moves points whatever the participant's programme; sales are judged by that."""
    details = b""
    """What was told of the sale, canonical (`SaleDetails`); commands that may tell have a field of it."""

    @property
    def sale(self) -> Sale | None:
        """The sale reference it takes; None where it takes none."""
        if self.sale_reference is None or self.terminal_id is None or self.kind not in TAKERS:
            return None
        return Sale(self.terminal_id, self.sale_reference)

    @property
    def body_hash(self) -> bytes:
        """SHA-256 of what the request means; made when it is first asked for, because the front door never asks."""
        made = self._hash
        if made is None:
            made = hashlib.sha256(self._meaning()).digest()
            object.__setattr__(self, "_hash", made)
        return made

    def _meaning(self) -> bytes:
        """The bytes that must be equal for two requests of one request_id to be the same request."""
        occurred = self.occurred_time.isoformat() if self.occurred_time else ""
        common = (
            f"{self.kind.name}|{self.participant_id}|{self.terminal_id}|{self.amount_minor}|{occurred}|"
            f"{self.sale_reference or ''}|"
        )
        told = common.encode() + self._particulars()
        return told + b"|" + self.details if self.details else told

    def _particulars(self) -> bytes:
        raise NotImplementedError


class Funding(StrEnum):
    """How a top-up was paid."""

    CASH = "CASH"
    BANK_TRANSFER = "BANK_TRANSFER"
    DEBIT_CARD = "DEBIT_CARD"
    CREDIT_CARD = "CREDIT_CARD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented(Command):
    """What names a wallet by a credential. `evidence` is what the front door found out about a code or a phone.

    It is no part of what the request means: a till may not keep a code, and repeats its request with a stale one.
    """

    token: bytes
    evidence: Evidence | None = None

    def _particulars(self) -> bytes:
        return self.token


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUp(Presented):
    """Sell a lot of `issuer_id` to the card's wallet; `amount_minor` is what was paid to the asking participant."""

    issuer_id: int
    terms_code: str | None = None
    funding: Funding = Funding.CASH

    kind = Kind.TOP_UP

    def _particulars(self) -> bytes:
        # Cash adds nothing: requests from before there was a choice mean the same as now.
        paid = "" if self.funding is Funding.CASH else f"|{self.funding}"
        return self.token + f"|{self.issuer_id}|{self.terms_code or ''}{paid}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase(Presented):
    """Spend `amount_minor` of the card's wallet at the asking participant."""

    pin: SealedPin | PinEvidence | None = None
    details: bytes = b""

    kind = Kind.PURCHASE


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload(Presented):
    """A purchase that the terminal approved while it had no line, told now; `occurred_time` is never absent.

    `details` say its place in the terminal's queue of such sales, too: evidence, it decides nothing.
    """

    details: bytes = b""

    kind = Kind.UPLOAD


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp(Command):
    """About an earlier operation of this participant, named by its request_id or its entry_id (exactly one)."""

    original_request_id: UUID | None = None
    original_entry_id: int | None = None

    def _particulars(self) -> bytes:
        return self._named()

    def _named(self) -> bytes:
        return f"{self.original_request_id or ''}|{self.original_entry_id or ''}".encode()


class Goods(StrEnum):
    """Where the goods of a refund were bought, and who has them afterwards."""

    OWN = "OWN"
    KEPT = "KEPT"
    PASSED_ON = "PASSED_ON"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund(FollowUp):
    """Give back `amount_minor` of an earlier purchase or capture.

    Of the asking participant's own, or (`goods` KEPT or PASSED_ON) of another's, which has agreed to that.
    """

    goods: Goods = Goods.OWN

    kind = Kind.REFUND

    def _particulars(self) -> bytes:
        # An own purchase adds nothing: requests from before there was a choice mean the same as now.
        elsewhere = b"" if self.goods is Goods.OWN else f"|{self.goods}".encode()
        return self._named() + elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUpReversal(FollowUp):
    """The money of an earlier top-up bounced: take what is left of its lot. The books know how much that is."""

    amount_minor: int = 0

    kind = Kind.TOP_UP_REVERSAL


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUpReturn(FollowUp):
    """The member returns an untouched top-up to its seller and gets the money back. The books know how much that is."""

    amount_minor: int = 0

    kind = Kind.TOP_UP_RETURN


@dataclass(frozen=True, slots=True, kw_only=True)
class OnWallet(Command):
    """Names a wallet itself: what a job of the house, or headquarters, asks in the operator's name."""

    wallet_id: int
    amount_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BonusExpiry(FollowUp):
    """Take the bonus of the lot that an earlier top-up opened, its last day being over. The books know how much it is.

    A job of the house asks, in the operator's name.
    """

    amount_minor: int = 0

    kind = Kind.BONUS_EXPIRY


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOut(OnWallet):
    """Send a lot of a merged wallet on its way to the wallet it was merged into."""

    lot_id: int

    kind = Kind.MERGE_OUT

    def _particulars(self) -> bytes:
        return f"{self.wallet_id}|{self.lot_id}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLot(OnWallet):
    """What a member held in another system: `amount_minor` paid and `bonus_minor` on top, of `issuer_id`.

    `custody` is ISSUER_HELD or OPERATOR_HELD; None: as the terms say. `terms_code` None: the issuer's only ones.
    """

    issuer_id: int
    bonus_minor: int = 0
    bonus_expiry: date | None = None
    custody: str | None = None
    terms_code: str | None = None

    kind = Kind.OPENING

    def _particulars(self) -> bytes:
        told = (self.wallet_id, self.issuer_id, self.bonus_minor, self.bonus_expiry, self.custody, self.terms_code)
        return "|".join("" if each is None else str(each) for each in told).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeIn(FollowUp):
    """Let what an entry sent arrive in the wallet that it was sent to. The books know how much that is."""

    wallet_id: int
    amount_minor: int = 0

    kind = Kind.MERGE_IN

    def _particulars(self) -> bytes:
        return f"{self.original_entry_id}|{self.wallet_id}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class CashOut(Presented):
    """The asking participant pays the member the principal of all lots. The books know how much that is.

    `closes`: the wallet is closed besides. A closed one still takes refunds, and is paid out again.
    """

    amount_minor: int = 0
    closes: bool = False
    pin: SealedPin | PinEvidence | None = None

    kind = Kind.CASH_OUT
    uses_passes = True

    def _particulars(self) -> bytes:
        return self.token + (b"|closes" if self.closes else b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(Presented):
    """Reserve `amount_minor` of the card's wallet for a capture by the asking participant within `hold_seconds`."""

    hold_seconds: int = HOLD_SECONDS_DEFAULT
    pin: SealedPin | PinEvidence | None = None
    details: bytes = b""

    kind = Kind.HOLD

    def _particulars(self) -> bytes:
        return self.token + f"|{self.hold_seconds}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class SellPass(Presented):
    """Sell a pass of `issuer_id` to the card's wallet; `amount_minor` is what was paid, and must be its price."""

    issuer_id: int
    terms_code: str | None = None
    funding: Funding = Funding.CASH

    kind = Kind.PASS_SALE
    uses_passes = True

    def _particulars(self) -> bytes:
        return self.token + f"|{self.issuer_id}|{self.terms_code or ''}|{self.funding}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitPass(Presented):
    """Take `visit_count` visits of a pass of the card's wallet at the asking participant. The books know their worth.

    `terms_code` names the pass where the member has several.
    """

    amount_minor: int = 0
    visit_count: int = 1
    terms_code: str | None = None
    pin: SealedPin | PinEvidence | None = None

    kind = Kind.PASS_VISIT
    uses_passes = True

    def _particulars(self) -> bytes:
        return self.token + f"|{self.visit_count}|{self.terms_code or ''}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnVisit(FollowUp):
    """Give the visits that an earlier entry of this participant took back to their pass. The books know their worth."""

    amount_minor: int = 0

    kind = Kind.VISIT_RETURN


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnPass(FollowUp):
    """Pay the member what is left of a pass; named by the entry that sold it. The books know how much that is."""

    amount_minor: int = 0

    kind = Kind.PASS_RETURN


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendPoints(Presented):
    """Spend `points` of the card's wallet at the asking participant. `programme_code` names whose, where several are
    honoured there. They are worth money at netting only.
    """

    amount_minor: int = 0
    points: int
    programme_code: str | None = None
    pin: SealedPin | PinEvidence | None = None

    kind = Kind.POINTS_SPEND
    uses_points = True

    def _particulars(self) -> bytes:
        return self.token + f"|{self.points}|{self.programme_code or ''}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnPoints(FollowUp):
    """Give `points` that an earlier entry of this participant spent back; 0: all that is left of them."""

    amount_minor: int = 0
    points: int = 0

    kind = Kind.POINTS_RETURN

    def _particulars(self) -> bytes:
        return self._named() + f"|{self.points}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertPoints(Presented):
    """Turn `points` of the card's wallet into value that their programme names: stored value, or a voucher.

    `programme_code` names whose, where several are honoured at the asking participant. The books know their worth.
    """

    amount_minor: int = 0
    points: int
    programme_code: str | None = None
    pin: SealedPin | PinEvidence | None = None

    kind = Kind.POINTS_CONVERSION
    uses_points = True

    def _particulars(self) -> bytes:
        return self.token + f"|{self.points}|{self.programme_code or ''}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class RepayPoints(Presented):
    """Repay `points` (0: all) that the card's wallet owes of programme `owed_code` with points of another.

    `programme_code` names these, where several are honoured at the asking participant. The books know how many.
    """

    amount_minor: int = 0
    points: int
    owed_code: str
    programme_code: str | None = None
    pin: SealedPin | PinEvidence | None = None

    kind = Kind.POINTS_REPAYMENT
    uses_points = True

    def _particulars(self) -> bytes:
        return self.token + f"|{self.points}|{self.owed_code}|{self.programme_code or ''}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsExpiry(FollowUp):
    """Take what is left of the points that an earlier entry earned, their last day being over.

    A job of the house asks, in the operator's name. The books know how many these are.
    """

    amount_minor: int = 0

    kind = Kind.POINTS_EXPIRY


Paying: TypeAlias = Purchase | Hold | CashOut | VisitPass | SpendPoints | ConvertPoints | RepayPoints
"""What takes value from a wallet that the member is present with: it may come with a PIN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture(FollowUp):
    """Spend `amount_minor` of what an earlier hold of this participant reserved, and release the rest."""

    kind = Kind.CAPTURE


@dataclass(frozen=True, slots=True, kw_only=True)
class Void(FollowUp):
    """Release an earlier hold of this participant whole. The books know how much that is."""

    amount_minor: int = 0

    kind = Kind.VOID
    frees_reference = True


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldExpiry(FollowUp):
    """Release a hold whose time is over, whoever's it is: a job of the house asks, in the operator's name."""

    amount_minor: int = 0

    kind = Kind.HOLD_EXPIRY
    frees_reference = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolve(Command):
    """Ask what became of `request_id`: its stored answer, or it is killed now, so that it is declined for ever.

    Its request id is the one it asks for; it answers for every body.
    """

    amount_minor: int = 0

    kind = Kind.TOMBSTONE

    def _particulars(self) -> bytes:
        return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverse(FollowUp):
    """Undo an operation of this participant by its request_id, whatever became of it. The books know what that is."""

    amount_minor: int = 0

    kind = Kind.REVERSAL
    frees_reference = True

    @property
    def kills(self) -> Resolve | None:
        """What is decided first where the original is unknown: it is killed. None for a reversal of itself."""
        if self.original_request_id is None or self.original_request_id == self.request_id:
            return None
        return Resolve(
            participant_id=self.participant_id,
            store_id=self.store_id,
            terminal_id=self.terminal_id,
            actor=self.actor,
            request_id=self.original_request_id,
        )
