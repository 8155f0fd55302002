"""Gives up root, ties this process to its owner's life, then becomes the given program. Never called, only run.

A script of its own and not a `preexec_fn`: the owner may hold gRPC threads, and Python code between fork and exec can
then deadlock. It runs by `python -I -S`, so it imports the standard library alone and never our own packages.

Arguments: the owner's process id, the uid and gid to become ("-1" keeps the present ones), the program, its arguments.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
KEEP = -1


def main(arguments: list[str]) -> None:
    """Replace this process by the program; raises OSError if a right cannot be dropped or the program not run."""
    owner, uid, gid = (int(number) for number in arguments[:3])
    command = arguments[3:]

    os.umask(0o077)
    if uid != KEEP:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)

    # After the change of user, which clears the death signal (prctl(2)). SIGINT is PostgreSQL's fast shutdown.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != owner:
        sys.exit("the owner died before its database started")

    os.execv(command[0], command)  # noqa: S606 - the whole purpose; the command is our own


if __name__ == "__main__":
    main(sys.argv[1:])
