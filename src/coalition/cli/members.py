"""`coalition member`: enrol and find people.

What they tell is asked for or read from standard input, never an argument: arguments are seen by every process of the
machine and stay in the history of the shell.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from coalition.bootstrap.pins import seal_pin
from coalition.cli.cards import KINDS
from coalition.cli.options import ASK, Pin, RequestId, read_pin, read_request_id
from coalition.cli.output import enum_name, time_text
from coalition.cli.session import Session, client_command
from coalition.v1.member_pb2 import (
    EnrolMemberRequest,
    FindMemberRequest,
    GetMemberRequest,
    Member,
    Profile,
    Purpose,
    SetPinRequest,
    VerifyMemberRequest,
)
from coalition.v1.terminal_pb2 import GetPinKeyRequest

PURPOSES: Final = {
    "counter-service": Purpose.PURPOSE_COUNTER_SERVICE,
    "member-request": Purpose.PURPOSE_MEMBER_REQUEST,
    "dispute": Purpose.PURPOSE_DISPUTE,
    "fraud-check": Purpose.PURPOSE_FRAUD_CHECK,
    "marketing": Purpose.PURPOSE_MARKETING,
    "audit": Purpose.PURPOSE_AUDIT,
}
MEMBER_FIELDS: Final = ("name", "phone", "birth_month")

member_app = typer.Typer(no_args_is_help=True, help="Members, shown masked: enrol and find them; who looked at them.")

FromFile = Annotated[
    Path | None,
    typer.Option(
        "--from-file", help="JSON with the fields instead of questions; - is standard input.", show_default=False
    ),
]
PurposeName = Annotated[str, typer.Option(help=f"Why it is looked up, kept in the journal: {', '.join(PURPOSES)}.")]


@member_app.command("enrol", epilog="Example: coalition member enrol --recruiter grocer")
@client_command
def member_enrol(
    session: Session,
    recruiter: Annotated[
        str, typer.Option(metavar="PARTICIPANT", help="Who enrols; the identity's own participant.", show_default=False)
    ] = "",
    verified: Annotated[
        bool, typer.Option("--verified", help="An identity document shows this name.", show_default=False)
    ] = False,
    from_file: FromFile = None,
    request_id: RequestId = None,
) -> None:
    """Enrol a person and open an empty wallet. Asks for name, phone and month of birth.

    --from-file - reads {"name": "...", "phone": "+86...", "birth_month": 3} from standard input instead. The fields are
    sealed under a key of the member's own before they are stored.
    """
    fields = read_fields(from_file, MEMBER_FIELDS) if from_file else ask_fields()
    try:
        profile = Profile(**fields)
    except (TypeError, ValueError):
        # Without the value: it is personal.
        raise typer.BadParameter("name and phone are texts, birth_month is a number from 1 to 12") from None
    with session.coalition() as connection:
        answer = connection.call(
            connection.members.EnrolMember,
            EnrolMemberRequest(
                request_id=read_request_id(request_id),
                profile=profile,
                recruiter=recruiter,
                real_name_verified=verified,
            ),
        )
    session.say(
        answer,
        f"Member {answer.member_id} is enrolled with wallet {answer.wallet_id}.",
        f"Next: coalition card issue --issuer {recruiter or 'PARTICIPANT'} --member {answer.member_id}",
    )


@member_app.command("verify", epilog="Example: coalition member verify 01890000-0000-7000-8000-000000000000")
@client_command
def member_verify(
    session: Session,
    member_id: Annotated[str, typer.Argument(metavar="MEMBER_ID", help="UUID of the member.")],
    request_id: RequestId = None,
) -> None:
    """Record that an identity document shows the member's name: the wallet is named from now on, no bearer's."""
    with session.coalition() as connection:
        answer = connection.call(
            connection.members.VerifyMember,
            VerifyMemberRequest(request_id=read_request_id(request_id), member_id=member_id),
        )
    session.say(answer, f"Member {member_id} is verified.")


@member_app.command("find", epilog="Example: coalition member find --purpose counter-service")
@client_command
def member_find(session: Session, purpose: PurposeName = "counter-service", from_file: FromFile = None) -> None:
    """Find the member of a phone number. Asks for it.

    --from-file - reads {"phone": "+86..."} from standard input instead. The journal keeps the look and its purpose.
    """
    fields = read_fields(from_file, ("phone",)) if from_file else {"phone": ask("Phone, such as +8613800138000")}
    with session.coalition() as connection:
        answer = connection.call(
            connection.members.FindMember,
            FindMemberRequest(phone=str(fields.get("phone", "")), purpose=read_purpose(purpose)),
        )
    session.say(answer, described(answer.member))


@member_app.command("show", epilog="Example: coalition member show 01890000-0000-7000-8000-000000000000")
@client_command
def member_show(
    session: Session,
    member_id: Annotated[str, typer.Argument(metavar="MEMBER_ID", help="UUID of the member.")],
    purpose: PurposeName = "counter-service",
) -> None:
    """Show a member and the member's cards, personal fields masked. The journal keeps the look and its purpose."""
    with session.coalition() as connection:
        answer = connection.call(
            connection.members.GetMember, GetMemberRequest(member_id=member_id, purpose=read_purpose(purpose))
        )
    session.say(answer, described(answer.member))


