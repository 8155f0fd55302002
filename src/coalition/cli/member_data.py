"""`coalition member ...` about a member's data: lock, unlock, export and who looked; and seeing members
unmasked, which takes two people. What is exported goes to a file that only its owner reads.
"""

import json
import stat
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from coalition.bootstrap.exporting import ExportNotOpened, opened_disclosure, own_key
from coalition.cli.members import member_app, read_purpose
from coalition.cli.options import RequestId, read_request_id
from coalition.cli.output import enum_name, table, time_text, to_json
from coalition.cli.session import Session, client_command, pages
from coalition.client import Connection
from coalition.v1.member_pb2 import (
    MEMBER_STATE_ACTIVE,
    MEMBER_STATE_LOCKED,
    ApproveDisclosureRequest,
    ConsentPurpose,
    FieldGroup,
    GetDisclosureRequest,
    MemberState,
    RequestDisclosureRequest,
    SetConsentRequest,
    SetMemberStateRequest,
)
from coalition.v1.portal_pb2 import (
    Access,
    GetOwnDataRequest,
    ListAccessesRequest,
    ListWalletEntriesRequest,
)

GATEWAY: Final = "mg/portal"
CONSENTS: Final = {
    "marketing": ConsentPurpose.CONSENT_PURPOSE_MARKETING,
    "profiling": ConsentPurpose.CONSENT_PURPOSE_PROFILING,
    "sharing": ConsentPurpose.CONSENT_PURPOSE_SHARING,
}
GROUPS: Final = {
    "identity": FieldGroup.FIELD_GROUP_IDENTITY,
    "contact": FieldGroup.FIELD_GROUP_CONTACT,
    "consents": FieldGroup.FIELD_GROUP_CONSENTS,
    "refund-account": FieldGroup.FIELD_GROUP_REFUND_ACCOUNT,
    "attributes": FieldGroup.FIELD_GROUP_ATTRIBUTES,
}

MemberId = Annotated[str, typer.Argument(metavar="MEMBER_ID", help="UUID of the member.")]
DisclosureId = Annotated[str, typer.Argument(metavar="DISCLOSURE_ID", help="UUID that `member ask` told.")]
Key = Annotated[Path, typer.Option("--key", metavar="FILE", help="Your private key, which only you read.")]
To = Annotated[Path, typer.Option("--to", metavar="FILE", help="Where it is written; must not exist yet.")]


@member_app.command("lock", epilog="Example: coalition member lock 01890000-0000-7000-8000-000000000000")
@client_command
def member_lock(session: Session, member_id: MemberId, request_id: RequestId = None) -> None:
    """Lock a member's data: it is kept and not used. Cards and wallet go on working."""
    _set_state(session, member_id, MEMBER_STATE_LOCKED, request_id)


@member_app.command("unlock", epilog="Example: coalition member unlock 01890000-0000-7000-8000-000000000000")
@client_command
def member_unlock(session: Session, member_id: MemberId, request_id: RequestId = None) -> None:
    """Let a locked member's data be used again."""
    _set_state(session, member_id, MEMBER_STATE_ACTIVE, request_id)


@member_app.command("consent", epilog="Example: coalition member consent MEMBER_ID marketing --notice 2026-01")
@client_command
def member_consent(
    session: Session,
    member_id: MemberId,
    purpose: Annotated[str, typer.Argument(help=f"For what: {', '.join(CONSENTS)}.")],
    notice: Annotated[str, typer.Option("--notice", metavar="VERSION", help="Version of the notice that was shown.")],
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="The member does not agree.", show_default=False)
    ] = False,
    request_id: RequestId = None,
) -> None:
    """Record that a member agrees to a purpose, or does not any more."""
    if purpose not in CONSENTS:
        raise typer.BadParameter(f"the purpose is one of {', '.join(CONSENTS)}")
    request = SetConsentRequest(
        request_id=read_request_id(request_id),
        member_id=member_id,
        purpose=CONSENTS[purpose],
        given=not withdraw,
        notice_version=notice,
    )
    with session.coalition() as connection:
        answer = connection.call(connection.members.SetConsent, request)
    session.say(answer, f"Member {member_id} {'takes back' if withdraw else 'gives'} the consent to {purpose}.")


