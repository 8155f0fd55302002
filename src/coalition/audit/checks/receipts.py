"""V19: every receipt is genuine, and its entry is in the log as it was acknowledged."""

from collections.abc import Iterable
from typing import Final

from coalition.audit.bundle import Bundle
from coalition.audit.checks.report import Report
from coalition.audit.errors import EvidenceBroken, EvidenceMalformed
from coalition.audit.note import Verify
from coalition.audit.receipt import Receipt, check_receipt
from coalition.audit.trust import Trust

MERGE_DELAY_US: Final = 60_000_000
"""How long after an entry a checkpoint may be that does not cover it yet; the log promises one second under load."""


def check_receipts(
    bundle: Bundle,
    trust: Trust,
    verify: Verify,
    receipts: Iterable[tuple[str, bytes]],
    newest_us: int,
    report: Report,
) -> None:
    """Look every receipt up, once all leaves were read. `newest_us` is the time of the bundle's last entry."""
    check = report.checks["V19"]
    for name, data in receipts:
        check.looked_at += 1
        try:
            receipt = Receipt.parse(data)
            check_receipt(receipt, trust, verify)
        except (EvidenceBroken, EvidenceMalformed) as error:
            check.lacks(f"{name} is no receipt of this coalition: {error}")
            continue
        place = bundle.place_of(receipt.entry_id)
        if place is not None:
            if bundle.leaf(place) != receipt.leaf:
                check.breach(
                    f"{name}: the log has other bytes than were acknowledged",
                    bundle.start_size + place,
                    receipt.entry_id,
                )
        elif receipt.number < bundle.first_number:
            check.lacks(f"{name}: batch {receipt.number} lies before the bundle's start")
        elif receipt.number > bundle.last_number and receipt.time_us + MERGE_DELAY_US > newest_us:
            check.lacks(f"{name}: batch {receipt.number} lies behind the bundle's end; look again in the next one")
        else:
            check.breach(f"{name}: the entry was acknowledged, and is not in the log", entry_id=receipt.entry_id)
