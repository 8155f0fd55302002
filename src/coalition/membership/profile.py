"""What is told of a member at the counter and shown of it again. Never in an error or a repr."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from coalition.membership.card_views import CardView
from coalition.membership.field_groups import Consent, Contact, Identity


@dataclass(frozen=True, slots=True)
class Profile:
    """What a member tells at the counter. `birth_month` is 1 to 12, or None where it was not told."""

    name: str = field(repr=False)
    phone: str = field(repr=False)
    birth_month: int | None = field(default=None, repr=False)

    def normalized(self) -> tuple[Identity, Contact]:
        """Its parts in their one written form. Raises Refused(FIELD_INVALID) naming the field, without its content."""
        return Identity(self.name, self.birth_month).normalized(), Contact(self.phone).normalized()


class Purpose(StrEnum):
    """Why somebody looks at a member. A closed list: free text would end up holding names."""

    COUNTER_SERVICE = "COUNTER_SERVICE"
    MEMBER_REQUEST = "MEMBER_REQUEST"
    DISPUTE = "DISPUTE"
    FRAUD_CHECK = "FRAUD_CHECK"
    MARKETING = "MARKETING"
    """Needs the member's consent to it."""
    AUDIT = "AUDIT"
    """An auditor's sample is looked at."""


OWN_ACCESS = "OWN_ACCESS"
"""The purpose of a member who reads the own data; no staff may name it."""


@dataclass(frozen=True, slots=True)
class MemberView:
    """What counter staff may see: enough to tell two members apart, too little to write down. `recruiter` is a code.

    What belongs to a field group that was not asked for, or that the member does not have, is empty.
    """

    member_id: UUID
    wallet_id: int
    masked_name: str = field(repr=False)
    masked_phone: str = field(repr=False)
    state: str
    recruiter: str
    create_time: datetime
    cards: tuple[CardView, ...]
    real_name_verified: bool
    masked_account: str = field(default="", repr=False)
    consents: tuple[Consent, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    merged_into: UUID | None = None


def check_purpose(purpose: str) -> Purpose:
    """Raises Refused(FIELD_INVALID) unless it is one of the list."""
    try:
        return Purpose(purpose)
    except ValueError:
        raise Refused(Reason.FIELD_INVALID, "purpose", {"expected": " or ".join(Purpose)}) from None
