"""What the clients sent and heard, and the judge of it: is there one order of operations that explains every answer?

The service tells the order itself, by the entry ids of its answers. The judge applies the operations to the model in
that order and compares each answer; then it looks whether that order respects real time, and every client's own order.
It knows no clock but the one that is handed in.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from coalition.v1.operations_pb2 import Operation
from tests.contract.answers import Answer
from tests.contract.books import Key
from tests.contract.compare import Broken, compare
from tests.contract.credentials import NOTHING_SHOWN, Shown
from tests.contract.model import Model

Clock = Callable[[], float]


@dataclass(eq=False, slots=True)
class Sending:
    """One attempt: when it left, when its answer was heard, if it was."""

    sent: float
    heard: float | None = None
    answer: Answer | None = None


@dataclass(eq=False)
class Intent:
    """One operation a client wants done, however often it sends it; or, without an operation, a question by its id.

    `shown` is what comes with a sending and is no part of the operation: a PIN, the password of a code.
    """

    participant: str
    request_id: str
    operation: Operation | None
    shown: Shown = NOTHING_SHOWN
    sendings: list[Sending] = field(default_factory=list)

    @property
    def which(self) -> str:
        return "resolve" if self.operation is None else self.operation.WhichOneof("operation") or ""

    @property
    def request(self) -> Any:
        assert self.operation is not None
        return getattr(self.operation, self.which)

    @property
    def key(self) -> Key:
        return self.participant, self.request_id

    @property
    def answers(self) -> list[Answer]:
        return [each.answer for each in self.sendings if each.answer is not None]

    @property
    def answer(self) -> Answer | None:
        """The first one heard that is stored."""
        return next((each for each in self.answers if each.is_stored), None)

    @property
    def outcome(self) -> str:
        """What it was, and what became of it; of an upload, whether somebody else had to pay of it."""
        answer = self.answer
        if answer is None:
            return f"{self.which} unanswered"
        short = " short" if answer.receipt is not None and answer.receipt.shortfall_minor else ""
        return f"{self.which} {answer.reason}{short}"

    @property
    def is_accepted(self) -> bool:
        return self.answer is not None and self.answer.reason == "ACCEPTED"

    def __str__(self) -> str:
        body = "" if self.operation is None else str(self.request).replace("\n", " ")
        shown = f", shown {self.shown}" if self.shown != NOTHING_SHOWN else ""
        return f"{self.which} at {self.participant}: {body or self.request_id}{shown}"


@dataclass(frozen=True)
class Act:
    """Something done to a card at the counter, by its entry: applied to the model when its turn comes."""

    entry_id: int
    what: str
    apply: Callable[[Model], None]


class History:
    """Of one set of wallets. `begin` before sending, `end` when heard; `judge` when all is answered."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.intents: list[Intent] = []
        self.acts: list[Act] = []
        self.rows: list[Sequence[tuple[Intent, Sending]]] = []

    def intend(
        self, participant: str, request_id: str, operation: Operation | None = None, shown: Shown = NOTHING_SHOWN
    ) -> Intent:
        """Note an operation before it is sent."""
        intent = Intent(participant, request_id, operation, shown)
        with self._lock:
            self.intents.append(intent)
        return intent

    def begin(self, intents: Iterable[Intent]) -> list[tuple[Intent, Sending]]:
        """They are sent now, in one call, in this order."""
        row = [(intent, Sending(self._clock())) for intent in intents]
        with self._lock:
            for intent, sending in row:
                intent.sendings.append(sending)
            if len(row) > 1:
                self.rows.append(row)
        return row

    def end(self, sending: Sending, answer: Answer | None) -> None:
        """Its answer was heard now; None: nothing was, or that it may be sent again."""
        if answer is not None:
            sending.heard, sending.answer = self._clock(), answer

    @property
    def unheard(self) -> list[Intent]:
        return [each for each in self.intents if not each.answers]

    def judge(self, model: Model, times: Mapping[int, datetime], expiries: Sequence[tuple[int, int]] = ()) -> int:
        """Compare everything with the model; how many operations were.

        `times` says when the journal took each entry, `expiries` are (entry, hold) the house made.
        """
        stored = _one_answer_each(self.intents)
        steps: list[tuple[int, str, Any]] = [(each.entry_id, "act", each) for each in self.acts]
        steps += [(entry, "expiry", hold) for entry, hold in expiries]
        for answer, intent in stored.values():
            if answer.reason == "KILLED":
                steps.append((answer.entry_id, "killed", intent))
            else:
                steps.append((answer.entry_id, "operation", (intent, answer)))
        for entry_id, what, thing in sorted(steps, key=lambda step: step[0]):
            if what == "act":
                thing.apply(model)
            elif what == "expiry":
                model.expire(thing)
            elif what == "killed":
                # By a question of its own, or by a reversal, which stands right beside it in the journal.
                model.resolve(*thing.key)
            else:
                intent, answer = thing
                if self._came_too_soon(intent, answer):
                    model.note_declined(intent.key, entry_id)
                    continue
                who, now = intent.participant, times[entry_id]
                verdict = model.apply(who, intent.which, intent.request, entry_id, now, intent.shown)
                compare(intent.request, answer, verdict, now, str(intent))
        self._killed_are_killed(model)
        self._real_time_is_respected()
        self._rows_are_in_order()
        return len(stored)

    def _came_too_soon(self, intent: Intent, answer: Answer) -> bool:
        """Whether it named, by request id, an operation under way at the same time, and was told it is unknown.

        Nobody may expect more: a till that has not heard of the original cannot know which of the two came first.
        """
        if answer.reason not in {"ORIGINAL_UNKNOWN", "HOLD_UNKNOWN"}:
            return False
        by_original = intent.which in {"refund", "return_top_up"}
        named = intent.request.original_request_id if by_original else intent.request.hold_request_id
        heard = [
            sending.heard
            for each in self.intents
            if each.key == (intent.participant, named)
            for sending in each.sendings
            if sending.heard is not None
        ]
        sent = min(each.sent for each in intent.sendings)
        return bool(named) and bool(heard) and min(heard) > sent

    def _killed_are_killed(self, model: Model) -> None:
        """What came after its reversal or its question is declined for ever, and nothing else is."""
        asked = {each.key for each in self.intents if each.which == "resolve"}
        asked |= {
            (each.participant, each.request.original_request_id) for each in self.intents if each.which == "reverse"
        }
        for intent in self.intents:
            for answer in intent.answers:
                if answer.reason == "KILLED" and intent.key not in asked:
                    raise Broken(f"killed by nobody: {intent}")
                if answer.reason not in {"KILLED", "REQUEST_ID_REUSED"} and intent.key in model.killed:
                    raise Broken(f"killed, and yet answered {answer}: {intent}")

    def _real_time_is_respected(self) -> None:
        """What was acknowledged before another began has the smaller entry id."""
        first: dict[int, tuple[float, float]] = {}
        for intent in self.intents:
            answer = intent.answer
            if answer is None or answer.reason == "KILLED" or intent.which == "resolve":
                continue
            heard = min(each.heard for each in intent.sendings if each.heard is not None)
            sent = min(each.sent for each in intent.sendings)
            known = first.get(answer.entry_id, (heard, sent))
            first[answer.entry_id] = min(known[0], heard), min(known[1], sent)
        latest_sent, latest = 0.0, 0
        for entry_id in sorted(first):
            heard, sent = first[entry_id]
            if heard < latest_sent:
                raise Broken(
                    f"entry {entry_id} was acknowledged before {latest} was sent, yet comes after it in the journal"
                )
            if sent > latest_sent:
                latest_sent, latest = sent, entry_id

    def _rows_are_in_order(self) -> None:
        """Operations of one batch or stream are posted in the order they were sent."""
        for row in self.rows:
            fresh = [
                sending.answer.entry_id
                for _, sending in row
                if sending.answer is not None and sending.answer.is_stored and not sending.answer.replayed
            ]
            if fresh != sorted(fresh):
                raise Broken(f"one call's operations were posted in another order: {fresh}")


