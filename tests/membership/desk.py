"""Reception as a counter uses it: shorter calls for the tests."""

import os
from typing import Any
from uuid import UUID

from coalition.bootstrap.pins import RingPins
from coalition.domain.kinds import Kind
from coalition.membership.card_views import CardAnswer, CardOfMember
from coalition.membership.profile import Profile
from coalition.membership.reception import Enrolment, Reception
from coalition.membership.store import MemberKeys, MemberStore
from coalition.storage.keydb import KeyDatabase
from coalition.storage.membership import MemberStore as SqlMemberStore
from keys import KeyRing, WrappedKey
from tests.offices import LANES, NOON, House

PHONE = "13812341234"


class Desk:
    """A reception with its real key ring and both databases."""

    def __init__(self, house: House, ring: KeyRing) -> None:
        self.house = house
        self.ring = ring
        self.keydb = KeyDatabase(house.lease(house.keydb), WrappedKey)
        self.reception = self.make()

    def make(self, **options: Any) -> Reception[WrappedKey]:
        store: MemberStore = SqlMemberStore(self.house.lease(), self.house.acts(), LANES)
        member_keys: MemberKeys[WrappedKey] = self.keydb
        return Reception(store, self.ring, member_keys, lambda: NOON, os.urandom, RingPins(self.ring), **options)

    def enrol(self, phone: str = PHONE, name: str = "张三", month: int | None = 5, **more: Any) -> Enrolment:
        act = self.house.act(Kind.MEMBER_ENROLLED, more.get("request_id"), phone=phone, name=name, birth_month=month)
        reception = more.get("reception", self.reception)
        enrolment: Enrolment = reception.enrol(act, Profile(name, phone, month), more.get("recruiter", "hq"))
        return enrolment

    def issue(self, number: str | None = None, request_id: UUID | None = None) -> CardAnswer:
        act = self.house.act(Kind.CARD_ISSUED, request_id, number=number)
        return self.reception.issue_card(act, "hq", number)

    def link(self, number: str, member_id: UUID, request_id: UUID | None = None) -> CardAnswer:
        act = self.house.act(Kind.CARD_LINKED, request_id, number=number, member_id=str(member_id))
        return self.reception.link_card(act, number, member_id)

    def freeze(self, card: str | CardOfMember) -> CardAnswer:
        return self.reception.freeze_card(self.house.act(Kind.CARD_FROZEN, card=str(card)), card)

    def unfreeze(self, card: str | CardOfMember) -> CardAnswer:
        return self.reception.unfreeze_card(self.house.act(Kind.CARD_UNFROZEN, card=str(card)), card)

    def replace(
        self, card: str | CardOfMember, new_number: str | None = None, request_id: UUID | None = None
    ) -> CardAnswer:
        act = self.house.act(Kind.CARD_REPLACED, request_id, card=str(card), new_number=new_number)
        return self.reception.replace_card(act, card, new_number)

    def linked(self, phone: str = PHONE) -> tuple[Enrolment, str]:
        """A new member with a card that pays, and its number."""
        enrolment, number = self.enrol(phone), self.issue().number
        assert number is not None
        self.link(number, enrolment.member_id)
        return enrolment, number
