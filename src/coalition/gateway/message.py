"""Bytes to fields and back, and what of a message may be shown. Knows encodings, not what a message means."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import iso8583

from coalition.gateway.errors import Malformed, Unreadable
from coalition.gateway.fields import ECHOED, PATTERNS, SPECS, Field, Spec

TPDU_BYTES: Final = 5
TPDU_ID: Final = 0x60
SHOWN: Final[Mapping[str, re.Pattern[str]]] = {
    "t": re.compile(r"[0-9]{4}", re.ASCII),
    Field.RESPONSE_CODE: re.compile(r"[0-9]{2}", re.ASCII),
    Field.REASON: re.compile(r"[A-Z_]{1,60}(?: DE[0-9]{1,3})?", re.ASCII),
    **{
        number: PATTERNS[number]
        for number in (
            Field.PROCESSING_CODE,
            Field.STAN,
            Field.LOCAL_TIME,
            Field.LOCAL_DATE,
            Field.NETWORK_CODE,
            Field.CURRENCY,
        )
    },
}
"""Fields that a log may show as they are, if they look like this, too short for a card number; others show a length."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it came, by field number; "t" is its type. `envelope` goes before the answer. No repr: card data."""

    mti: str
    fields: Mapping[str, str] = field(repr=False)
    envelope: bytes = b""
    malformed: str | None = None
    """Number of the field at which reading stopped; the fields before it are there."""

    def text(self, number: Field) -> str:
        """A field that must be there and as the table says. Raises Malformed."""
        value = self.fields.get(number, "")
        if not PATTERNS[number].fullmatch(value):
            raise Malformed(number)
        return value

    def optional(self, number: Field) -> str:
        """A field, or "" when it is not there. Raises Malformed when it is not as the table says."""
        return self.text(number) if number in self.fields else ""

    def echo(self) -> dict[str, str]:
        """What an answer repeats."""
        return {number: value for number in ECHOED if _as_the_table_says(number, value := self.fields.get(number, ""))}


class Codec:
    """`encoding` is a key of SPECS. `tpdu`: five bytes stand before each message; the answer swaps its addresses."""

    def __init__(self, encoding: str, *, tpdu: bool = False) -> None:
        self._spec: Spec = SPECS[encoding]
        self._tpdu = tpdu

    def decode(self, body: bytes) -> Message:
        """Read a message; one whose fields cannot be read has `malformed` set. Raises Unreadable without a type."""
        envelope = b""
        if self._tpdu:
            if len(body) < TPDU_BYTES or body[0] != TPDU_ID:
                raise Unreadable("no TPDU")
            envelope, body = bytes((TPDU_ID, *body[3:5], *body[1:3])), body[TPDU_BYTES:]
        malformed = None
        try:
            decoded, _ = iso8583.decode(body, self._spec)
        except iso8583.DecodeError as error:
            # The library's error quotes the message; what is kept of it are the fields that could be read.
            decoded, malformed = dict(error.doc_dec), error.field
            decoded.pop(malformed, None)
        mti = decoded.get("t", "")
        if not (mti.isascii() and mti.isdecimal()):
            raise Unreadable("no message type") from None
        return Message(mti, decoded, envelope, malformed)

    def encode(self, fields: Mapping[str, str], envelope: bytes = b"") -> bytes:
        """The bytes of an answer; `fields` are all ours or as the table says."""
        body, _ = iso8583.encode(dict(fields), self._spec)
        return envelope + bytes(body)


def masked(fields: Mapping[str, str]) -> dict[str, str]:
    """A message as a log may show it: no card number, no track, no PIN block, nothing a stranger wrote freely."""
    shown = {}
    for number, value in fields.items():
        if number in {"p", "1"}:
            continue
        plain = number in SHOWN and SHOWN[number].fullmatch(value)
        shown[f"DE{number}" if number != "t" else "mti"] = value if plain else f"[{len(value)} characters]"
    return shown


def _as_the_table_says(number: Field, value: str) -> bool:
    return PATTERNS[number].fullmatch(value) is not None
