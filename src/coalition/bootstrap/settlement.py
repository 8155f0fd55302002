"""What a command of the month needs of the house: a way to the ledger and a seal for what it writes. No server."""

from coalition.bootstrap.databases import databases
from coalition.config import load_settings
from coalition.domain.journal import Notary


def settlement_dsn() -> str:
    """How the settlement job reaches the ledger: attached to the embedded one, or the URL given for its role.

    Raises CoalitionError when there is none.
    """
    with databases(load_settings(), attach=True) as opened:
        return opened.dsn("settlement")


def settlement_notary() -> Notary:
    """Who seals a close and a netting: the key ring's signing key. Raises StrongroomRefused."""
    from coalition.bootstrap.strongroom import existing_key_ring, notary  # noqa: PLC0415 - two of four commands seal nothing

    return notary(existing_key_ring(load_settings()))
