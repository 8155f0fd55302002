"""`coalition audit`: checkpoints, proofs and receipts of the audit log, bundles for auditors, and the trust file.

Asks a server, believes nothing it answers: `verify` and `check-receipt` (verifying.py) do the checking.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from coalition.cli import sampling, verifying
from coalition.cli.house import HouseRefused, Var, house_errors
from coalition.cli.output import console
from coalition.cli.session import Session, client_command
from coalition.client import CallRefused
from coalition.config import load_settings
from coalition.v1.audit_pb2 import (
    GetCheckpointRequest,
    GetConsistencyProofRequest,
    GetInclusionProofRequest,
    GetSealedReceiptRequest,
)

Size = Annotated[
    int, typer.Option("--size", metavar="N", help="Of a checkpoint that was signed; the newest.", show_default=False)
]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it to a file.", show_default=False)]

BUNDLE_HELP: Final = "A new directory."
CATCH_UP_SECONDS: Final = 10.0  # for the checkpoint that covers what the tables told; it is a second behind at most

audit_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""The audit log: signed checkpoints, proofs, receipts, bundles, and the auditor's tool.

    An auditor needs the trust file once, by a way that is not this log's, and a bundle each time.""",
)


@client_command
def checkpoint(session: Session, size: Size = 0, out: Out = None) -> None:
    """Print the newest signed checkpoint with its cosignatures (C2SP tlog-checkpoint). Keep it for the next look."""
    with session.coalition() as connection:
        answer = connection.call(connection.audit.GetCheckpoint, GetCheckpointRequest(size=size))
    if session.as_json or session.field:
        session.say(answer)
        return
    _write(answer.note.decode(), out)


@client_command
def proof(
    session: Session,
    entry: Annotated[
        int | None, typer.Argument(metavar="ENTRY", help="Entry id on a receipt.", show_default=False)
    ] = None,
    since: Annotated[
        int | None,
        typer.Option(
            "--since",
            metavar="SIZE",
            help="Prove instead that the log has only grown since it had SIZE entries.",
            show_default=False,
        ),
    ] = None,
    size: Size = 0,
    out: Out = None,
) -> None:
    """Prove that an entry is in the log (C2SP tlog-proof), or with --since that the log has only grown."""  # fmt: skip
    if (entry is None) is (since is None):
        raise typer.BadParameter("name an entry, or --since SIZE")
    with session.coalition() as connection:
        if since is not None:
            grown = connection.call(
                connection.audit.GetConsistencyProof, GetConsistencyProofRequest(old_size=since, size=size)
            )
            lines = f"{len(grown.proof)} hashes lead from {since:,} to {grown.checkpoint.size:,} entries"
            session.say(grown, lines, *[each.hex() for each in grown.proof])
            return
        request = GetInclusionProofRequest(entry_id=entry or 0, size=size)
        answer = connection.call(connection.audit.GetInclusionProof, request)
    if session.as_json or session.field:
        session.say(answer)
        return
    from coalition.bootstrap.bundling import proof_text

    _write(proof_text(answer), out)


@client_command
def receipt(
    session: Session,
    entry: Annotated[
        int | None, typer.Argument(metavar="ENTRY", help="Entry id on a receipt.", show_default=False)
    ] = None,
    request_id: Annotated[
        str | None, typer.Option("--request-id", metavar="UUID", help="The request instead.", show_default=False)
    ] = None,
    participant: Annotated[
        str, typer.Option(metavar="CODE", help="Whose request it was; the caller's own.", show_default=False)
    ] = "",
    out: Out = None,
) -> None:
    """Fetch the sealed receipt of an answer, accepted or declined: it shows that the coalition gave it."""
    if (entry is None) is (request_id is None):
        raise typer.BadParameter("name an entry, or --request-id UUID")
    if request_id is None:
        asked = GetSealedReceiptRequest(entry_id=entry or 0, participant=participant)
    else:
        asked = GetSealedReceiptRequest(request_id=request_id, participant=participant)
    with session.coalition() as connection:
        answer = connection.call(connection.audit.GetSealedReceipt, asked)
    if session.as_json or session.field:
        session.say(answer)
        return
    from coalition.bootstrap.bundling import sealed_receipt

    _write(sealed_receipt(answer).to_text(), out)


