"""`coalition member revise` and `coalition member merge`: what is known of a member changes, or is another's.

What a member tells is read from a file or from standard input, never an argument.
"""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from coalition.cli.member_data import MemberId
from coalition.cli.members import member_app, read_fields, read_purpose
from coalition.cli.options import RequestId, read_request_id
from coalition.cli.session import Session, client_command
from coalition.v1.member_pb2 import Attributes, Identity, MergeMembersRequest, RefundAccount, ReviseMemberRequest

PARTS: Final[dict[str, tuple[str, ...]]] = {
    "identity": ("name", "birth_month"),
    "contact": ("phone",),
    "refund-account": ("bank", "number", "holder"),
    "attributes": (),
}
"""The fields of each group; attributes have the names that rules ask for."""


@member_app.command("revise", epilog="Example: coalition member revise MEMBER_ID contact --from-file new-phone.json")
@client_command
def member_revise(
    session: Session,
    member_id: MemberId,
    group: Annotated[str, typer.Argument(metavar="GROUP", help=f"What changes: {', '.join(PARTS)}.")],
    from_file: Annotated[Path, typer.Option("--from-file", help="JSON with the group, whole; - is standard input.")],
    request_id: RequestId = None,
) -> None:
    """Replace one group of what is known of a member, as a new revision; the one before stays sealed as history.

    identity: {"name": "...", "birth_month": 3}. contact: {"phone": "+86..."}. refund-account: {"bank": "...",
    "number": "...", "holder": "..."}. attributes: {"size": "M"}, names and texts.
    """
    if group not in PARTS:
        raise typer.BadParameter(f"the group is one of {', '.join(PARTS)}")
    request = ReviseMemberRequest(request_id=read_request_id(request_id), member_id=member_id)
    fields = read_fields(from_file, PARTS[group])
    try:
        _fill(request, group, fields)
    except (TypeError, ValueError, KeyError):
        # Without the value: it is personal.
        raise typer.BadParameter("--from-file: a field is missing or of the wrong type") from None
    with session.coalition() as connection:
        answer = connection.call(connection.members.ReviseMember, request)
    session.say(answer, f"The {group} of member {member_id} is revised; entry {answer.receipt.entry_id} tells it.")


def _fill(request: ReviseMemberRequest, group: str, fields: dict[str, Any]) -> None:
    match group:
        case "identity":
            request.identity.CopyFrom(Identity(**fields))
        case "contact":
            request.phone = fields["phone"]
        case "refund-account":
            request.refund_account.CopyFrom(RefundAccount(**fields))
        case _:
            request.attributes.CopyFrom(Attributes(values=fields))


@member_app.command("merge", epilog="Example: coalition member merge OLD_ID --into MEMBER_ID --purpose member-request")
@client_command
def member_merge(
    session: Session,
    member_id: MemberId,
    into: Annotated[str, typer.Option("--into", metavar="MEMBER_ID", help="UUID of the member that stays.")],
    purpose: Annotated[str, typer.Option(help="Why, kept in the journal, such as member-request.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.", show_default=False)] = False,
    request_id: RequestId = None,
) -> None:
    """Merge a member who is enrolled twice into the one that stays, for ever: cards at once, value within seconds.

    What is refunded later of the old member's purchases arrives at the other one, too. Devices are enrolled again.
    """
    if not yes:
        typer.confirm(f"Merge member {member_id} into {into} for ever?", abort=True, err=True)
    request = MergeMembersRequest(
        request_id=read_request_id(request_id),
        member_id=member_id,
        into_member_id=into,
        purpose=read_purpose(purpose),
    )
    with session.coalition() as connection:
        answer = connection.call(connection.members.MergeMembers, request)
    session.say(answer, f"Member {member_id} is {into} now; {answer.cards_moved} cards pay from that wallet.")
