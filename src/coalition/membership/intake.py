"""Intake: members who move in from another system, many in one act. Line by line they end as they would at the counter;
a line that is refused keeps none of the others out. Exactly once: the act's request id is derived from the file.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic
from uuid import UUID

from coalition.domain.acts import JSON, Act, ActAnswer
from coalition.domain.cards import last_four, parse_card_number
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.links import card_link
from coalition.domain.members import NewCard, NewMember, SealedRecord
from coalition.domain.reasons import Reason
from coalition.membership.file_desk import REVISION_FACTS, told_of
from coalition.membership.held_cards import issuing
from coalition.membership.keyed_act import keyed
from coalition.membership.phone_book import Filing, PhoneBook
from coalition.membership.profile import Profile
from coalition.membership.random_ids import Random, random_number, random_uuid
from coalition.membership.records import Records
from coalition.membership.store import Answer, Key, Keys, MemberBooks, MemberKeys, MemberStore


@dataclass(frozen=True, slots=True)
class Arrival:
    """One line: what is known of a person, and the number of the card in the person's hand, if there is one."""

    profile: Profile = field(repr=False)
    card_number: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Arrived:
    """How a line ended: the member, or the reason and the field of the line that it is about."""

    member_id: UUID | None
    reason: Reason
    field: str


@dataclass(frozen=True, slots=True)
class _Ready(Generic[Key]):
    """A line that is in order by itself, sealed."""

    place: int
    filing: Filing
    key: Key = field(repr=False)
    member_id: UUID
    wallet_id: int
    records: tuple[SealedRecord, ...]
    token: bytes | None = field(repr=False)
    last_four: str


class Intake(Generic[Key]):
    """Callable from any thread."""

    def __init__(
        self,
        store: MemberStore,
        keys: Keys[Key],
        member_keys: MemberKeys[Key],
        records: Records[Key],
        phone_book: PhoneBook[Key],
        clock: Callable[[], datetime],
        random: Random,
    ) -> None:
        self._store = store
        self._keys = keys
        self._member_keys = member_keys
        self._records = records
        self._phone_book = phone_book
        self._clock = clock
        self._random = random

    def take(self, act: Act, recruiter: str, arrivals: Sequence[Arrival]) -> tuple[ActAnswer, list[Arrived]]:
        """Enrol them all, as far as each line is in order; how each line ended, in their order.

        A line ends with FIELD_INVALID, MEMBER_EXISTS or CARD_NUMBER_TAKEN. PARTICIPANT_UNKNOWN, SUSPENDED: none was.
        """
        time = self._clock()
        ended: list[Arrived | None] = [None] * len(arrivals)
        ready: list[_Ready[Key]] = []
        for place, arrival in enumerate(arrivals):
            try:
                ready.append(self._ready(place, arrival))
            except Refused as refused:
                ended[place] = Arrived(None, refused.reason, refused.field or "")
        self._member_keys.put_all({each.member_id: (each.key, each.filing.checks) for each in ready}, time)

        def apply(books: MemberBooks) -> Answer:
            recruiter_id = issuing(books, recruiter).participant_id
            known = self._phone_book.claim_all(books, [each.filing for each in ready])
            taken = books.taken_tokens([each.token for each in ready if each.token is not None])
            members: list[NewMember] = []
            cards: list[NewCard] = []
            for each in ready:
                if each.filing.phone in known:
                    ended[each.place] = Arrived(None, Reason.MEMBER_EXISTS, "phone")
                    continue
                if each.token is not None and each.token in taken:
                    ended[each.place] = Arrived(None, Reason.CARD_NUMBER_TAKEN, "card_number")
                    continue
                known.add(each.filing.phone)
                members.append(
                    NewMember(
                        each.member_id,
                        each.wallet_id,
                        recruiter_id,
                        time,
                        each.records,
                        each.filing.index,
                        is_named=False,
                    )
                )
                if each.token is not None:
                    taken.add(each.token)
                    card_id = random_number(self._random)
                    cards.append(
                        NewCard(card_id, each.token, each.last_four, "ACTIVE", recruiter, each.wallet_id, time)
                    )
                ended[each.place] = Arrived(each.member_id, Reason.ACCEPTED, "")
            books.add_members(members, cards)
            facts: dict[str, JSON] = {str(member.member_id): told_of(member.records) for member in members}
            links: list[JSON] = [*sorted(card_link(card.card_id, card.wallet_id or 0) for card in cards)]
            return {"lines": [_told(line) for line in ended], REVISION_FACTS: facts, "cards_sha256": links}

        try:
            answer = self._store.perform(keyed(act, self._keys), apply)
        except Refused:
            self._member_keys.delete_all([each.member_id for each in ready])
            raise
        outcome = _lines(answer.answer)
        made = {line.member_id for line in outcome}
        self._member_keys.delete_all([each.member_id for each in ready if each.member_id not in made])
        return answer, outcome

    def _ready(self, place: int, arrival: Arrival) -> _Ready[Key]:
        parts = arrival.profile.normalized()
        number = None if arrival.card_number is None else parse_card_number(arrival.card_number)
        member_id = random_uuid(self._random)
        key, cipher = self._keys.new_member(member_id)
        return _Ready(
            place,
            self._phone_book.filing(parts[1].phone),
            key,
            member_id,
            random_number(self._random),
            self._records.sealed(member_id, cipher, {each.group: each.packed() for each in parts}),
            None if number is None else self._keys.card_token(number),
            "" if number is None else last_four(number),
        )


def _told(line: Arrived | None) -> JSON:
    """A line's end as the journal keeps it: nothing of what it said."""
    if line is None:
        raise LedgerBroken("a line of an import did not end")
    return [str(line.member_id) if line.member_id else None, int(line.reason), line.field]


def _lines(answer: Mapping[str, Any]) -> list[Arrived]:
    """The ends of the lines from an act's answer."""
    return [
        Arrived(UUID(member_id) if member_id else None, Reason(reason), field_name)
        for member_id, reason, field_name in answer["lines"]
    ]