@client_command
def exchange(
    session: Session,
    receipt_file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Receipt that audit receipt or till receipts wrote.")
    ],
    trust_file: verifying.Trust,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the proof is written.")],
) -> None:
    """Exchange a receipt for the proof that the log contains its entry, and check both.

    Ends with a file that anybody can check offline: coalition audit check-receipt FILE --proof. Exit codes: 0 the log
    has it; 1 it has not, although it has grown past it, or it has other bytes: keep the receipt, it shows so; 2 it
    cannot be decided, such as for a receipt that is not genuine or a log that has not grown so far.
    """
    from coalition.bootstrap.bundling import patient, proof_text
    from coalition.bootstrap.verifying import Broken, Malformed, check_proof_text, check_receipt_file, read_trust

    try:
        told = check_receipt_file(receipt_file, trust_file)
    except (Broken, Malformed, OSError) as error:
        raise verifying.undecided(error) from None
    with session.coalition() as connection:
        again = patient(CATCH_UP_SECONDS)
        while True:
            checkpoint = connection.call(connection.audit.GetCheckpoint, GetCheckpointRequest())
            if checkpoint.number >= told["batch"] or not again():
                break
        if checkpoint.number < told["batch"]:
            raise verifying.undecided(ValueError("the log has not grown past this entry yet; ask again"))
        request = GetInclusionProofRequest(entry_id=told["entry_id"], size=checkpoint.size)
        try:
            answer = connection.call(connection.audit.GetInclusionProof, request)
        except CallRefused as refused:
            if refused.reason != "ENTRY_UNKNOWN":
                raise
            raise verifying.breached(f"the log has grown past entry {told['entry_id']} and does not have it") from None
    text = proof_text(answer)
    try:
        check_proof_text(text.encode(), bytes.fromhex(told["leaf"]), read_trust(trust_file))
    except Broken as error:
        raise verifying.breached(f"what the log answers does not prove that it has this entry: {error}") from None
    except Malformed as error:
        raise verifying.undecided(error) from None
    _write(text, out)
    session.say(checkpoint, f"entry {told['entry_id']} is among the first {checkpoint.size:,} entries of the log")


@client_command
def bundle(
    session: Session,
    directory: Annotated[Path, typer.Argument(metavar="DIRECTORY", help=BUNDLE_HELP)],
    start: Annotated[
        int, typer.Option("--from", metavar="SIZE", help="Signed size it begins at; 0: the first entry.")
    ] = 0,
    end: Annotated[
        int, typer.Option("--to", metavar="SIZE", help="Signed size it ends at; the newest.", show_default=False)
    ] = 0,
    receipts: Annotated[
        list[Path] | None,
        typer.Option("--receipt", metavar="FILE", help="A receipt to put in; may be repeated.", show_default=False),
    ] = None,
    settlements: Annotated[
        list[Path] | None,
        typer.Option(
            "--settlement",
            metavar="DIRECTORY",
            help="A report that python -m settlement report wrote; may be repeated.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write everything an auditor needs of the log to a directory, for coalition audit verify."""  # fmt: skip
    from coalition.bootstrap.bundling import patient, write_bundle
    from coalition.bootstrap.errors import HouseError

    with session.coalition() as connection, verifying.progress_bar() as bar:
        task = bar.add_task("entries", total=None)
        try:
            checkpoint = write_bundle(
                connection,
                directory,
                start_size=start,
                end_size=end,
                receipts=receipts or (),
                settlements=settlements or (),
                made=datetime.now(UTC),
                patience=patient(CATCH_UP_SECONDS),
                progress=lambda done, whole: bar.update(task, completed=done, total=whole),
            )
        except (HouseError, OSError) as error:
            raise HouseRefused(str(error)) from error
    session.say(checkpoint, f"{directory} holds the entries {start:,} to {checkpoint.size:,} of the log")


def trust(
    var: Var = None,
    out: Out = None,
) -> None:
    """Print what an auditor pins: the trust file of this house's log. Hand it over by a way of its own."""
    settings = load_settings(var=var)
    with house_errors():
        from coalition.bootstrap.trusting import trust_file

        _write(trust_file(settings), out)


def compare(var: Var = None) -> None:
    """Make the audit tree again from the journal, and compare it with the one that is kept and with what was signed."""
    settings = load_settings(var=var)
    with house_errors():
        from coalition.bootstrap.trusting import compare_tree

        comparison = compare_tree(settings)
    if not comparison.equal:
        raise HouseRefused(
            f"the tree that is kept is not the journal's: up to batch {comparison.cursor} their bytes differ. What was "
            "signed is the journal's: make the tiles again (RUNBOOK, The audit log)"
        )
    console().print(f"the tree of {comparison.size:,} entries is the journal's, byte for byte: {comparison.live}")


def _write(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"--out {out}: {error.strerror}") from None
    console(stderr=True).print(f"written to {out}", soft_wrap=True)


for name, command, example in (
    ("checkpoint", checkpoint, "coalition audit checkpoint"),
    ("proof", proof, "coalition audit proof 4194305"),
    ("receipt", receipt, "coalition audit receipt 4194305 --as t/cafe/main/till-1 --out receipt.json"),
    ("trust", trust, "coalition audit trust --out trust.txt"),
    (
        "exchange",
        exchange,
        "coalition audit exchange receipt.json --trust trust.txt --out proof --as t/cafe/main/till-1",
    ),
    ("compare", compare, "coalition audit compare"),
    ("bundle", bundle, "coalition audit bundle bundle-2017-01"),
    ("verify", verifying.verify, "coalition audit verify bundle-2017-01 --trust trust.txt"),
    ("check-receipt", verifying.check_receipt, "coalition audit check-receipt receipt.json --trust trust.txt"),
    ("sample", sampling.sample, "coalition audit sample bundle-2017-01 --size 60 --seed 4-2-6-6-1-3-5-2"),
):
    audit_app.command(name, epilog=f"Example: {example}")(command)
