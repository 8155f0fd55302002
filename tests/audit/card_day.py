"""What becomes of cards and members on an auditor's day: moved in, frozen, limited, replaced, locked, merged, gone."""

import time
from dataclasses import replace
from uuid import UUID

from coalition.domain.kinds import Kind
from coalition.domain.members import CardLimits
from coalition.membership.intake import Arrival
from coalition.membership.profile import Profile
from tests.audit_day import Till
from tests.house import House

MOVED_IN = ("9700000000000012", "9700000000000020")
PATIENCE_SECONDS = 60.0


def card_day(house: House, address: str) -> None:
    """Each at least once, also of cards that moved in, whose acts tell no wallet."""
    reception = house.reception
    arrivals = [
        Arrival(Profile("Li Na", f"+8613877000{place:03}"), number) for place, number in enumerate((*MOVED_IN, None))
    ]
    _, lines = reception.intake.take(house.act(Kind.MEMBERS_IMPORTED), "store-a", arrivals)
    assert [0, 0, 0] == [line.reason for line in lines]
    frozen, thawed, replaced, limited = (house.new_card() for _ in range(4))
    reception.freeze_card(house.act(Kind.CARD_FROZEN, at=1), frozen)
    reception.freeze_card(house.act(Kind.CARD_FROZEN, at=2), thawed)
    reception.unfreeze_card(house.act(Kind.CARD_UNFROZEN), thawed)
    reception.replace_card(house.act(Kind.CARD_REPLACED, at=1), replaced, None)
    reception.replace_card(house.act(Kind.CARD_REPLACED, at=2), MOVED_IN[1], None)
    reception.set_card_limits(house.act(Kind.CARD_LIMITS_SET), limited, CardLimits(5_000, None, 90_000))
    house.new_card(linked=False)
    locked, _ = house.new_member()
    reception.erasures.set_state(house.act(Kind.MEMBER_STATE_CHANGED), locked, is_locked=True)
    _erase(house)
    _merge(house, address)


def _member(house: House, at: int) -> tuple[UUID, str]:
    """A new member and a card of its own."""
    member_id, _ = house.new_member()
    number = house.new_card(linked=False)
    house.reception.link_card(house.act(Kind.CARD_LINKED, member=at), number, member_id)
    return member_id, number


def _erase(house: House) -> None:
    """A member with a card, whom an operator asks to erase and an approver erases."""
    member_id, _ = _member(house, 1)
    erasures = house.reception.erasures
    erasures.request(house.act(Kind.ERASURE_REQUESTED), member_id)
    erasures.approve(replace(house.act(Kind.MEMBER_ERASED), actor="/ap/ben"), member_id)


def _merge(house: House, address: str) -> None:
    """A member with value, a card and a phone to pay by, merged into another; done when the value has arrived."""
    (old, number), (new, _) = _member(house, 2), _member(house, 3)
    house.reception.add_phone(house.act(Kind.CREDENTIAL_ADDED), "store-a", old)
    till = Till(house, address, "store-a")
    till.top_up(number, 12_000)
    house.reception.merges.merge(house.act(Kind.MEMBERS_MERGED), old, new, "DISPUTE")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while house.query(
        "SELECT 1 FROM wallets WHERE merged_into IS NOT NULL AND balance_minor > 0"
        " UNION ALL SELECT 1 FROM transits WHERE is_open"
    ):
        assert time.monotonic() < deadline, "the value of a merged member has not arrived"
        time.sleep(0.05)
    till.top_up(number, 3_000)
    till.close()
