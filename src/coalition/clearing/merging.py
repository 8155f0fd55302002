"""The job that moves the value of merged members: what lies in a wallet that was merged into another is sent there.

Also what comes later, such as a refund of an old purchase; and what was sent and has not arrived, because a server was
killed between the halves. Each half has one request id for ever: sent once, arrived once, whoever asks.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import structlog

from coalition.clearing.sweeping import Desk, Job, derived_request_id, put_before
from coalition.domain.commands import Command, MergeIn, MergeOut
from coalition.domain.errors import CoalitionError
from coalition.domain.wallet_lines import LeftBehind, UnderWay

ACTOR: Final = "/op/merges"
PAGE: Final = 256  # a quarter of a batch: tills wait for no more than that
PAUSE_SECONDS: Final = 2.0

log = structlog.get_logger(__name__)


class Merges(Protocol):
    """What is left to do of merges, the oldest first. Blocks."""

    def left_behind(self, limit: int) -> Sequence[LeftBehind]: ...

    def under_way(self, limit: int) -> Sequence[UnderWay]: ...


def moving_merged_value(merges: Merges, operator_id: int) -> Job:
    """The job, in the operator's name."""
    return lambda desk: _move_merged_value(desk, merges, operator_id)


async def _move_merged_value(desk: Desk, merges: Merges, operator_id: int) -> None:
    """Sweep after sweep, without a pause while value moves. What cannot be done now is tried in the next."""
    while True:
        try:
            moved = await _sweep(desk, merges, operator_id)
        except CoalitionError as error:
            log.warning("merged_value_not_moved", cause=str(error))
            moved = 0
        except Exception:
            log.exception("merged_value_not_moved")
            moved = 0
        if not moved:
            await asyncio.sleep(PAUSE_SECONDS)


async def _sweep(desk: Desk, merges: Merges, operator_id: int) -> int:
    """Let arrive what is under way, send what lies in merged wallets: how many of these were accepted."""
    under_way = await asyncio.to_thread(merges.under_way, PAGE)
    left = await asyncio.to_thread(merges.left_behind, PAGE - len(under_way))
    commands: list[Command] = [arrival(each, operator_id) for each in under_way]
    commands += [sending(each, operator_id) for each in left]
    done = await put_before(desk, commands)
    if commands:
        log.info("merged_value_moved", halves=done.accepted, declined=done.declined, failed=done.failed)
    return done.accepted


def sending(left: LeftBehind, operator_id: int) -> MergeOut:
    """A lot may be sent again, when more has come to it: then its wallet's last entry is another one."""
    return MergeOut(
        participant_id=operator_id,
        store_id=None,
        terminal_id=None,
        actor=ACTOR,
        request_id=derived_request_id(f"merge out {left.wallet_id} {left.lot_id} {left.last_entry_id}", left.time),
        wallet_id=left.wallet_id,
        lot_id=left.lot_id,
    )


def arrival(sent: UnderWay, operator_id: int) -> MergeIn:
    """What one entry sent arrives once."""
    return MergeIn(
        participant_id=operator_id,
        store_id=None,
        terminal_id=None,
        actor=ACTOR,
        request_id=derived_request_id(f"merge in {sent.entry_id}", sent.time),
        original_entry_id=sent.entry_id,
        wallet_id=sent.to_wallet_id,
    )
