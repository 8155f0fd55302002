"""`coalition agreement add card-rules`: what the scheme allows a card and a wallet, in versions."""

from typing import Annotated

import typer

from coalition.cli.agreements import Code, Made, add, add_app
from coalition.cli.session import Session, client_command


@add_app.command(
    "card-rules",
    epilog="Example: coalition agreement add card-rules scheme --bearer-balance-limit 1000 --named-balance-limit 5000 "
    "--number-day-limit 500 --return-days 7",
)
@client_command
def add_card_rules(
    session: Session,
    code: Code,
    named_balance_limit: Annotated[
        str | None,
        typer.Option(metavar="AMOUNT", help="Balance of a wallet whose member is verified.", show_default=False),
    ] = None,
    bearer_balance_limit: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="Balance of any other wallet.", show_default=False)
    ] = None,
    real_name_top_up_from: Annotated[
        str | None,
        typer.Option(metavar="AMOUNT", help="From here on a top-up needs a verified member.", show_default=False),
    ] = None,
    transfer_top_up_from: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="From here on a top-up is not cash.", show_default=False)
    ] = None,
    credit_funding: Annotated[
        bool | None,
        typer.Option(
            "--credit-funding/--no-credit-funding", help="Top-ups by credit card; allowed.", show_default=False
        ),
    ] = None,
    bearer_bonus_months: Annotated[
        int | None,
        typer.Option(metavar="MONTHS", help="Shortest life of a bonus sold to a bearer.", show_default=False),
    ] = None,
    no_pin_limit: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="Highest spend without a PIN.", show_default=False)
    ] = None,
    number_day_limit: Annotated[
        str | None,
        typer.Option(metavar="AMOUNT", help="A wallet's day by card numbers and virtual ids.", show_default=False),
    ] = None,
    code_day_limit: Annotated[
        str | None,
        typer.Option(metavar="AMOUNT", help="A wallet's day by payment codes without a PIN.", show_default=False),
    ] = None,
    code_pin_day_limit: Annotated[
        str | None,
        typer.Option(metavar="AMOUNT", help="A wallet's day by payment codes with a PIN.", show_default=False),
    ] = None,
    wallet_day_limit: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="A wallet's day, all together.", show_default=False)
    ] = None,
    wallet_day_count: Annotated[
        int | None, typer.Option(metavar="TIMES", help="How often a wallet spends a day.", show_default=False)
    ] = None,
    card_hour_count: Annotated[
        int | None, typer.Option(metavar="TIMES", help="How often a card spends in a clock hour.", show_default=False)
    ] = None,
    return_days: Annotated[
        int | None,
        typer.Option(metavar="DAYS", help="How long an untouched top-up can be returned.", show_default=False),
    ] = None,
    issuer_held_across_groups: Annotated[
        bool | None,
        typer.Option(
            "--issuer-held-across-groups/--no-issuer-held-across-groups",
            help="Value outside of its issuer's chain though no custody holds it; allowed, by licence.",
            show_default=False,
        ),
    ] = None,
    made: Made = Made(),
) -> None:
    """Set the card rules of the whole scheme. What is left out has no bound; one such agreement holds at a time."""
    amounts = {
        "named_balance_limit_minor": named_balance_limit,
        "bearer_balance_limit_minor": bearer_balance_limit,
        "real_name_top_up_from_minor": real_name_top_up_from,
        "transfer_top_up_from_minor": transfer_top_up_from,
        "no_pin_limit_minor": no_pin_limit,
        "number_day_limit_minor": number_day_limit,
        "code_day_limit_minor": code_day_limit,
        "code_pin_day_limit_minor": code_pin_day_limit,
        "wallet_day_limit_minor": wallet_day_limit,
    }
    options = {name: session.amount(text) if text else None for name, text in amounts.items()} | {
        "credit_funding_allowed": credit_funding,
        "bearer_bonus_months_min": bearer_bonus_months,
        "wallet_day_count": wallet_day_count,
        "card_hour_count": card_hour_count,
        "return_days": return_days,
        "issuer_held_across_groups_allowed": issuer_held_across_groups,
    }
    add(session, "card_rules", code, options, *made)
