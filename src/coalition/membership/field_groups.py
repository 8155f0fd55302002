"""The field groups of a member: what each may hold, its one written form, and how much of it staff may see.

A group is sealed as one deterministic JSON object. Nothing here quotes a value: not in an error, not in a repr.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Final, TypeAlias

from coalition.domain.acts import JSON, canonical
from coalition.domain.errors import Refused
from coalition.domain.members import ATTRIBUTES, CONSENTS, CONTACT, IDENTITY, PROFILE_GROUPS, REFUND_ACCOUNT
from coalition.domain.phones import mask_name, mask_phone, normalize_phone
from coalition.domain.reasons import Reason

NAME_CHARACTERS_MAX: Final = 120
ATTRIBUTES_MAX: Final = 16
ATTRIBUTE_CHARACTERS_MAX: Final = 64
NOTICE_CHARACTERS_MAX: Final = 32
MONTHS: Final = 12
_ATTRIBUTE = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_ACCOUNT = re.compile(r"[0-9A-Z]{6,34}", re.ASCII)
_NOTICE = re.compile(rf"[A-Za-z0-9._-]{{1,{NOTICE_CHARACTERS_MAX}}}", re.ASCII)

Opened: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Groups of one member in clear, by name. Only for as long as it takes to mask or to tell them."""


class ConsentPurpose(StrEnum):
    """What a member can agree to, each by itself. What the contract needs asks no consent."""

    MARKETING = "MARKETING"
    PROFILING = "PROFILING"
    SHARING = "SHARING"


@dataclass(frozen=True, slots=True)
class Identity:
    """`birth_month` is 1 to 12, or None where it was not told."""

    name: str = field(repr=False)
    birth_month: int | None = field(default=None, repr=False)
    group: ClassVar[str] = IDENTITY

    def normalized(self) -> "Identity":
        """The part in its one written form. Raises Refused(FIELD_INVALID) naming the field, without its content."""
        if self.birth_month is not None and not 1 <= self.birth_month <= MONTHS:
            raise Refused(Reason.FIELD_INVALID, "birth_month", {"expected": f"1 to {MONTHS}"})
        return Identity(_line(self.name, "name"), self.birth_month)

    def packed(self) -> bytes:
        """What is sealed."""
        return canonical({"birth_month": self.birth_month, "name": self.name})


@dataclass(frozen=True, slots=True)
class Contact:
    """How the member is reached."""

    phone: str = field(repr=False)
    group: ClassVar[str] = CONTACT

    def normalized(self) -> "Contact":
        """See Identity.normalized."""
        return Contact(normalize_phone(self.phone))

    def packed(self) -> bytes:
        """What is sealed."""
        return canonical({"phone": self.phone})


@dataclass(frozen=True, slots=True)
class RefundAccount:
    """Where money is paid back to: a bank's name, the account's number and whose it is."""

    bank: str = field(repr=False)
    number: str = field(repr=False)
    holder: str = field(repr=False)
    group: ClassVar[str] = REFUND_ACCOUNT

    def normalized(self) -> "RefundAccount":
        """See Identity.normalized."""
        number = self.number.replace(" ", "").replace("-", "").upper()
        if not _ACCOUNT.fullmatch(number):
            raise Refused(Reason.FIELD_INVALID, "refund_account.number", {"expected": "6 to 34 digits or letters"})
        return RefundAccount(
            _line(self.bank, "refund_account.bank"), number, _line(self.holder, "refund_account.holder")
        )

    def packed(self) -> bytes:
        """What is sealed."""
        return canonical({"bank": self.bank, "holder": self.holder, "number": self.number})


