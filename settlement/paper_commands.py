# ruff: noqa: FBT002 - typer takes a command's flags as boolean parameters
"""The commands of the month's papers: report, verify, re-derive. Thin: read options, call the room, print."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from coalition.audit.report_seal import ReportSigner
from settlement import rederiving, report
from settlement.command_line import Calendar, DatabaseUrl, Json, Label, job, named, notary, say, told
from settlement.contents import Contents
from settlement.errors import NeedsHuman
from settlement.multilateral import major
from settlement.sealing import seal_report
from settlement.verifying import verify_report

app = typer.Typer()


def signer() -> ReportSigner:
    """Who signs reports."""
    from coalition.bootstrap.settlement import report_signer  # noqa: PLC0415 - opens the key ring, for one command

    return report_signer()


@app.command(name="report")
def report_command(
    label: Annotated[
        str | None, typer.Argument(help="Label of the window, such as 2017-01.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory to write; an earlier report there is replaced.", show_default=False)
    ] = None,
    verify: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Check the report in DIR instead: files, manifest, seal.", show_default=False),
    ] = None,
    trust: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --verify: the keys you trust, from `coalition audit trust`; by default this house's own ring.",
            show_default=False,
        ),
    ] = None,
    unsealed: Annotated[
        bool, typer.Option("--unsealed", help="Sign nothing and record nothing in the journal: a look, no paper.")
    ] = False,
    calendar: Calendar = "monthly",
    as_json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Write the report of a netted window, sealed: statements, positions, claims and a picture; or verify one."""
    if verify is not None:
        check(verify, trust, as_json=as_json)
        return
    if not label or out is None:
        raise typer.BadParameter("name the window and --out DIR, or --verify DIR")
    calendar, name = named(calendar, label)
    with job(database_url) as work, told(as_json), shown(quiet=as_json) as progress:

        def seal(contents: Contents, digest: str) -> str:
            return seal_report(work.connection, contents, digest, notary=notary(), signer=signer())

        try:
            written = report.write(
                work.connection, calendar, name, out, seal=None if unsealed else seal, progress=progress
            )
        except OSError as error:
            raise NeedsHuman(f"--out {out} cannot be written: {error.strerror}") from error
    say(
        as_json,
        {"directory": str(written.directory), "files": written.files, "manifest_sha256": written.manifest_sha256},
        f"{written.files} files in {written.directory}; begin with {written.directory / 'report.svg'}\n"
        f"manifest sha256 {written.manifest_sha256}",
    )


def check(directory: Path, trust: Path | None, *, as_json: bool) -> None:
    """Verify a report and say what it is."""
    from coalition.bootstrap.settlement import report_trust  # noqa: PLC0415 - only to verify

    pins, verify = report_trust(trust)
    verified = verify_report(directory, pins, verify)
    say(
        as_json,
        {
            "entry_id": verified.entry_id,
            "files": verified.files,
            "manifest_sha256": verified.manifest_sha256,
            "window": verified.window,
        },
        f"{verified.files} files of {verified.window} are as they were sealed; "
        f"journal entry {verified.entry_id} holds manifest sha256 {verified.manifest_sha256}",
    )


@app.command()
def rederive(
    label: Label,
    whole_journal: Annotated[
        bool, typer.Option("--whole-journal", help="Look for claims of this window outside its own numbers, too.")
    ] = False,
    calendar: Calendar = "monthly",
    as_json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Sum a closed window's claims again from every transfer of the journal; the tills go on meanwhile."""
    calendar, label = named(calendar, label)
    with job(database_url) as work:
        done = rederiving.rederive(work.connection, work.follower, calendar, label, whole_journal=whole_journal)
    say(
        as_json,
        {
            "calendar": done.calendar,
            "claims": done.claims,
            "gross_minor": done.gross_minor,
            "label": done.label,
            "transfer_count": done.transfer_count,
        },
        f"{done.label}: {done.transfer_count:,} transfers lead to the same {done.claims:,} claims, "
        f"gross {major(done.gross_minor, grouped=True)}",
    )


@contextmanager
def shown(*, quiet: bool) -> Iterator[report.Progress]:
    """A progress bar on stderr while a person looks at it."""
    if quiet or not sys.stderr.isatty():
        yield report.unseen
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def advance(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step, total=total)
            bars.update(tasks[step], completed=done, total=total)

        yield advance
