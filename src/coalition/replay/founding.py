"""Lays the coalition before the first till opens: participants, stores, terminals, agreements, members and cards.

Every step is a call of the public services, several at a time. Card numbers stay in memory: they are told once and
written nowhere. Names and phone numbers are made from the member's number in the data; nobody's are real.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from typing import Final, TypeVar

from coalition.client import Connection, new_request_id
from coalition.replay.messages import create_request
from coalition.replay.trade import Agreement, Merchant, Trade
from coalition.v1 import member_pb2, programme_pb2

# Calls under way at a time: enough for the server to commit several acts at once, few enough to leave it two cores.
CONCURRENCY: Final = 12
STORE: Final = "shop"
TERMINAL: Final = "till-1"
ROLES: Final = {
    "STORE": programme_pb2.PARTICIPANT_ROLE_STORE,
    "ALLIANCE": programme_pb2.PARTICIPANT_ROLE_ALLIANCE,
    "CHAIN": programme_pb2.PARTICIPANT_ROLE_CHAIN,
}
STEPS_OF_MERCHANT: Final = 3
STEPS_OF_MEMBER: Final = 3

Advance = Callable[[int], None]
Item = TypeVar("Item")


@dataclass(slots=True)
class Enrolled:
    """What HQ knows after enrolment: each member's card, and the wallet's recruiter (no auditor sees whose it is)."""

    cards: dict[str, str] = field(default_factory=dict, repr=False)
    recruiters: dict[int, str] = field(default_factory=dict)


def steps(trade: Trade) -> int:
    """How many calls `found` will make, for a progress bar."""
    return len(trade.merchants) * STEPS_OF_MERCHANT + len(trade.agreements) + len(trade.homes) * STEPS_OF_MEMBER


def found(operator: Connection, trade: Trade, advance: Advance) -> Enrolled:
    """Make everything `trade` needs, as the operator. Raises the client's errors at the first call that fails."""
    _each(trade.merchants, lambda merchant: _merchant(operator, merchant), advance, STEPS_OF_MERCHANT)
    _agreements(operator, trade.agreements, date.fromisoformat(f"{trade.months[0]}-01"), advance)
    enrolled = Enrolled()
    numbered = list(enumerate(sorted(trade.homes.items())))

    def enrol(item: tuple[int, tuple[str, str]]) -> None:
        number, (member, recruiter) = item
        _member(operator, enrolled, number, member, recruiter)

    _each(numbered, enrol, advance, STEPS_OF_MEMBER)
    return enrolled


def _each(items: Iterable[Item], work: Callable[[Item], None], advance: Advance, step: int) -> None:
    """Do `work` for every item, several at a time; the first error ends it."""
    with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="founding") as pool:
        for done in [pool.submit(work, item) for item in items]:
            try:
                done.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
            advance(step)


def _merchant(operator: Connection, merchant: Merchant) -> None:
    office = operator.programme
    operator.call(
        office.CreateParticipant,
        programme_pb2.CreateParticipantRequest(
            request_id=new_request_id(),
            code=merchant.code,
            display_name=merchant.display_name,
            role=ROLES[merchant.role],
            chain_code=merchant.chain_code,
        ),
    )
    operator.call(
        office.CreateStore,
        programme_pb2.CreateStoreRequest(
            request_id=new_request_id(), participant=merchant.code, code=STORE, display_name=merchant.display_name
        ),
    )
    operator.call(
        office.CreateTerminal,
        programme_pb2.CreateTerminalRequest(
            request_id=new_request_id(), participant=merchant.code, store=STORE, code=TERMINAL
        ),
    )


def _agreements(operator: Connection, agreements: Sequence[Agreement], first: date, advance: Advance) -> None:
    for agreement in agreements:
        operator.call(operator.programme.CreateAgreement, create_request(agreement, new_request_id(), first))
        advance(1)


def _member(operator: Connection, enrolled: Enrolled, number: int, member: str, recruiter: str) -> None:
    """Enrol, issue, link. +1 555 is a prefix that reaches nobody."""
    made = operator.call(
        operator.members.EnrolMember,
        member_pb2.EnrolMemberRequest(
            request_id=new_request_id(),
            profile=member_pb2.Profile(name=f"Member {member}", phone=f"+1555{number:07d}"),
            recruiter=recruiter,
        ),
    )
    card = operator.call(
        operator.members.IssueCard, member_pb2.IssueCardRequest(request_id=new_request_id(), issuer=recruiter)
    )
    operator.call(
        operator.members.LinkCard,
        member_pb2.LinkCardRequest(request_id=new_request_id(), card_number=card.card_number, member_id=made.member_id),
    )
    enrolled.cards[member] = card.card_number
    enrolled.recruiters[made.wallet_id] = recruiter
