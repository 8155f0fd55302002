"""The notebook: which request_id a message got when it was first seen, and which reversals must still be delivered.

Written and on the disk before anything is sent, so that a repeat finds the same request_id also after a crash. Holds
terminal ids, trace numbers, times and request ids; never a card number, a track or an amount.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from coalition.gateway.group_commit import GroupCommit
from coalition.gateway.traces import SCHEMA, Noted, Trace, Undone, Waiting, exact, mark, original, stub

DAY_MS: Final = 86_400_000
REPEAT_DAYS: Final = 35
"""As long as the service takes a request_id; a repeat that is older could not be sent under its id anyway."""
KEEP_DAYS: Final = 400
"""As long as a refund may name its purchase by DE90."""
FORGET_MAX: Final = 10_000


class Notebook:
    """`new_id` makes request ids of version 7, `now_ms` answers milliseconds since 1970."""

    def __init__(self, file: Path, new_id: Callable[[], str], now_ms: Callable[[], int]) -> None:
        """Open or make the file. Raises NotebookUnavailable."""
        self._new_id = new_id
        self._now_ms = now_ms
        self._disk = GroupCommit(file, SCHEMA)

    async def operation(self, trace: Trace, occurred_s: int) -> Noted:
        """The request_id of this message: the one it had, or a new one, kept before this returns."""
        made_ms = self._now_ms()

        def job(disk: sqlite3.Connection) -> Noted:
            since = made_ms - REPEAT_DAYS * DAY_MS
            found = exact(disk, trace, is_reversal=False, since=since)
            if found is None and (early := stub(disk, trace, since)) is not None:
                # Its reversal came first and gave it an id; from now on it is known by all of its trace.
                disk.execute(
                    "UPDATE seen SET reference = ?, local_time = ?, sent_time = ?, occurred_s = ? WHERE request_id = ?",
                    (trace.reference, trace.local_time, trace.sent_time, occurred_s, early.request_id),
                )
                found = Noted(early.request_id, occurred_s, early.undone)
            return found or self._written(disk, trace, occurred_s, made_ms, is_reversal=False)

        return await self._disk.run(job)

    async def reversal(self, trace: Trace, named: Trace, occurred_s: int) -> tuple[Noted, Noted]:
        """The request_ids of a reversal and of the original it names, which from now on is not sent again.

        An original that was never seen gets its request_id here, and will have it when it comes.
        """
        made_ms = self._now_ms()

        def job(disk: sqlite3.Connection) -> tuple[Noted, Noted]:
            since = made_ms - REPEAT_DAYS * DAY_MS
            undoing = exact(disk, trace, is_reversal=True, since=since) or self._written(
                disk, trace, occurred_s, made_ms, is_reversal=True
            )
            undone = original(disk, named, since)
            if undone is None:
                undone = self._written(disk, named, 0, made_ms, is_reversal=False)
            if undone.undone is Undone.NO:
                mark(disk, undone.request_id, Undone.MAYBE)
            return undoing, undone

        return await self._disk.run(job)

    async def original(self, trace: Trace) -> Noted | None:
        """The operation that a completion or refund names, or None."""
        since = self._now_ms() - KEEP_DAYS * DAY_MS
        return await self._disk.run(lambda disk: original(disk, trace, since))

    async def undone(self, request_id: str) -> Undone:
        """Whether the operation has been undone meanwhile."""
        return await self._disk.run(
            lambda disk: Undone(
                disk.execute("SELECT undone FROM seen WHERE request_id = ?", (request_id,)).fetchone()[0]
            )
        )

    async def settle(self, original_request_id: str, *, accepted: bool) -> None:
        """Keep what became of a reversal; after a refusal its original stands, and may be asked for again."""
        state = Undone.YES if accepted else Undone.NO
        await self._disk.run(lambda disk: mark(disk, original_request_id, state))

    async def queue(self, original_request_id: str, till: str, identity: str, reversal: Noted | None = None) -> None:
        """Put a reversal into the outbox: the terminal's own, or a new one made for it. Twice is once."""

        def job(disk: sqlite3.Connection) -> None:
            waits = disk.execute(
                "SELECT 1 FROM outbox WHERE original_request_id = ? AND refused = ''", (original_request_id,)
            ).fetchone()
            if waits is None:
                disk.execute(
                    "INSERT INTO outbox (request_id, original_request_id, till, identity, occurred_s, refused)"
                    " VALUES (?, ?, ?, ?, ?, '')",
                    (
                        reversal.request_id if reversal else self._new_id(),
                        original_request_id,
                        till,
                        identity,
                        reversal.occurred_s if reversal else 0,
                    ),
                )
            mark(disk, original_request_id, Undone.MAYBE)

        await self._disk.run(job)

    async def waiting(self) -> list[Waiting]:
        """The oldest reversal of each till that must still be delivered, oldest first."""
        return await self._disk.run(
            lambda disk: [
                Waiting(*row)
                for row in disk.execute(
                    "SELECT position, request_id, original_request_id, till, identity, occurred_s FROM outbox"
                    " WHERE position IN (SELECT min(position) FROM outbox WHERE refused = '' GROUP BY till)"
                    " ORDER BY position"
                )
            ]
        )

    async def delivered(self, waiting: Waiting, refused: str = "") -> None:
        """Take a reversal out of the outbox; a refused one stays as a record that nobody sends again."""

        def job(disk: sqlite3.Connection) -> None:
            if refused:
                disk.execute("UPDATE outbox SET refused = ? WHERE position = ?", (refused, waiting.position))
            else:
                disk.execute("DELETE FROM outbox WHERE position = ?", (waiting.position,))
            mark(disk, waiting.original_request_id, Undone.NO if refused else Undone.YES)

        await self._disk.run(job)

    async def renew(self, waiting: Waiting) -> None:
        """Give a waiting reversal a new request_id: the answer to the old one is stored, and will not change."""
        await self._disk.run(
            lambda disk: disk.execute(
                "UPDATE outbox SET request_id = ? WHERE position = ?", (self._new_id(), waiting.position)
            )
        )

    async def forget(self) -> int:
        """Delete some of what is older than `KEEP_DAYS`; how many rows went."""
        before = self._now_ms() - KEEP_DAYS * DAY_MS
        return await self._disk.run(
            lambda disk: (
                disk.execute(
                    "DELETE FROM seen WHERE request_id IN (SELECT request_id FROM seen WHERE made_ms < ? LIMIT ?)",
                    (before, FORGET_MAX),
                ).rowcount
            )
        )

    def close(self) -> None:
        """Finish what is being written and close the file."""
        self._disk.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _written(
        self, disk: sqlite3.Connection, trace: Trace, occurred_s: int, made_ms: int, *, is_reversal: bool
    ) -> Noted:
        request_id = self._new_id()
        disk.execute(
            "INSERT INTO seen (request_id, merchant_id, terminal_id, stan, reference, local_time, sent_time,"
            " is_reversal, occurred_s, made_ms, undone) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
            (
                request_id,
                trace.merchant_id,
                trace.terminal_id,
                trace.stan,
                trace.reference,
                trace.local_time,
                trace.sent_time,
                is_reversal,
                occurred_s,
                made_ms,
            ),
        )
        return Noted(request_id, occurred_s, Undone.NO)
