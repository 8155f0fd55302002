"""`coalition agreement add fees` and `caps`: what a participant pays for each window, how much it may owe."""

from typing import Annotated

import typer

from coalition.cli.agreements import Calendar, Code, Made, add, add_app
from coalition.cli.session import Session, client_command

Amount = Annotated[str | None, typer.Option(metavar="AMOUNT", show_default=False)]


@add_app.command(
    "fees",
    epilog="Example: coalition agreement add fees cafe-fees --payer cafe --band 0:0.6% --band 100000:0.4% --minimum 50",
)
@client_command
def add_fees(
    session: Session,
    code: Code,
    payer: Annotated[str | None, typer.Option(help="Who pays.", show_default=False)] = None,
    payee: Annotated[str | None, typer.Option(help="Who is paid; the operator.", show_default=False)] = None,
    base: Annotated[
        str | None,
        typer.Option(help="purchases (default), top-ups, new-members or activated-members.", show_default=False),
    ] = None,
    measured: Annotated[
        str | None, typer.Option(help="payer (default) or payee: whose volume it is.", show_default=False)
    ] = None,
    band: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FROM:RATE", help="From a volume (or number of members) on, this rate.", show_default=False
        ),
    ] = None,
    banding: Annotated[
        str | None,
        typer.Option(help="marginal (default), or whole: all of the volume at its last band's.", show_default=False),
    ] = None,
    flat: Amount = None,
    minimum: Amount = None,
    maximum: Amount = None,
    calendar: Calendar = None,
    made: Made = Made(),
) -> None:
    """Agree on what a participant pays for each settlement window; netting asks for it.

    --band 0:0.6% --band 100000:0.4% takes 0.6 % of the first 100,000.00 and 0.4 % of the rest. Of members a rate is the
    amount for each: --base new-members --band 0:5.00.
    """
    counts_members = (base or "").endswith("members")
    options: dict[str, object] = {
        "payer": payer,
        "payee": payee,
        "base": base and base.upper().replace("-", "_"),
        "measured": measured and measured.upper(),
        "bands": [fee_band(session, text, counts_members=counts_members) for text in band or []] or None,
        "banding": banding and banding.upper(),
        "flat_minor": session.amount(flat) if flat else None,
        "minimum_minor": session.amount(minimum) if minimum else None,
        "maximum_minor": session.amount(maximum) if maximum else None,
        "calendar": calendar,
    }
    add(session, "fees", code, options, *made)


@add_app.command("caps", epilog="Example: coalition agreement add caps cafe-cap --participant cafe --net-debit 50000")
@client_command
def add_caps(
    session: Session,
    code: Code,
    participant: Annotated[str | None, typer.Option(help="Whose cap.", show_default=False)] = None,
    net_debit: Amount = None,
    warning_percent: Annotated[
        int | None, typer.Option(help="When operators are told; 80.", show_default=False)
    ] = None,
    made: Made = Made(),
) -> None:
    """Set how much a participant may owe over all windows that are not paid. Without --net-debit: its collateral.

    From its cap on its value is taken by nobody else, until it owes less than the warning.
    """
    options: dict[str, object] = {
        "participant": participant,
        "net_debit_minor": session.amount(net_debit) if net_debit else None,
        "warning_percent": warning_percent,
    }
    add(session, "caps", code, options, *made)


def fee_band(session: Session, text: str, *, counts_members: bool) -> dict[str, object]:
    """Of "100000:0.4%", or of members "100:3.00"; anything else ends the command with exit code 2."""
    start, colon, rate = text.partition(":")
    if not colon:
        raise typer.BadParameter("--band is FROM:RATE, such as 100000:0.4%")
    if counts_members:
        if not start.isdigit():
            raise typer.BadParameter("--band begins with a number of members")
        return {"from_volume": int(start), "rate": str(session.amount(rate))}
    return {"from_volume": 0 if start == "0" else session.amount(start), "rate": rate}
