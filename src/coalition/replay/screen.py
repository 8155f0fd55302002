"""What the demo shows: progress bars while it works, and the last screen. Prints facts that are handed to it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from coalition.replay.comparison import Verdict
from coalition.replay.demo import DIFFERENCES, Month, Phases, Story
from coalition.replay.posting import Standing

LARGEST: Final = 5
DIFFERENCES_SHOWN: Final = 25


@contextmanager
def progress_bars(console: Console) -> Iterator[Phases]:
    """Bars, one for each phase that begins."""
    with Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    ) as progress:

        def begin(name: str, total: int | None) -> Callable[[int], None]:
            for task in progress.tasks:
                if task.total is None:
                    progress.update(task.id, total=task.completed)
            task_id = progress.add_task(name, total=total)
            return lambda steps: progress.advance(task_id, steps)

        yield begin
        for task in progress.tasks:
            if task.total is None:
                progress.update(task.id, total=task.completed)


def last_screen(story: Story) -> RenderableType:
    """The whole of what happened, on one screen."""
    nets = total_nets(story.months)
    return Group(
        Text("\n".join(story.trade.remarks), style="dim"),
        operations_table(story),
        speed_line(story),
        nets_table(story, nets),
        months_table(story),
        runs_table(story),
        *([caps_table(story)] if story.verdict.exposures else []),
        *(report_line(month) for month in story.months),
        verdict_panel(story.verdict, story),
    )


def operations_table(story: Story) -> Table:
    """Operations by kind and outcome."""
    takings = story.takings
    table = Table(title="operations by kind and outcome", title_justify="left")
    table.add_column("kind")
    table.add_column("outcome")
    table.add_column("count", justify="right")
    table.add_column(f"amount, {story.trade.currency_code}", justify="right")
    for (kind, outcome), count in sorted(takings.outcomes.items()):
        amount = major(takings.amounts[kind]) if outcome == "ACCEPTED" else ""
        table.add_row(kind, outcome, f"{count:,}", amount)
    return table


def speed_line(story: Story) -> Text:
    """How fast it went; an operation of a batch waits as long as its batch."""
    takings, seconds = story.takings, story.seconds
    rate = takings.operations / takings.seconds if takings.seconds else 0.0
    parts = ", ".join(f"{part} {spent:.1f} s" for part, spent in seconds.items())
    return Text(
        f"{rate:,.0f} operations/s over mTLS in batches; answered within p50 {takings.percentile_ms(0.5):,.0f} ms, "
        f"p99 {takings.percentile_ms(0.99):,.0f} ms; {story.entries:,} journal entries\n{parts}"
    )


def total_nets(months: tuple[Month, ...]) -> Mapping[str, int]:
    """Every participant's net over the months replayed."""
    nets: dict[str, int] = {}
    for month in months:
        for participant, standing in month.positions.items():
            nets[participant] = nets.get(participant, 0) + standing.net
    return nets


def nets_table(story: Story, nets: Mapping[str, int]) -> Table:
    """Who pays and who receives most."""
    names = story.months[-1].names
    table = Table(title=f"largest net payers and receivers of {len(nets)} participants", title_justify="left")
    for heading in ("pays", "receives"):
        table.add_column(heading)
        table.add_column(story.trade.currency_code, justify="right")
    payers = sorted((net, code) for code, net in nets.items() if net < 0)[:LARGEST]
    receivers = sorted(((-net, code) for code, net in nets.items() if net > 0))[:LARGEST]
    for place in range(max(len(payers), len(receivers))):
        cells: list[str] = []
        for side in (payers, receivers):
            net, code = side[place] if place < len(side) else (0, "")
            cells += [names.get(code, code), major(abs(net)) if code else ""]
        table.add_row(*cells)
    return table


def months_table(story: Story) -> Table:
    """Gross, net, what netting saved, and the zero-sum line of each month."""
    table = Table(title="settlement", title_justify="left")
    table.add_column("month")
    for heading in ("gross", "net", "netting saved", "sum of positions"):
        table.add_column(heading, justify="right")
    for month in story.months:
        table.add_row(
            month.label,
            major(int(month.summary["gross_minor"])),
            major(int(month.summary["net_minor"])),
            f"{month.summary['saving_percent']} %",
            major(zero_sum(month.positions)),
        )
    return table


