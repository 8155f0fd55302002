"""Moving out: all active members leave, sealed to a recipient outside, once two people have agreed to whom.

What leaves is opened and sealed again in one breath, page by page, and never in clear in anybody's hands here: only the
holder of the recipient's private key reads it. The approver names the SHA-256 of the recipient's key, as the recipient
told it to them by another way, so that nobody who asks can put a key of their own in its place. One act, before the
first page, says how many members left and to which key; each member sees it in the own access report.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Generic
from uuid import UUID

from coalition.domain.acts import Act, ActAnswer, body_hash, canonical
from coalition.domain.errors import Refused
from coalition.domain.kinds import Kind
from coalition.domain.members import ExportedMember, MemberExport, Reader
from coalition.domain.reasons import Reason
from coalition.membership.disclosure_desk import are_two
from coalition.membership.field_groups import checked_groups
from coalition.membership.keyed_act import keyed
from coalition.membership.profile import Purpose, check_purpose
from coalition.membership.random_ids import Random, random_request_id
from coalition.membership.records import Records
from coalition.membership.sealed_lines import boxed, key_hash, line_of
from coalition.membership.store import Answer, Key, Keys, MemberBooks, MemberKeys, MemberStore

OPEN_FOR: Final = timedelta(hours=24)
"""A million members take an hour or two; what was cut off goes on within a day."""
PAGE: Final = 100
NOBODY: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class ExportPage:
    """Boxes sealed to the recipient, in their order, and the last member in them; `is_last`: nobody comes after."""

    boxes: tuple[bytes, ...] = field(repr=False)
    members: int
    last_member_id: UUID
    is_last: bool


class ExportDesk(Generic[Key]):
    """Callable from any thread."""

    def __init__(
        self,
        store: MemberStore,
        keys: Keys[Key],
        member_keys: MemberKeys[Key],
        records: Records[Key],
        clock: Callable[[], datetime],
        random: Random,
    ) -> None:
        self._store = store
        self._keys = keys
        self._member_keys = member_keys
        self._records = records
        self._clock = clock
        self._random = random

    def request(self, act: Act, groups: tuple[str, ...], purpose: str, recipient_key: bytes) -> ActAnswer:
        """Ask that all active members leave to the holder of this key; nothing leaves yet. FIELD_INVALID."""
        why, what = check_purpose(purpose), checked_groups(groups)
        if why is Purpose.MARKETING:
            raise Refused(Reason.FIELD_INVALID, "purpose", {"expected": "no purpose that needs each member's consent"})
        if not self._keys.is_box_key(recipient_key):
            raise Refused(Reason.FIELD_INVALID, "recipient_key", {"expected": "an X25519 public key, 32 bytes"})
        time = self._clock()
        # A version 7 UUID: the act of leaving has it as its request id.
        export_id = random_request_id(self._random, time)
        export = MemberExport(export_id, what, why.value, recipient_key, act.actor, time)

        def apply(books: MemberBooks) -> Answer:
            books.add_export(export)
            return {
                "export_id": str(export.export_id),
                "field_groups": list(what),
                "members": books.count_active(),
                "purpose": why.value,
                "recipient_key_sha256": key_hash(recipient_key),
            }

        return self._store.perform(keyed(act, self._keys), apply)

    def approve(self, act: Act, export_id: UUID, recipient_key_sha256: str) -> ActAnswer:
        """Let an export leave within 24 hours; once, by another person in another role who names the recipient's key.

        Not stored: EXPORT_UNKNOWN, APPROVER_NOT_ANOTHER, EXPORT_KEY_DIFFERS.
        """
        time = self._clock()

        def apply(books: MemberBooks) -> Answer:
            export = books.lock_export(export_id)
            if export is None or export.approver is not None:
                raise Refused(Reason.EXPORT_UNKNOWN, "export_id")
            if not are_two(export.requester, act.actor):
                raise Refused(Reason.APPROVER_NOT_ANOTHER, "export_id")
            told = key_hash(export.recipient_key)
            if recipient_key_sha256.lower() != told:
                raise Refused(Reason.EXPORT_KEY_DIFFERS, "recipient_key_sha256")
            books.approve_export(export_id, act.actor, time)
            return {
                "expire_time": (time + OPEN_FOR).isoformat(),
                "export_id": str(export_id),
                "members": books.count_active(),
                "recipient_key_sha256": told,
            }

        return self._store.perform(keyed(act, self._keys), apply)

    def page(self, reader: Reader, export_id: UUID, after: UUID = NOBODY) -> ExportPage:
        """The members behind `after`, sealed. APPROVAL_MISSING. Not stored: EXPORT_UNKNOWN, also to who did not ask."""
        export = self._store.export(export_id)
        if export is None or export.requester != reader.actor:
            raise Refused(Reason.EXPORT_UNKNOWN, "export_id")
        self._tell(reader, export)
        found = self._store.active_members(after, export.field_groups, PAGE + 1)
        shown, is_last = found[:PAGE], len(found) <= PAGE
        keys = self._member_keys.get([member.member_id for member in shown]) if shown else {}
        lines = [self._line(member, keys.get(member.member_id)) for member in shown]
        if is_last:
            lines.append(canonical({"is_end": True}))
        boxes = [
            self._keys.seal_to(export.recipient_key, box, self._keys.export_context(str(export_id), str(after), number))
            for number, box in enumerate(boxed(lines))
        ]
        last = shown[-1].member_id if shown else after
        return ExportPage(tuple(boxes), len(shown), last, is_last)

    def _tell(self, reader: Reader, export: MemberExport) -> None:
        """The act of leaving, once: before the first page, and told again for the others, while it is permitted."""
        now = self._clock()
        if export.approve_time is None or now >= export.approve_time + OPEN_FOR:
            raise Refused(Reason.APPROVAL_MISSING, "export_id", {"export_id": str(export.export_id)})
        body: Answer = {"export_id": str(export.export_id)}
        act = Act(
            Kind.MEMBERS_EXPORTED,
            reader.participant_id,
            export.export_id,
            body_hash(Kind.MEMBERS_EXPORTED, body),
            reader.actor,
        )

        def apply(books: MemberBooks) -> Answer:
            return {
                **body,
                "field_groups": list(export.field_groups),
                "members": books.note_all_active(act),
                "purpose": export.purpose,
                "recipient_key_sha256": key_hash(export.recipient_key),
            }

        self._store.perform(act, apply)

    def _line(self, member: ExportedMember, key: Key | None) -> bytes:
        opened: dict[str, Any] = self._records.all_opened(member.records, key)
        told = {
            "create_time": member.create_time.isoformat(),
            "is_named": member.is_named,
            "member_id": str(member.member_id),
            "recruiter": member.recruiter,
            "wallet_id": member.wallet_id,
        }
        return line_of({**told, **opened})
