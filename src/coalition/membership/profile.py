"""A member's personal data between the door and the seal: checked, normalised, packed. Never in an error or a repr."""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from coalition.domain.acts import canonical
from coalition.domain.errors import Refused
from coalition.domain.members import CONTACT, IDENTITY
from coalition.domain.phones import mask_name, mask_phone, normalize_phone
from coalition.domain.reasons import Reason
from coalition.membership.card_views import CardView

NAME_CHARACTERS_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class Profile:
    """What a member tells at the counter. `birth_month` is 1 to 12, or None where it was not told."""

    name: str = field(repr=False)
    phone: str = field(repr=False)
    birth_month: int | None = field(default=None, repr=False)


class Purpose(StrEnum):
    """Why somebody looks at a member. A closed list: free text would end up holding names."""

    COUNTER_SERVICE = "COUNTER_SERVICE"
    MEMBER_REQUEST = "MEMBER_REQUEST"
    DISPUTE = "DISPUTE"
    FRAUD_CHECK = "FRAUD_CHECK"


@dataclass(frozen=True, slots=True)
class MemberView:
    """What counter staff may see: enough to tell two members apart, too little to write down. `recruiter` is a code."""

    member_id: UUID
    wallet_id: int
    masked_name: str = field(repr=False)
    masked_phone: str = field(repr=False)
    state: str
    recruiter: str
    create_time: datetime
    cards: tuple[CardView, ...]
    real_name_verified: bool


def normalized(profile: Profile) -> Profile:
    """The profile in its one written form. Raises Refused(FIELD_INVALID) naming the field, without its content."""
    name = " ".join(unicodedata.normalize("NFC", profile.name).split())
    is_clean = not any(unicodedata.category(character).startswith("C") for character in name)
    if not is_clean or not 1 <= len(name) <= NAME_CHARACTERS_MAX:
        raise Refused(Reason.FIELD_INVALID, "name", {"expected": f"1 to {NAME_CHARACTERS_MAX} characters on one line"})
    if profile.birth_month is not None and not 1 <= profile.birth_month <= 12:  # noqa: PLR2004  months of a year
        raise Refused(Reason.FIELD_INVALID, "birth_month", {"expected": "1 to 12"})
    return Profile(name, normalize_phone(profile.phone), profile.birth_month)


def plaintexts(profile: Profile) -> dict[str, bytes]:
    """What is sealed: one deterministic JSON object for each field group of a normalised profile."""
    return {
        CONTACT: canonical({"phone": profile.phone}),
        IDENTITY: canonical({"birth_month": profile.birth_month, "name": profile.name}),
    }


def phone_of(contact: bytes) -> str:
    """The phone in an opened contact group."""
    return str(json.loads(contact)["phone"])


def birth_month_of(identity: bytes) -> int | None:
    """The month of birth in an opened identity group, if it was told."""
    month = json.loads(identity)["birth_month"]
    return None if month is None else int(month)


def masked(opened: Mapping[str, bytes]) -> tuple[str, str]:
    """(name, phone) as staff may see them, from opened groups; empty where a group is missing (an erased member)."""
    name = mask_name(str(json.loads(opened[IDENTITY])["name"])) if IDENTITY in opened else ""
    phone = mask_phone(phone_of(opened[CONTACT])) if CONTACT in opened else ""
    return name, phone


def check_purpose(purpose: str) -> Purpose:
    """Raises Refused(FIELD_INVALID) unless it is one of the list."""
    try:
        return Purpose(purpose)
    except ValueError:
        raise Refused(Reason.FIELD_INVALID, "purpose", {"expected": " or ".join(Purpose)}) from None
