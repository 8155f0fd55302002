"""Checking evidence on a laptop: bundles, receipts, proofs. Opens `audit` and the strongroom's verifier, nothing else.

No SQL, no gRPC and no message is loaded from here on: an auditor reads this path and the two rooms behind it.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from coalition.audit.bundle_format import read_bounded
from coalition.audit.checkpoint import Checkpoint, open_checkpoint
from coalition.audit.errors import EvidenceBroken, EvidenceMalformed
from coalition.audit.leaf import Payload
from coalition.audit.note import SignedNote, parse_hash
from coalition.audit.proofs import verify_inclusion
from coalition.audit.receipt import RECEIPT_BYTES_MAX, Receipt, check_receipt
from coalition.audit.trust import Trust
from coalition.audit.verify import verify_bundle
from coalition.bootstrap.clock import unix_milliseconds
from coalition.bootstrap.statements import signed_by
from keys.errors import KeysError
from keys.issuer import issued_to
from keys.signature import verify

TRUST_BYTES_MAX = 1024 * 1024
NOTE_BYTES_MAX = 64 * 1024

Broken, Malformed = EvidenceBroken, EvidenceMalformed


def read_trust(path: Path) -> Trust:
    """The trust file. Raises EvidenceMalformed with the line to correct."""
    try:
        return Trust.parse(read_bounded(path, TRUST_BYTES_MAX).decode())
    except UnicodeDecodeError:
        raise EvidenceMalformed(f"{path} is no text") from None


def check_bundle(
    directory: Path,
    trust: Path,
    *,
    previous: Sequence[Path] = (),
    receipts: Sequence[Path] = (),
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """The report of a bundle as checks/report.py names its parts. Raises EvidenceMalformed: the trust file."""
    pins = read_trust(trust)
    report = verify_bundle(
        directory,
        pins,
        verify,
        unix_milliseconds() // 1000,
        previous=[read_bounded(path, NOTE_BYTES_MAX) for path in previous],
        receipts=_read(receipts),
        signed=is_signed,
        issued=issued_to,
        progress=progress,
    )
    told = report.to_json()
    told["trust_sha256"] = hashlib.sha256(trust.read_bytes()).hexdigest()
    return told


def check_receipt_file(path: Path, trust: Path, proof: Path | None = None) -> dict[str, Any]:
    """What a genuine receipt says, and the size of the log that `proof` shows it in. Raises Broken, Malformed."""
    receipt, pins = Receipt.parse(read_bounded(path, RECEIPT_BYTES_MAX)), read_trust(trust)
    check_receipt(receipt, pins, verify)
    entry = Payload.parse(receipt.payload)
    log_size = None
    if proof is not None:
        log_size = check_proof_text(read_bounded(proof, RECEIPT_BYTES_MAX), receipt.leaf_hash, pins).size
    return {
        "log_size": log_size,
        "entry_id": entry.entry_id,
        "batch": receipt.number,
        "time_us": receipt.time_us,
        "actor": receipt.actor,
        "amount_minor": entry.amount_minor,
        "accepted": entry.reason == 0,
        "leaf": receipt.leaf_hash.hex(),
        "answer": entry.answer.decode("utf-8", "replace"),
    }


def check_proof_text(text: bytes, leaf: bytes, trust: Trust) -> Checkpoint:
    """The checkpoint that a tlog-proof leads to from a leaf hash. Raises EvidenceBroken, EvidenceMalformed."""
    head, blank, note = text.partition(b"\n\n")
    lines = head.decode("utf-8", "replace").split("\n")
    if not blank or lines[0] != "c2sp.org/tlog-proof@v1" or not lines[1].removeprefix("index ").isdecimal():
        raise EvidenceMalformed("this is no tlog-proof")
    read = SignedNote.parse(note)
    checkpoint = open_checkpoint(read, trust.log, verify)
    if not trust.policy.is_met(read.signers(trust.policy.witness_keys, verify)):
        raise EvidenceBroken("the checkpoint has not the cosignatures that the trust file asks for")
    proof = [parse_hash(line, "line of the proof") for line in lines[2:]]
    verify_inclusion(int(lines[1].removeprefix("index ")), checkpoint.size, leaf, proof, checkpoint.root)
    return checkpoint


def is_signed(certificate: bytes, statement: bytes, signature: bytes) -> bool:
    """Whether the certificate's key signed this close of a day; what is no certificate signed nothing."""
    try:
        return signed_by(certificate, statement, signature)
    except KeysError:
        return False


def _read(paths: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            yield file.name, read_bounded(file, RECEIPT_BYTES_MAX)
