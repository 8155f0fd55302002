"""V15: whoever saw members in clear had asked for it, and another person in another role had agreed, not long before;
so with whoever erased a member.

A look that is shown masked, and a member's own, name no disclosure and need none; they are counted.
"""

from typing import Any, Final, NamedTuple

from coalition.audit.bundle import Bundle
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Report
from coalition.audit.checks.told import Tables
from coalition.domain.ids import number_of
from coalition.domain.kinds import Kind

OPEN_US: Final = 15 * 60 * 1_000_000  # for how long an approval lets see (membership/disclosure_desk.py)
MEMBERS_MAX: Final = 20
KINDS: Final = frozenset(
    {
        int(Kind.DISCLOSED),
        int(Kind.DISCLOSURE_REQUESTED),
        int(Kind.DISCLOSURE_APPROVED),
        int(Kind.ERASURE_REQUESTED),
        int(Kind.MEMBER_ERASED),
    }
)
ERASABLE_US: Final = 30 * 24 * 3_600 * 1_000_000  # for how long an approver may agree (membership/erasure_desk.py)
# Approved at the house's clock, written at the database's.
SLACK_US: Final = 60 * 1_000_000


class Asked(NamedTuple):
    """What was asked for, by whom, told by the batch `number`."""

    requester: str | None
    content: tuple[Any, ...]
    number: int


class Approved(NamedTuple):
    """Who agreed, when (microseconds since 1970), told by the batch `number`."""

    approver: str | None
    time_us: int
    number: int


class DisclosureChecks:
    """Sees every act, then the table of disclosures."""

    def __init__(self, bundle: Bundle, report: Report, tables: Tables) -> None:
        self._bundle = bundle
        self._check = report.checks["V15"]
        self._tables = tables
        self._asked: dict[str, Asked] = {}
        self._approved: dict[str, Approved] = {}
        self._erasures: dict[str, list[tuple[str | None, int]]] = {}  # by member: who asked, and when

    def act(self, opened: Opened, told: dict[str, Any]) -> None:
        """The next act."""
        entry = opened.entry
        if entry.kind not in KINDS:
            return
        self._check.looked_at += 1
        if entry.kind == Kind.ERASURE_REQUESTED:
            self._erasures.setdefault(told["member_id"], []).append((opened.actor, opened.leaf.time_us))
            return
        if entry.kind == Kind.MEMBER_ERASED:
            self._erase(opened, told)
            return
        number = number_of(entry.entry_id)
        disclosure_id: Any = told.get("disclosure_id")
        if entry.kind == Kind.DISCLOSURE_REQUESTED:
            self._asked[disclosure_id] = Asked(opened.actor, content_of(told), number)
            if len(told["member_ids"]) > MEMBERS_MAX:
                self._breach(f"more than {MEMBERS_MAX} members are asked for at once", opened)
        elif entry.kind == Kind.DISCLOSURE_APPROVED:
            self._approve(opened, disclosure_id, number)
        elif disclosure_id is not None:
            self._open(opened, told, disclosure_id)

    def finish(self) -> None:
        """Everything was seen: the table has what the log tells of, and nothing besides."""
        if not self._tables.are_there:
            return
        found = set()
        for disclosure_id, requester, approver, purpose, groups, members, key in self._bundle.state("disclosures"):
            self._check.looked_at += 1
            found.add(disclosure_id)
            asked, approved = self._asked.get(disclosure_id), self._approved.get(disclosure_id)
            content = content_of(
                {"field_groups": groups, "member_ids": members, "purpose": purpose, "recipient_key_sha256": key}
            )
            if asked is None:
                self._tables.stray(self._check, f"no entry asks for disclosure {disclosure_id}, which is in the tables")
            elif (requester, content) != asked[:2]:
                self._check.breach(f"disclosure {disclosure_id} is another in the tables than was asked for")
            if approver is not None and approved is None:
                self._tables.stray(
                    self._check, f"no entry approves disclosure {disclosure_id}: the tables say {approver} did"
                )
            elif approver is not None and approved is not None and approver != approved.approver:
                self._check.breach(f"{approver} did not approve disclosure {disclosure_id}: {approved.approver} did")
        for disclosure_id, asked in self._asked.items():
            if asked.number <= self._tables.since and disclosure_id not in found:
                self._check.breach(f"disclosure {disclosure_id} is gone from the tables")

    def _approve(self, opened: Opened, disclosure_id: Any, number: int) -> None:
        asked = self._asked.get(disclosure_id)
        if disclosure_id in self._approved:
            self._breach(f"disclosure {disclosure_id} is approved a second time", opened)
        self._approved[disclosure_id] = Approved(opened.actor, opened.leaf.time_us, number)
        if asked is None:
            self._unknown(opened, f"disclosure {disclosure_id} is approved, and nobody asked for it")
        elif not are_two(asked.requester, opened.actor):
            self._breach(
                f"{opened.actor} approves what {asked.requester} asked for: not two people of two roles", opened
            )

    def _erase(self, opened: Opened, told: dict[str, Any]) -> None:
        """Who erases names who asked, another person, whose request is in the log and not too old."""
        member_id = told["member_id"]
        if "requester" not in told:
            return self._check.lacks(f"member {member_id} was erased by a release that asked one person alone")
        requester, oldest = told["requester"], opened.leaf.time_us - ERASABLE_US - SLACK_US
        asked = [time_us for actor, time_us in self._erasures.get(member_id, ()) if actor == requester]
        if not asked:
            return self._unknown(opened, f"member {member_id} is erased, and {requester} had not asked for it")
        if max(asked) < oldest:
            self._breach(f"member {member_id} is erased on a request that was over", opened)
        if not are_two(requester, opened.actor) or opened.actor not in {told["approver"], None}:
            self._breach(f"{opened.actor} erases, and {requester} asked for it: not two people of two roles", opened)
        return None

    def _open(self, opened: Opened, told: dict[str, Any], disclosure_id: str) -> None:
        asked, approved = self._asked.get(disclosure_id), self._approved.get(disclosure_id)
        if asked is None or approved is None:
            return self._unknown(
                opened, f"members are seen in clear under disclosure {disclosure_id}, which nobody approved"
            )
        if (opened.actor, content_of(told)) != asked[:2]:
            self._breach(f"what is seen under disclosure {disclosure_id} is not what was asked for", opened)
        if opened.leaf.time_us > approved.time_us + OPEN_US + SLACK_US:
            self._breach(f"disclosure {disclosure_id} was over when members were seen under it", opened)
        return None

    def _unknown(self, opened: Opened, sentence: str) -> None:
        if self._bundle.start_size:
            self._check.lacks(f"{sentence}, unless before the bundle's start")
        else:
            self._breach(sentence, opened)

    def _breach(self, sentence: str, opened: Opened) -> None:
        self._check.breach(sentence, opened.at, opened.entry.entry_id)


def content_of(told: dict[str, Any]) -> tuple[Any, ...]:
    """What is to be seen of whom, why, and the SHA-256 of the key it is sealed to."""
    return told["purpose"], tuple(told["field_groups"]), tuple(told["member_ids"]), told.get("recipient_key_sha256")


def are_two(requester: str | None, approver: str | None) -> bool:
    """Whether these identities (/role/name) are of different roles and of different people."""
    if requester is None or approver is None:
        return True  # who it was is not told: V6 says so
    one, other = requester.split("/"), approver.split("/")
    return one[1:2] != other[1:2] and one[2:] != other[2:]