@member_app.command("pin", epilog="Example: coalition member pin 01890000-0000-7000-8000-000000000000")
@client_command
def member_pin(
    session: Session,
    member_id: Annotated[str, typer.Argument(metavar="MEMBER_ID", help="UUID of the member.")],
    pin: Pin = None,
    request_id: RequestId = None,
) -> None:
    """Set a member's PIN, which ends a lock too. Check first who the member is. Asks for it twice.

    Six digits; repeated digits, runs such as 123456 and dates in the month of birth are refused.
    """
    typed = read_pin(pin) or ask_pin()
    request = SetPinRequest(request_id=read_request_id(request_id), member_id=member_id)
    with session.coalition() as connection:
        key = connection.call(connection.terminal.GetPinKey, GetPinKeyRequest())
        place = f"member/{member_id.lower()}"
        request.sealed_pin = seal_pin(key.public_key, typed, request.request_id, place)
        answer = connection.call(connection.members.SetPin, request)
    session.say(answer, f"The PIN of member {member_id} is set; all its tries are there again.")


def ask_pin() -> str:
    """Ask for a new PIN, twice, without showing it. Two that differ end the command with exit code 2."""
    first, second = read_pin(ASK), read_pin(ASK)
    if first is None or first != second:
        raise typer.BadParameter("the two PINs differ; nothing was set")
    return first


def described(member: Member) -> str:
    """A member for people."""
    verified = ", real name verified" if member.real_name_verified else ""
    return "\n".join(
        (
            f"member {member.member_id}, {enum_name(member, 'state')}{verified}",
            f"  name {member.profile.name_masked}, phone {member.profile.phone_masked}",
            f"  wallet {member.wallet_id}, enrolled by {member.recruiter} on {time_text(member.create_time)} UTC",
            *(
                f"  {KINDS.get(card.kind, 'card')} {card.card_id}: **** {card.last_four}, {enum_name(card, 'state')}"
                for card in member.cards
            ),
        )
    )


def read_purpose(name: str) -> Purpose.ValueType:
    """The purpose of a name; a wrong one ends the command with exit code 2."""
    if name not in PURPOSES:
        raise typer.BadParameter(f"--purpose is one of {', '.join(PURPOSES)}")
    return PURPOSES[name]


def ask(question: str) -> str:
    """Ask on standard error, so that standard output stays what --json promises."""
    return str(typer.prompt(question, err=True)).strip()


def ask_fields() -> dict[str, Any]:
    """Ask for what enrolment needs."""
    name = ask("Name")
    phone = ask("Phone, such as +8613800138000")
    month = typer.prompt("Month of birth, 1 to 12, or 0", default=0, type=int, err=True)
    return {"name": name, "phone": phone, "birth_month": month}


def read_fields(path: Path, known: tuple[str, ...]) -> dict[str, Any]:
    """The fields of a JSON object, of any names where none are `known`.

    Trouble ends the command with exit code 2 and repeats nothing of it.
    """
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
        fields = json.loads(text)
    except (OSError, ValueError):
        raise typer.BadParameter("--from-file: cannot be read, or is no JSON") from None
    if not isinstance(fields, dict) or (known and not set(fields) <= set(known)):
        raise typer.BadParameter(f"--from-file: must be one JSON object with {', '.join(known)}")
    return fields
