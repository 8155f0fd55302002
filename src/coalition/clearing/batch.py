"""One batch: every command decided in arrival order against the books, then written together.

A command whose request_id is stored gets the stored answer; two of one request_id in a batch are answered in memory; a
decline is an entry too. A reversal kills its original first where that is unknown: then two entries are written for it.
Nothing here does I/O but through the store that is handed in.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple, TypeVar, overload
from uuid import UUID

from coalition.clearing.store import Store
from coalition.domain.books import Books, Original, Wallet
from coalition.domain.commands import Command, FollowUp, MergeIn, OnWallet, Presented, Resolve, Reverse
from coalition.domain.decide import decide
from coalition.domain.decision import Decision
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.ids import PLACE_MAX, entry_id, lane_of_request
from coalition.domain.journal import NO_FACTS, Entry, Outcome, Transfer
from coalition.domain.pins import PinEvidence, forgive
from coalition.domain.prefetch import Prefetched, Stored
from coalition.domain.reasons import Reason, is_stored

Key = tuple[int, UUID]
Answer = Outcome | Refused
T = TypeVar("T")


class Decided(NamedTuple):
    """A command with its answer; without a decision where it was declined.

    `card_id` is the device whose wrong code a decline has counted.
    """

    command: Command
    lane: int
    outcome: Outcome
    decision: Decision | None = None
    card_id: int | None = None


@overload
def run_batch(store: Store, commands: Sequence[Command]) -> list[Answer]: ...
@overload
def run_batch(store: Store, commands: Sequence[Command], ready: Callable[[list[Answer]], T]) -> T: ...
def run_batch(store: Store, commands: Sequence[Command], ready: Callable[[list[Answer]], Any] = list) -> Any:
    """Decide and write `commands` in one transaction; the answers, in the same order, once it is committed.

    `ready` makes the answers ready to be told, while the database still commits.

    Raises Contention and StoreUnavailable (nothing is answered yet, run the same commands again), NoOpenWindow and our
    own bugs (halve the batch).
    """
    first: dict[Key, Command] = {}
    for command in commands:
        first.setdefault((command.participant_id, command.request_id), command)
    with store.batch() as batch:
        prefetched = batch.prefetch(list(first.values()))
        prefetched.books.names_originals = any(isinstance(command, FollowUp) for command in commands)
        answers: dict[Key, Outcome] = {}
        decided: list[Decided] = []
        touched: dict[int, Wallet] = {}
        for key, command in first.items():
            if key in prefetched.stored:
                continue
            if isinstance(command, Reverse):
                _kill_unknown(command, prefetched, decided)
            decided.append(_decided(command, prefetched, len(decided), touched))
            answers[key] = decided[-1].outcome
        if len(decided) > PLACE_MAX + 1:
            raise LedgerBroken(f"{len(decided)} entries are more than one batch may have")
        batch.write(prefetched, _entries(decided, prefetched.books.business_date), list(touched.values()))
        told = ready(_in_order(commands, first, answers, prefetched.stored))
    return told


def _decided(command: Command, prefetched: Prefetched, place: int, touched: dict[int, Wallet]) -> Decided:
    """Decide one command and apply it to the books."""
    books = prefetched.books
    lane = _lane(command, prefetched)
    entry = entry_id(prefetched.number, place, lane)
    try:
        decision = decide(command, books, entry)
    except Refused as refused:
        if books.pins:
            _forgive(command, books)
        # A wrong code is counted by the same commit that says so: the next one is judged after it.
        card_id = books.count_wrong_code(command) if refused.reason is Reason.PAYMENT_CODE_WRONG else None
        return Decided(command, lane, _declined(command, refused, prefetched, entry, lane), card_id=card_id)
    decision.apply(books, command, entry)
    if books.pins:
        _forgive(command, books)
    wallet = decision.wallet
    if wallet is not None:
        touched[wallet.wallet_id] = wallet
        if wallet.lane != lane:
            raise LedgerBroken(f"entry {entry} is numbered for lane {lane}, its wallet lies in lane {wallet.lane}")
    outcome = Outcome(
        Reason.ACCEPTED,
        entry,
        prefetched.time,
        command.kind,
        decision.amount_minor,
        decision.principal_minor,
        decision.bonus_minor,
        wallet.balance_minor if wallet else 0,
        books.balance_here(wallet, command.participant_id) if wallet else 0,
        decision.last_four,
        decision.facts or NO_FACTS,
        window_labels=_window_labels(decision.transfers, books.programme.windows),
        hold_expire_time=decision.hold_expire_time,
        balance_change_minor=decision.balance_change if decision.original else None,
    )
    return Decided(command, lane, outcome, decision)


def _entries(decided: Sequence[Decided], business_date: date) -> list[Entry]:
    """The journal entries of a batch, answers first, then the rest.

    Written between decisions, each would take two or three times as long, because so much other code comes in between.
    """
    answers = [each.outcome.to_answer() for each in decided]
    return [_entry(each, answer, business_date) for each, answer in zip(decided, answers, strict=True)]


def _entry(decided: Decided, answer: bytes, business_date: date) -> Entry:
    command, lane, outcome, decision, card_id = decided
    entry = Entry(
        lane=lane,
        entry_id=outcome.entry_id,
        kind=command.kind,
        reason=outcome.reason,
        participant_id=command.participant_id,
        request_id=command.request_id,
        body_hash=command.body_hash,
        actor=command.actor,
        amount_minor=outcome.amount_minor,
        business_date=business_date,
        answer=answer,
        store_id=command.store_id,
        terminal_id=command.terminal_id,
        card_id=card_id,
        occurred_time=command.occurred_time,
        sale_reference=command.sale_reference,
        details=command.details,
    )
    if decision is not None:
        entry.wallet_id = decision.wallet.wallet_id if decision.wallet else None
        entry.card_id = decision.card_id
        entry.original_entry_id = decision.original.entry_id if decision.original else None
        entry.agreement_id = decision.agreement_id
        entry.agreement_version = decision.agreement_version
        entry.transfers = decision.transfers
        entry.allocations = decision.allocations
    return entry


def _forgive(command: Command, books: Books) -> None:
    """A right PIN was right, whatever else stood in the way of the payment."""
    pin = getattr(command, "pin", None)
    if isinstance(pin, PinEvidence):
        forgive(pin, books.pins)


def _kill_unknown(reverse: Reverse, prefetched: Prefetched, decided: list[Decided]) -> None:
    """Write a tombstone under the request id of an unknown original, which is stored from here on as any other answer.

    Also where the reversal itself is declined then: the store has claimed that request id, and a claim has an entry.
    """
    tombstone = reverse.kills
    if tombstone is None or prefetched.books.original_of(reverse) is not None:
        return
    decided.append(_decided(tombstone, prefetched, len(decided), {}))
    key = (tombstone.participant_id, tombstone.request_id)
    prefetched.stored[key] = Stored(tombstone.body_hash, decided[-1].outcome.again())


def _window_labels(transfers: Sequence[Transfer], names: Mapping[int, str]) -> tuple[str, ...]:
    """The windows an entry's claims fell into, as the programme names them."""
    windows = {transfer.window_id for transfer in transfers}
    return tuple(sorted([names[window] for window in windows if window is not None and window in names]))


