"""Lays the coalition before the first till opens (participants, stores, terminals, agreements), then enrols members.

Every step is a call of the public services, several at a time. Card numbers stay in memory: they are told once and
written nowhere. Names and phone numbers are made from the member's number in the data; nobody's are real.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

from coalition.client import Connection, new_request_id
from coalition.replay.messages import create_request, revise_request
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


class Recruit(NamedTuple):
    """Who recruited the owner of a wallet, and the entry that enrolled it."""

    recruiter: str
    entry_id: int


@dataclass(slots=True)
class Enrolled:
    """What HQ knows after enrolment: each member's card and wallet, and its recruiter (which no auditor sees)."""

    cards: dict[str, str] = field(default_factory=dict, repr=False)
    wallets: dict[str, int] = field(default_factory=dict, repr=False)
    recruits: dict[int, Recruit] = field(default_factory=dict)


def steps(trade: Trade) -> int:
    """How many calls `found` will make, for a progress bar."""
    return len(trade.merchants) * STEPS_OF_MERCHANT + sum(1 for each in trade.agreements if _is_at_first(trade, each))


def found(operator: Connection, trade: Trade, advance: Advance) -> None:
    """Make everybody who trades and what they agreed on, as the operator. Raises the client's errors at the first."""
    _each(trade.merchants, lambda merchant: _merchant(operator, merchant), advance, STEPS_OF_MERCHANT)
    for agreement in trade.agreements:
        if _is_at_first(trade, agreement):
            _agree(operator, trade, agreement)
            advance(1)


def agree(operator: Connection, trade: Trade, day: str) -> None:
    """Make the versions that begin on a day ("2017-07-01"; or in a month, "2017-07") after the first."""
    for agreement in trade.agreements:
        if not _is_at_first(trade, agreement) and str(agreement.since).startswith(day):
            _agree(operator, trade, agreement)


def enrol(
    operator: Connection, homes: Mapping[str, str], newcomers: Sequence[str], enrolled: Enrolled, advance: Advance
) -> None:
    """Enrol `newcomers` at their homes, each with a card, and add them to `enrolled`. Raises the client's errors."""
    numbers = {member: number for number, member in enumerate(sorted(homes))}
    _each(
        newcomers,
        lambda member: _member(operator, enrolled, numbers[member], member, homes[member]),
        advance,
        STEPS_OF_MEMBER,
    )


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


def _is_at_first(trade: Trade, agreement: Agreement) -> bool:
    return agreement.since is None or agreement.since <= trade.first_day


def _agree(operator: Connection, trade: Trade, agreement: Agreement) -> None:
    """Make an agreement, or its next version: those of its code stand in their order."""
    latest = [each for each in trade.agreements if each.code == agreement.code].index(agreement)
    since = max(agreement.since or trade.first_day, trade.first_day)
    office = operator.programme
    if latest:
        operator.call(office.ReviseAgreement, revise_request(agreement, new_request_id(), since, latest))
    else:
        operator.call(office.CreateAgreement, create_request(agreement, new_request_id(), since))


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
    enrolled.wallets[member] = made.wallet_id
    enrolled.recruits[made.wallet_id] = Recruit(recruiter, made.receipt.entry_id)
