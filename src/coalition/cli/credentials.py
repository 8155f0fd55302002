"""`coalition card device`, `code`, `add-id`, `add-phone`, `remove`: what pays, or is found, without a card.

A device file plays the member's phone: it is told a seed once and shows codes without a network.
"""

import io
import sys
from pathlib import Path
from typing import Annotated, Final

import segno
import typer

from coalition.bootstrap import device_file
from coalition.bootstrap.clock import utc_now
from coalition.bootstrap.errors import HouseError
from coalition.cli.cards import MemberId, described
from coalition.cli.options import RequestId, read_request_id, read_virtual_id
from coalition.cli.output import print_json
from coalition.cli.session import Session, client_command
from coalition.v1.member_pb2 import (
    AddPhoneRequest,
    AddVirtualIdRequest,
    EnrolDeviceRequest,
    RemoveCredentialRequest,
)

CODE_GROUPS: Final = (2, 4, 4, 4, 4, 4)
"""How a code is written for people who type it."""

Issuer = Annotated[
    str, typer.Option(metavar="PARTICIPANT", help="Who issues it; the identity's own.", show_default=False)
]
DeviceFile = Annotated[Path, typer.Option("--device", help="The file that `coalition card device` made.")]


@client_command
def card_device(
    session: Session,
    member: MemberId,
    to: Annotated[Path, typer.Option("--to", help="New file (0600) that plays the phone.")],
    issuer: Issuer = "",
    request_id: RequestId = None,
) -> None:
    """Enrol a phone of a member: from now on it pays by codes. --to is that phone, as a file.

    After a lost answer give the same command again: the file remembers its request.
    """
    try:
        device = device_file.begin(to, member, read_request_id(request_id))
        with session.coalition() as connection:
            answer = connection.call(
                connection.members.EnrolDevice,
                EnrolDeviceRequest(
                    request_id=device.request_id,
                    member_id=member,
                    device_public_key=bytes.fromhex(device.public_key),
                    issuer=issuer,
                ),
            )
        device_file.enrolled(to, device, answer.card.card_id, answer.sealed_seed)
    except HouseError as error:
        raise typer.BadParameter(str(error)) from None
    answer.ClearField("sealed_seed")
    session.say(answer, described(answer.card), f"Next: coalition card code --device {to}")


def card_code(
    device: DeviceFile,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of digits and a picture.")] = False,
    only_digits: Annotated[bool, typer.Option("--digits", help="The 22 digits alone, for `--code -`.")] = False,
) -> None:
    """Show the next payment code: digits, and a QR for a scanner. Needs no network. It pays once, within a minute."""
    try:
        code, counter = device_file.next_code(device, int(utc_now().timestamp()))
    except HouseError as error:
        raise typer.BadParameter(str(error)) from None
    if as_json:
        print_json({"payment_code": code, "counter": counter})
    elif only_digits:
        sys.stdout.write(code + "\n")
    else:
        picture = io.StringIO()
        segno.make_qr(code, error="m").terminal(out=picture, compact=True)
        sys.stdout.write(f"{picture.getvalue()}\n{grouped(code)}\n")


@client_command
def card_add_id(
    session: Session,
    member: MemberId,
    virtual_id: Annotated[
        str,
        typer.Option("--id", help='@FILE or -: JSON {"namespace": "...", "subject": "..."}. Never stored in clear.'),
    ],
    issuer: Issuer = "",
    request_id: RequestId = None,
) -> None:
    """Let another system's id, such as a chat account's open id, name a member at the till."""
    request = AddVirtualIdRequest(
        request_id=read_request_id(request_id), member_id=member, virtual_id=read_virtual_id(virtual_id), issuer=issuer
    )
    with session.coalition() as connection:
        answer = connection.call(connection.members.AddVirtualId, request)
    session.say(answer, described(answer.card))


@client_command
def card_add_phone(session: Session, member: MemberId, issuer: Issuer = "", request_id: RequestId = None) -> None:
    """Let a member's own phone number name the member at the till: to top up and look, and to pay with a PIN."""
    request = AddPhoneRequest(request_id=read_request_id(request_id), member_id=member, issuer=issuer)
    with session.coalition() as connection:
        answer = connection.call(connection.members.AddPhone, request)
    session.say(answer, described(answer.card))


@client_command
def card_remove(
    session: Session,
    member: MemberId,
    card_id: Annotated[int, typer.Option("--card-id", metavar="N", help="Which; member show lists them.")],
    request_id: RequestId = None,
) -> None:
    """End a phone, an id or a phone number for ever: no purchase follows the answer. A card is replaced instead."""
    request = RemoveCredentialRequest(request_id=read_request_id(request_id), member_id=member, card_id=card_id)
    with session.coalition() as connection:
        answer = connection.call(connection.members.RemoveCredential, request)
    session.say(answer, described(answer.card))


def grouped(code: str) -> str:
    """A code in groups, as people type it."""
    groups, start = [], 0
    for size in CODE_GROUPS:
        groups.append(code[start : start + size])
        start += size
    return " ".join(groups)
