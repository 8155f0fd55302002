"""Two people: members are shown unmasked only where one person asked and another, of another role, approved.

A disclosure names at most 20 members, their field groups, a purpose and a public key of who asks. It can be fetched for
15 minutes after its approval, by whoever asked for it, sealed to that key; every fetching leaves its own act before
anything is told (RELIABILITY P24, T12, 5.8).
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, Generic
from uuid import UUID

from coalition.domain.acts import Act, ActAnswer
from coalition.domain.errors import Refused
from coalition.domain.members import Disclosure, Reader
from coalition.domain.reasons import Reason
from coalition.membership.field_groups import checked_groups
from coalition.membership.keyed_act import keyed
from coalition.membership.profile import check_purpose
from coalition.membership.random_ids import Random, random_uuid
from coalition.membership.reading_room import ReadingRoom
from coalition.membership.sealed_lines import boxed, key_hash, line_of
from coalition.membership.store import Answer, Key, Keys, MemberBooks, MemberStore

RECORDS_MAX: Final = 20
OPEN_FOR: Final = timedelta(minutes=15)


class DisclosureDesk(Generic[Key]):
    """Callable from any thread."""

    def __init__(
        self,
        store: MemberStore,
        keys: Keys[Key],
        reading: ReadingRoom[Key],
        clock: Callable[[], datetime],
        random: Random,
    ) -> None:
        self._store = store
        self._keys = keys
        self._reading = reading
        self._clock = clock
        self._random = random

    def request(
        self, act: Act, member_ids: Sequence[UUID], groups: tuple[str, ...], purpose: str, recipient_key: bytes
    ) -> ActAnswer:
        """Ask to see members unmasked, sealed to the holder of this key; tells nothing yet.

        MEMBER_UNKNOWN; FIELD_INVALID.
        """
        why, what = check_purpose(purpose), checked_groups(groups)
        wanted = tuple(dict.fromkeys(member_ids))
        if not 1 <= len(wanted) <= RECORDS_MAX:
            raise Refused(Reason.FIELD_INVALID, "member_ids", {"expected": f"1 to {RECORDS_MAX} members"})
        if not self._keys.is_box_key(recipient_key):
            raise Refused(Reason.FIELD_INVALID, "recipient_key", {"expected": "an X25519 public key, 32 bytes"})
        disclosure = Disclosure(
            random_uuid(self._random), wanted, what, why.value, recipient_key, act.actor, self._clock()
        )

        def apply(books: MemberBooks) -> Answer:
            unknown = set(wanted) - books.member_states(wanted).keys()
            if unknown:
                raise Refused(Reason.MEMBER_UNKNOWN, "member_ids", {"member_id": str(min(unknown))})
            books.add_disclosure(disclosure)
            books.note(act, wanted)
            return {
                "disclosure_id": str(disclosure.disclosure_id),
                "field_groups": list(what),
                "member_ids": [str(member_id) for member_id in wanted],
                "purpose": why.value,
                "recipient_key_sha256": key_hash(recipient_key),
            }

        return self._store.perform(keyed(act, self._keys), apply)

    def approve(self, act: Act, disclosure_id: UUID) -> ActAnswer:
        """Let a disclosure be read for 15 minutes from now; once, and by another person than who asked.

        Not stored: DISCLOSURE_UNKNOWN, APPROVER_NOT_ANOTHER.
        """
        time = self._clock()

        def apply(books: MemberBooks) -> Answer:
            disclosure = books.lock_disclosure(disclosure_id)
            if disclosure is None or disclosure.approver is not None or not disclosure.recipient_key:
                raise Refused(Reason.DISCLOSURE_UNKNOWN, "disclosure_id")
            if not are_two(disclosure.requester, act.actor):
                raise Refused(Reason.APPROVER_NOT_ANOTHER, "disclosure_id")
            books.approve_disclosure(disclosure_id, act.actor, time)
            books.note(act, disclosure.member_ids)
            return {"disclosure_id": str(disclosure_id), "expire_time": (time + OPEN_FOR).isoformat()}

        return self._store.perform(keyed(act, self._keys), apply)

    def open(self, reader: Reader, disclosure_id: UUID) -> list[bytes]:
        """The members of an approved disclosure, a line each, in boxes for who asked; bare lines of who was erased.

        APPROVAL_MISSING, MEMBER_LOCKED, CONSENT_MISSING. Not stored: DISCLOSURE_UNKNOWN, also to anybody but who asked.
        """
        disclosure = self._store.disclosure(disclosure_id)
        if disclosure is None or disclosure.requester != reader.actor or not disclosure.recipient_key:
            raise Refused(Reason.DISCLOSURE_UNKNOWN, "disclosure_id")

        consented = self._reading.consented(disclosure.member_ids, disclosure.purpose)

        def permitted(books: MemberBooks) -> None:
            now, known = self._clock(), books.lock_disclosure(disclosure_id)
            if known is None or known.approve_time is None or now >= known.approve_time + OPEN_FOR:
                facts = {"disclosure_id": str(disclosure_id), "purpose": disclosure.purpose}
                raise Refused(Reason.APPROVAL_MISSING, "disclosure_id", facts)
            consented(books)

        groups, why, key = disclosure.field_groups, disclosure.purpose, disclosure.recipient_key
        under: Answer = {"disclosure_id": str(disclosure_id), "recipient_key_sha256": key_hash(key)}
        self._reading.disclose(reader, disclosure.member_ids, groups, why, permitted, under)
        lines = [
            line_of({"member_id": str(member_id), **self._reading.in_clear(member_id, groups)})
            for member_id in disclosure.member_ids
        ]
        return [
            self._keys.seal_to(key, box, self._keys.disclosure_context(str(disclosure_id), number))
            for number, box in enumerate(boxed(lines))
        ]


def are_two(requester: str, approver: str) -> bool:
    """Whether these identities (/role/name) are of different roles and of different people."""
    (_, role, *names), (_, other_role, *other_names) = requester.split("/"), approver.split("/")
    return role != other_role and names != other_names
