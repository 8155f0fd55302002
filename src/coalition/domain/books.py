"""The books of one batch: the rows it locked and read, as working copies that its later commands see changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from coalition.domain.commands import Command, FollowUp, Presented
from coalition.domain.credentials import CODE, NUMBER, CodeEvidence, Device, PayTicket
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.journal import NO_FACTS
from coalition.domain.kinds import Kind
from coalition.domain.lots import Allocation, Lot, consumption_order
from coalition.domain.passes import PassBook
from coalition.domain.pins import HeldPin
from coalition.domain.points import PointsBook
from coalition.domain.programme import Programme
from coalition.domain.reasons import Reason
from coalition.domain.sale_references import SaleReferences, TakenSale
from coalition.domain.usage import Usage


@dataclass(slots=True)
class Wallet:
    """A locked wallet with its lots: the open ones, and those that a refund in this batch may reopen.

    `moved` are the lots that this batch has changed and the store must write, `closes` says that it was closed by this
    batch. It is named once its member's real name was verified. What comes to a wallet that was `merged_into` another
    is sent on to that. `usage` is what it has spent lately, where a limit asks for that.
    """

    lane: int
    wallet_id: int
    balance_minor: int
    recruiter_id: int
    state: str
    is_named: bool = False
    merged_into: int | None = None
    lots: dict[int, Lot] = field(default_factory=dict)
    moved: set[int] = field(default_factory=set)
    usage: Usage | None = None
    closes: bool = False

    def open_lots(self) -> list[Lot]:
        return consumption_order(lot for lot in self.lots.values() if lot.face)


@dataclass(frozen=True, slots=True)
class Card:
    """A card as it stands after its wallet was locked. Limits are minor units; None is no limit.

    `kind` says what names it: NUMBER (printed), CODE (a member's device), VIRTUAL (another system's id), PHONE.
    """

    card_id: int
    wallet_id: int | None
    state: str
    last_four: str
    issuer_id: int
    operation_limit_minor: int | None = None
    day_limit_minor: int | None = None
    month_limit_minor: int | None = None
    kind: str = NUMBER

    @property
    def has_period_limit(self) -> bool:
        """Whether a spend is judged by what this card has spent before."""
        return self.day_limit_minor is not None or self.month_limit_minor is not None


@dataclass(slots=True)
class Original:
    """An earlier entry that a command names, with what was returned of it so far.

    `card_issuer_id` is who issued the card it was made with: who may bear what its wallet could not give. `takes` is
    the sale reference that it, or the hold it captured, has taken.
    """

    entry_id: int
    lane: int
    kind: Kind
    reason: Reason
    participant_id: int
    wallet_id: int | None
    amount_minor: int
    agreement_id: int | None
    agreement_version: int | None
    last_four: str
    business_date: date
    allocations: list[Allocation] = field(default_factory=list)
    card_issuer_id: int | None = None
    takes: TakenSale | None = None

    @property
    def returned(self) -> int:
        return sum(allocation.returned_face for allocation in self.allocations)


class Reservation(NamedTuple):
    """What a hold keeps aside of one lot."""

    lot: Lot
    face: int


@dataclass(slots=True)
class HeldValue:
    """A hold with its reservations, in the order they were made. Open until an entry of `resolved_kind` ends it.

    `is_new` and `is_moved` say what the store must write: this batch has made it, or ended it.
    """

    entry_id: int
    lane: int
    participant_id: int
    wallet: Wallet
    amount_minor: int
    last_four: str
    card_id: int | None
    expire_time: datetime
    reservations: list[Reservation]
    resolved_kind: Kind | None = None
    is_new: bool = False
    is_moved: bool = False

    @property
    def is_open(self) -> bool:
        return self.resolved_kind is None


class Transit(NamedTuple):
    """What entry `entry_id` sent to wallet `to_wallet_id`; open while it has not arrived."""

    lane: int
    entry_id: int
    to_wallet_id: int
    is_open: bool


@dataclass(slots=True)
class Books:
    """Everything a batch decides against. `windows` maps calendar_id to the open window that this commit holds.

    `time` is the batch's own, and decides what has expired. `tickets` are those of its payment codes by their tokens,
    `devices` what they belong to by card_id. `names_originals` says whether a command of the batch names
    an earlier entry: only then are its own remembered. `marks_lots` says that a lot's reservation or its being reversed
    has changed, which few batches do. `transits` are what a merge sent or brought, `opened` the lots that others than
    top-ups opened. `pins` are, by wallet, those that a command of the batch was compared with. `passes` are read only
    where a command of the batch needs them, and so are `points` (None: nothing of the batch moves any). `taken_on` is,
    by agreement, what sponsors have taken on, held where a sale of the batch may add to it.
    """

    programme: Programme
    business_date: date
    windows: dict[int, int]
    time: datetime
    wallets: dict[int, Wallet] = field(default_factory=dict)
    cards: dict[bytes, Card] = field(default_factory=dict)
    tickets: dict[bytes, PayTicket] = field(default_factory=dict)
    devices: dict[int, Device] = field(default_factory=dict)
    originals_by_request: dict[tuple[int, UUID], Original] = field(default_factory=dict)
    originals_by_entry: dict[int, Original] = field(default_factory=dict)
    holds: dict[int, HeldValue] = field(default_factory=dict)
    sales: SaleReferences = field(default_factory=SaleReferences)
    pins: dict[int, HeldPin] = field(default_factory=dict)
    transits: dict[int, Transit] = field(default_factory=dict)
    opened: set[int] = field(default_factory=set)
    passes: PassBook = field(default_factory=PassBook)
    points: PointsBook | None = None
    taken_on: dict[int, int] = field(default_factory=dict)
    names_originals: bool = True
    marks_lots: bool = False

    def points_book(self) -> PointsBook:
        """The points of the batch. Raises LedgerBroken where nobody thought that it moves any."""
        if self.points is None:
            raise LedgerBroken("points are moved by a batch that has not read them")
        return self.points

    def balance_here(self, wallet: Wallet, acquirer_id: int) -> int:
        """What of the wallet can be spent at `acquirer_id` today, minor units."""
        taken, day = self.programme.taken, self.business_date
        return sum(
            lot.face - lot.reserved
            for lot in wallet.lots.values()
            if lot.face and taken(lot.issuer_id, acquirer_id, day) is not None
        )

    def card_and_wallet(self, command: Presented, *, closed_too: bool = False) -> tuple[Card, Wallet]:
        """A card that may be used and its wallet. Raises Refused with what stands in the way, a code's faults last.

        With `closed_too` the wallet may be closed.
        """
        card = self.cards.get(command.token)
        if card is None:
            raise Refused(Reason.CARD_UNKNOWN)
        if card.state == "REPLACED":
            raise Refused(Reason.CARD_REPLACED)
        if card.state == "FROZEN":
            raise Refused(Reason.CARD_FROZEN)
        if card.wallet_id is None or card.state != "ACTIVE":
            raise Refused(Reason.CARD_NOT_LINKED)
        wallet = self.wallets[card.wallet_id]
        if wallet.state != "OPEN" and not closed_too:
            raise Refused(Reason.WALLET_CLOSED)
        if card.kind == CODE:
            device, ticket, evidence = self._code(command, card)
            device.judge(ticket, evidence)
        return card, wallet

    def linked_card(self, token: bytes) -> tuple[Card, Wallet]:
        """A card that leads to a wallet, whether or not it may be used. Raises Refused where there is none."""
        card = self.cards.get(token)
        if card is None:
            raise Refused(Reason.CARD_UNKNOWN)
        if card.wallet_id is None:
            raise Refused(Reason.CARD_NOT_LINKED)
        return card, self.wallets[card.wallet_id]

    def use_code(self, command: Command) -> Mapping[str, str]:
        """An accepted command has used its payment code, if it was made with one; the facts that the journal keeps."""
        card = self.cards.get(command.token) if isinstance(command, Presented) else None
        if card is None or card.kind != CODE or not isinstance(command, Presented):
            return NO_FACTS
        device, ticket, evidence = self._code(command, card)
        return device.use(ticket, evidence)

    def count_wrong_code(self, command: Command) -> int | None:
        """A command was declined for its code's password: the try is counted. The device's card_id."""
        card = self.cards.get(command.token) if isinstance(command, Presented) else None
        if card is None or not isinstance(command, Presented):
            return None
        device, ticket, _ = self._code(command, card)
        device.count_wrong(ticket)
        return card.card_id

    def _code(self, command: Presented, card: Card) -> tuple[Device, PayTicket, CodeEvidence]:
        """The device and ticket of a command's code. CARD_UNKNOWN where the front door did not know the ticket yet."""
        ticket, evidence = self.tickets.get(command.token), command.evidence
        if ticket is None or not isinstance(evidence, CodeEvidence) or evidence.card_id != card.card_id:
            raise Refused(Reason.CARD_UNKNOWN)
        return self.devices[card.card_id], ticket, evidence

    def original_of(self, command: FollowUp) -> Original | None:
        """The entry that a refund, a capture, a void or a reversal names, if it was found."""
        if command.original_entry_id is not None:
            return self.originals_by_entry.get(command.original_entry_id)
        if command.original_request_id is not None:
            return self.originals_by_request.get((command.participant_id, command.original_request_id))
        return None
