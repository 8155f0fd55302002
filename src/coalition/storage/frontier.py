"""The frontier of the journal: up to which number every batch is either committed or will never be (DESIGN section 3).

A writer holds the JOURNAL lock, shared, from before it takes its number until it commits; so once the transactions that
held the lock when number N had been taken are gone, no batch numbered N or less can still appear. Never looks at
transaction ids: numbers are not in xid order, and any open transaction of the cluster would stall the answer.
"""

from collections.abc import Callable
from typing import Final

from psycopg.pq import TransactionStatus

from coalition.domain.errors import Contention, LedgerBroken
from coalition.storage.connect import Connection

JOURNAL_LOCK: Final = 0x636F616C6974696F  # "coalitio" in ASCII; an advisory lock's key is one signed 64-bit number
POLL_SECONDS_MIN: Final = 0.001  # a batch commits in about 10 ms
POLL_SECONDS_MAX: Final = 0.02
PATIENCE_SECONDS: Final = 30.0  # a desk's batch takes well under a second, a stuck one is a matter for a human

LAST_NUMBER = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM journal_number"
# An advisory lock of one 64-bit key shows as two halves with objsubid 1.
HOLDERS = """
SELECT virtualtransaction, pid FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid::bigint = %s AND objid::bigint = %s
"""


class FrontierStalled(Contention):
    """Writers have held the JOURNAL lock for too long; `processes` are their PostgreSQL process ids. Ask again."""

    def __init__(self, number: int, processes: frozenset[int]) -> None:
        super().__init__(
            f"batches up to {number} are not all decided: PostgreSQL processes {sorted(processes)} have been writing "
            f"for more than {PATIENCE_SECONDS:.0f} s; end them with pg_terminate_backend if they hang"
        )
        self.number = number
        self.processes = processes


def last_number(connection: Connection) -> int:
    """The last journal number any writer took, committed or not; 0 before the first."""
    row = connection.execute(LAST_NUMBER).fetchone()
    if row is None:
        raise LedgerBroken("sequence journal_number has no row")
    return int(row[0])


def frontier(
    connection: Connection, *, sleep: Callable[[float], None], patience_seconds: float = PATIENCE_SECONDS
) -> int:
    """The last number taken, once every batch up to it is decided; what is committed is visible to the next statement.

    Needs a connection in autocommit and outside a transaction, so that every poll, and the reading that follows, has a
    snapshot of its own. Waits only for those who were writing when it was called, never for later writers.
    Raises FrontierStalled if one of them is still there after `patience_seconds` of sleep.
    """
    if not connection.autocommit or connection.info.transaction_status != TransactionStatus.IDLE:
        raise ValueError("frontier needs an autocommit connection that is in no transaction")
    number = last_number(connection)
    waited_for = holders(connection)
    pause = POLL_SECONDS_MIN
    waited = 0.0
    while waited_for:
        if waited >= patience_seconds:
            raise FrontierStalled(number, frozenset(pid for _, pid in waited_for if pid is not None))
        sleep(pause)
        waited += pause
        pause = min(pause * 2, POLL_SECONDS_MAX)
        waited_for &= holders(connection)
    return number


def holders(connection: Connection) -> set[tuple[str, int | None]]:
    """The transactions that hold the JOURNAL lock now; the process id is None for a prepared transaction."""
    return {
        (str(transaction), pid)
        for transaction, pid in connection.execute(HOLDERS, (JOURNAL_LOCK >> 32, JOURNAL_LOCK & 0xFFFFFFFF))
    }
