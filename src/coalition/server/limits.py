"""What one identity may take of the house: operations a second, operations and calls at once. Counts and refuses.

Never queues, sleeps or forgets a call: who is refused is told so at once, and when to come again. Belongs to the loop.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from coalition.server.identity import REMEMBERED_MAX, Identity, Role

BURST_SECONDS: Final = 10.0
"""An identity that was quiet may send so many seconds' worth at once: after a cut a till has a queue."""

Clock = Callable[[], float]
"""Seconds that never go back, from any beginning."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a server. Rates are operations a second: a batch of 500 counts 500, any other call 1.

    `calls_max` counts calls and open streams of one identity, `operations_max` its operations that wait for answers:
    half of the desk's queue, so that one identity alone never fills it. `house_calls_max` is for all together.
    """

    rate: int = 2_000
    till_server_rate: int = 50_000
    calls_max: int = 512
    operations_max: int = 4_096
    house_calls_max: int = 4_096
    connections_max: int = 8_192
    deadline_seconds: float = 30.0
    """Of a call that asks for more time, or says nothing."""
    stream_idle_seconds: float = 600.0
    stream_stall_seconds: float = 30.0


class Share:
    """What one identity has under way, and how far it has run ahead of its rate."""

    __slots__ = ("_burst", "_clock", "_house", "_seconds_each", "_spent_until", "calls", "operations")

    def __init__(self, house: "Shares", rate: int) -> None:
        self._house = house
        self._clock = house.clock
        self._seconds_each = 1.0 / rate
        self._burst = BURST_SECONDS
        # The bucket, told as an instant: empty when this is a burst ahead of now, full when it is not ahead at all.
        self._spent_until = 0.0
        self.calls = 0
        self.operations = 0

    @property
    def is_idle(self) -> bool:
        """Whether forgetting it would change nothing."""
        return not self.calls and self._spent_until <= self._clock()

    def enter(self) -> None:
        """One more call is under way; `leave` ends it. Raises Refused(CALLS_EXCEEDED), and then it is not."""
        limits = self._house.limits
        if self.calls >= limits.calls_max or self._house.calls >= limits.house_calls_max:
            raise Refused(Reason.CALLS_EXCEEDED)
        self.calls += 1
        self._house.calls += 1

    def leave(self, context: object = None) -> None:
        """A call that had entered is over. What gRPC calls when a call is done."""
        self.calls -= 1
        self._house.calls -= 1

    def wait(self, operations: int) -> float:
        """Take `operations` from the bucket and answer 0, or take none and answer in how many seconds to try again."""
        now = self._clock()
        spent_until = self._spent_until
        spent_until = max(spent_until, now)
        spent_until += operations * self._seconds_each
        ahead = spent_until - now - self._burst
        if ahead > 0:
            return ahead
        self._spent_until = spent_until
        return 0.0

    def charge(self, operations: int) -> None:
        """Take `operations` from the bucket. Raises Refused(RATE_EXCEEDED)."""
        if self.wait(operations):
            raise Refused(Reason.RATE_EXCEEDED)

    def begin(self, operations: int) -> None:
        """So many more operations wait for answers; `end` takes them off. Raises Refused(CALLS_EXCEEDED)."""
        if not self.has_room(operations):
            raise Refused(Reason.CALLS_EXCEEDED, metadata={"operations_max": str(self._house.limits.operations_max)})
        self.operations += operations

    def end(self, operations: int) -> None:
        """Operations that had begun have their answers, or nobody waits for them any more."""
        self.operations -= operations

    def has_room(self, operations: int) -> bool:
        """Whether so many may begin now."""
        return self.operations + operations <= self._house.limits.operations_max


class Shares:
    """Every identity's share. `calls` is what is under way in the whole house."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self.limits = limits
        self.clock = clock
        self.calls = 0
        self._shares: dict[str, Share] = {}

    def of(self, identity: Identity) -> Share:
        """The share of an identity, whichever of its certificates and connections it comes with."""
        share = self._shares.get(identity.actor)
        if share is None:
            if len(self._shares) >= REMEMBERED_MAX:
                self._shares = {actor: each for actor, each in self._shares.items() if not each.is_idle}
            limits = self.limits
            rate = limits.till_server_rate if identity.role is Role.TILL_SERVER else limits.rate
            share = self._shares[identity.actor] = Share(self, rate)
        return share
