"""The ceremony commands. They print paths, versions and public keys; never a secret, and take none as an argument.

Exit codes: 0 done, 1 refused (standard error says why and what to do), 2 the command line was wrong.
"""

from keys.cli import ceremonies, certificates, ring
from keys.cli.application import app

__all__ = ["app", "ceremonies", "certificates", "main", "ring"]


def main() -> None:
    """Run the command line."""
    app(prog_name="python -m keys")
