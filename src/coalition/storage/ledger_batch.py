"""One batch of the desk as one transaction: claim, lock, read, number; then write, commit (DESIGN section 4).

READ COMMITTED, every step a statement of its own, so each sees what committed while it waited. A batch of cards seen
before costs two round trips: everything up to the number, then every insert and update with the COMMIT.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

from coalition.domain.books import Books, Card, Wallet
from coalition.domain.commands import Command, FollowUp, Hold, Purchase, Reverse
from coalition.domain.credentials import VIRTUAL, PayTicket
from coalition.domain.errors import Contention, LedgerBroken
from coalition.domain.ids import lane_of_entry, lane_of_wallet
from coalition.domain.journal import Entry, Notary, Outcome
from coalition.domain.kinds import OF_PASSES, OPENS_LOT, Kind
from coalition.domain.limits import wallets_to_count
from coalition.domain.lots import Lot
from coalition.domain.prefetch import Prefetched, Stored
from coalition.domain.programme import Programme
from coalition.domain.sale_references import Sale, TakenSale
from coalition.storage.arrays import byte_strings, for_rows, number_columns, plain_texts, whole_numbers
from coalition.storage.connect import Connection
from coalition.storage.journal import (
    COPY_FROM,
    STORED,
    TAKE_NUMBER,
    claim_of,
    copy_entries,
    insert_batch,
    insert_entries,
    requests_columns,
)
from coalition.storage.ledger_books import Named, captures_of, fill_holds, fill_originals, named_of
from coalition.storage.ledger_credentials import PresentedCredentials, fill_presented, presented_by
from coalition.storage.ledger_passes import LockedPasses, lock_passes, read_passes
from coalition.storage.ledger_points import read_points
from coalition.storage.ledger_sponsors import held_terms, hold
from coalition.storage.ledger_statements import (
    ALLOCATIONS,
    CARDS,
    DEVICES,
    HOLDS,
    LOCK_SALES,
    LOCK_WALLETS,
    OPEN_LOTS,
    OPEN_WINDOWS,
    ORIGINAL_LOTS,
    ORIGINALS_BY_ENTRY,
    ORIGINALS_BY_REQUEST,
    RESOLVE,
    RESOLVE_TICKETS,
    SALES_OF_HOLDS,
    TOP_UP_LOTS,
)
from coalition.storage.ledger_usage import Bounds, read_usage
from coalition.storage.ledger_writes import sale_columns, write_books
from coalition.storage.pins import held_pins, lock_pins, write_forgiven
from coalition.storage.pipeline import Answer, Gathered, Pipeline

WINDOW_TRIES: Final = 3

BusinessDate = Callable[[datetime], date]


class Pointer(NamedTuple):
    """Where a credential leads: its card's lane and id, and the wallet, if it is linked."""

    lane: int
    wallet_id: int | None
    card_id: int


Pointers: TypeAlias = dict[bytes, Pointer]
Key: TypeAlias = tuple[int, UUID]


class Locked(NamedTuple):
    """The answers of the locking step, not read yet."""

    wallets: Answer
    cards: Answer
    devices: Answer | None
    lots: list[Answer]
    allocations: Answer | None
    holds: Answer | None
    passes: LockedPasses | None
    pins: Answer | None
    sales: Answer | None
    windows: Answer
    taken_on: Answer | None
    number: Answer


