"""Where an operation is asked for: at a till of a store, or by headquarters, which have none."""

from typing import Final, NamedTuple

from coalition.domain.errors import Refused
from coalition.domain.programme import Programme
from coalition.domain.reasons import Reason
from coalition.server.identity import Caller, Role
from coalition.v1 import operations_pb2

HEADQUARTERS: Final = frozenset({Role.OPERATOR, Role.PARTICIPANT_HQ})
"""Who asks for an operation without a till: only where the permission table lets it."""


class Seat(NamedTuple):
    """The till an operation is made at."""

    participant_id: int
    store_id: int
    terminal_id: int


class Office(NamedTuple):
    """Headquarters, which has no till."""

    participant_id: int
    store_id: None = None
    terminal_id: None = None


def place_of(caller: Caller, named: operations_pb2.TerminalRef | None, programme: Programme) -> Seat | Office:
    """Where the caller asks. Raises Refused: see `seat_of`; TERMINAL_OF_OTHER_STORE where headquarters name a till."""
    if caller.role not in HEADQUARTERS:
        return seat_of(caller, named, programme)
    if named is not None:
        raise Refused(Reason.TERMINAL_OF_OTHER_STORE, "terminal")
    return Office(caller.participant_id)


def seat_of(caller: Caller, named: operations_pb2.TerminalRef | None, programme: Programme) -> Seat:
    """The terminal a caller speaks for. `named` is the one the request names, if any.

    Raises Refused: TERMINAL_OF_OTHER_STORE (before it is looked at whether that terminal exists), TERMINAL_UNKNOWN,
    TERMINAL_SUSPENDED; FIELD_INVALID when a till server names none.
    """
    if caller.role is Role.TERMINAL and caller.store_id is not None and caller.terminal_id is not None:
        if named is not None and (named.participant, named.store, named.terminal) != caller.elements:
            raise Refused(Reason.TERMINAL_OF_OTHER_STORE, "terminal")
        return Seat(caller.participant_id, caller.store_id, caller.terminal_id)
    if named is None:
        raise Refused(Reason.FIELD_INVALID, "terminal", {"expected": "a till server names the terminal"})
    participant = programme.participant_by_code.get(named.participant)
    if participant is None or not caller.speaks_for(participant):
        raise Refused(Reason.TERMINAL_OF_OTHER_STORE, "terminal")
    store = programme.store_by_code.get((participant.participant_id, named.store))
    terminal = programme.terminal_by_code.get((store.store_id, named.terminal)) if store else None
    if store is None or terminal is None:
        raise Refused(Reason.TERMINAL_UNKNOWN, "terminal")
    if not (participant.is_active and store.is_active and terminal.is_active):
        raise Refused(Reason.TERMINAL_SUSPENDED, "terminal")
    return Seat(participant.participant_id, store.store_id, terminal.terminal_id)
