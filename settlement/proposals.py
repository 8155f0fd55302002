"""The file of proposed agreement versions: `{"code": ..., "kind": ..., "content": {...}}`, or a list of those.

The content is what `coalition agreement show CODE --json` prints and `coalition agreement add --file` reads; rates are
fractions. Checks what the office would check of a version; whether it pays anybody is not its business.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Final

from coalition.domain.agreements import KINDS, Content, Terms, Version, parse_content
from coalition.domain.errors import Refused
from coalition.domain.programme import Programme
from coalition.domain.simulation import SIMULATED_KINDS, Proposal
from coalition.programme.agreement_rules import check_alone, check_names, parties_of
from settlement.errors import ProposalRefused

BESIDE: Final = 0
"""No agreement has this number: stands for proposals while the next one is held against them."""


def read_proposals(path: Path) -> list[Proposal]:
    """One object with code, kind and content, or a list of them. Raises ProposalRefused, naming what to correct."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProposalRefused(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ProposalRefused(f"{path} is no JSON: {error}") from error
    rows = loaded if isinstance(loaded, list) else [loaded]
    proposals = [_proposal(row, f"{path.name}, proposal {number}") for number, row in enumerate(rows, 1)]
    if not proposals:
        raise ProposalRefused(f"{path.name} proposes nothing")
    twice = [code for code, count in Counter(each.code for each in proposals).items() if count > 1]
    if twice:
        raise ProposalRefused(
            f"{path.name} proposes {twice[0]} twice: one version of an agreement is simulated at a time"
        )
    return proposals


def check_proposals(programme: Programme, proposals: Iterable[Proposal], since: date) -> None:
    """Raise ProposalRefused where the office would refuse: strangers, other parties, rivals from `since` on."""
    parties = frozenset(party for each in programme.participants.values() for party in each.parties)
    versions = list(programme.versions.values())
    for proposal in proposals:
        latest = max(
            (each for each in versions if each.code == proposal.code), key=lambda each: each.version, default=None
        )
        if latest is not None and (latest.kind, parties_of(latest.content)) != (
            proposal.kind,
            parties_of(proposal.content),
        ):
            raise ProposalRefused(
                f"proposal {proposal.code}: a version is between the parties of the one before; give it another code"
            )
        check_sold_the_same(proposal, latest.content if latest else None)
        try:
            check_names(proposal.content, parties, frozenset(programme.calendars))
            check_alone(
                proposal.code, proposal.content, since, None, (each for each in versions if each.kind == proposal.kind)
            )
        except Refused as refused:
            raise _told(refused, f"proposal {proposal.code}") from refused
        versions.append(Version(BESIDE, 1, proposal.code, proposal.kind, since, None, proposal.content))


def check_sold_the_same(proposal: Proposal, before: Content | None) -> None:
    """Raise ProposalRefused for terms under which other lots would have been sold.

    Who sponsors them may differ, and who holds what was paid for them.
    """
    content = proposal.content
    if not isinstance(content, Terms):
        return
    if not isinstance(before, Terms) or before != replace(
        content,
        sponsor=before.sponsor,
        sponsor_share=before.sponsor_share,
        sponsor_limit_minor=before.sponsor_limit_minor,
        when_used_up=before.when_used_up,
        custody=before.custody,
    ):
        raise ProposalRefused(
            f"proposal {proposal.code}: of terms sponsor, sponsor_share and custody alone can be simulated; anything "
            "else would have made other lots and other sales, which nobody can know of a past month"
        )


def _proposal(row: object, where: str) -> Proposal:
    if not isinstance(row, dict) or set(row) != {"code", "kind", "content"} or not isinstance(row["content"], dict):
        raise ProposalRefused(f"{where}: must be an object with code, kind and content, and nothing else")
    code, kind = row["code"], str(row["kind"]).upper()
    if not isinstance(code, str) or kind not in KINDS:
        raise ProposalRefused(f"{where}: code must be an agreement's, kind one of {_named_kinds()}")
    if kind not in SIMULATED_KINDS:
        raise ProposalRefused(
            f"{where}: a proposal of kind {kind} would have made other lots and other sales, which nobody can know of "
            f"a past month; simulated are {_named_kinds()}"
        )
    content: dict[str, Any] = row["content"]
    try:
        return Proposal(code, kind, parse_content(kind, content))
    except Refused as refused:
        raise _told(refused, f"{where} ({code})") from refused


def _told(refused: Refused, where: str) -> ProposalRefused:
    facts = ", ".join(f"{name} {value}" for name, value in sorted(refused.metadata.items()))
    return ProposalRefused(f"{where}: {refused}" + (f": {facts}" if facts else ""))


def _named_kinds() -> str:
    return ", ".join(kind.lower() for kind in sorted(SIMULATED_KINDS))