class LedgerBatch:
    """`prefetch` once, `write` once, `commit` by the store.

    `pointers` is the store's memory of credentials, `bounds` its memory of where days begin in the journal.
    """

    def __init__(
        self,
        connection: Connection,
        pipeline: Pipeline,
        programme: Programme,
        pointers: Pointers,
        load: Callable[[Connection], Programme],
        business_date: BusinessDate,
        notary: Notary,
        bounds: Bounds,
    ) -> None:
        self._connection = connection
        self._pipeline = pipeline
        self.programme = programme
        self._pointers = pointers
        self._bounds = bounds
        self._load = load
        self._business_date = business_date
        self._notary = notary
        self._wrote = False

    def prefetch(self, commands: Sequence[Command]) -> Prefetched:
        """Claim, resolve, lock, read, take a number. `commands` have distinct (participant, request_id).

        A reversal claims its original's request id too, so that whoever sends that meanwhile is waited for, or waits.
        """
        presented = presented_by(commands)
        follow_ups = [command for command in commands if isinstance(command, FollowUp)]
        reversals = {_key(command): command for command in follow_ups if isinstance(command, Reverse)}
        while True:
            claims = _claims(commands, reversals) if reversals else commands
            self._pipeline.execute("BEGIN")
            claimed = self._pipeline.execute(*claim_of(claims, self.programme.scheme.lane_count))
            self._pipeline.flush()
            pointers, named = self._resolve(presented, follow_ups)
            held = held_terms(self.programme, commands)
            locked = self._lock(pointers, named, presented, _sales(commands, named), held)
            self._pipeline.run()
            stored = self._stored(claims) if claimed.rowcount < len(claims) else {}
            if len(stored) != len(claims) - claimed.rowcount:
                raise Contention("a rival's claim is not visible yet")
            idle = [key for key, reversal in reversals.items() if key in stored and _target(reversal) not in stored]
            if not idle:
                prefetched = self._read(locked, pointers, named, presented, stored, commands)
                self._count(prefetched.books, commands, stored)
                if self.programme.has_points:
                    read_points(self._pipeline, prefetched.books, commands, named)
                return prefetched
            # These are not decided here: something else is stored under their request ids. What they claimed besides
            # would be left without an entry, so begin again without that.
            self._connection.execute("ROLLBACK")
            for key in idle:
                del reversals[key]

    def write(self, prefetched: Prefetched, entries: Sequence[Entry], touched: Sequence[Wallet]) -> None:
        """Send every insert and update of the batch, sealed, and its COMMIT, which `commit` waits for.

        What is ready first goes first, so that the database works while the rest is made ready: the signature, and
        what the caller still has to do.
        """
        pipeline, number, time = self._pipeline, prefetched.number, prefetched.time
        books, lane_count = prefetched.books, self.programme.scheme.lane_count
        moves = bool(touched or books.devices)
        copies = len(entries) >= COPY_FROM
        if moves and not copies:
            gathered = Gathered()
            write_books(gathered, books, touched, entries, lane_count)
            pipeline.execute_together(gathered.told)
            pipeline.flush()
        seal = self._notary.seal(number, time, entries) if entries else None
        if seal is not None and not copies:
            gathered = Gathered()
            insert_entries(gathered, entries, seal)
            pipeline.execute_together(gathered.told)
            pipeline.flush()
        elif seal is not None:
            with self._connection.cursor() as cursor:
                copy_entries(cursor, entries, seal)
            if moves:
                write_books(pipeline, books, touched, entries, lane_count)
        if books.pins:
            write_forgiven(pipeline, books.pins.values())
        if seal is not None:
            insert_batch(pipeline, number, time, len(entries), seal)
        pipeline.execute("COMMIT")
        pipeline.send()
        self._wrote = True

    def commit(self) -> None:
        """Wait until what was written is committed; commit where nothing was, because all of it was replayed."""
        if self._wrote:
            self._pipeline.wait()
        else:
            self._connection.execute("COMMIT")

    def _resolve(self, presented: PresentedCredentials, follow_ups: Sequence[FollowUp]) -> tuple[Pointers, list[Named]]:
        """Where the credentials lead and what the follow-ups name; no round trip where all is known."""
        pipeline, tokens = self._pipeline, presented.tokens
        pointers = {token: pointer for token in tokens if (pointer := self._pointers.get(token)) is not None}
        unknown = tokens - pointers.keys()
        resolved = pipeline.execute(RESOLVE, (byte_strings(unknown),)) if unknown else None
        tickets = pipeline.execute(RESOLVE_TICKETS, (byte_strings(presented.codes),)) if presented.codes else None
        answers: list[Answer] = []
        by_request = [
            (each.participant_id, each.original_request_id)
            for each in follow_ups
            if each.original_request_id is not None
        ]
        if by_request:
            participants = whole_numbers([participant for participant, _ in by_request])
            requests = plain_texts([request for _, request in by_request])
            answers.append(pipeline.execute(ORIGINALS_BY_REQUEST, (participants, requests)))
        by_entry = [each.original_entry_id for each in follow_ups if each.original_entry_id is not None]
        if by_entry:
            lanes = whole_numbers(map(lane_of_entry, by_entry))
            answers.append(pipeline.execute(ORIGINALS_BY_ENTRY, (lanes, whole_numbers(by_entry))))
        if resolved is None and tickets is None and not answers:
            return pointers, []
        pipeline.run()
        if resolved is not None:
            for token, lane, wallet_id, card_id in resolved.rows():
                presented.resolved.add(token)
                pointers[token] = Pointer(lane, wallet_id, card_id)
                if wallet_id is not None:  # one that is not may be linked any time: not worth remembering
                    self._pointers[token] = pointers[token]
        if tickets is not None:
            for token, lane, wallet_id, card_id, counter in tickets.rows():
                pointers[token] = Pointer(lane, wallet_id, card_id)
                presented.tickets[token] = PayTicket(card_id, counter)
        named = [named_of(row) for answer in answers for row in answer.rows()]
        if any(isinstance(each, Reverse) for each in follow_ups):
            self._find_sales(captures_of(named))
        return pointers, named

    def _find_sales(self, captures: Mapping[int, Named]) -> None:
        """Reversed, a capture frees the reference of its hold."""
        if captures:
            holds = number_columns([(each.original.lane, hold) for hold, each in captures.items()])
            found = self._pipeline.execute(SALES_OF_HOLDS, holds)
            self._pipeline.run()
            for hold, terminal_id, reference in found.rows():
                captures[hold].original.takes = TakenSale(Sale(terminal_id, reference), hold)

    def _lock(
        self,
        pointers: Pointers,
        named: Sequence[Named],
        presented: PresentedCredentials,
        sales: Sequence[Sale],
        held: Sequence[int],
    ) -> Locked:
        """Queue the locks and what is read under them, then the number: after the last lock."""
        pipeline = self._pipeline
        wallet_keys = {(each.lane, each.wallet_id) for each in pointers.values() if each.wallet_id is not None}
        wallet_keys |= {(each.original.lane, each.original.wallet_id) for each in named if each.original.wallet_id}
        if presented.wallets:
            lane_count = self.programme.scheme.lane_count
            wallet_keys |= {(lane_of_wallet(wallet_id, lane_count), wallet_id) for wallet_id in presented.wallets}
        by_wallet = sorted(wallet_keys)
        card_keys = {(each.lane, each.card_id) for each in pointers.values()}
        card_keys |= {(each.original.lane, each.card_id) for each in named if each.card_id is not None}
        by_original = number_columns([_place(each) for each in named])
        wallets = pipeline.execute(*for_rows(LOCK_WALLETS, by_wallet))
        cards = pipeline.execute(*for_rows(CARDS, sorted(card_keys)))
        lots = [pipeline.execute(*for_rows(OPEN_LOTS, by_wallet))]
        pipeline.flush()
        devices = None
        if presented.tickets:
            device_keys = {(pointers[token].lane, ticket.card_id) for token, ticket in presented.tickets.items()}
            devices = pipeline.execute(DEVICES, number_columns(sorted(device_keys)))
        pins = None
        if presented.pinned:
            led_to = [pointers[token] for token in presented.pinned if token in pointers]
            pins = lock_pins(pipeline, [(to.lane, to.wallet_id) for to in led_to if to.wallet_id is not None])
        allocations = holds = None
        if by_original:
            lots.append(pipeline.execute(ORIGINAL_LOTS, by_original))
            allocations = pipeline.execute(ALLOCATIONS, by_original)
            if openers := number_columns([_place(each) for each in named if each.original.kind in OPENS_LOT]):
                lots.append(pipeline.execute(TOP_UP_LOTS, openers))
            if made := number_columns([_place(each) for each in named if each.original.kind is Kind.HOLD]):
                holds = pipeline.execute(HOLDS, made)
        passes = None
        if presented.passing or (named and any(each.original.kind in OF_PASSES for each in named)):
            led_to = [pointers[token] for token in presented.passing if token in pointers]
            owners = {(to.lane, to.wallet_id) for to in led_to if to.wallet_id is not None}
            passes = lock_passes(pipeline, owners, named)
        taken = pipeline.execute(LOCK_SALES, sale_columns(sales, self.programme.scheme.lane_count)) if sales else None
        windows = pipeline.execute(OPEN_WINDOWS)
        taken_on = hold(pipeline, held) if held else None
        number = pipeline.execute(TAKE_NUMBER)
        return Locked(wallets, cards, devices, lots, allocations, holds, passes, pins, taken, windows, taken_on, number)

    def _stored(self, claims: Sequence[Command]) -> dict[tuple[int, UUID], Stored]:
        """The answers of those whose claim was there already, in a statement that sees the rival's commit."""
        answer = self._pipeline.execute(STORED, requests_columns(claims, self.programme.scheme.lane_count))
        self._pipeline.run()
        stored = {}
        for request_id, participant_id, body_hash, _, kind, told in answer.rows():
            outcome = Outcome.from_answer(told) if kind < Kind.PARTICIPANT_CREATED else None
            stored[participant_id, UUID(request_id)] = Stored(body_hash, outcome)
        return stored

    def _read(
        self,
        locked: Locked,
        pointers: Pointers,
        named: Sequence[Named],
        presented: PresentedCredentials,
        stored: dict[tuple[int, UUID], Stored],
        commands: Sequence[Command],
    ) -> Prefetched:
        """Make the books of what was locked."""
        windows, number, time = self._windows(locked)
        taken_on: dict[int, int] = dict(locked.taken_on.rows()) if locked.taken_on is not None else {}
        if set(held_terms(self.programme, commands)) - taken_on.keys():
            taken_on, number, time = self._hold_anew(commands)
        books = Books(self.programme, self._business_date(time), windows, time)
        books.taken_on = taken_on
        for row in locked.wallets.rows():
            books.wallets[row[1]] = Wallet(*row)
        for answer in locked.lots:
            for row in answer.rows():
                books.wallets[row[2]].lots[row[1]] = Lot(*row)
        self._fill_cards(books, locked.cards.rows(), pointers, named, presented)
        if presented.evidenced:
            fill_presented(books, presented, locked.devices.rows() if locked.devices else [])
        fill_originals(books, named, locked.allocations.rows() if locked.allocations else [])
        if locked.holds is not None:
            fill_holds(books, named, locked.holds.rows())
        if locked.passes is not None:
            books.passes = read_passes(locked.passes)
        if locked.sales is not None:
            for terminal_id, reference, entry_id in locked.sales.rows():
                books.sales.read(Sale(terminal_id, reference), entry_id)
        if locked.pins is not None:
            books.pins = held_pins(locked.pins)
        return Prefetched(stored, books, number, time)

    def _count(self, books: Books, commands: Sequence[Command], stored: Mapping[Key, Stored]) -> None:
        """Read what wallets have spent where a limit asks for it; no round trip where none does."""
        spends = (
            command.token
            for command in commands
            if isinstance(command, Purchase | Hold) and _key(command) not in stored
        )
        if wallets := wallets_to_count(books, spends):
            read_usage(self._pipeline, books, wallets, self._bounds)

    def _hold_anew(self, commands: Sequence[Command]) -> tuple[dict[int, int], int, datetime]:
        """What sponsors have taken on under terms agreed on a moment ago, and the number again, after that lock."""
        answer = hold(self._pipeline, held_terms(self.programme, commands))
        taken = self._pipeline.execute(TAKE_NUMBER)
        self._pipeline.run()
        number, time = taken.row()
        return dict(answer.rows()), number, time

    def _windows(self, locked: Locked) -> tuple[dict[int, int], int, datetime]:
        """The open windows this commit holds, and the batch's number and time.

        A calendar without a window was being closed: the next one is in a newer snapshot, so look again. The number is
        then taken anew, because it must come after the last lock; the unused one stays a gap.
        """
        rows, (number, time) = locked.windows.rows(), locked.number.row()
        for tries_left in range(WINDOW_TRIES, -1, -1):
            if rows and rows[0][2] != self.programme.epoch:
                self.programme = self._load(self._connection)
            if not tries_left or set(self.programme.calendars.values()) <= {row[0] for row in rows}:
                break
            again = self._pipeline.execute(OPEN_WINDOWS)
            taken = self._pipeline.execute(TAKE_NUMBER)
            self._pipeline.run()
            rows, (number, time) = again.rows(), taken.row()
        return {calendar: window for calendar, window, _ in rows}, number, time

    def _fill_cards(
        self,
        books: Books,
        rows: Sequence[tuple[Any, ...]],
        pointers: Pointers,
        named: Sequence[Named],
        presented: PresentedCredentials,
    ) -> None:
        cards = {row[0]: Card(*row) for row in rows}
        for token, pointer in pointers.items():
            card = cards.get(pointer.card_id)
            if card is None or card.wallet_id != pointer.wallet_id:
                # Linked or merged since the credential was read, maybe batches ago: read it again.
                for moved in pointers:
                    self._pointers.pop(moved, None)
                raise Contention("a card moved to another wallet since it was read")
            if card.wallet_id is not None and card.wallet_id not in books.wallets:
                raise LedgerBroken(f"card {card.card_id} leads to wallet {card.wallet_id}, which is not there")
            if card.state == "REPLACED" and card.kind == VIRTUAL:
                # Removed; by now the id may name another member, so this is not remembered, and read again if it was.
                self._pointers.pop(token, None)
                if token not in presented.resolved:
                    raise Contention("an id may have been given to another member since it was read")
            books.cards[token] = card
        for original, card_id, *_ in named:
            if card_id in cards:
                original.last_four = cards[card_id].last_four
                original.card_issuer_id = cards[card_id].issuer_id