def _one_answer_each(intents: Iterable[Intent]) -> dict[Key, tuple[Answer, Intent]]:
    """The stored answer of each request: one, told new at most once, and other bodies refused."""
    stored: dict[Key, tuple[Answer, Intent]] = {}
    new: set[Key] = set()
    for intent in intents:
        for answer in intent.answers:
            if not answer.is_stored:
                continue
            known = stored.get(intent.key)
            if known is None or known[1].which == "resolve":
                if known is not None and known[0].told != answer.told:
                    raise Broken(f"two answers to {intent}: {known[0]} and {answer}")
                stored[intent.key] = (answer, intent)
            elif (known[0].told, known[0].entry_id) != (answer.told, answer.entry_id):
                raise Broken(f"two answers to {intent}: {known[0]} and {answer}")
            elif (
                answer.reason != "KILLED"
                and intent.which != "resolve"
                and known[1].which != "resolve"
                and intent.operation != known[1].operation
            ):
                raise Broken(f"one answer to two bodies: {intent}, and {known[1]}")
            if not answer.replayed and answer.reason != "KILLED":
                if intent.key in new:
                    raise Broken(f"told as new twice: {intent}: {answer}")
                new.add(intent.key)
    for intent in intents:
        refused = any(answer.reason == "REQUEST_ID_REUSED" for answer in intent.answers)
        if refused and intent.key not in stored:
            raise Broken(f"its id is told to be used, and no other operation has it: {intent}")
        if refused and stored[intent.key][1].operation == intent.operation:
            raise Broken(f"the same operation is told to be another: {intent}")
    return stored
