"""The statement of a day's close: what a terminal counted, as bytes to sign, as CloseDayRequest in the protos says.

Signs nothing and imports no cryptography: whoever closes a day hands in how.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

from coalition.client.errors import FieldRefused
from coalition.v1.operations_pb2 import EntryKind
from coalition.v1.terminal_pb2 import CloseDayRequest, DayOperation, KindTotal

DaySigner: TypeAlias = Callable[[bytes], bytes]
"""Signs a statement: by the private key of the terminal's certificate, over `signed_bytes` of it."""
LABEL: Final = b"coalition statement 1"
KIND: Final = b"day-close"
OPERATIONS_MAX: Final = 5_000
"""A close lists so many operations; of a longer day it states the totals only."""


def statement(place: str, request: CloseDayRequest) -> bytes:
    """The statement of a request that is complete but for its signature. `place` is participant/store/terminal."""
    lines = [
        "coalition day close 1",
        place,
        request.business_date,
        str(request.number),
        request.previous_hash.hex() or "-",
        *(f"{each.kind} {each.accepted_count} {each.accepted_minor} {each.declined_count}" for each in request.totals),
        _operations_line(request.operations),
    ]
    return "".join(f"{line}\n" for line in lines).encode("ascii")


def signed_bytes(stated: bytes) -> bytes:
    """What is signed of a statement: a signature made for anything else is none here."""
    return LABEL + b"".join(len(part).to_bytes(4, "big") + part for part in (KIND, stated))


def sign_request(place: str, request: CloseDayRequest, sign: DaySigner) -> bytes:
    """Put the signature into a request that is complete but for it, and answer the SHA-256 of its statement.

    Raises FieldRefused where the request states what is no statement: totals out of order or twice.
    """
    kinds = [each.kind for each in request.totals]
    if kinds != sorted(set(kinds)):
        raise FieldRefused("totals", "state each kind once, by rising kind")
    stated = statement(place, request)
    request.signature = sign(stated)
    return hashlib.sha256(stated).digest()


def totals_of(operations: Iterable[DayOperation]) -> list[KindTotal]:
    """The operations added up, one total a kind, by rising kind."""
    totals: dict[EntryKind.ValueType, KindTotal] = {}
    for each in operations:
        total = totals.setdefault(each.kind, KindTotal(kind=each.kind))
        if each.accepted:
            total.accepted_count += 1
            total.accepted_minor += each.amount_minor
        else:
            total.declined_count += 1
    return [totals[kind] for kind in sorted(totals)]


def _operations_line(operations: Sequence[DayOperation]) -> str:
    if not operations:
        return "operations -"
    listed = "".join(
        f"{each.request_id.lower()} {each.kind} {each.accepted:d} {each.amount_minor}\n" for each in operations
    )
    return f"operations {len(operations)} {hashlib.sha256(listed.encode('ascii')).hexdigest()}"