def _sales(commands: Sequence[Command], named: Sequence[Named]) -> list[Sale]:
    """The sale references that a batch may take or free."""
    sales = {sale for command in commands if command.sale_reference is not None and (sale := command.sale) is not None}
    if named and any(command.frees_reference for command in commands):
        sales |= {each.original.takes.sale for each in named if each.original.takes is not None}
    return sorted(sales)


def _key(command: Command) -> Key:
    return command.participant_id, command.request_id


def _target(reversal: Reverse) -> Key | None:
    """The request id that a reversal claims besides its own."""
    return _key(reversal.kills) if reversal.kills else None


def _claims(commands: Sequence[Command], reversals: Mapping[Key, Reverse]) -> list[Command]:
    """What claims each request id of a batch: the first in its order that would write an entry there.

    A reversal whose own request id is killed by an earlier one of the batch does nothing, and claims nothing.
    """
    claims: dict[Key, Command] = {}
    for command in commands:
        key = _key(command)
        if key in claims:
            continue
        claims[key] = command
        tombstone = reversals[key].kills if key in reversals else None
        if tombstone is not None:
            claims.setdefault(_key(tombstone), tombstone)
    return list(claims.values())


def _place(named: Named) -> tuple[int, int]:
    return named.original.lane, named.original.entry_id