def runs_table(story: Story) -> Table:
    """The run that paid each month: what came in went out; what was carried of all, in and out, went into the next."""
    table = Table(title="payment", title_justify="left")
    table.add_column("run")
    for heading in ("windows", "instructions", "paid in", "paid out", "carried"):
        table.add_column(heading, justify="right")
    for month in story.months:
        run = month.run
        instructions = sum(1 for party in run.parties if party.instructed_minor)
        amounts = (major(amount) for amount in (run.collected_minor, run.paid_minor, run.carried_minor))
        table.add_row(str(run.run_id), f"{len(run.windows):,}", f"{instructions:,}", *amounts)
    return table


def caps_table(story: Story) -> Table:
    """What the participants with a net debit cap owed at most, and how often it was in the way."""
    table = Table(title="net debit caps", title_justify="left")
    table.add_column("participant")
    for heading in ("may owe", "owed at most", "warnings", "stopped", "declined"):
        table.add_column(heading, justify="right")
    for each in story.verdict.exposures:
        name = story.months[-1].names.get(each.participant, each.participant)
        counts = (f"{count:,}" for count in (each.warnings, each.stops, each.declines))
        table.add_row(name, major(each.cap), major(each.most), *counts)
    return table


def report_line(month: Month) -> Text:
    """Where to look next."""
    return Text(f"report of {month.label}: {month.report} (begin with report.svg)", overflow="fold")


def zero_sum(positions: Mapping[str, Standing]) -> int:
    """What the positions of a month add up to: nothing."""
    return sum(standing.net for standing in positions.values())


def verdict_panel(verdict: Verdict, story: Story) -> Panel:
    """Equal for every participant, or every difference (as many as fit)."""
    surprises = story.takings.surprises
    if story.is_sound:
        left = sum(map(abs, verdict.left.values()))
        return Panel(
            f"[bold green]EQUAL[/] for every participant, to the cent: {verdict.entries:,} operations, "
            f"{verdict.declines:,} declines, "
            f"{verdict.fees:,} fees of windows, {verdict.positions:,} positions in {verdict.windows:,} windows and "
            f"{verdict.payments:,} payments computed again from the exported journal; "
            f"still due of anybody: {major(left)}{benefits_lines(verdict)}",
            title="independent recomputation",
            border_style="green",
        )
    shown = [escape(difference) for difference in verdict.differences[:DIFFERENCES_SHOWN]]
    lines = (
        [f"[bold red]{len(verdict.differences):,} DIFFERENCES[/]", *shown] if shown else ["the books are equal, but"]
    )
    if len(verdict.differences) > len(shown):
        lines.append(f"... and {len(verdict.differences) - len(shown):,} more in {DIFFERENCES} of the demo's directory")
    if story.takings.surprise_count:
        lines += [f"[bold red]{story.takings.surprise_count:,} answers were not as planned[/]", *map(escape, surprises)]
    return Panel("\n".join(lines), title="independent recomputation", border_style="red")


def benefits_lines(verdict: Verdict) -> str:
    """What was computed again of points and passes; nothing where there were none."""
    of = verdict.benefits
    lines = []
    if of.get("earned"):
        lines.append(
            f"points: {of['earned']:,} earned, {of['taken back']:,} taken back, {of['spent']:,} spent, "
            f"{of['returned']:,} returned, {of['left']:,} left; "
            f"{of['valued']:,} claims in them became {major(of['worth'])}, once a window"
        )
    if of.get("passes"):
        lines.append(
            f"passes: {of['passes']:,} sold, {of['visits']:,} visits, {of['visits returned']:,} of them returned, "
            f"{of['paid out']:,} passes paid out; {of['visits left']:,} visits left, worth {major(of['prepaid'])}"
        )
    return "".join(f"\n{line}" for line in lines)


def major(amount_minor: int) -> str:
    """An amount with two decimals, grouped."""
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{abs(amount_minor) // 100:,}.{abs(amount_minor) % 100:02d}"
