"""How much one caller and all together may take of a server, as the settings say."""

import resource

from coalition.config import Settings
from coalition.server.limits import Limits

OTHER_FILES = 512
"""Open files besides callers' connections: the ledger's, the workers', logs, libraries."""


def limits_of(settings: Settings) -> Limits:
    """The front door's bounds."""
    return Limits(
        rate=settings.caller_rate,
        till_server_rate=settings.till_server_rate,
        calls_max=settings.caller_calls_max,
        operations_max=settings.caller_operations_max,
        connections_max=settings.connections_max,
        stream_idle_seconds=settings.stream_idle_seconds,
        stream_stall_seconds=settings.stream_stall_seconds,
    )


def make_room_for_connections(settings: Settings) -> None:
    """Let this process open as many files as its connections may take; as many as the system allows, if fewer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.connections_max + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
