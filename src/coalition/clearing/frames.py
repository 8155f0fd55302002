"""What travels between the desk and its workers: a batch of commands, then its answers, each as one frame.

A frame is its length, four bytes big endian, then a pickle of plain tuples (an eighth of what pickling the objects
themselves costs). Both ends are this program, on a socket pair that it made.
"""

import pickle
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from coalition.clearing.queue import Answer
from coalition.domain.commands import Command
from coalition.domain.journal import Outcome, micros_of, moment_of
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason

LENGTH_BYTES: Final = 4
READY: Final = (0).to_bytes(LENGTH_BYTES, "big")
"""The first thing a worker says: a frame of nothing."""


def commands_frame(commands: Sequence[Command]) -> bytes:
    """The commands of one batch."""
    return _frame([(kind := type(command), _FORMS[kind].values(command)) for command in commands])


def commands_of(body: bytes | bytearray) -> list[Command]:
    """The commands of a frame whose length is off."""
    return [_FORMS[kind].command(*values) for kind, values in pickle.loads(body)]  # noqa: S301  our own other end


def answers_frame(answers: Sequence[Answer]) -> bytes:
    """The answers of one batch, in the order of its commands; an error must be one of the house."""
    return _frame([_plain(answer) if isinstance(answer, Outcome) else answer for answer in answers])


def answers_of(body: bytes | bytearray) -> list[Answer]:
    """The answers of a frame whose length is off."""
    told = pickle.loads(body)  # noqa: S301  our own other end
    return [_outcome(*answer) if isinstance(answer, tuple) else answer for answer in told]


def _plain(outcome: Outcome) -> tuple[Any, ...]:
    """An outcome in numbers: to pickle a lone one's enum members and moment takes longer than all the rest of it."""
    reason, entry_id, post_time, kind, *rest = outcome
    return (int(reason), entry_id, _micros_of(post_time), int(kind), *rest)


def _outcome(reason: int, entry_id: int, micros: int, kind: int, *rest: Any) -> Outcome:
    return Outcome._make((_REASONS[reason], entry_id, _moment_of(micros), _KINDS[kind], *rest))


def _frame(message: object) -> bytes:
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


class _Form:
    """How a kind of command is taken apart and made again; the request id, whose pickle is slow, as a number."""

    def __init__(self, kind: type[Command]) -> None:
        self._kind = kind
        names = [field.name for field in fields(kind) if field.init and field.name != "request_id"]
        slots = {each.name: getattr(kind, each.name).__set__ for each in fields(kind)}
        self._put_request_id = slots["request_id"]
        self._puts = [slots[name] for name in names]
        self._unset = [(slots[each.name], each.default) for each in fields(kind) if not each.init]
        self.values: Callable[[Command], tuple[Any, ...]] = attrgetter("request_id.int", *names)

    def command(self, request_id: int, *values: Any) -> Command:
        """Fields are put into their slots, as unpickling does it: half of what the constructor costs."""
        command = object.__new__(self._kind)
        self._put_request_id(command, UUID(int=request_id))
        for put, value in zip(self._puts, values, strict=True):
            put(command, value)
        for put, value in self._unset:
            put(command, value)
        return command


class _Forms(dict[type[Command], _Form]):
    def __missing__(self, kind: type[Command]) -> _Form:
        form = self[kind] = _Form(kind)
        return form


_FORMS: Final = _Forms()
_REASONS: Final = {each.value: each for each in Reason}
_KINDS: Final = {each.value: each for each in Kind}
# All answers of a batch have one time.
_micros_of: Final = lru_cache(maxsize=8)(micros_of)
_moment_of: Final = lru_cache(maxsize=8)(moment_of)
