"""`coalition audit verify` and `check-receipt`: the auditor's tool. Loads no SQL, no gRPC, and opens no connection.

Exit codes: 0 all is well, 1 a breach, 2 it cannot be decided (or the command line is wrong).
"""

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from coalition.cli.audit_page import audit_page, placed

OK, BREACH, UNDECIDED = 0, 1, 2
COLOURS: Final = {"ok": "green", "breach": "bold red", "undecided": "yellow", "no subject": "dim"}
SHOWN: Final = 5  # findings a check shows on a screen; the JSON and HTML reports have more

Trust = Annotated[
    Path, typer.Option("--trust", metavar="FILE", help="Your own copy of the trust file, never one out of a bundle.")
]


def verify(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Directory that coalition audit bundle wrote.")],
    trust: Trust,
    previous: Annotated[
        list[Path] | None,
        typer.Option(
            "--previous",
            metavar="FILE",
            help="A checkpoint you kept from an earlier look; may be repeated.",
            show_default=False,
        ),
    ] = None,
    receipts: Annotated[
        list[Path] | None,
        typer.Option(
            "--receipts",
            metavar="PATH",
            help="Receipts to find in the log: a file or a directory; may be repeated.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write the report as HTML too.", show_default=False)
    ] = None,
) -> None:
    """Check a bundle of the audit log offline: the numbered checks V1 to V22.

    Ends with 0 when all is well, 1 when something was changed, dropped, added, reordered or does not add up, 2 when it
    cannot be decided because something is missing.
    """  # fmt: skip
    from coalition.bootstrap.verifying import Malformed, check_bundle

    with progress_bar() as bar:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, whole: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=whole)
            bar.update(tasks[what], completed=done, total=whole)

        try:
            told = check_bundle(bundle, trust, previous=previous or (), receipts=receipts or (), progress=show)
        except (Malformed, OSError) as error:
            raise undecided(error) from None
    if report is not None:
        report.write_text(audit_page(told), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False))
    else:
        show_report(told)
    raise typer.Exit(told["exit_code"])


def check_receipt(
    receipt: Annotated[Path, typer.Argument(metavar="FILE", help="Receipt that coalition audit receipt wrote.")],
    trust: Trust,
    proof: Annotated[
        Path | None,
        typer.Option(
            "--proof",
            metavar="FILE",
            help="Check that the log has it too, by coalition audit proof.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what it says as JSON.")] = False,
) -> None:
    """Check offline that the coalition has sealed this answer, and with --proof that its log contains it."""
    from coalition.bootstrap.verifying import Broken, Malformed, check_receipt_file

    try:
        told = check_receipt_file(receipt, trust, proof)
    except Broken as error:
        plain(stderr=True).print(f"not genuine: {error}", style="bold red", soft_wrap=True)
        raise typer.Exit(BREACH) from None
    except (Malformed, OSError) as error:
        raise undecided(error) from None
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    done = "accepted" if told["accepted"] else "declined"
    plain().print(
        f"genuine: entry {told['entry_id']} of batch {told['batch']}, {done}, by {told['actor']}", soft_wrap=True
    )
    where = "in the log its leaf is" if told["log_size"] is None else f"among {told['log_size']:,} entries its leaf is"
    plain().print(f"{where} {told['leaf']}", soft_wrap=True)


def show_report(told: dict[str, Any]) -> None:
    """The report on a screen: a line a check, and the first findings of each."""
    out = plain()
    if told["damaged"]:
        out.print(f"cannot decide: {told['damaged']}", style="yellow", soft_wrap=True)
    for check in told["checks"]:
        verdict = check["verdict"]
        out.print(
            f"{check['check']:>4}  {verdict:<10}  {check['title']} ({check['looked_at']:,})",
            style=COLOURS[verdict],
            soft_wrap=True,
        )
        for finding in check["findings"][:SHOWN]:
            out.print(f"      - {placed(finding)}", soft_wrap=True)
        if check["breaches"] > SHOWN:
            out.print(f"      - and {check['breaches'] - SHOWN:,} more", soft_wrap=True)
        for lacking in check["undecided"][:SHOWN]:
            out.print(f"      ? {lacking}", soft_wrap=True)
    if told.get("erased_members"):
        out.print(f"erased {told['erased_members']:,}: members whose records open nowhere any more, as they should")
    out.print(f"verdict: {told['verdict']}", style=COLOURS[told["verdict"]])


def breached(sentence: str) -> typer.Exit:
    """Say what was broken; the exit to raise."""
    plain(stderr=True).print(sentence, style="bold red", soft_wrap=True)
    return typer.Exit(BREACH)


def undecided(error: Exception) -> typer.Exit:
    """Say what is missing; the exit to raise."""
    plain(stderr=True).print(f"cannot decide: {error}", style="yellow", soft_wrap=True)
    return typer.Exit(UNDECIDED)


def plain(*, stderr: bool = False) -> Console:
    """What is shown came from outside: nothing in it is taken for markup."""
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def progress_bar() -> Progress:
    """On standard error, gone when it is done; silent where nobody looks."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    out = Console(stderr=True)
    return Progress(*columns, console=out, transient=True, disable=not out.is_terminal)
