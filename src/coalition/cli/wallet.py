"""`coalition wallet`: what a member sees of the own wallet, through a member gateway."""

from typing import Annotated, Final

import typer

from coalition.cli.money import format_number
from coalition.cli.output import enum_name, table
from coalition.cli.session import Session, client_command
from coalition.v1.portal_pb2 import GetWalletRequest

GATEWAY: Final = "mg/portal"


@client_command
def wallet(
    session: Session,
    member_id: Annotated[str, typer.Argument(metavar="MEMBER_ID", help="UUID of the member.")],
) -> None:
    """Show a member's wallet with its open lots: who owes them, and until when their bonus can be spent.

    Speaks as the member gateway mg/portal. A gateway (an app, a web page) has to know its member before it asks.
    """
    with session.coalition(GATEWAY) as connection:
        answer = connection.call(connection.portal.GetWallet, GetWalletRequest(member_id=member_id))
    held = answer.wallet
    session.say(
        answer,
        f"wallet {held.wallet_id}, {enum_name(held, 'state')}: balance {session.money(held.balance_minor)}",
        table(
            f"{len(held.lots)} open lots, {session.settings.currency}",
            ("issuer", ">left", ">principal", ">bonus", "bonus until"),
            (
                (
                    lot.issuer,
                    format_number(lot.face_minor),
                    format_number(lot.principal_minor),
                    format_number(lot.bonus_minor),
                    lot.bonus_expiry_date or "for ever",
                )
                for lot in held.lots
            ),
        ),
    )
