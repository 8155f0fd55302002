"""`make bench`: one run, one table. Every promise of speed is a ratio of two figures measured minutes apart, here.

Writes bench/latest.json for whoever keeps a history; nothing here asserts a time.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.audit import LEAVES, BlankNotary, receipt_figures, verify_figures
from bench.audit_log import make_bundle
from bench.collector import collector
from bench.desk import Trade, Watch, sell_lots, through
from bench.figures import Figure, figure, median_figure
from bench.house import SHOPS, Seat, add_trade
from bench.load import Clients
from bench.members import counter, member_figures
from bench.month import CLAIMS, STATEMENT_CLAIMS, month_figures
from bench.sdk import sdk, stub
from coalition.bootstrap.clock import business_date_in
from coalition.bootstrap.identities import certificate
from coalition.bootstrap.interpreter import tune_interpreter
from coalition.bootstrap.strongroom import key_ring, notary
from coalition.bootstrap.workers import Workers
from coalition.clearing.desk import Desk
from coalition.config import load_settings
from coalition.domain.journal import Notary
from coalition.storage.connect import connect
from coalition.storage.embedded import read_attach_file
from coalition.storage.ledger import LedgerStore
from coalition.storage.programme import load
from coalition.v1 import operations_pb2

LATEST: Final = Path(__file__).parent / "latest.json"
START_SECONDS: Final = 60.0
SETTLE_SECONDS: Final = 2.0
DESK_WORK: Final = 12 * 1024
BATCH_CLIENTS: Final = 4
BATCH_SIZE: Final = 500
STREAM_CLIENTS: Final = 8
STREAM_WINDOW: Final = 128
SEALED_BATCHES: Final = 10

# name, of, at least: what is asked for. A hold with its capture counts once, and may cost 2.3 purchases.
TARGETS: Final = (
    ("purchase_unary_64", "echo_unary_64", 0.55),
    ("purchase_unary_256", "echo_unary_256", 0.70),
    ("purchase_batch", "one_transaction_per_purchase", 10.0),
    ("purchase_batch", "one_transaction_per_purchase_16", 4.0),
    ("desk_1024", "one_transaction_per_purchase", 15.0),
    ("hold_capture", "purchase_unary_64_plain", 1 / 2.3),
    ("purchase_sdk", "purchase_stub", 0.80),
    ("purchase_batch_half_replays", "purchase_batch", 1.0),
    ("purchase_unary_64_telemetry", "purchase_unary_64_plain", 0.95),
    ("seal_store", "bare_aead_copy", 0.5),
    ("purchase_batch_receipts", "purchase_batch_unsealed", 0.9),
    ("verify_tree", "bare_hash_loop", 0.5),
    ("verify_full", "bare_hash_loop", 0.05),
    ("rederive", "bare_group_by", 1 / 1.5),
)


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--members", type=int, default=50_000, help="wallets in the ledger (default 50000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement; medians count (default 3)")
    parser.add_argument("--leaves", type=int, default=LEAVES, help=f"leaves of the audit bundle (default {LEAVES})")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one gRPC round (default 4)")
    parser.add_argument(
        "--claims", type=int, default=CLAIMS, help=f"claims of the large settlement window (default {CLAIMS})"
    )
    options = parser.parse_args()
    var = Path(tempfile.mkdtemp(prefix="coalition-bench-", dir="/tmp"))
    var.chmod(0o755)
    console = Console()
    try:
        figures = Bench(var, options, console).run()
    finally:
        shutil.rmtree(var, ignore_errors=True)
    LATEST.write_text(json.dumps([asdict(each) for each in figures.values()], indent=2) + "\n", encoding="utf-8")
    show(console, figures)


class Bench:
    """One run: a real server and an echo as processes of their own, the desk in this one."""

    def __init__(self, var: Path, options: argparse.Namespace, console: Console) -> None:
        self._settings = load_settings(var=var, listen="127.0.0.1:0", log_level="warning")
        self._environment = {
            **os.environ,
            "COALITION_VAR": str(var),
            "COALITION_LISTEN": "127.0.0.1:0",
            "COALITION_LOG_LEVEL": "warning",
        }
        self._var = var
        self._members = options.members
        self._leaves = options.leaves
        self._claims = options.claims
        self._rounds = options.rounds
        self._seconds = options.seconds
        self._console = console
        self._seats: list[Seat] = []

    def run(self) -> dict[str, Figure]:
        """Every figure by its name."""
        with self._server() as address, Progress(console=self._console, transient=True) as progress:
            self._lay_trade(progress)
            steps = progress.add_task("measuring", total=None)

            def say(what: str) -> None:
                progress.update(steps, description=what)

            with self._echo() as echo:
                figures = uvloop.run(self._lone(address, echo, say))
            workers = Workers(self._settings)
            figures.update(uvloop.run(self._desks(workers, say)))
            workers.close()
            self._settle()
            say("batches, sealed and not")
            figures.update(self._receipts())
            self._settle()
            with self._echo() as echo:
                uvloop.run(self._calls(figures, address, echo, say))
            with collector() as endpoint, self._watched_server(endpoint) as watched:
                uvloop.run(self._more_calls(figures, address, watched, say))
        with counter(self._var / "members", self._members) as here:
            figures.update({each.name: each for each in member_figures(here, self._members)})
        made = make_bundle(self._var / "audit", self._leaves)
        figures.update({each.name: each for each in verify_figures(made, self._rounds)})
        month = month_figures(self._var / "month", self._claims, STATEMENT_CLAIMS // 10, say=self._console.print)
        figures.update({each.name: each for each in month})
        return figures

    async def _desks(self, workers: Workers, say: Callable[[str], None]) -> dict[str, Figure]:
        """The same desk three times: as a server has it, and one transaction a purchase on 1 and on 16 connections."""
        trade = self._trade(seed=2)
        tune_interpreter()
        gathered: dict[str, list[Figure]] = {}

        def desk(count: int, batch_max: int) -> Desk:
            return Desk(
                workers.open, count, batch_max=batch_max, queue_max=DESK_WORK, clock=time.monotonic, observer=watch
            )

        watch = Watch()
        async with desk(1, 1) as one, desk(16, 1) as sixteen, desk(self._settings.desk_workers, 1024) as real:
            for number in range(self._rounds + 1):  # the first round warms up
                say(f"desk, round {number} of {self._rounds}")
                measured = [
                    await through(one, watch, "one_transaction_per_purchase", trade, 800),
                    await through(sixteen, watch, "one_transaction_per_purchase_16", trade, 2400),
                    await through(real, watch, "desk_1024", trade, DESK_WORK),
                ]
                for each in measured if number else ():
                    gathered.setdefault(each.name, []).append(each)
        return {name: median_figure(rounds) for name, rounds in gathered.items()}

    async def _lone(self, address: str, echo: str, say: Callable[[str], None]) -> dict[str, Figure]:
        """One client alone, the echo's and a commit's beside it; before anything else has left the disk work to do."""
        tills = [certificate(self._settings, seat.path).cert.parent for seat in self._seats]
        bare, real = Clients(echo, tills, 1, self._members), Clients(address, tills, 1, self._members)
        gathered: dict[str, list[Figure]] = {}
        for number in range(self._rounds + 1):
            say(f"a lone client, round {number} of {self._rounds}")
            seconds = self._seconds if number else 1.0
            for measured in (
                durable_commit(self._dsn("owner"), 200),
                await bare.unary("echo_lone", seconds),
                await real.unary("purchase_lone", seconds),
            ):
                if number:
                    gathered.setdefault(measured.name, []).append(measured)
        await bare.close()
        await real.close()
        return {name: median_figure(rounds) for name, rounds in gathered.items()}

    async def _calls(self, figures: dict[str, Figure], address: str, echo: str, say: Callable[[str], None]) -> None:
        tills = [certificate(self._settings, seat.path).cert.parent for seat in self._seats]
        server_tills = [certificate(self._settings, f"ts/bench/{n}").cert.parent for n in range(STREAM_CLIENTS)]
        gathered: dict[str, list[Figure]] = {}

        def clients(at: str, certificates: Sequence[Path], count: int) -> Clients:
            return Clients(at, certificates, count, self._members)

        for count, suffix in ((64, "unary_64"), (256, "unary_256")):
            pair = [
                (f"echo_{suffix}", clients(echo, tills, count)),
                (f"purchase_{suffix}", clients(address, tills, count)),
            ]
            for number in range(self._rounds + 1):
                for name, side in pair:
                    say(f"{name}, round {number} of {self._rounds}")
                    measured = await side.unary(name, self._seconds if number else 1.0)
                    if number:
                        gathered.setdefault(name, []).append(measured)
            for _, side in pair:
                await side.close()
        batch = clients(address, server_tills, BATCH_CLIENTS)
        half = clients(address, server_tills, BATCH_CLIENTS)
        stream = clients(address, server_tills, STREAM_CLIENTS)
        for number in range(self._rounds + 1):
            say(f"batch and stream, round {number} of {self._rounds}")
            seconds = self._seconds if number else 1.0
            for measured in (
                await batch.batches("purchase_batch", seconds, BATCH_SIZE, terminal),
                await half.batches("purchase_batch_half_replays", seconds, BATCH_SIZE, terminal, half_replays=True),
                await stream.streams("purchase_stream", seconds, STREAM_WINDOW, terminal),
            ):
                if number:
                    gathered.setdefault(measured.name, []).append(measured)
        for side in (batch, half, stream):
            await side.close()
        figures.update({name: median_figure(rounds) for name, rounds in gathered.items()})

    async def _more_calls(
        self, figures: dict[str, Figure], address: str, watched: str, say: Callable[[str], None]
    ) -> None:
        """What is compared with a purchase of the same rounds: with telemetry, as two calls, through the SDK."""
        tills = [certificate(self._settings, seat.path).cert.parent for seat in self._seats]
        named = [(folder, seat.path.removeprefix("t/")) for folder, seat in zip(tills, self._seats, strict=True)]
        plain = Clients(address, tills, 64, self._members)
        seen = Clients(watched, tills, 64, self._members)
        gathered: dict[str, list[Figure]] = {}
        for number in range(self._rounds + 1):
            say(f"telemetry, holds and the SDK, round {number} of {self._rounds}")
            seconds = self._seconds if number else 1.0
            for measured in (
                await plain.unary("purchase_unary_64_plain", seconds),
                await seen.unary("purchase_unary_64_telemetry", seconds),
                await plain.holds("hold_capture", seconds),
                await stub("purchase_stub", address, tills, 64, self._members, seconds),
                await sdk("purchase_sdk", address, named, 64, self._members, seconds),
            ):
                if number:
                    gathered.setdefault(measured.name, []).append(measured)
        await plain.close()
        await seen.close()
        figures.update({name: median_figure(rounds) for name, rounds in gathered.items()})

    def _receipts(self) -> dict[str, Figure]:
        sealed, blank = self._store(), self._store(BlankNotary())
        named = [("purchase_batch_receipts", sealed), ("purchase_batch_unsealed", blank)]
        figures = receipt_figures(named, self._trade(seed=3), SEALED_BATCHES * self._rounds)
        for store in (sealed, blank):
            store.close()
        return {each.name: each for each in figures}

    def _lay_trade(self, progress: Progress) -> None:
        progress.add_task(f"selling a lot to each of {self._members} members", total=None)
        with connect(self._dsn("owner")) as connection:
            self._seats = add_trade(connection, self._members, key_ring(self._settings).card_token)
        store = self._store()
        sell_lots(store, self._trade(seed=1))
        store.close()
        self._settle()

    def _settle(self) -> None:
        """Let the database finish what one measurement left behind, so that the next does not pay for it.

        No checkpoint: right after one, every page's first change writes the whole page to the log, which a server that
        runs all day spreads over the quarter of an hour between two of them.
        """
        with connect(self._dsn("owner")) as connection:
            connection.execute("VACUUM (ANALYZE)")
        time.sleep(SETTLE_SECONDS)

    def _store(self, sealing: Notary | None = None) -> LedgerStore:
        sealing = sealing or notary(key_ring(self._settings))
        return LedgerStore(self._dsn("app"), load, business_date_in(self._settings.zone), sealing)

    def _trade(self, seed: int) -> Trade:
        return Trade(self._seats, self._members, key_ring(self._settings).card_token, seed)

    def _dsn(self, role: str) -> str:
        return read_attach_file(self._var)["ledger"].dsn("coalition" if role == "owner" else f"coalition_{role}")

    @contextmanager
    def _server(self) -> Iterator[str]:
        """The real server, as `coalition serve` runs it."""
        command = [sys.executable, "-m", "coalition", "serve", "--no-settlement"]
        with self._process(command) as process:
            yield _wait_for(self._var / "server.json", process, lambda text: str(json.loads(text)["address"]))

    @contextmanager
    def _watched_server(self, endpoint: str) -> Iterator[str]:
        """A second server of the same ledger, with metrics and with a hundredth of its calls traced."""
        command = [sys.executable, "-m", "coalition", "serve", "--no-settlement", "--attach"]
        telemetry = {
            "COALITION_METRICS_LISTEN": "127.0.0.1:0",
            "COALITION_TRACE_ENDPOINT": endpoint,
            "COALITION_TRACE_RATIO": "0.01",
        }
        with self._process(command, telemetry) as process:
            file = self._var / f"server-{process.pid}.json"
            yield _wait_for(file, process, lambda text: str(json.loads(text)["address"]))

    @contextmanager
    def _echo(self) -> Iterator[str]:
        port_file = self._var / "echo.address"
        port_file.unlink(missing_ok=True)  # an earlier echo's
        with self._process([sys.executable, "-m", "bench.echo_server", str(port_file)]) as process:
            yield _wait_for(port_file, process, str.strip)

    @contextmanager
    def _process(
        self, command: list[str], besides: Mapping[str, str] = MappingProxyType({})
    ) -> Iterator["subprocess.Popen[bytes]"]:
        process = subprocess.Popen(command, env={**self._environment, **besides}, stdout=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


def terminal(draw: int) -> Any:
    """One of the tills that a chain's till server speaks for."""
    return operations_pb2.TerminalRef(participant=f"shop-{draw % SHOPS}", store="main", terminal="till")