def _declined(command: Command, refused: Refused, prefetched: Prefetched, entry: int, lane: int) -> Outcome:
    if not is_stored(refused.reason):
        raise LedgerBroken(f"{refused.reason.name} was decided by a rule, but it is never stored")
    books = prefetched.books
    if books.names_originals:
        # A refund further on in this batch finds the decline, as one of a later batch would.
        declined = Original(
            entry,
            lane,
            command.kind,
            refused.reason,
            command.participant_id,
            None,
            command.amount_minor,
            None,
            None,
            "",
            books.business_date,
        )
        books.originals_by_request[command.participant_id, command.request_id] = declined
    return Outcome(refused.reason, entry, prefetched.time, command.kind, command.amount_minor, facts=refused.metadata)


def _lane(command: Command, prefetched: Prefetched) -> int:
    """The lane of the wallet concerned; of the request where no wallet is known."""
    books = prefetched.books
    wallet_id: int | None = None
    if isinstance(command, FollowUp):
        original = books.original_of(command)
        wallet_id = original.wallet_id if original else None
        if isinstance(command, MergeIn):
            wallet_id = command.wallet_id
    elif isinstance(command, Presented):
        card = books.cards.get(command.token)
        wallet_id = card.wallet_id if card else None
    elif isinstance(command, OnWallet):
        wallet_id = command.wallet_id
    if wallet_id is not None:
        return books.wallets[wallet_id].lane
    return lane_of_request(command.request_id, books.programme.scheme.lane_count)


def _stored_answer(command: Command, known: Stored) -> Answer:
    """What is kept under the command's request id, if this command may hear it: it is its own, or for every body."""
    if known.outcome is None or not (
        _is_for_every_body(command, known.outcome) or known.body_hash == command.body_hash
    ):
        return Refused(Reason.REQUEST_ID_REUSED, field="request_id")
    return known.outcome


def _is_for_every_body(command: Command, outcome: Outcome) -> bool:
    """A killed request id stays killed, whatever comes under it; who asks what became of one is told."""
    return outcome.reason is Reason.KILLED or isinstance(command, Resolve)


def _in_order(
    commands: Sequence[Command],
    first: dict[Key, Command],
    decided: dict[Key, Outcome],
    stored: Mapping[Key, Stored],
) -> list[Answer]:
    """One answer a command, judged by its own body; the second and later ones of a request_id here are replays."""
    told: set[Key] = set()
    result: list[Answer] = []
    for command in commands:
        key = (command.participant_id, command.request_id)
        outcome = decided.get(key)
        if outcome is None:
            result.append(_stored_answer(command, stored[key]))
        elif key not in told:
            result.append(outcome)
        elif command.body_hash == first[key].body_hash or _is_for_every_body(command, outcome):
            result.append(outcome.again())
        else:
            result.append(Refused(Reason.REQUEST_ID_REUSED, field="request_id"))
        told.add(key)
    return result