@dataclass(frozen=True, slots=True)
class Attributes:
    """What rules ask of a member besides, by name; at most 16."""

    values: Mapping[str, str] = field(repr=False)
    group: ClassVar[str] = ATTRIBUTES

    def normalized(self) -> "Attributes":
        """See Identity.normalized."""
        are_names = all(_ATTRIBUTE.fullmatch(name) for name in self.values)
        if not are_names or len(self.values) > ATTRIBUTES_MAX:
            expected = f"at most {ATTRIBUTES_MAX} names of a-z, 0-9 and _, 32 characters at most"
            raise Refused(Reason.FIELD_INVALID, "attributes", {"expected": expected})
        return Attributes(
            {name: _line(value, "attributes", ATTRIBUTE_CHARACTERS_MAX) for name, value in self.values.items()}
        )

    def packed(self) -> bytes:
        """What is sealed."""
        return canonical(dict(self.values))


Part: TypeAlias = Identity | Contact | RefundAccount | Attributes


@dataclass(frozen=True, slots=True)
class Consent:
    """What a member said about one purpose: yes or no, to which version of the notice, when."""

    purpose: str
    is_given: bool
    notice_version: str
    set_time: datetime


def unpacked(plaintext: bytes) -> Mapping[str, Any]:
    """A field group as it is told, from what was sealed of it."""
    found: Mapping[str, Any] = json.loads(plaintext)
    return found


def with_consent(before: Mapping[str, Any], consent: Consent) -> bytes:
    """The group of consents with one more said, or said anew."""
    said: dict[str, JSON] = {
        "is_given": consent.is_given,
        "notice_version": consent.notice_version,
        "set_time": consent.set_time.isoformat(),
    }
    return canonical({**before, consent.purpose: said})


def consents_in(opened: Opened) -> tuple[Consent, ...]:
    """What the member said, by purpose; nothing where nothing was said."""
    return tuple(
        Consent(purpose, said["is_given"], said["notice_version"], datetime.fromisoformat(said["set_time"]))
        for purpose, said in sorted(opened.get(CONSENTS, {}).items())
    )


def checked_consent(purpose: str, notice_version: str) -> ConsentPurpose:
    """Raises Refused(FIELD_INVALID) naming purpose or notice_version."""
    if not _NOTICE.fullmatch(notice_version):
        expected = f"1 to {NOTICE_CHARACTERS_MAX} letters, digits, '.', '_' or '-'"
        raise Refused(Reason.FIELD_INVALID, "notice_version", {"expected": expected})
    try:
        return ConsentPurpose(purpose)
    except ValueError:
        raise Refused(Reason.FIELD_INVALID, "purpose", {"expected": " or ".join(ConsentPurpose)}) from None


def checked_groups(names: tuple[str, ...]) -> tuple[str, ...]:
    """Field groups in the house's order, each once. Raises Refused(FIELD_INVALID)."""
    if not names or not set(names) <= set(PROFILE_GROUPS):
        raise Refused(Reason.FIELD_INVALID, "field_groups", {"expected": " or ".join(PROFILE_GROUPS)})
    return tuple(name for name in PROFILE_GROUPS if name in names)


def masked(opened: Opened) -> tuple[str, str, str]:
    """(name, phone, refund account) as staff may see them; empty where a group is missing or was not asked for."""
    name = mask_name(str(opened[IDENTITY]["name"])) if IDENTITY in opened else ""
    phone = mask_phone(str(opened[CONTACT]["phone"])) if CONTACT in opened else ""
    account = f"**** {str(opened[REFUND_ACCOUNT]['number'])[-4:]}" if REFUND_ACCOUNT in opened else ""
    return name, phone, account


def _line(text: str, field_name: str, characters_max: int = NAME_CHARACTERS_MAX) -> str:
    """One line without control characters, blanks made single."""
    line = " ".join(unicodedata.normalize("NFC", text).split())
    # Of what is not printable, separators are gone by now: what is left are control characters and the like.
    if not line.isprintable() or not 1 <= len(line) <= characters_max:
        raise Refused(Reason.FIELD_INVALID, field_name, {"expected": f"1 to {characters_max} characters on one line"})
    return line