def durable_commit(dsn: str, count: int) -> Figure:
    """One small insert and its durable commit, alone on a connection: what no ledger on this machine can undercut."""
    latencies = []
    with connect(dsn) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS bench_commits (number bigint)")
        started = time.perf_counter()
        for number in range(count):
            before = time.perf_counter()
            connection.execute("INSERT INTO bench_commits VALUES (%s)", (number,), prepare=True)
            latencies.append(time.perf_counter() - before)
        return figure("durable_commit", count, time.perf_counter() - started, latencies)


def _wait_for(file: Path, process: "subprocess.Popen[bytes]", read: Callable[[str], str]) -> str:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit(f"{' '.join(map(str, process.args[1:]))} ended with {process.returncode}")  # type: ignore[index]
        if file.exists() and (text := file.read_text(encoding="utf-8")):
            return read(text)
        time.sleep(0.05)
    raise SystemExit(f"no server within {START_SECONDS:.0f} s")


def show(console: Console, figures: dict[str, Figure]) -> None:
    """The table, then what the design asks for and what was reached."""
    table = Table(title="rates on this machine, medians of rounds")
    for column in ("measurement", "per second", "p50 ms", "p99 ms"):
        table.add_column(column, justify="left" if column == "measurement" else "right")
    for each in figures.values():
        table.add_row(each.name, f"{each.rate_per_s:,.0f}", f"{each.p50_ms:.2f}", f"{each.p99_ms:.2f}")
    console.print(table)
    ratios = Table(title="ratios")
    for column in ("what", "reached", "asked"):
        ratios.add_column(column, justify="left" if column == "what" else "right")
    for name, of, least in TARGETS:
        ratio = figures[name].rate_per_s / figures[of].rate_per_s
        ratios.add_row(f"{name} / {of}", f"{ratio:.2f}", f">= {least:.3g}")
    bound = 3 * figures["echo_lone"].p50_ms + figures["durable_commit"].p50_ms
    ratios.add_row("purchase_lone p50, ms", f"{figures['purchase_lone'].p50_ms:.2f}", f"<= {bound:.2f}")
    console.print(ratios)


if __name__ == "__main__":
    main()
