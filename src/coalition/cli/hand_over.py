"""`coalition participant propose-hand-over` and `hand-over`: a participant leaves, another stands for it."""

from typing import Annotated

import typer

from coalition.cli.options import RequestId, read_request_id
from coalition.cli.participants import participant_app
from coalition.cli.session import Session, client_command
from coalition.v1.settlement_pb2 import HandOverRequest, ProposeHandOverRequest

Leaving = Annotated[str, typer.Argument(metavar="PARTICIPANT", help="Who leaves.")]
Successor = Annotated[str, typer.Option("--to", metavar="SUCCESSOR", help="Who stands for it from then on.")]
Price = Annotated[
    str | None,
    typer.Option(metavar="AMOUNT", help="What it pays for the bonus it leaves; nothing.", show_default=False),
]


@participant_app.command(
    "propose-hand-over", epilog="Example: coalition participant propose-hand-over grocer --to baker --bonus-price 900"
)
@client_command
def propose_hand_over(
    session: Session, participant: Leaving, to: Successor, bonus_price: Price = None, request_id: RequestId = None
) -> None:
    """Propose that a participant leaves; it waits for the approval of others, and `hand-over` carries it out."""
    request = ProposeHandOverRequest(
        request_id=read_request_id(request_id),
        participant=participant,
        successor=to,
        bonus_price_minor=session.amount(bonus_price) if bonus_price else 0,
    )
    with session.settlement() as connection:
        answer = connection.call(connection.settlement.ProposeHandOver, request)
    owed = f"principal {session.money(answer.principal_minor)}, bonus {session.money(answer.bonus_minor)}"
    session.say(answer, f"Approval {answer.approval_id} was asked for; its lots owe {owed} now.")


@participant_app.command("hand-over", epilog="Example: coalition participant hand-over grocer --to baker")
@client_command
def hand_over(
    session: Session, participant: Leaving, to: Successor, bonus_price: Price = None, request_id: RequestId = None
) -> None:
    """Carry an approved hand-over out: its value lives on with the successor, and it is suspended."""
    request = HandOverRequest(
        request_id=read_request_id(request_id),
        participant=participant,
        successor=to,
        bonus_price_minor=session.amount(bonus_price) if bonus_price else 0,
    )
    with session.settlement() as connection:
        answer = connection.call(connection.settlement.HandOver, request)
    owed = f"principal {session.money(answer.principal_minor)}, bonus {session.money(answer.bonus_minor)}"
    session.say(answer, f"{to} stands for {participant}: {owed}; entry {answer.receipt.entry_id}.")
