"""The audit log: what sealing costs a batch, and how fast a bundle is checked beside bare hashing of the same bytes.

`python -m bench.audit --leaves 1000000` measures the checking alone, without a database, at a quarter of them and
at all, with the most memory it takes; `--receipts` measures what sealing costs, on a ledger of its own. Checking
waits for nothing, so its rates are by the second of processor time: other work on the machine hardly bends them.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from bench.audit_log import BATCH, MadeBundle, make_bundle
from bench.desk import Trade, sell_lots
from bench.figures import Figure, figure, median_figure
from bench.house import add_trade
from coalition.audit.bundle import Bundle
from coalition.audit.bundle_format import CHECKPOINT
from coalition.audit.checkpoint import Checkpoint
from coalition.audit.merkle import leaf_hash
from coalition.audit.note import SignedNote
from coalition.audit.tiles import Edge
from coalition.audit.trust import Trust
from coalition.audit.verify import verify_bundle
from coalition.bootstrap.clock import business_date_in, utc_now
from coalition.bootstrap.databases import databases
from coalition.bootstrap.house import lay
from coalition.bootstrap.strongroom import key_ring, notary
from coalition.clearing.batch import run_batch
from coalition.config import load_settings
from coalition.domain.journal import Entry, Notary, Seal
from coalition.domain.reasons import Reason
from coalition.storage.connect import connect
from coalition.storage.ledger import LedgerStore
from coalition.storage.programme import load
from keys import verify

MEMBERS: Final = 20_000
LEAVES: Final = 100_000
WARM_BATCHES: Final = 4
PAYLOAD_HASH: Final = slice(30, 62)  # of a leaf's bytes


class BlankNotary:
    """Seals nothing: what a batch would cost without leaves, root and signature."""

    def seal(self, number: int, time: datetime, entries: Sequence[Entry]) -> Seal:
        del number, time
        return Seal([bytes(32)] * len(entries), bytes(32), lambda: bytes(64))


def receipt_figures(stores: Sequence[tuple[str, LedgerStore]], trade: Trade, batches: int) -> list[Figure]:
    """The same purchases, batch by batch in turns, sealed and not sealed: one worker, durable commits."""
    latencies: dict[str, list[float]] = {name: [] for name, _ in stores}
    for number in range(batches + WARM_BATCHES):
        for name, store in stores:
            commands = [trade.purchase() for _ in range(BATCH)]
            before = time.perf_counter()
            answers = run_batch(store, commands)
            seconds = time.perf_counter() - before
            if any(answer.reason is not Reason.ACCEPTED for answer in answers):
                raise SystemExit("a purchase of the bench was declined")
            if number >= WARM_BATCHES:
                latencies[name].append(seconds)
    return [figure(name, BATCH * len(each), sum(each), each) for name, each in latencies.items()]


def measure_receipts(batches: int) -> list[Figure]:
    """On a ledger of its own, of `MEMBERS` wallets."""
    var = Path(tempfile.mkdtemp(prefix="coalition-bench-", dir="/tmp"))
    var.chmod(0o755)
    try:
        settings = load_settings(var=var, log_level="warning")
        ring = key_ring(settings)
        with databases(settings) as opened:
            lay(settings, ring, opened.dsn("owner"))
            with connect(opened.dsn("owner")) as connection:
                seats = add_trade(connection, MEMBERS, ring.card_token)

            def store(sealing: Notary) -> LedgerStore:
                return LedgerStore(opened.dsn(), load, business_date_in(settings.zone), sealing)

            sealed, blank = store(notary(ring)), store(BlankNotary())
            sell_lots(sealed, Trade(seats, MEMBERS, ring.card_token, 1))
            trade = Trade(seats, MEMBERS, ring.card_token, 2)
            named = [("purchase_batch_receipts", sealed), ("purchase_batch_unsealed", blank)]
            figures = receipt_figures(named, trade, batches)
            for _, each in named:
                each.close()
            return figures
    finally:
        shutil.rmtree(var, ignore_errors=True)


def bare_hash_loop(made: MadeBundle) -> Figure:
    """SHA-256 of every payload, of every leaf and of every node above them, and nothing else."""
    bundle = Bundle.open(made.directory)
    sha256 = hashlib.sha256
    before = time.process_time()
    hashes = []
    for data, own in zip(bundle.leaves(), bundle.payloads(), strict=True):
        sha256(own).digest()
        hashes.append(sha256(b"\x00" + data).digest())
    while len(hashes) > 1:
        hashes = [sha256(b"\x01" + hashes[at] + hashes[at + 1]).digest() for at in range(0, len(hashes) - 1, 2)]
    seconds = time.process_time() - before
    bundle.close()
    return figure("bare_hash_loop", made.leaves, seconds, [seconds])


def verify_tree(made: MadeBundle) -> Figure:
    """The tree from the leaves to the signed root, and each payload held against its leaf."""
    bundle = Bundle.open(made.directory)
    edge, pending = Edge(), []
    before = time.process_time()
    for data, own in zip(bundle.leaves(), bundle.payloads(), strict=True):
        if hashlib.sha256(own).digest() != data[PAYLOAD_HASH]:
            raise SystemExit("a payload of the bench is not its leaf's")
        pending.append(leaf_hash(data))
        if len(pending) == 4096:
            edge.append(pending)
            pending = []
    edge.append(pending)
    root = edge.root()
    seconds = time.process_time() - before
    signed = Checkpoint.parse(SignedNote.parse(bundle.note(CHECKPOINT) or b"").text)
    bundle.close()
    if (edge.size, root) != (signed.size, signed.root):
        raise SystemExit("the tree of the bench is not the signed one")
    return figure("verify_tree", made.leaves, seconds, [seconds])


def verify_full(made: MadeBundle) -> Figure:
    """Every numbered check, as `coalition audit verify` does them."""
    before = time.process_time()
    report = verify_bundle(made.directory, made.trust, verify, int(utc_now().timestamp()))
    seconds = time.process_time() - before
    breaches = {check.name: check.findings[0].sentence for check in report.checks.values() if check.breaches}
    if breaches or report.damaged:
        raise SystemExit(f"the bench's bundle is found broken: {breaches or report.damaged}")
    return figure("verify_full", made.leaves, seconds, [seconds])


def verify_figures(made: MadeBundle, rounds: int) -> list[Figure]:
    """`bare_hash_loop`, `verify_tree` and `verify_full` over one bundle, in turns; medians."""
    measured = [[each(made) for each in (bare_hash_loop, verify_tree, verify_full)] for _ in range(rounds)]
    return [median_figure(of) for of in zip(*measured, strict=True)]


def peak_anonymous_kib(made: MadeBundle, directory: Path) -> int:
    """The most memory of its own that a process took that checked the bundle; mapped files are the system's."""
    trust = directory / "trust.txt"
    trust.write_text(str(made.trust))
    command = [sys.executable, "-m", "bench.audit", "--check", str(made.directory), "--trust", str(trust)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def checked_peak_kib(bundle: Path, trust: Path) -> int:
    """Check a bundle and watch this process's own memory at each step of the progress bar."""
    peak = 0

    def watch(*_: object) -> None:
        nonlocal peak
        status = Path("/proc/self/status").read_text()
        own = next(line for line in status.splitlines() if line.startswith("RssAnon"))
        peak = max(peak, int(own.split()[1]))

    verify_bundle(bundle, Trust.parse(trust.read_text()), verify, int(utc_now().timestamp()), progress=watch)
    watch()
    return peak


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.audit", description=__doc__)
    parser.add_argument("--leaves", type=int, default=LEAVES, help=f"leaves of the bundle (default {LEAVES})")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement (default 3)")
    parser.add_argument("--receipts", action="store_true", help="measure what sealing costs instead")
    parser.add_argument("--check", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--trust", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.check:
        print(checked_peak_kib(options.check, options.trust))
        return
    if options.receipts:
        show(measure_receipts(40 * options.rounds))
        return
    directory = Path(tempfile.mkdtemp(prefix="coalition-bench-", dir="/tmp"))
    try:
        for leaves in (options.leaves // 4, options.leaves):
            made = make_bundle(directory / str(leaves), leaves)
            figures = verify_figures(made, options.rounds)
            peak = peak_anonymous_kib(made, directory)
            print(f"{made.leaves:,} leaves; the most memory that verify takes of its own: {peak / 1024:.0f} MiB")
            show(figures)
            shutil.rmtree(directory / str(leaves))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def show(figures: Sequence[Figure]) -> None:
    """A line a figure, each beside the first."""
    for each in figures:
        ratio = each.rate_per_s / figures[0].rate_per_s
        print(f"{each.name:24} {each.rate_per_s:12,.0f}/s  {ratio:5.2f} of {figures[0].name}")


if __name__ == "__main__":
    main()
