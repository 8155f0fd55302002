"""Frames: whatever the desk and its workers tell each other arrives as it was."""

from dataclasses import fields
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, get_type_hints
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.clearing.frames import LENGTH_BYTES, READY, answers_frame, answers_of, commands_frame, commands_of
from coalition.clearing.queue import Answer
from coalition.domain import commands as house_commands
from coalition.domain.commands import Command, Funding, Goods, Purchase
from coalition.domain.credentials import CodeEvidence, Evidence, PhoneEvidence
from coalition.domain.errors import (
    CoalitionError,
    Contention,
    LedgerBroken,
    NoOpenWindow,
    PinChanged,
    Refused,
    StoreUnavailable,
)
from coalition.domain.journal import Outcome
from coalition.domain.kinds import Kind
from coalition.domain.pins import PinEvidence, PinFinding, SealedPin
from coalition.domain.reasons import ADVICE, Reason

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=8)), ZoneInfo("Asia/Shanghai")])
TIMES = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=ZONES)  # noqa: DTZ001
WHOLE = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(max_size=40)
# Without version 7's fixed bits, so that a number with leading zeros is met too.
IDS = st.integers(0, 2**128 - 1).map(lambda number: UUID(int=number))
SEALED_PINS = st.builds(SealedPin, st.binary(max_size=40), TEXTS)
BY_TYPE: dict[object, st.SearchStrategy[Any]] = {
    int: WHOLE,
    bool: st.booleans(),
    str: TEXTS,
    bytes: st.binary(max_size=40),
    UUID: IDS,
    int | None: st.none() | WHOLE,
    str | None: st.none() | TEXTS,
    UUID | None: st.none() | IDS,
    datetime | None: st.none() | TIMES,
    date | None: st.none() | st.dates(),
    Evidence | None: st.one_of(
        st.none(),
        st.builds(CodeEvidence, st.none() | WHOLE, st.none() | WHOLE),
        st.builds(PhoneEvidence, st.none() | st.binary(max_size=40)),
    ),
    SealedPin | PinEvidence | None: st.one_of(
        st.none(),
        SEALED_PINS,
        st.builds(PinEvidence, SEALED_PINS, st.sampled_from(PinFinding), WHOLE, WHOLE, WHOLE, WHOLE),
    ),
    Funding: st.sampled_from(Funding),
    Goods: st.sampled_from(Goods),
}
KINDS = [
    each
    for each in vars(house_commands).values()
    # Those that mean something by themselves.
    if isinstance(each, type) and issubclass(each, Command) and each._particulars is not Command._particulars
]
FACTS = st.dictionaries(TEXTS, TEXTS, max_size=3)
OUTCOMES = st.builds(
    Outcome,
    reason=st.sampled_from(Reason),
    entry_id=WHOLE,
    post_time=TIMES,
    kind=st.sampled_from(Kind),
    amount_minor=WHOLE,
    principal_minor=WHOLE,
    bonus_minor=WHOLE,
    balance_minor=WHOLE,
    balance_here_minor=WHOLE,
    last_four=TEXTS,
    facts=FACTS,
    window_labels=st.lists(TEXTS, max_size=3).map(tuple),
    replayed=st.booleans(),
)
ERRORS: st.SearchStrategy[Exception] = st.one_of(
    st.builds(Refused, st.sampled_from(sorted(ADVICE)), st.none() | TEXTS, st.none() | FACTS),
    st.builds(NoOpenWindow, WHOLE),
    st.builds(Contention, TEXTS),
    st.builds(PinChanged, IDS),
    st.builds(StoreUnavailable, TEXTS),
    st.builds(LedgerBroken, TEXTS),
)


def commands_of_kind(kind: type[Command]) -> st.SearchStrategy[Command]:
    hints = get_type_hints(kind)
    return st.builds(kind, **{field.name: BY_TYPE[hints[field.name]] for field in fields(kind) if field.init})


def body(frame: bytes) -> bytes:
    """The frame without its length, which must be right."""
    told = int.from_bytes(frame[:LENGTH_BYTES], "big")
    assert len(frame) == LENGTH_BYTES + told
    return frame[LENGTH_BYTES:]


def facts_of(answer: Answer) -> object:
    """Everything a reader of the answer can see."""
    if isinstance(answer, Outcome):
        return tuple(answer)
    return type(answer), answer.args, str(answer), vars(answer)


def test_every_kind_of_command_is_tried() -> None:
    """The list above is read off the module; this shows that it finds them."""
    terminals = {"TopUp", "Purchase", "Refund", "TopUpReversal", "CashOut", "Hold", "Capture"}
    assert {*terminals, "FollowUp", "BonusExpiry"} <= {kind.__name__ for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_command_arrives_as_it_was_sent(kind: type[Command]) -> None:
    @given(st.lists(commands_of_kind(kind), max_size=4))
    def arrives(sent: list[Command]) -> None:
        received = commands_of(body(commands_frame(sent)))

        assert sent == received
        assert [kind] * len(sent) == [type(command) for command in received]
        assert [command.body_hash for command in sent] == [command.body_hash for command in received]

    arrives()


@given(st.lists(st.one_of([commands_of_kind(kind) for kind in KINDS]), max_size=8))
def test_a_batch_keeps_the_order_of_its_commands(sent: list[Command]) -> None:
    assert sent == commands_of(bytearray(body(commands_frame(sent))))


@given(st.lists(OUTCOMES | ERRORS, max_size=8))
def test_answers_arrive_in_order_with_all_their_facts(sent: list[Answer]) -> None:
    received = answers_of(body(answers_frame(sent)))

    assert [facts_of(answer) for answer in sent] == [facts_of(answer) for answer in received]
    assert [isinstance(answer, Outcome) for answer in sent] == [isinstance(answer, Outcome) for answer in received]


@pytest.mark.parametrize("kind", [Refused, NoOpenWindow, Contention, StoreUnavailable, LedgerBroken])
def test_every_error_a_batch_can_end_with_is_tried(kind: type[CoalitionError]) -> None:
    """And no error of the house was added since, that might not travel."""
    assert kind in CoalitionError.__subclasses__()
    own = {each for each in CoalitionError.__subclasses__() if each.__module__ == CoalitionError.__module__}
    assert {Refused, NoOpenWindow, Contention, StoreUnavailable, LedgerBroken} == own


def test_an_outcome_without_facts_has_none_afterwards() -> None:
    """What the ledger's code leaves out is filled by defaults, which must travel too."""
    sent = Outcome(Reason.ACCEPTED, 1, datetime(2017, 1, 15, tzinfo=UTC), Kind.PURCHASE, 5)

    (received,) = answers_of(body(answers_frame([sent])))

    assert sent == received
    assert isinstance(received, Outcome)
    assert sent.to_answer() == received.to_answer()


def test_a_worker_that_is_ready_says_a_frame_of_nothing() -> None:
    assert b"" == body(READY)


def test_a_full_batch_of_four_thousand_fits_a_frame() -> None:
    sent = [
        Purchase(
            participant_id=1,
            store_id=2,
            terminal_id=3,
            actor="/t/cafe/main/till",
            request_id=UUID(int=number),
            amount_minor=number,
            sale_reference="x" * 64,
            token=number.to_bytes(32, "big"),
        )
        for number in range(4_096)
    ]

    assert sent == commands_of(body(commands_frame(sent)))
