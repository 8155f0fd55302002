"""Request ids: version 7 UUIDs whose time must be near ours, unless the request is one we have answered already."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol
from uuid import UUID

from coalition.domain.commands import Command, Reverse
from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason

AGE_MAX_MILLISECONDS: Final = 35 * 24 * 3600 * 1000
"""A till that was offline for a month, and some days of grace, may still deliver what it noted down."""
AHEAD_MAX_MILLISECONDS: Final = 5 * 60 * 1000
VERSION_AND_VARIANT: Final = 0xF << 76 | 3 << 62
VERSION_7: Final = 7 << 76 | 2 << 62


class KnownRequests(Protocol):
    """Asks the ledger whether a request was answered. Blocks."""

    def is_known(self, participant_id: int, request_id: UUID) -> bool: ...


class RequestIds:
    """`now_ms` answers milliseconds since 1970."""

    def __init__(self, known: KnownRequests, now_ms: Callable[[], int]) -> None:
        self._known = known
        self._now_ms = now_ms

    def is_fresh(self, request_id: UUID) -> bool:
        """Whether the id was made at most 35 days ago and at most 5 minutes ahead."""
        age = self._now_ms() - (request_id.int >> 80)
        return -AHEAD_MAX_MILLISECONDS <= age <= AGE_MAX_MILLISECONDS

    async def check(self, participant_id: int, request_id: UUID, field: str = "request_id") -> None:
        """Raise Refused(REQUEST_ID_TOO_OLD) for an id out of time, unless its answer is stored and must be told again.

        Nobody can store an operation under such an id, so the look-up cannot be overtaken by one that does.
        """
        if not self.is_fresh(request_id) and not await asyncio.to_thread(
            self._known.is_known, participant_id, request_id
        ):
            raise Refused(Reason.REQUEST_ID_TOO_OLD, field)

    def are_fresh(self, command: Command) -> bool:
        """Whether the command's request id is fresh; of a reversal that of its original, too."""
        if not self.is_fresh(command.request_id):
            return False
        return not isinstance(command, Reverse) or not (asked := command.original_request_id) or self.is_fresh(asked)

    async def check_all(self, command: Command) -> None:
        """As `check`, for the ids of `are_fresh`.

        An original out of time is not killed: one of the past can never come, and one of the future has to wait.
        """
        await self.check(command.participant_id, command.request_id)
        if isinstance(command, Reverse) and command.original_request_id is not None:
            await self.check(command.participant_id, command.original_request_id, "original_request_id")


def parse_request_id(text: str, field: str = "request_id") -> UUID:
    """The UUID of a field. Raises Refused(REQUEST_ID_MALFORMED) unless it is one of version 7."""
    try:
        parsed = UUID(text)
    except ValueError:
        raise Refused(Reason.REQUEST_ID_MALFORMED, field) from None
    if parsed.int & VERSION_AND_VARIANT != VERSION_7:
        raise Refused(Reason.REQUEST_ID_MALFORMED, field)
    return parsed
