"""What watches over folds need of the ledger: whether anybody agreed on a limit, which programme holds, what day it is.

A limit that is reached changes what desks decide, so it raises `config_epoch`: they read it before the next decision.
"""

from datetime import date

from coalition.domain.errors import LedgerBroken
from coalition.storage.connect import Connection


def any_agreed(connection: Connection, kind: str) -> bool:
    """Whether there ever was an agreement of this kind; most coalitions pay no more than this question."""
    row = connection.execute("SELECT EXISTS (SELECT FROM agreements WHERE kind = %s)", (kind,)).fetchone()
    return row is not None and bool(row[0])


def epoch(connection: Connection) -> int:
    """How often the programme was changed."""
    row = connection.execute("SELECT epoch FROM config_epoch").fetchone()
    return 0 if row is None else int(row[0])


def raise_epoch(connection: Connection) -> None:
    """Every desk reads the programme anew before its next batch."""
    connection.execute("UPDATE config_epoch SET epoch = epoch + 1")


def business_date(connection: Connection) -> date:
    """Today's in the coalition's zone, by the database's clock."""
    row = connection.execute("SELECT (now() AT TIME ZONE zone)::date FROM scheme").fetchone()
    if row is None:
        raise LedgerBroken("table scheme has no row")
    today: date = row[0]
    return today
