"""The demo, end to end: a server of its own, real trade through real clients, the months settled and computed again.

`run_demo` is the whole story in order; its files lie in one directory that it makes anew. It starts processes and talks
to them as anyone could: by gRPC, by the settlement's commands. Never opens a database and never decides about value.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any, Final

from coalition.client import ClientCertificate, Connection
from coalition.replay.comparison import Verdict, judge, read_names, read_positions
from coalition.replay.export import export
from coalition.replay.founding import Enrolled, found, steps
from coalition.replay.plan import plan
from coalition.replay.processes import ServerProcess, settlement
from coalition.replay.recompute import Standing, Window
from coalition.replay.tills import Takings, Tills, till_opener
from coalition.replay.trade import Trade

CALENDAR: Final = "monthly"
OPERATOR: Final = "/op/demo"
AUDITOR: Final = "/aud/second-hand"
DIFFERENCES: Final = "differences.txt"
MARK: Final = ".coalition-demo"
READY_SECONDS: Final = 30.0


class DirectoryInUse(Exception):
    """The demo's directory is not the demo's to clear away, or another demo runs in it."""


@dataclass(frozen=True, slots=True)
class Premises:
    """What the caller puts at the demo's disposal: the server's environment, and where an identity's certificate is."""

    environment: Mapping[str, str] = field(repr=False)
    certificates: Callable[[str], Path]


Furnish = Callable[[Mapping[str, str]], Premises]
# Begins a phase by (name, total steps, or None while unknown) and answers how to advance it.
Phases = Callable[[str, int | None], Callable[[int], None]]


@dataclass(frozen=True, slots=True)
class Month:
    """A settled month: its figures, every participant's position, and where its report lies."""

    label: str
    summary: Mapping[str, Any]
    positions: Mapping[str, Standing]
    names: Mapping[str, str]
    report: Path


@dataclass(frozen=True, slots=True)
class Story:
    """What happened, for the last screen."""

    trade: Trade
    takings: Takings
    months: tuple[Month, ...]
    entries: int
    verdict: Verdict
    seconds: Mapping[str, float]

    @property
    def is_sound(self) -> bool:
        """Every operation was answered as planned and both hands agree to the fen."""
        return self.verdict.equal and self.takings.surprise_count == 0


def run_demo(
    trade: Trade, var: Path, furnish: Furnish, phases: Phases, *, at_the_end: Callable[[Story], None]
) -> Story:
    """Replay, settle and check `trade` below `var`; `at_the_end` is called while the server still runs.

    Raises DirectoryInUse, ProcessFailed, FactsMissing, and the client's errors.
    """
    var = var.resolve()
    with cleared(var):
        premises = furnish(
            {
                "var": str(var),
                "listen": "127.0.0.1:0",
                "settlement_listen": "127.0.0.1:0",
                "zone": trade.zone,
                "currency": trade.currency_code,
                "display_name": trade.display_name,
                "first_window": trade.months[0],
            }
        )
        watch = _Watch()
        with ExitStack() as stack:
            with watch.timed("start"), _phase(phases, "databases, keys, server"):
                server = stack.enter_context(ServerProcess(var, premises.environment, var / "server.log"))
            story = _story(trade, var, premises, server.address, phases, watch)
            at_the_end(story)
    return story


def _story(trade: Trade, var: Path, premises: Premises, address: str, phases: Phases, watch: "_Watch") -> Story:
    def certificate(identity: str) -> ClientCertificate:
        return ClientCertificate.load_folder(premises.certificates(identity))

    till_servers = {merchant.code: merchant.till_server for merchant in trade.merchants}
    # Issued before the first worker asks: the development authority is a directory, not a service.
    who = [OPERATOR, AUDITOR, *sorted(set(till_servers.values()))]
    identities = {identity: certificate(identity) for identity in who}
    with (
        Connection(address, identities[OPERATOR]) as operator,
        Connection(address, identities[AUDITOR]) as auditor,
    ):
        operator.wait_until_ready(READY_SECONDS)
        with watch.timed("set-up"):
            enrolled = found(operator, trade, phases("participants, agreements, members, cards", steps(trade)))
        takings, balances = Takings(), dict[str, int]()
        tills = Tills(till_opener(address, identities.__getitem__), till_servers, enrolled.cards, trade.currency_code)
        cuts: dict[Window, int] = {}
        months = []
        for label in trade.months:
            operations = list(plan(trade.baskets[label], trade.homes, trade.top_up_rule, balances))
            with watch.timed("tills"):
                tills.replay(operations, takings, phases(f"{label}: top-ups and purchases", len(operations)))
            with watch.timed("settlement"):
                months.append(_settle(label, var / "reports" / label, premises, cuts, phases))
        with watch.timed("export"):
            entries = _export(auditor, operator, var / "export", enrolled, cuts, phases)
    reports = {(CALENDAR, month.label): month.report for month in months}
    with watch.timed("recomputation"), _phase(phases, "independent recomputation"):
        verdict = judge(var / "export", reports)
        if not verdict.equal:
            (var / DIFFERENCES).write_text("\n".join(verdict.differences) + "\n", encoding="utf-8")
    return Story(trade, takings, tuple(months), entries, verdict, watch.seconds)


def _settle(label: str, report: Path, premises: Premises, cuts: dict[Window, int], phases: Phases) -> Month:
    """Close, net, report: the settlement's own commands, each a process."""
    advance = phases(f"{label}: close, net, report", 3)
    report.parent.mkdir(parents=True, exist_ok=True)
    closed = settlement(premises.environment, "close", label)
    cuts[CALENDAR, label] = int(closed["cut_number"])
    advance(1)
    settlement(premises.environment, "net", label)
    advance(1)
    settlement(premises.environment, "report", label, "--out", str(report))
    advance(1)
    summary: dict[str, Any] = json.loads((report / "summary.json").read_text(encoding="utf-8"))
    positions = report / "positions.csv"
    return Month(label, summary, read_positions(positions), read_names(positions), report)


def _export(
    auditor: Connection,
    operator: Connection,
    directory: Path,
    enrolled: Enrolled,
    cuts: Mapping[Window, int],
    phases: Phases,
) -> int:
    advance = phases("journal to Parquet, as an auditor", None)
    return export(auditor, operator, directory, recruiters=enrolled.recruiters, cuts=cuts, advance=advance)


@contextmanager
def cleared(var: Path) -> Iterator[None]:
    """An empty directory of the demo's own, ours until the block ends; what the last demo left is removed.

    Raises DirectoryInUse when it holds anything but a demo's leavings, or another demo is at work in it.
    """
    var.parent.mkdir(parents=True, exist_ok=True)
    with var.with_name(f"{var.name}.lock").open("w", encoding="utf-8") as lock:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            raise DirectoryInUse(f"another demo runs in {var}: wait for it, or name another directory") from None
        if var.exists() and any(var.iterdir()) and not (var / MARK).exists():
            raise DirectoryInUse(f"{var} holds files that are not a demo's: name another directory")
        shutil.rmtree(var, ignore_errors=True)
        var.mkdir(exist_ok=True)
        (var / MARK).touch()
        yield


@contextmanager
def _phase(phases: Phases, name: str) -> Iterator[None]:
    advance = phases(name, 1)
    yield
    advance(1)


class _Watch:
    """Seconds by part of the story."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - started
