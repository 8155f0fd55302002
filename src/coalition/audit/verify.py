"""Verifying a bundle: the numbered checks V1 to V22 over one pass of its leaves, in little memory.

1. The bundle is whole by its own manifest; else nothing is said about the log (undecided).
2. Every note is the pinned log's, signed, and cosigned as the policy asks.
3. Every leaf, in order: it grows the tree, its payload is the one it names, its batch is sealed; then money and rules.
4. Originals of what was given back, receipts and settlement reports are looked up in what was read.

The caller must have the trust file from somewhere else than the bundle, and must hand in a verifier of Ed25519 and its
own clock. No network, no database, no key.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from coalition.audit.bundle import Bundle
from coalition.audit.bundle_format import BundleDamaged
from coalition.audit.checks.acts import ActChecks
from coalition.audit.checks.days import Issued, Signed, Terminals
from coalition.audit.checks.log import LogChecks
from coalition.audit.checks.money import MoneyChecks
from coalition.audit.checks.notes import NoteChecks
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.receipts import check_receipts
from coalition.audit.checks.report import Report
from coalition.audit.checks.rules import RuleChecks
from coalition.audit.checks.sealed_reports import SealedReportChecks
from coalition.audit.errors import EvidenceMalformed
from coalition.audit.leaf import LeafData, Payload
from coalition.audit.merkle import leaf_hash
from coalition.audit.note import Verify
from coalition.audit.trust import Trust

PROGRESS_LEAVES: Final = 4096

Progress = Callable[[str, int, int], None]
"""(what is done, how much of it, how much there is)"""


def verify_bundle(
    directory: Path,
    trust: Trust,
    verify: Verify,
    now: int,
    *,
    previous: Sequence[bytes] = (),
    receipts: Iterable[tuple[str, bytes]] = (),
    signed: Signed | None = None,
    issued: Issued | None = None,
    progress: Progress | None = None,
) -> Report:
    """The report of a bundle. `previous` are notes of earlier looks, `receipts` are more than the bundle's own;
    `signed` verifies what terminals sign, `issued` whose their certificates are.
    """
    report = Report()
    say = progress or _silent
    try:
        bundle = Bundle.open(directory, lambda done, whole: say("files", done, whole))
    except EvidenceMalformed as error:
        report.damaged = str(error)
        return report
    try:
        report.facts = {
            "origin": bundle.origin,
            "start_size": bundle.start_size,
            "end_size": bundle.end_size,
            "bundle_sha256": hashlib.sha256((directory / "manifest.json").read_bytes()).hexdigest(),
        }
        terminals = Terminals(signed, issued, trust.authorities, trust.trust_domain) if signed and issued else None
        _run(bundle, trust, verify, now, previous, receipts, report, terminals, say)
    except BundleDamaged as error:
        report.damaged = str(error)
    except EvidenceMalformed as error:
        report.damaged = f"the bundle cannot be read: {error}"
    finally:
        bundle.close()
    return report


def _run(
    bundle: Bundle,
    trust: Trust,
    verify: Verify,
    now: int,
    previous: Sequence[bytes],
    receipts: Iterable[tuple[str, bytes]],
    report: Report,
    terminals: Terminals | None,
    say: Progress,
) -> None:
    notes = NoteChecks(bundle, trust, verify, now, previous, report)
    log = LogChecks(bundle, trust, verify, notes, report)
    acts = ActChecks(bundle, report, terminals, SealedReportChecks(bundle, report, trust, verify))
    money, rules = MoneyChecks(bundle, report, acts.wallets, acts.holds, acts.merges), RuleChecks(bundle, report)
    newest_us, count = 0, bundle.count
    for place, (data, payload) in enumerate(zip_longest(bundle.leaves(), bundle.payloads())):
        if data is None or payload is None:
            raise BundleDamaged("the bundle has not as many payloads as leaves")
        at, hashed = bundle.start_size + place, leaf_hash(data)
        leaf = LeafData.parse(data)
        try:
            entry = Payload.parse(payload)
        except EvidenceMalformed as error:
            bundle.remember(0)
            log.unreadable(at, str(error), hashed)
            continue
        bundle.remember(entry.entry_id)
        opened = Opened(at, leaf, entry, bundle.actors.get(leaf.actor_hash))
        if hashlib.sha256(payload).digest() != leaf.payload_hash:
            log.wrong_bytes(at, entry.entry_id)
        log.leaf(opened, hashed)
        money.leaf(opened)
        rules.leaf(opened)
        acts.leaf(opened)
        newest_us = leaf.time_us
        if place % PROGRESS_LEAVES == 0:
            say("entries", place, count)
    say("entries", count, count)
    log.finish()
    money.finish()
    rules.finish()
    acts.finish()
    check_receipts(bundle, trust, verify, _chained(bundle.receipts(), receipts), newest_us, report)


def _chained(*parts: Iterable[tuple[str, bytes]]) -> Iterable[tuple[str, bytes]]:
    for part in parts:
        yield from part


def _silent(*told: Any) -> None:
    del told
