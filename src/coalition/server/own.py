"""Whose objects a caller may touch or read: the check that comes before any look whether the object exists."""

from collections.abc import Collection

from coalition.domain.errors import Refused
from coalition.domain.programme import Programme
from coalition.domain.reasons import Reason
from coalition.server.identity import Caller, Role

READS_ALL = frozenset({Role.OPERATOR, Role.AUDITOR, Role.APPROVER})


def own_codes(caller: Caller, programme: Programme) -> frozenset[str] | None:
    """Codes of the participants whose rows the caller may read; None for whom every row may be told."""
    if caller.role in READS_ALL:
        return None
    return frozenset(each.code for each in programme.participants.values() if caller.speaks_for(each))


def own_parties(caller: Caller, programme: Programme) -> frozenset[str] | None:
    """The names by which agreements call the caller's own participants (code or chain); None for all."""
    codes = own_codes(caller, programme)
    if codes is None:
        return None
    return frozenset(party for code in codes for party in programme.participant_by_code[code].parties)


def check_among(own: Collection[str] | None, code: str, field: str) -> None:
    """Raise Refused(PERMISSION_DENIED) unless `code` is one of the caller's own; also where nobody has that code."""
    if code and own is not None and code not in own:
        raise Refused(Reason.PERMISSION_DENIED, field)


def acting_for(caller: Caller, programme: Programme, code: str, field: str) -> str:
    """The participant the caller acts for: the one named, or (empty) the caller's own.

    Raises Refused: PERMISSION_DENIED for a foreign or unknown one (the operator may name any), FIELD_INVALID where a
    till server of a whole chain names none.
    """
    own = own_codes(caller, programme)
    if code:
        check_among(own, code, field)
        return code
    participant = programme.participants[caller.participant_id]
    if not caller.speaks_for(participant):
        raise Refused(Reason.FIELD_INVALID, field, {"expected": "the participant of the chain that this is done for"})
    return participant.code
