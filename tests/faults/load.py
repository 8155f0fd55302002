"""The clients: tills of shops and a cafe that buy, top up and refund one call at a time, and a chain's till server.

Each works on cards of its own choice from a common pool, so that they meet in the same wallets.
"""

import random
import threading
import time
from collections.abc import Sequence
from typing import Any, Final, Self

from coalition.client import CallRefused, Connection, RetryPolicy, ServerUnreachable
from coalition.v1 import operations_pb2
from tests.faults.notes import Note
from tests.faults.site import ONCE, Site, wait_until
from tests.faults.trade import SHOPS, TILL_SERVER, purchase, refund, submit, top_up

KEPT_MAX: Final = 1_000  # notes a client keeps that forgets
PLACES: Final = (*SHOPS, "cafe")
MORE_THAN_ANY_MINOR: Final = 90_000_000  # below the largest amount of one operation


class Load:
    """Starts with the block and ends with it, or before, when the server is gone. `notes` is what they noted."""

    def __init__(
        self,
        site: Site,
        addresses: Sequence[str],
        cards: Sequence[str],
        *,
        unary: int = 8,
        batches: int = 4,
        batch_size: int = 16,
        patience_s: float = 0.0,
        only_purchases_at: str | None = None,
        retry: RetryPolicy = ONCE,
        forget: bool = False,
        seed: int = 0,
    ) -> None:
        """With `patience_s`, a client sends the same operation again for so long; without, it stops when unheard.

        With `forget`, notes beyond the latest of each client are dropped: for loads of minutes.
        """
        self._cards = cards
        self._batch_size = batch_size
        self._patience_s = patience_s
        self._place = only_purchases_at
        self._forget = forget
        self._forgotten = [0] * (unary + batches)
        self._stop = threading.Event()
        self._by_client: list[list[Note]] = [[] for _ in range(unary + batches)]
        self._connections: list[Connection] = []
        self._threads: list[threading.Thread] = []
        for number in range(unary + batches):
            place = only_purchases_at or PLACES[number % len(PLACES)]
            path = f"t/{place}/main/till-1" if number < unary else TILL_SERVER
            connection = site.connection(addresses[number % len(addresses)], path, retry=retry)
            self._connections.append(connection)
            work = self._till if number < unary else self._till_server
            self._threads.append(
                threading.Thread(
                    target=work,
                    args=(connection, place, number, random.Random(seed * 1_000 + number)),
                    daemon=True,
                )
            )

    def __enter__(self) -> Self:
        for connection in self._connections:
            connection.wait_until_ready(20)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Send no more, hear what is under way."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a client hangs"
        for connection in self._connections:
            connection.close()

    @property
    def notes(self) -> list[Note]:
        return [note for notes in self._by_client for note in list(notes)]

    @property
    def heard(self) -> int:
        """How many operations are answered so far."""
        kept = sum(note.answer is not None for notes in self._by_client for note in list(notes))
        return kept + sum(self._forgotten)

    def wait_for_more(self, count: int, seconds: float = 60) -> None:
        """Return when `count` more operations are answered than now."""
        enough = self.heard + count
        wait_until(lambda: self.heard >= enough, seconds, f"{count} more answers")

    def first_answer_to_a_call_sent_after(self, moment: float, seconds: float) -> float:
        """When the first such answer was heard: the house serves again."""

        def heard() -> list[float]:
            return [note.heard for note in self.notes if note.sent > moment and note.answer is not None]

        wait_until(lambda: bool(heard()), seconds, "an answer to a later call")
        return min(heard())

    def _till(self, connection: Connection, place: str, client: int, draw: random.Random) -> None:
        notes = self._by_client[client]
        while not self._stop.is_set():
            self._drop_old(client)
            note = Note(self._next(place, notes, draw))
            notes.append(note)
            if not self._again(lambda note=note: send_one(connection, note)):
                return

    def _till_server(self, connection: Connection, _: str, client: int, draw: random.Random) -> None:
        """The chain's: names a shop of it with each operation."""
        notes = self._by_client[client]
        while not self._stop.is_set():
            self._drop_old(client)
            batch = [Note(self._next(draw.choice(SHOPS), notes, draw)) for _ in range(self._batch_size)]
            notes.extend(batch)
            if not self._again(lambda batch=batch: send_batch(connection, batch)):
                return

    def _drop_old(self, client: int) -> None:
        notes = self._by_client[client]
        if self._forget and len(notes) > KEPT_MAX:
            old = notes[: KEPT_MAX // 2]
            del notes[: KEPT_MAX // 2]
            self._forgotten[client] += sum(note.answer is not None for note in old)

    def _again(self, send) -> bool:
        """Send until heard or out of patience; whether to go on with the next operation."""
        until = time.monotonic() + self._patience_s
        while True:
            if send():
                return True
            if time.monotonic() > until:
                return False
            time.sleep(0.05)

    def _next(self, place: str, notes: list[Note], draw: random.Random) -> operations_pb2.Operation:
        """Mostly purchases; some top-ups, some refunds of the client's own purchases, some beyond the balance."""
        dice = 0.0 if self._place else draw.random()
        card = draw.choice(self._cards)
        if dice < 0.70 or (place == "cafe" and dice < 0.85):
            return purchase(card, draw.randint(100, 900), place)
        if dice < 0.85:
            return top_up(card, draw.randint(1_000, 5_000), place)
        if dice < 0.95 and notes:
            earlier = notes[draw.randrange(len(notes))]
            if earlier.is_accepted and earlier.operation.HasField("purchase"):
                # Several refunds of one purchase may pass its amount together: then they are declined, and stored.
                return refund(earlier.operation.purchase, draw.randint(1, earlier.operation.purchase.amount_minor))
        return purchase(card, MORE_THAN_ANY_MINOR, place)


def send_one(connection: Connection, note: Note) -> bool:
    """Send the operation by itself; whether an answer was heard."""
    methods: dict[str, Any] = {
        "purchase": connection.terminal.Purchase,
        "top_up": connection.terminal.TopUp,
        "refund": connection.terminal.Refund,
    }
    which = note.operation.WhichOneof("operation")
    assert which is not None
    note.sent = note.sent or time.monotonic()
    try:
        response = connection.call(methods[which], note.request)
    except CallRefused as refusal:
        note.hear_refusal(refusal)
    except ServerUnreachable:
        return False
    else:
        note.hear_receipt(response.receipt)
    note.heard = time.monotonic()
    return note.answer is not None


def send_batch(connection: Connection, batch: Sequence[Note]) -> bool:
    """Send what has no answer yet in one call; whether every operation has one now."""
    waiting = [note for note in batch if note.answer is None]
    for note in waiting:
        note.sent = note.sent or time.monotonic()
    try:
        results = submit(connection, [note.operation for note in waiting])
    except CallRefused as refusal:
        for note in waiting:
            note.refusal = refusal
        return False
    except ServerUnreachable:
        return False
    now = time.monotonic()
    for note, result in zip(waiting, results, strict=True):
        assert result.request_id == note.request.request_id
        if result.HasField("receipt"):
            note.hear_receipt(result.receipt)
        else:
            note.hear_refusal(CallRefused.from_status(result.error))
        note.heard = now
    return all(note.answer is not None for note in batch)
