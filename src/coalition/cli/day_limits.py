"""`coalition agreement add limits`: what a participant and its terminals may take in on one day."""

from typing import Annotated

import typer

from coalition.cli.agreements import Code, Made, add, add_app
from coalition.cli.session import Session, client_command

Amount = Annotated[str | None, typer.Option(metavar="AMOUNT", show_default=False)]


@add_app.command(
    "limits",
    epilog="Example: coalition agreement add limits cafe-limits --acquirer cafe --terminal-purchase 20000 "
    "--participant-purchase 100000",
)
@client_command
def add_limits(
    session: Session,
    code: Code,
    acquirer: Annotated[str | None, typer.Option(help="Whose limits.", show_default=False)] = None,
    terminal_purchase: Amount = None,
    terminal_top_up: Amount = None,
    terminal_refund: Amount = None,
    participant_purchase: Amount = None,
    participant_top_up: Amount = None,
    participant_refund: Amount = None,
    made: Made = Made(),
) -> None:
    """Set what a participant and each of its terminals may take in on one day. What is left out has no limit.

    Once a day's total has reached its limit nothing more of that kind is accepted until the next business date.
    """
    amounts = {
        "terminal_purchase_minor": terminal_purchase,
        "terminal_top_up_minor": terminal_top_up,
        "terminal_refund_minor": terminal_refund,
        "participant_purchase_minor": participant_purchase,
        "participant_top_up_minor": participant_top_up,
        "participant_refund_minor": participant_refund,
    }
    options: dict[str, object] = {"acquirer": acquirer}
    options |= {name: session.amount(text) for name, text in amounts.items() if text}
    add(session, "limits", code, options, *made)
