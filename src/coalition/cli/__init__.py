"""The command line: starts the server, and speaks to one as a client.

Knows the client, replay, config and bootstrap. Never decides about value and never opens a database by itself.
Exit codes: 0 done, 1 refused by the service, 2 wrong command line or configuration, 3 the server does not answer.
"""

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # Imported here, so that importing a module of this room does not build the whole command line. An auditor's tool
    # loads no more than it needs: no SQL, no gRPC.
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["audit"] and given[1:2] in (["verify"], ["check-receipt"], ["sample"]):
        from coalition.cli.auditor import run as check

        return check(given[1:])
    from coalition.cli.application import run

    return run(arguments)
