"""The errors of the embedded PostgreSQL: each sentence names the setting or the file at fault, and the cure.

They never carry a statement, a parameter or a row: only paths, versions, process ids and lines of the server's own log.
"""

from coalition.domain.errors import CoalitionError


class EmbeddedError(CoalitionError):
    """The embedded PostgreSQL cannot be started, stopped or found; the message holds the cure."""


class ServerNotRunning(EmbeddedError):
    """No living owner stands behind the attach file; start one with `coalition serve` or `make serve`."""
