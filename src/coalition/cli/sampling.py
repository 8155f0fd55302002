"""`coalition audit sample`: whom or what an auditor looks at in clear. Loads no SQL, no gRPC, opens no connection."""

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from coalition.cli.verifying import plain, progress_bar, undecided

METHODS: Final = ("attribute", "monetary-unit")


def sample(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Directory that verify found in order.")],
    size: Annotated[int, typer.Option("--size", metavar="N", min=1, help="How many to draw.")],
    seed: Annotated[
        str,
        typer.Option("--seed", metavar="TEXT", help="Your own, chosen after the bundle's checkpoint: dice will do."),
    ],
    method: Annotated[
        str,
        typer.Option("--method", help="attribute: members, each as likely; monetary-unit: operations by amount."),
    ] = METHODS[0],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it as CSV too.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Draw a statistical sample to be looked at in clear, reproducible from the seed.

    attribute sampling draws members without replacement, each as likely as any other. Monetary-unit sampling draws
    accepted operations by a random start and a fixed interval of their summed amounts. Headquarters asks to see what
    was drawn and another person approves, 20 members at a time: the commands are printed.
    """
    if method not in METHODS:
        raise typer.BadParameter(f"--method is one of {', '.join(METHODS)}")
    from coalition.bootstrap.sampling import as_csv, draw_sample
    from coalition.bootstrap.verifying import Malformed

    with progress_bar() as bar:
        task = bar.add_task("files", total=None)
        try:
            told = draw_sample(
                bundle, method, size, seed, lambda done, whole: bar.update(task, completed=done, total=whole)
            )
        except (Malformed, OSError) as error:
            raise undecided(error) from None
    if out is not None:
        out.write_text(as_csv(told), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    show_sample(told)


def show_sample(told: dict[str, Any]) -> None:
    """The sample on a screen: what was drawn, what it shows if nothing is wrong, and what to ask for."""
    screen = plain()
    is_of_members = told["method"] == METHODS[0]
    names = ("member", "entry") if is_of_members else ("entry", "wallet", "amount, minor units", "hits")
    columns = ("member_id", "entry_id") if is_of_members else ("entry_id", "wallet_id", "amount_minor", "hits")
    of = "members" if is_of_members else "minor units"
    title = f"{told['method']} sample of {told['size']} of {told['population']:,} {of}, seed {told['seed']}"
    shown = Table(title=title, title_justify="left", box=None)
    for name in ("number", *names):
        shown.add_column(name, no_wrap=True)
    for row in told["rows"]:
        shown.add_row(*(str(row[name]) for name in ("number", *columns)))
    screen.print(shown)
    screen.print(f"drawn from the log with root {told['root']}", soft_wrap=True)
    screen.print(
        f"if nothing in it is wrong, less than {told['upper_limit']} % of the {of} are, at 95 % confidence",
        soft_wrap=True,
    )
    if is_of_members:
        for command in disclosures(told):
            screen.print(command, soft_wrap=True)


def disclosures(told: dict[str, Any]) -> list[str]:
    """What headquarters types to ask for the members of a sample, 20 at a time."""
    batches: dict[int, list[str]] = {}
    for row in told["rows"]:
        batches.setdefault(row["disclosure"], []).append(row["member_id"])
    return [
        f"coalition member ask {' '.join(ids)} --groups identity,contact --purpose audit --key sample.key"
        for ids in batches.values()
    ]
