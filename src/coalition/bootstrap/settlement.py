"""What a command of the month needs of the house: a way to the ledger, a seal for what it writes, keys. No server."""

from pathlib import Path

from coalition.audit.note import Verify
from coalition.audit.report_seal import ReportSigner, report_key
from coalition.audit.trust import BatchKey, Trust
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


def report_signer() -> ReportSigner:
    """Who signs reports: the batches' key under a name of its own. Raises StrongroomRefused."""
    from coalition.bootstrap.strongroom import batch_key, existing_key_ring  # noqa: PLC0415 - for one command

    settings = load_settings()
    ring = existing_key_ring(settings)
    return ReportSigner(report_key(batch_key(settings, ring)), ring.sign_batch)


def report_trust(path: Path | None) -> tuple[Trust, Verify]:
    """Whose seals are believed, those of a trust file or this house's own, and what checks a signature.

    Raises EvidenceMalformed with the line of the file to correct, StrongroomRefused without a ring.
    """
    from coalition.bootstrap.verifying import read_trust  # noqa: PLC0415 - only to verify
    from keys.signature import verify  # noqa: PLC0415 - the same

    if path is not None:
        return read_trust(path), verify
    from coalition.bootstrap.strongroom import batch_key, existing_key_ring  # noqa: PLC0415 - the same

    settings = load_settings()
    return Trust(batch_keys=[BatchKey(batch_key(settings, existing_key_ring(settings)))]), verify
