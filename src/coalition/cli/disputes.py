"""`coalition dispute open|list|withdraw|propose|settle`: a merchant's complaint about a line, and its decision."""

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from coalition.cli.money import format_number
from coalition.cli.options import RequestId, read_request_id
from coalition.cli.output import enum_name, table, time_text
from coalition.cli.session import Session, client_command, pages
from coalition.v1.settlement_pb2 import (
    DisputeState,
    ListDisputesRequest,
    OpenDisputeRequest,
    ProposeDisputeRequest,
    SettleDisputeRequest,
    WithdrawDisputeRequest,
)

dispute_app = typer.Typer(no_args_is_help=True, help="Complaints about lines, and their decisions.")
DisputeId = Annotated[str, typer.Argument(metavar="DISPUTE", help="Its id, as `coalition dispute list` shows it.")]
Amount = Annotated[str, typer.Argument(metavar="AMOUNT", help="Such as 300.00")]


@dispute_app.command(
    "open", epilog="Example: coalition dispute open --as hq/cafe 4194305 --against grocer 12.00 --evidence F-77"
)
@client_command
def open_dispute(
    session: Session,
    entry: Annotated[int, typer.Argument(metavar="ENTRY", help="Entry of the line, as statements show it.")],
    amount: Amount,
    against: Annotated[str, typer.Option(help="Who owes it.")],
    evidence: Annotated[str, typer.Option(help="Where the evidence is found; no personal data.")],
    evidence_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The evidence itself; its hash is kept.", show_default=False),
    ] = None,
    complainant: Annotated[str, typer.Option(help="Who complains; the caller.", show_default=False)] = "",
    request_id: RequestId = None,
) -> None:
    """Complain about a line: AMOUNT of it is owed by another. The line stays; a decision is corrected by another."""
    request = OpenDisputeRequest(
        request_id=read_request_id(request_id),
        entry_id=entry,
        complainant=complainant,
        against=against,
        amount_minor=session.amount(amount),
        evidence=evidence,
        evidence_sha256=hashlib.sha256(evidence_file.read_bytes()).digest() if evidence_file else b"",
    )
    with session.settlement() as connection:
        answer = connection.call(connection.settlement.OpenDispute, request)
    session.say(answer, f"Dispute {answer.dispute_id} is open.")


@dispute_app.command("list", epilog="Example: coalition dispute list --as hq/cafe")
@client_command
def list_disputes(
    session: Session,
    state: Annotated[str, typer.Option(help="Only those that are open, proposed, ...", show_default=False)] = "",
) -> None:
    """List disputes, oldest first; headquarters see those that they are a side of."""
    names = [name.removeprefix("DISPUTE_STATE_").lower() for name in DisputeState.keys()[1:]]
    if state and state.lower() not in names:
        raise typer.BadParameter(f"--state is one of {', '.join(names)}")
    wanted = DisputeState.Value(f"DISPUTE_STATE_{state.upper()}") if state else DisputeState.DISPUTE_STATE_UNSPECIFIED
    with session.settlement() as connection:
        request = ListDisputesRequest(state=wanted)
        rows = list(pages(connection, connection.settlement.ListDisputes, request, "disputes"))
    session.say(
        rows,
        table(
            f"{len(rows)} disputes, {session.settings.currency}",
            ("dispute", "state", "opened, UTC", "entry", "complains", "against", ">asked", ">awarded", "correction"),
            (
                (
                    row.dispute_id,
                    enum_name(row, "state"),
                    time_text(row.open_time),
                    str(row.entry_id),
                    row.complainant,
                    row.against,
                    format_number(row.amount_minor),
                    format_number(row.awarded_minor) if row.HasField("awarded_minor") else "",
                    str(row.correcting_entry_id or ""),
                )
                for row in rows
            ),
        ),
    )


@dispute_app.command("withdraw", epilog="Example: coalition dispute withdraw --as hq/cafe DISPUTE")
@client_command
def withdraw_dispute(session: Session, dispute: DisputeId, request_id: RequestId = None) -> None:
    """Take a dispute back."""
    request = WithdrawDisputeRequest(request_id=read_request_id(request_id), dispute_id=dispute)
    with session.settlement() as connection:
        answer = connection.call(connection.settlement.WithdrawDispute, request)
    session.say(answer, f"Dispute {dispute} is withdrawn.")


@dispute_app.command("propose", epilog="Example: coalition dispute propose DISPUTE 12.00 --note 'the till was right'")
@client_command
def propose_dispute(
    session: Session,
    dispute: DisputeId,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="What is awarded; 0 rejects the complaint.")],
    note: Annotated[str, typer.Option(help="Why; no personal data.")],
    request_id: RequestId = None,
) -> None:
    """Propose a decision; it waits for the approval of others, and `settle` carries it out."""
    request = ProposeDisputeRequest(
        request_id=read_request_id(request_id),
        dispute_id=dispute,
        awarded_minor=0 if amount == "0" else session.amount(amount),
        note=note,
    )
    with session.settlement() as connection:
        answer = connection.call(connection.settlement.ProposeDispute, request)
    session.say(answer, f"Approval {answer.approval_id} was asked for.")


@dispute_app.command("settle", epilog="Example: coalition dispute settle DISPUTE")
@client_command
def settle_dispute(session: Session, dispute: DisputeId, request_id: RequestId = None) -> None:
    """Carry an approved decision out: what was awarded becomes a claim in the open window."""
    request = SettleDisputeRequest(request_id=read_request_id(request_id), dispute_id=dispute)
    with session.settlement() as connection:
        answer = connection.call(connection.settlement.SettleDispute, request)
    session.say(answer, f"Dispute {dispute} is {enum_name(answer, 'state')}; entry {answer.receipt.entry_id}.")
