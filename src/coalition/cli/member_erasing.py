"""`coalition member erase`, `approve-erase` and `erasures`: one person asks, another approves."""

from typing import Annotated

import typer

from coalition.cli.member_data import MemberId
from coalition.cli.members import member_app
from coalition.cli.options import RequestId, read_request_id
from coalition.cli.output import table, time_text
from coalition.cli.session import Session, client_command, pages
from coalition.v1.member_pb2 import ApproveErasureRequest, ListErasuresRequest, RequestErasureRequest


@member_app.command("erase", epilog="Example: coalition member erase 01890000-0000-7000-8000-000000000000")
@client_command
def member_erase(session: Session, member_id: MemberId, request_id: RequestId = None) -> None:
    """Ask that a member is erased for ever; an approver has 30 days to agree (`coalition member approve-erase`).

    The wallet must be empty, without a sale in dispute, and the law not want the records kept; that is looked at again
    when it is approved. Until then nothing is erased. With --as mg/NAME a gateway asks for its member.
    """
    with session.coalition() as connection:
        answer = connection.call(
            connection.members.RequestErasure,
            RequestErasureRequest(request_id=read_request_id(request_id), member_id=member_id),
        )
    session.say(
        answer,
        f"The erasure of member {member_id} is asked for; nothing is erased before an approver agrees.",
        f"Next, until {time_text(answer.expire_time)} UTC, another person: coalition member approve-erase {member_id}",
    )


@member_app.command("approve-erase", epilog="Example: coalition member approve-erase MEMBER_ID --as ap/liu")
@client_command
def member_approve_erase(
    session: Session,
    member_id: MemberId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.", show_default=False)] = False,
    request_id: RequestId = None,
) -> None:
    """Erase a member for ever, as another person asked: its key is destroyed.

    Speaks as ap/approver unless --as says who. Every copy of the ledger is unreadable at once, copies of the key
    database once its key epoch is destroyed.
    """
    if not yes:
        typer.confirm(f"Erase member {member_id} for ever?", abort=True, err=True)
    with session.coalition("ap/approver") as connection:
        answer = connection.call(
            connection.members.ApproveErasure,
            ApproveErasureRequest(request_id=read_request_id(request_id), member_id=member_id),
        )
    session.say(
        answer,
        f"Member {member_id} is erased, as {answer.requester} asked; "
        f"entry {answer.receipt.entry_id} of the journal says so.",
    )


@member_app.command("erasures", epilog="Example: coalition member erasures --as ap/liu")
@client_command
def member_erasures(session: Session) -> None:
    """List the erasures that wait for an approver, oldest first."""
    with session.coalition() as connection:
        rows = list(pages(connection, connection.members.ListErasures, ListErasuresRequest(), "erasures"))
    lines = [(row.member_id, row.requester, time_text(row.request_time), time_text(row.expire_time)) for row in rows]
    session.say(rows, table("erasures", ("member", "asked by", "since", "until"), lines))
