"""Agreements of two hands: where the scheme asks for it, a version holds once others than its maker have approved it.

Who makes a version asks for its approval in the same act; it is signed by an act of its own, bound by the hash of what
was approved. Until then nothing of the coalition sees it.
"""

import hashlib
from collections.abc import Mapping
from datetime import date, datetime

from coalition.domain.acts import JSON, Act, canonical
from coalition.domain.agreements import Content, Version, parse_content
from coalition.domain.approvals import Subject
from coalition.domain.caps import Caps
from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from coalition.programme.agreement_rules import content_hash
from coalition.programme.store import Answer, ProgrammeBooks


def asked_if_needed(
    books: ProgrammeBooks,
    act: Act,
    agreement_id: int,
    code: str,
    version: int,
    kind: str,
    content: Mapping[str, JSON],
    period: tuple[date, date | None],
    time: datetime,
) -> Answer:
    """The answer of an act that has added a version; where approvals are needed, with the id of the one asked for."""
    told = content_hash(kind, content, *period)
    answer: Answer = {"agreement": code, "version": version, "content_sha256": told}
    if (unit := books.unit(agreement_id, version)) is not None:
        # Told, so that whoever has the log knows what a claim in points was made under.
        answer |= {"agreement_id": agreement_id, "unit": unit}
    if not books.needs_approval():
        return answer
    books.unsign(agreement_id, version)
    parsed = parse_content(kind, content)
    amount = parsed.net_debit_minor if isinstance(parsed, Caps) else 0
    agreed = agreed_hash(code, version, told)
    approval_id = books.ask_approval(subject_of(parsed), name_of(code, version), agreed, amount, act.actor, time)
    return answer | {"approval": approval_id, "content_hash": agreed.hex()}


def sign(books: ProgrammeBooks, code: str, version: int) -> Answer:
    """Let an approved version hold. Refused: AGREEMENT_UNKNOWN, APPROVAL_MISSING."""
    found: Version | None = next((each for each in books.agreement(code) if each.version == version), None)
    if found is None:
        raise Refused(Reason.AGREEMENT_UNKNOWN, "code", {"agreement": code})
    content = books.content(found.agreement_id, version)
    told = content_hash(found.kind, content, found.effective_from, found.effective_until)
    agreed = agreed_hash(code, version, told)
    if not books.is_approved(subject_of(found.content), name_of(code, version), agreed):
        raise Refused(Reason.APPROVAL_MISSING, "version")
    books.sign(found.agreement_id, version)
    return {"agreement": code, "version": version}


def subject_of(content: Content) -> Subject:
    """Caps are approved as caps, by the band of what may be owed."""
    return Subject.CAP if isinstance(content, Caps) else Subject.AGREEMENT


def name_of(code: str, version: int) -> str:
    """How its approval is known."""
    return f"{code}/{version}"


def agreed_hash(code: str, version: int, content_sha256: str) -> bytes:
    """What approvers agree to: every word of this version and the days it holds."""
    said: dict[str, JSON] = {"agreement": code, "content_sha256": content_sha256, "version": version}
    return hashlib.sha256(canonical(said)).digest()
