"""A worker of the desk: takes batches from its end of a socket, decides and writes them, sends the answers back.

It runs as a process of its own, because a batch that is decided beside a server's busy event loop waits for the
interpreter at every step (decision 0008). One batch at a time; it ends when the desk's end of the socket closes.
"""

import socket
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import structlog

from coalition.clearing.batch import run_batch
from coalition.clearing.frames import LENGTH_BYTES, READY, answers_frame, commands_of
from coalition.clearing.pins import Asked, PinChecker, carries_pin, compared, to_compare_again
from coalition.clearing.queue import Answer
from coalition.clearing.store import Store
from coalition.domain.errors import (
    CoalitionError,
    Contention,
    LedgerBroken,
    NoOpenWindow,
    PinChanged,
    Refused,
    StoreUnavailable,
)

CONTENTION_TRIES: Final = 10
# A killed PostgreSQL is back within seconds here and a failover takes 20 s (DESIGN section 6); a terminal waits 8 s.
UNAVAILABLE_TRIES: Final = 40
UNAVAILABLE_PAUSE_SECONDS: Final = 0.1
CONTENTION_PAUSE_SECONDS: Final = 0.002

Pause = Callable[[float], None]
T = TypeVar("T")
log = structlog.get_logger(__name__)


def work(desk: socket.socket, store: Store, pause: Pause, checker: PinChecker) -> None:
    """Answer batches until the desk hangs up; then a batch is not tried again either."""

    def rest(seconds: float) -> None:
        # Nobody waits any more for what a dead server began: it must not be written long after its clients gave up.
        pause(seconds)
        if _has_hung_up(desk):
            raise ConnectionResetError

    try:
        desk.sendall(READY)
        while (length := _received(desk, LENGTH_BYTES)) is not None:
            body = _received(desk, int.from_bytes(length, "big"))
            if body is None:
                break
            desk.sendall(answer_all(store, commands_of(body), rest, checker, answers_frame))
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server was killed: what is committed stays, its clients ask again
    finally:
        desk.close()
        store.close()


def answer_all(
    store: Store, commands: Sequence[Asked], pause: Pause, checker: PinChecker, ready: Callable[[Sequence[Answer]], T]
) -> T:
    """Run the batch until it is answered; only a deterministic error halves it, first half first.

    `ready` makes the answers ready to be told. What was found of its PINs is kept when the batch is run again: each is
    counted and compared once.
    """
    contentions = outages = 0
    while True:
        try:
            if any(map(carries_pin, commands)):
                commands = compared(store, checker, commands)
            return _run(store, commands, ready)
        except Contention as error:
            contentions += 1
            if contentions >= CONTENTION_TRIES:
                log.warning("batch_contended", commands=len(commands), tries=contentions)
                return ready(_failed(commands, error))
            if isinstance(error, PinChanged):
                commands = to_compare_again(commands, error)
            pause(CONTENTION_PAUSE_SECONDS * contentions)
        except StoreUnavailable as error:
            outages += 1
            if outages >= UNAVAILABLE_TRIES:
                log.warning("store_unavailable", commands=len(commands), tries=outages)
                return ready(_failed(commands, error))
            pause(UNAVAILABLE_PAUSE_SECONDS)
        except Exception as error:
            if len(commands) == 1:
                if not isinstance(error, NoOpenWindow):
                    log.exception("command_failed", request_id=str(getattr(commands[0], "request_id", "")))
                # What travels is an error of the house; a bug's traceback is in the log above.
                return ready([error if isinstance(error, CoalitionError) else LedgerBroken(type(error).__name__)])
            log.warning("batch_halved", commands=len(commands), error=type(error).__name__)
            half = len(commands) // 2
            halves = commands[:half], commands[half:]
            return ready([answer for each in halves for answer in answer_all(store, each, pause, checker, list)])


def _run(store: Store, batch: Sequence[Asked], ready: Callable[[Sequence[Answer]], T]) -> T:
    """The answers in order; what is refused already does not take part."""
    commands = [asked for asked in batch if not isinstance(asked, Refused)]
    if commands and len(commands) == len(batch):
        return run_batch(store, commands, ready)
    answers = iter(run_batch(store, commands) if commands else ())
    return ready([asked if isinstance(asked, Refused) else next(answers) for asked in batch])


def _failed(batch: Sequence[Asked], error: CoalitionError) -> Sequence[Answer]:
    return [asked if isinstance(asked, Refused) else error for asked in batch]


def _has_hung_up(desk: socket.socket) -> bool:
    """While a batch is under way the desk says nothing, unless it is gone."""
    try:
        return not desk.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False


def _received(desk: socket.socket, count: int) -> bytearray | None:
    """Exactly `count` bytes; None when the desk hung up."""
    received = bytearray(count)
    view, have = memoryview(received), 0
    while have < count:
        got = desk.recv_into(view[have:])
        if not got:
            return None
        have += got
    return received
