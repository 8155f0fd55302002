"""What the desk needs of a store: one transaction a batch, in three steps. The cellar implements it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from coalition.clearing.pins import PinCounts
from coalition.domain.books import Wallet
from coalition.domain.commands import Command
from coalition.domain.journal import Entry
from coalition.domain.prefetch import Prefetched


class Batch(Protocol):
    """An open transaction. `prefetch` locks and reads, `write` sends everything; leaving the context commits.

    What a caller does between the two is done while the database writes.
    """

    def prefetch(self, commands: Sequence[Command]) -> Prefetched: ...

    def write(self, prefetched: Prefetched, entries: Sequence[Entry], touched: Sequence[Wallet]) -> None: ...


class Store(PinCounts, Protocol):
    """Opens batches, and counts tries of PINs before them.

    Raises Contention (run it again) and StoreUnavailable (outcome unknown: run it again too).
    """

    def batch(self) -> AbstractContextManager[Batch]: ...

    def close(self) -> None: ...
