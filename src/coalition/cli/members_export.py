"""`coalition members ...` to move out: all members leave in a file sealed to their recipient, approved by two people.

The recipient makes a key (`export-key`) and tells its public part to who asks, and its SHA-256 to who approves. The
file is opened by the recipient alone (`open-export`), anywhere, without a server.
"""

import base64
import csv
import json
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.progress import Progress

from coalition.bootstrap.exporting import (
    NOBODY,
    ExportNotOpened,
    fingerprint,
    make_recipient_key,
    opened_export,
    read_recipient_key,
)
from coalition.cli.member_data import GROUPS
from coalition.cli.members import read_purpose
from coalition.cli.members_import import members_app, new_file
from coalition.cli.options import RequestId, read_request_id
from coalition.cli.output import console, time_text
from coalition.cli.session import Session, client_command
from coalition.v1.member_pb2 import ApproveExportRequest, GetExportPageRequest, RequestExportRequest

COLUMNS: Final = (
    "member_id",
    "wallet_id",
    "recruiter",
    "create_time",
    "is_named",
    "name",
    "phone",
    "birth_month",
    "bank",
    "account_number",
    "account_holder",
    "consents",
    "attributes",
)

ExportId = Annotated[str, typer.Argument(metavar="EXPORT_ID", help="UUID that `members ask-export` told.")]
Sealed = Annotated[Path, typer.Argument(metavar="FILE", help="What `members export` wrote.")]


@members_app.command("export-key", epilog="Example: coalition members export-key recipient.key")
@client_command
def members_export_key(
    session: Session, path: Annotated[Path, typer.Argument(metavar="FILE", help="New file; only its owner reads it.")]
) -> None:
    """Make the key of a recipient. The file stays with the recipient; what is printed is public."""
    try:
        public_key = make_recipient_key(path)
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}; choose a file that is not there yet") from None
    session.say([], f"public key {public_key.hex()}\nsha256 {fingerprint(public_key)}")


@members_app.command("ask-export", epilog="Example: coalition members ask-export --to-key HEX --groups contact")
@client_command
def members_ask_export(
    session: Session,
    to_key: Annotated[str, typer.Option("--to-key", metavar="HEX", help="The recipient's public key.")],
    groups: Annotated[str, typer.Option(help=f"Which field groups, with commas: {', '.join(GROUPS)}.")],
    purpose: Annotated[str, typer.Option(help="Why, kept in the journal.")] = "member-request",
    request_id: RequestId = None,
) -> None:
    """Ask that all members leave, sealed to a recipient. Another person approves, as ap/NAME."""
    names = [name.strip() for name in groups.split(",")]
    if not set(names) <= GROUPS.keys():
        raise typer.BadParameter(f"--groups are of {', '.join(GROUPS)}")
    try:
        recipient_key = bytes.fromhex(to_key)
    except ValueError:
        raise typer.BadParameter("--to-key: 64 hex digits, as `members export-key` printed them") from None
    request = RequestExportRequest(
        request_id=read_request_id(request_id),
        field_groups=[GROUPS[name] for name in names],
        purpose=read_purpose(purpose),
        recipient_key=recipient_key,
    )
    with session.coalition() as connection:
        answer = connection.call(connection.members.RequestExport, request)
    session.say(
        answer,
        f"{answer.member_count} members would leave. Next, another person, who has the key's sha256 from the recipient:"
        f"\ncoalition members approve-export {answer.export_id} --sha256 ... --as ap/NAME",
    )


@members_app.command("approve-export", epilog="Example: coalition members approve-export ID --sha256 HEX --as ap/ben")
@client_command
def members_approve_export(
    session: Session,
    export_id: ExportId,
    sha256: Annotated[str, typer.Option(help="SHA-256 of the recipient's key, as the recipient told it to you.")],
    request_id: RequestId = None,
) -> None:
    """Let an export leave within 24 hours. Speaks as ap/approver unless --as says who."""
    request = ApproveExportRequest(
        request_id=read_request_id(request_id), export_id=export_id, recipient_key_sha256=sha256
    )
    with session.coalition("ap/approver") as connection:
        answer = connection.call(connection.members.ApproveExport, request)
    session.say(answer, f"{answer.member_count} members may leave until {time_text(answer.expire_time)} UTC.")


@members_app.command("export", epilog="Example: coalition members export EXPORT_ID --to members.sealed")
@client_command
def members_export(
    session: Session,
    export_id: ExportId,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Where it is written, sealed; written anew.")],
) -> None:
    """Fetch an approved export, page by page, sealed to its recipient. Nobody here can read it."""
    members, after, is_last = 0, "", False
    with (
        session.coalition() as connection,
        new_file(to) as file,
        Progress(console=console(stderr=True), disable=not sys.stderr.isatty()) as bars,
    ):
        bar = bars.add_task("members", total=None)
        while not is_last:
            page = connection.call(
                connection.members.GetExportPage, GetExportPageRequest(export_id=export_id, after_member_id=after)
            )
            boxes = [base64.b64encode(box).decode() for box in page.boxes]
            file.write(json.dumps({"after": after or NOBODY, "boxes": boxes, "export_id": export_id}) + "\n")
            members, after, is_last = members + page.member_count, page.last_member_id, page.is_last
            bars.update(bar, completed=members)
    session.say([], f"{members} members are in {to}, sealed. Their recipient opens it: coalition members open-export")


@members_app.command(
    "open-export", epilog="Example: coalition members open-export all.sealed --key my.key --to all.csv"
)
@client_command
def members_open_export(
    session: Session,
    path: Sealed,
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="What `members export-key` wrote.")],
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="CSV in clear, which only its owner reads.")],
) -> None:
    """Open an export that was sealed to your key. Ends with 2 where a page is missing, changed or another export's."""
    members = 0
    try:
        private_key = read_recipient_key(key)
        with path.open(encoding="ascii") as file, new_file(to) as out:
            rows = csv.DictWriter(out, COLUMNS)
            rows.writeheader()
            for told in opened_export(private_key, file):
                rows.writerow(_row(told))
                members += 1
    except (OSError, UnicodeDecodeError):
        raise typer.BadParameter(f"{path} or {key} cannot be read, or {to} not written") from None
    except ExportNotOpened as error:
        raise typer.BadParameter(f"{error}; what {to} holds is not whole") from None
    session.say([], f"{members} members are in {to}.")


def _row(told: dict[str, Any]) -> dict[str, Any]:
    """A member as a line of CSV; what was not exported is empty."""
    account = told.get("refund_account", {})
    return {
        **{name: told[name] for name in COLUMNS[:5]},
        "name": told.get("identity", {}).get("name", ""),
        "birth_month": told.get("identity", {}).get("birth_month") or "",
        "phone": told.get("contact", {}).get("phone", ""),
        "bank": account.get("bank", ""),
        "account_number": account.get("number", ""),
        "account_holder": account.get("holder", ""),
        "consents": _json(told.get("consents", {})),
        "attributes": _json(told.get("attributes", {})),
    }


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if value else ""
