"""The newest legs of the journal, found by their range and not by reading everything else that is new.

Their index is summarised by who reads them (migration 0037, decision 0047). Changes nothing that anybody can read.
"""

from coalition.storage.connect import Connection


def find_by_range(connection: Connection) -> None:
    """Make this session find ranges of the journal by their index, brought up to now. Needs an autocommit connection.

    Until a partition has been analysed the planner would rather read all of it. After a restore there is much to
    summarise, some seconds for ten million legs, and it takes what it takes.
    """
    connection.execute("SET enable_seqscan = off")
    connection.execute("SET statement_timeout = 0")
    connection.execute("SELECT summarise_transfers(true)")
    connection.execute("RESET statement_timeout")


def summarise_newest(connection: Connection) -> None:
    """Bring the index up to now; costs what was written since the last time, next to nothing where nothing was."""
    connection.execute("SELECT summarise_transfers(false)")
