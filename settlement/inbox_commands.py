# ruff: noqa: FBT002 - typer takes a command's flags as boolean parameters
"""The commands of approvers: what waits, deciding on it, and who holds which office.

They ask the settlement server as the identity that was named: who approves is proved by a certificate, and never by
what somebody types into a machine that can reach the database.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from settlement.command_line import Json, say
from settlement.errors import NeedsHuman, NothingToDo
from settlement.multilateral import major

if TYPE_CHECKING:
    from coalition.client import Connection
    from coalition.v1.settlement_pb2 import Approval

PAGE = 1000
SHOWN_DIGITS = 12  # of a content hash, for people
OFFICES = ("finance", "ratifier", "chairman")

app = typer.Typer()

Identity = Annotated[
    str, typer.Option("--as", metavar="IDENTITY", help="Who to speak as: ap/NAME, or op/NAME to look.")
]
Server = Annotated[
    str | None, typer.Option("--server", metavar="HOST:PORT", help="Settlement server; the configured one.")
]


@app.command()
def inbox(identity: Identity = "op/admin", server: Server = None, as_json: Json = False) -> None:
    """Show what waits for approval: for an approver what is its turn, for the operator everything."""
    with opened(identity, server) as connection:
        rows = waiting(connection)
    if as_json:
        typer.echo(json.dumps({"approvals": [facts(row) for row in rows]}, sort_keys=True))
        return
    if not rows:
        typer.echo("nothing waits")
        return
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("id", "what", "content", "asked by", "agreed"):
        table.add_column(heading)
    table.add_column("amount", justify="right")
    for row in rows:
        content, amount = row.content_hash[:SHOWN_DIGITS], major(row.amount_minor, grouped=True)
        table.add_row(str(row.approval_id), row.summary, content, row.maker, ", ".join(row.checkers), amount)
    console = Console()
    console.print(table)
    console.print("decide with: python -m settlement approve ID --as ap/NAME", highlight=False)


@app.command()
def approve(
    approval_id: Annotated[int, typer.Argument(metavar="ID", min=1, help="Number in the inbox.", show_default=False)],
    identity: Annotated[str, typer.Option("--as", metavar="IDENTITY", help="Who decides: ap/NAME.")],
    content: Annotated[
        str | None,
        typer.Option(metavar="HASH", help="Content that was looked at, 12 digits or more; without it you are asked."),
    ] = None,
    refuse: Annotated[bool, typer.Option("--refuse", help="Say no: it ends here.")] = False,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Agree to what waits in your inbox, or refuse it. The decision is on the content shown and nothing else."""
    from coalition.client import new_request_id  # noqa: PLC0415 - opens gRPC: for the commands that speak to a server
    from coalition.v1 import settlement_pb2 as wire  # noqa: PLC0415 - the same

    with opened(identity, server) as connection:
        found = next((row for row in waiting(connection) if row.approval_id == approval_id), None)
        if found is None:
            raise NothingToDo(f"approval {approval_id} does not wait for {identity}", {"approval_id": approval_id})
        check_content(found, content, refuse=refuse)
        decision = wire.APPROVAL_DECISION_REFUSED if refuse else wire.APPROVAL_DECISION_APPROVED
        answer = connection.call(
            connection.settlement.DecideApproval,
            wire.DecideApprovalRequest(
                request_id=new_request_id(),
                approval_id=approval_id,
                content_hash=found.content_hash,
                decision=decision,
            ),
        )
    state = wire.ApprovalState.Name(answer.state).removeprefix("APPROVAL_STATE_")
    say(
        as_json,
        {"approval_id": approval_id, "state": state, "entry_id": answer.receipt.entry_id},
        f"approval {approval_id} ({found.summary}) is {state}",
    )


@app.command()
def offices(
    approver: Annotated[str, typer.Argument(metavar="ap/NAME", help="The approver.", show_default=False)],
    held: Annotated[
        list[str] | None, typer.Argument(metavar="OFFICE...", help=f"Of {', '.join(OFFICES)}; none takes all away.")
    ] = None,
    identity: Annotated[str, typer.Option("--as", metavar="IDENTITY", help="Who says so.")] = "op/admin",
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Say which offices an approver holds from now on."""
    from coalition.client import new_request_id  # noqa: PLC0415 - opens gRPC: for the commands that speak to a server
    from coalition.v1 import settlement_pb2 as wire  # noqa: PLC0415 - the same

    names = [office.lower() for office in held or []]
    strangers = sorted(set(names) - set(OFFICES))
    if strangers:
        raise NeedsHuman(f"there is no office {', '.join(strangers)}: {', '.join(OFFICES)} are")
    numbers = [wire.Office.Value(f"OFFICE_{office.upper()}") for office in dict.fromkeys(names)]
    path = "/" + approver.strip("/")
    with opened(identity, server) as connection:
        answer = connection.call(
            connection.settlement.SetOffices,
            wire.SetOfficesRequest(request_id=new_request_id(), approver=path, offices=numbers),
        )
    say(
        as_json,
        {"approver": path, "offices": [*names], "entry_id": answer.receipt.entry_id},
        f"{path} holds {', '.join(names) or 'no office'}",
    )


@contextmanager
def opened(identity: str, server: str | None) -> "Iterator[Connection]":
    """The settlement server as this identity. What it or the way to it says no to is a NeedsHuman."""
    from coalition.bootstrap.addresses import SETTLEMENT, address_of  # noqa: PLC0415 - opens gRPC, for these commands
    from coalition.cli.certificates import own_certificate  # noqa: PLC0415 - the same
    from coalition.client import CallRefused, CertificateMissing, Connection, ServerUnreachable  # noqa: PLC0415
    from coalition.config import load_settings  # noqa: PLC0415 - the same

    settings = load_settings()
    address = server or address_of(settings, SETTLEMENT, settings.settlement_listen)
    try:
        with Connection(address, own_certificate(settings, identity.strip("/"))) as connection:
            yield connection
    except CallRefused as refused:
        raise NeedsHuman(f"{refused.reason}: {refused.message}") from refused
    except (CertificateMissing, ServerUnreachable) as missing:
        raise NeedsHuman(str(missing)) from missing


def waiting(connection: "Connection") -> "list[Approval]":
    """What waits for this identity, oldest first."""
    from coalition.v1.settlement_pb2 import ListApprovalsRequest  # noqa: PLC0415 - opens gRPC, for these commands

    request = ListApprovalsRequest(page_size=PAGE)
    rows: list[Approval] = []
    while True:
        answer = connection.call(connection.settlement.ListApprovals, request)
        rows += answer.approvals
        if not answer.next_page_token:
            return rows
        request.page_token = answer.next_page_token


def check_content(found: "Approval", content: str | None, *, refuse: bool) -> None:
    """Hold what is decided on against what was looked at; without that, show it and ask."""
    if content is not None:
        if len(content) < SHOWN_DIGITS or not found.content_hash.startswith(content):
            raise NeedsHuman(f"approval {found.approval_id} is of the content {found.content_hash}: look at that first")
        return
    verb = "refuse" if refuse else "approve"
    sentence = f"{found.summary}\ncontent {found.content_hash}\n{verb} this?"
    if not typer.confirm(sentence, err=True):
        raise NothingToDo("nothing was decided", {"approval_id": found.approval_id})


def facts(row: "Approval") -> dict[str, Any]:
    """An approval for programs."""
    return {
        "approval_id": row.approval_id,
        "subject_name": row.subject_name,
        "summary": row.summary,
        "content_hash": row.content_hash,
        "amount_minor": row.amount_minor,
        "maker": row.maker,
        "checkers": [*row.checkers],
    }