@member_app.command("export", epilog="Example: coalition member export MEMBER_ID --to mine.json")
@client_command
def member_export(session: Session, member_id: MemberId, to: To) -> None:
    """Write everything that is known of a member, for the member, as JSON: data, wallet, its lines, who looked.

    Speaks as the member gateway mg/portal, which has to know its member. The export is in the access report itself.
    """
    with session.coalition(GATEWAY) as connection:
        answer = connection.call(connection.portal.GetOwnData, GetOwnDataRequest(member_id=member_id))
        told: dict[str, Any] = json.loads(answer.export_json)
        told["entries"] = [
            to_json(row)
            for row in pages(
                connection,
                connection.portal.ListWalletEntries,
                ListWalletEntriesRequest(member_id=member_id),
                "entries",
            )
        ]
        told["accesses"] = [to_json(row) for row in _accesses(connection, member_id)]
    try:
        to.touch(mode=stat.S_IRUSR | stat.S_IWUSR, exist_ok=False)
        to.write_text(json.dumps(told, ensure_ascii=False, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"--to {to}: {error.strerror}; choose a file that is not there yet") from None
    session.say([], f"Everything known of member {member_id} is in {to}.")


@member_app.command("access", epilog="Example: coalition member access 01890000-0000-7000-8000-000000000000")
@client_command
def member_access(session: Session, member_id: MemberId) -> None:
    """Show who looked at a member's data or changed it, and why, newest first. Speaks as the gateway mg/portal."""
    with session.coalition(GATEWAY) as connection:
        accesses = _accesses(connection, member_id)
    rows = [
        (
            time_text(access.time),
            enum_name(access, "kind"),
            access.actor,
            access.purpose,
            f"refused: {access.reason}" if access.reason else ", ".join(access.field_groups),
        )
        for access in accesses
    ]
    session.say(accesses, table(f"Accesses to member {member_id}", ("when", "what", "who", "why", "groups seen"), rows))


@member_app.command(
    "ask", epilog="Example: coalition member ask MEMBER_ID --groups contact --purpose dispute --key my.key"
)
@client_command
def member_ask(
    session: Session,
    member_ids: Annotated[list[str], typer.Argument(metavar="MEMBER_ID...", help="UUIDs of the members, 20 at most.")],
    groups: Annotated[str, typer.Option(help=f"Which field groups, with commas: {', '.join(GROUPS)}.")],
    purpose: Annotated[str, typer.Option(help="Why, kept in the journal, such as dispute.")],
    key: Key,
    request_id: RequestId = None,
) -> None:
    """Ask to see members unmasked. Another person approves, as ap/NAME; `member see` shows them for 15 minutes.

    They are sealed to your key: the server's answer can be read with the file of --key alone, which is made where it is
    not there yet.
    """
    names = [name.strip() for name in groups.split(",")]
    if not set(names) <= GROUPS.keys():
        raise typer.BadParameter(f"--groups are of {', '.join(GROUPS)}")
    request = RequestDisclosureRequest(
        request_id=read_request_id(request_id),
        member_ids=member_ids,
        field_groups=[GROUPS[name] for name in names],
        purpose=read_purpose(purpose),
        recipient_key=_own_key(key)[1],
    )
    with session.coalition() as connection:
        answer = connection.call(connection.members.RequestDisclosure, request)
    session.say(
        answer,
        f"Asked, sealed to the key in {key}. "
        f"Next, another person: coalition member approve {answer.disclosure_id} --as ap/NAME",
    )


@member_app.command("approve", epilog="Example: coalition member approve DISCLOSURE_ID --as ap/ben")
@client_command
def member_approve(session: Session, disclosure_id: DisclosureId, request_id: RequestId = None) -> None:
    """Let whoever asked see the members of a disclosure for 15 minutes. Speaks as ap/approver unless --as says who."""
    with session.coalition("ap/approver") as connection:
        answer = connection.call(
            connection.members.ApproveDisclosure,
            ApproveDisclosureRequest(request_id=read_request_id(request_id), disclosure_id=disclosure_id),
        )
    session.say(answer, f"Disclosure {disclosure_id} can be seen until {time_text(answer.expire_time)} UTC.")


@member_app.command("see", epilog="Example: coalition member see DISCLOSURE_ID --key my.key")
@client_command
def member_see(session: Session, disclosure_id: DisclosureId, key: Key) -> None:
    """Show the members of an approved disclosure, unmasked: fetched sealed, opened here with the key you asked with.

    Each fetching is in the journal and in the members' reports.
    """
    if not key.exists():
        raise typer.BadParameter(f"--key {key}: there is no such file; name the one that `member ask` was given")
    private_key, _ = _own_key(key)
    with session.coalition() as connection:
        answer = connection.call(connection.members.GetDisclosure, GetDisclosureRequest(disclosure_id=disclosure_id))
    try:
        told = opened_disclosure(private_key, disclosure_id.lower(), answer.boxes)
    except ExportNotOpened as error:
        raise typer.BadParameter(str(error)) from None
    typer.echo(json.dumps(told, ensure_ascii=False, indent=2))


def _own_key(path: Path) -> tuple[bytes, bytes]:
    try:
        return own_key(path)
    except (OSError, ExportNotOpened) as error:
        raise typer.BadParameter(f"--key {path}: {error}") from None


def _set_state(session: Session, member_id: str, state: MemberState.ValueType, request_id: str | None) -> None:
    with session.coalition() as connection:
        answer = connection.call(
            connection.members.SetMemberState,
            SetMemberStateRequest(request_id=read_request_id(request_id), member_id=member_id, state=state),
        )
    session.say(answer, f"Member {member_id} is {'locked' if state == MEMBER_STATE_LOCKED else 'unlocked'}.")


def _accesses(connection: Connection, member_id: str) -> list[Access]:
    return list(pages(connection, connection.portal.ListAccesses, ListAccessesRequest(member_id=member_id), "accesses"))
