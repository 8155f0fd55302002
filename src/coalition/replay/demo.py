"""The demo, end to end: a server of its own, real trade through real clients, the months settled and computed again.

`run_demo` is the whole story in order; its files lie in one directory that it makes anew. It starts processes and talks
to them as anyone could: by gRPC, by the settlement's commands. Never opens a database and never decides about value.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any, Final

from coalition.replay.comparison import Verdict, judge, read_names, read_positions
from coalition.replay.export import Files, export, participants
from coalition.replay.founding import STEPS_OF_MEMBER, Enrolled, agree, enrol, found, steps
from coalition.replay.headquarters import Cut, PaidRun, bank_accounts
from coalition.replay.posting import Standing, Window
from coalition.replay.premises import Furnish, House
from coalition.replay.processes import ServerProcess, settlement
from coalition.replay.street import Street, days
from coalition.replay.tills import Takings
from coalition.replay.trade import Trade

CALENDAR: Final = "monthly"
DIFFERENCES: Final = "differences.txt"
MARK: Final = ".coalition-demo"
# (package, the file below var that says where it answers, name of its log), in the order in which they start.
SERVERS: Final = (("coalition", "server.json", "server"), ("settlement", "settlement.json", "settlement"))


class DirectoryInUse(Exception):
    """The demo's directory is not the demo's to clear away, or another demo runs in it."""


# Begins a phase by (name, total steps, or None while unknown) and answers how to advance it.
Phases = Callable[[str, int | None], Callable[[int], None]]


@dataclass(frozen=True, slots=True)
class Month:
    """A settled month: its figures, every participant's position, where its report lies, and the run that paid it."""

    label: str
    summary: Mapping[str, Any]
    positions: Mapping[str, Standing]
    names: Mapping[str, str]
    report: Path
    run: PaidRun


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
            with watch.timed("start"), _phase(phases, "databases, keys, servers"):
                servers = [
                    stack.enter_context(
                        ServerProcess(package, premises.environment, announced=var / file, log=var / f"{log}.log")
                    )
                    for package, file, log in SERVERS
                ]
            addresses = [server.address for server in servers]
            with House(trade, premises, addresses) as house:
                story = _story(trade, var, house, phases, watch)
            at_the_end(story)
    return story


def _story(trade: Trade, var: Path, house: House, phases: Phases, watch: "_Watch") -> Story:
    enrolled = Enrolled()
    with watch.timed("set-up"):
        _lay(trade, var, house, phases)
    enrolling = phases("members and cards", len(trade.homes) * STEPS_OF_MEMBER)
    takings, cuts, months = Takings(), dict[Window, Cut](), list[Month]()
    newcomers = trade.newcomers()
    with house.tills(trade, enrolled) as tills:
        street = Street(trade, tills, takings)
        for label in trade.months:
            with watch.timed("set-up"):
                enrol(house.operator, trade.homes, newcomers[label], enrolled, enrolling)
            advance = phases(f"{label}: top-ups, purchases, refunds", None)
            for day, baskets in days(trade, label):
                with watch.timed("set-up"):
                    agree(house.operator, trade, day)
                with watch.timed("tills"):
                    street.trade(day, baskets, advance)
                if trade.settling.daily:
                    with watch.timed("days' ends"):
                        cuts[trade.settling.daily, day] = house.headquarters.close(trade.settling.daily, day)
                        house.headquarters.net(trade.settling.daily, day)
            with watch.timed("settlement"):
                is_last = label == trade.months[-1]
                months.append(_settle(trade, label, var, house, cuts, phases, minimum=not is_last))
    with watch.timed("export"):
        declined = {request_id: enrolled.wallets[member] for request_id, member in takings.declined.items()}
        files = Files(enrolled.recruits, cuts, [month.run for month in months], declined)
        advance = phases("journal to Parquet, as an auditor", None)
        entries = export(house.auditor, house.operator, house.headquarters, var / "export", files, advance=advance)
    reports = {(CALENDAR, month.label): month.report for month in months}
    with watch.timed("recomputation"), _phase(phases, "independent recomputation"):
        verdict = judge(var / "export", reports)
        if not verdict.equal:
            (var / DIFFERENCES).write_text("\n".join(verdict.differences) + "\n", encoding="utf-8")
    return Story(trade, takings, tuple(months), entries, verdict, watch.seconds)


def _lay(trade: Trade, var: Path, house: House, phases: Phases) -> None:
    """Calendars, participants and agreements, bank accounts, and what is paid in before the first till opens."""
    settling, environment = trade.settling, house.environment
    first = f"{trade.months[0]}-01"
    if settling.daily:
        settlement(environment, "open-calendar", settling.daily, "daily", "--first-label", first)
    found(house.operator, trade, phases("participants, stores, tills, agreements", steps(trade)))
    accounts = var / "accounts.csv"
    accounts.write_bytes(bank_accounts({row.code: row.display_name for row in participants(house.operator)}, first))
    settlement(environment, "accounts", str(accounts))
    for participant, amount in settling.collateral_minor.items():
        line = ("--amount", f"{amount // 100}.{amount % 100:02}", "--reference", f"collateral/{participant}")
        settlement(environment, "collateral", participant, *line)
        house.headquarters.approve_all()
        settlement(environment, "collateral", participant, *line)


def _settle(
    trade: Trade, label: str, var: Path, house: House, cuts: dict[Window, Cut], phases: Phases, *, minimum: bool
) -> Month:
    """Close, net, pay, report: over HQ's server, the report by the settlement's own command."""
    advance = phases(f"{label}: close, net, pay, report", 4)
    headquarters, report = house.headquarters, var / "reports" / label
    report.parent.mkdir(parents=True, exist_ok=True)
    cuts[CALENDAR, label] = headquarters.close(CALENDAR, label)
    advance(1)
    headquarters.net(CALENDAR, label)
    advance(1)
    settling = trade.settling
    run = headquarters.pay(
        settling.minimum_minor if minimum else 0, settling.advance_limit_minor, var / "payments" / label
    )
    advance(1)
    settlement(house.environment, "report", label, "--out", str(report))
    advance(1)
    summary: dict[str, Any] = json.loads((report / "summary.json").read_text(encoding="utf-8"))
    positions = report / "positions.csv"
    return Month(label, summary, read_positions(positions), read_names(positions), report, run)


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
