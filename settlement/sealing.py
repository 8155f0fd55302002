"""Sealing a report: the digest of its manifest becomes an act of the journal, once a window, and is signed.

The act is a leaf of the audit log, so a report that was handed out cannot be replaced in silence. Never looks into
files; the same report again gets the same seal.
"""

from uuid import uuid5
from zoneinfo import ZoneInfo

from coalition.audit.report_seal import ReportSeal, ReportSigner
from coalition.domain.acts import JSON, Act, body_hash
from coalition.domain.errors import Refused
from coalition.domain.journal import Notary
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection
from coalition.storage.settlement import ACTOR
from settlement.contents import Contents
from settlement.errors import NeedsHuman


def seal_report(
    connection: Connection, contents: Contents, manifest_sha256: str, *, notary: Notary, signer: ReportSigner
) -> str:
    """Record the digest (SHA-256 in hex) once and answer the signed note over it. Needs an autocommit connection.

    Raises NeedsHuman if the journal holds another digest for this window.
    """
    scheme, window = contents.scheme, contents.window
    body: dict[str, JSON] = {
        "calendar": window.calendar,
        "label": window.label,
        "manifest_sha256": manifest_sha256,
        "netting_entry_id": window.netting_entry_id,
    }
    # A window that is netted anew, after a run was aborted, is reported anew.
    request_id = uuid5(scheme.deployment_id, f"report/{window.window_id}/{window.netting_entry_id}")
    act = Act(Kind.REPORT_SEALED, scheme.operator_id, request_id, body_hash(Kind.REPORT_SEALED, body), ACTOR)
    zone = ZoneInfo(scheme.zone)
    acts = Acts(scheme.lane_count, lambda time: time.astimezone(zone).date(), notary)
    try:
        answer = acts.perform(connection, act, lambda _: body)
    except Refused as refused:
        if refused.reason is not Reason.REQUEST_ID_REUSED:
            raise
        raise NeedsHuman(
            f"another report of {contents.name} is sealed in the journal already, and this one has other bytes "
            f"(manifest {manifest_sha256}): keep the sealed files, or make them again with the release that sealed them"
        ) from refused
    return str(signer.signed(ReportSeal(contents.name, manifest_sha256, answer.entry_id)))
