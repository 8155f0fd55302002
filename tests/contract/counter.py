"""The counter of the contract tests: cards change between the operations of the tills.

Each act is noted in the history by its entry, so that the model learns of it when its turn comes.
"""

import itertools
import secrets
from collections.abc import Callable
from typing import Any, Self

from coalition.client import new_request_id
from coalition.v1 import member_pb2
from coalition.v1.member_pb2_grpc import MemberServiceStub
from tests.contract.credentials import Limits
from tests.contract.history import Act, History
from tests.contract.market import ANSWER_SECONDS, Market
from tests.contract.model import Model
from tests.contract.wallets import Card, Wallet

_phones = itertools.count(secrets.randbelow(10**6) * 1_000)


class Counter:
    """At one address, as the counter of headquarters."""

    def __init__(self, market: Market, address: str) -> None:
        self._market = market
        self._open(address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def move(self, address: str) -> None:
        """The service answers elsewhere now."""
        self._channel.close()
        self._open(address)

    def _open(self, address: str) -> None:
        self._channel = self._market.channel(address, "op/admin")
        self._stub: Any = MemberServiceStub(self._channel)

    def issue(self, history: History) -> str:
        """A card of no member; its number."""
        told = self._do("IssueCard", issuer="store-a")

        def apply(model: Model) -> None:
            model.cards[number] = Card(None, "ISSUED")

        number = str(told.card_number)
        self._note(history, told, "issue", apply)
        return number

    def link(self, history: History, number: str) -> None:
        """The card becomes a new member's."""
        profile = member_pb2.Profile(name="Wang Fang", phone=f"+86138{next(_phones) % 10**8:08d}")
        member = self._do("EnrolMember", profile=profile, recruiter="store-a")
        told = self._do("LinkCard", card_number=number, member_id=member.member_id)

        def apply(model: Model) -> None:
            model.cards[number] = Card(Wallet(number[-4:]))

        self._note(history, told, "link", apply)

    def freeze(self, history: History, number: str) -> None:
        self._turn(history, number, "FreezeCard", "FROZEN")

    def unfreeze(self, history: History, number: str) -> None:
        self._turn(history, number, "UnfreezeCard", "ACTIVE")

    def set_limits(self, history: History, number: str, limits: Limits) -> None:
        """What the card may spend from now on."""
        said = member_pb2.CardLimits(operation_minor=limits.operation, day_minor=limits.day, month_minor=limits.month)
        told = self._do("SetCardLimits", card_number=number, limits=said)

        def apply(model: Model) -> None:
            model.cards[number].limits = limits

        self._note(history, told, "limits", apply)

    def replace(self, history: History, number: str) -> str:
        """The member's new card; its number. The wallet stays, and so do the card's limits."""
        told = self._do("ReplaceCard", card_number=number)
        new = str(told.card_number)

        def apply(model: Model) -> None:
            old = model.cards[number]
            old.state = "REPLACED"
            model.cards[new] = Card(old.wallet, limits=old.limits)

        self._note(history, told, "replace", apply)
        return new

    def _turn(self, history: History, number: str, method: str, state: str) -> None:
        told = self._do(method, card_number=number)

        def apply(model: Model) -> None:
            model.cards[number].state = state

        self._note(history, told, method, apply)

    def _do(self, method: str, **fields: Any) -> Any:
        request_type = getattr(member_pb2, f"{method}Request")
        return getattr(self._stub, method)(
            request_type(request_id=new_request_id(), **fields), timeout=ANSWER_SECONDS, wait_for_ready=True
        )

    def _note(self, history: History, told: Any, what: str, apply: Callable[[Model], None]) -> None:
        history.acts.append(Act(told.receipt.entry_id, what, apply))
