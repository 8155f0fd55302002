# ruff: noqa: FBT002 - typer takes a command's flags as boolean parameters
"""The commands of the month's papers: report, verify, re-derive. Thin: read options, call the room, print."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from coalition.audit.report_seal import ReportSigner
from coalition.domain.acts import JSON
from coalition.domain.reconciliation import Finding
from coalition.storage import positions as folded
from coalition.storage import settlement as store
from coalition.storage.liability import liability
from coalition.storage.member_debts import debts
from coalition.storage.programme import load
from settlement import reconciling, rederiving, report
from settlement.command_line import Calendar, DatabaseUrl, Json, Label, job, named, notary, say, told
from settlement.contents import Contents
from settlement.debts_report import write_debts
from settlement.errors import DIFFERENCES_SHOWN, NeedsHuman
from settlement.multilateral import major
from settlement.points_report import points_owed, write_points
from settlement.reserve import DEFAULT_POLICY, reserves, write_reserve
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


@app.command()
def reconcile(
    label: Label,
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV: entry_id, request_id or sale_reference, and amount or amount_minor.", show_default=False
        ),
    ],
    participant: Annotated[str, typer.Option(help="Code of the participant whose file it is.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="Write what is not the same as CSV to this file.", show_default=False)
    ] = None,
    calendar: Calendar = "monthly",
    as_json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Hold a merchant's own file against our window: matched, different, missing here, missing there, and why.

    Exit code 0 if both say the same, 1 if not.
    """
    calendar, label = named(calendar, label)
    theirs = reconciling.read_file(file)
    with job(database_url) as work:
        done = reconciling.reconcile_window(work.connection, calendar, label, participant, theirs)
    counts = {finding.value.lower(): count for finding, count in done.counts.items()}
    if out is not None:
        try:
            reconciling.write_results(out, done)
        except OSError as error:
            raise NeedsHuman(f"--out {out} cannot be written: {error.strerror}") from error
    told = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items())
    say(as_json, {"calendar": calendar, "label": label, "participant": participant, **counts}, f"{label}: {told}")
    if not done.is_clean:
        differing = [each for each in done.results if each.finding is not Finding.MATCHED]
        for result in differing[:DIFFERENCES_SHOWN]:
            typer.echo("  ".join(str(cell) for cell in reconciling.cells(result) if cell != ""), err=True)
        raise NeedsHuman(f"{len(differing)} lines are not the same" + ("" if out else "; --out FILE.csv lists all"))


@app.command()
def reserve(
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[ISSUER=]20|30|40|full",
            help="What part of outstanding principal is kept aside; by default 40 for every issuer. May be repeated.",
            show_default=False,
        ),
    ] = None,
    expiring_days: Annotated[int, typer.Option(min=0, help="How far ahead expiring bonus is listed.")] = 30,
    dormant_days: Annotated[int, typer.Option(min=1, help="A wallet unused for longer is dormant.")] = 365,
    out: Annotated[Path | None, typer.Option(help="Directory for the report as CSV.", show_default=False)] = None,
    as_json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Tell what issuers owe members now, by age; the reserve it takes; what expires soon and what lies idle."""
    named_policies = [each.partition("=") for each in policy or ()]
    policies = {issuer: part for issuer, equals, part in named_policies if equals}
    default = next((whole for whole, equals, _ in reversed(named_policies) if not equals), DEFAULT_POLICY)
    with job(database_url) as work:
        scheme = store.scheme(work.connection)
        today = store.now(work.connection).astimezone(ZoneInfo(scheme.zone)).date()
        parties = folded.parties(work.connection)
        found = liability(
            work.connection,
            zone=scheme.zone,
            today=today,
            expiring_until=today + timedelta(days=expiring_days),
            dormant_since=today - timedelta(days=dormant_days),
        )
        programme = load(work.connection)
        points, owing = points_owed(found.points, programme), debts(work.connection, programme)
    wanted = reserves(found, parties, default, policies)
    if out is not None:
        try:
            write_reserve(out, found, parties, wanted)
            write_points(out, points)
            write_debts(out, owing, {party.participant_id: party.code for party in parties})
        except OSError as error:
            raise NeedsHuman(f"--out {out} cannot be written: {error.strerror}") from error
    principal = sum(each.principal_minor for each in wanted)
    bonus, missing = sum(each.bonus_minor for each in wanted), sum(each.missing_minor for each in wanted)
    facts: dict[str, JSON] = {
        "bonus_minor": bonus,
        "dormant_wallets": sum(row.wallets for row in found.dormant),
        "expiring_bonus_minor": sum(row.bonus_minor for row in found.expiring),
        "last_number": found.last_number,
        "missing_minor": missing,
        "points": [
            {"debtor": each.debtor, "programme": each.programme, "points": each.points, "worth_minor": each.worth_minor}
            for each in points
        ],
        "principal_minor": principal,
        "required_minor": sum(each.required_minor for each in wanted),
        "reserves": [
            {"issuer": each.issuer.code, "policy": each.policy, "required_minor": each.required_minor}
            for each in wanted
        ],
    }
    sentence = (
        f"at batch {found.last_number} members are owed {major(principal, grouped=True)} principal and "
        f"{major(bonus, grouped=True)} bonus; of the reserve {major(missing, grouped=True)} is not in custody"
    )
    for each in points:
        sentence += f"; {each.debtor} owes {each.points:,} points of {each.programme}, worth {major(each.worth_minor)}"
    say(as_json, facts, sentence)


@app.command()
def archive(
    label: Label,
    out: Annotated[Path, typer.Option(help="Directory of the archive; other windows in it stay.")],
    calendar: Calendar = "monthly",
    as_json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Write a closed window's part of the journal as Parquet, partitioned by calendar and window."""
    try:
        from settlement.archive import archive as write_archive  # noqa: PLC0415 - pyarrow is an extra
    except ImportError as error:
        raise NeedsHuman(f"an archive needs {error.name}: pip install 'coalition[archive]'") from error
    calendar, label = named(calendar, label)
    with job(database_url) as work:
        try:
            rows = write_archive(work.connection, calendar, label, out)
        except OSError as error:
            raise NeedsHuman(f"--out {out} cannot be written: {error.strerror}") from error
    say(
        as_json,
        {"calendar": calendar, "label": label, **rows},
        f"{label}: " + ", ".join(f"{count:,} {name}" for name, count in rows.items()) + f" in {out}",
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
