"""`coalition card`: credentials of a wallet. A full number is printed once, when it is made, and nowhere else."""

from pathlib import Path
from typing import Annotated, Final

import typer

from coalition.cli.money import format_number
from coalition.cli.options import (
    AnyCard,
    CardId,
    CardNumber,
    MemberOfCard,
    RequestId,
    read_any_card,
    read_card,
    read_request_id,
    write_card,
)
from coalition.cli.output import enum_name
from coalition.cli.session import Session, client_command
from coalition.client import Connection, new_request_id
from coalition.v1.member_pb2 import (
    Card,
    CardKind,
    CardLimits,
    FreezeCardRequest,
    GetCardRequest,
    IssueCardRequest,
    LinkCardRequest,
    ReplaceCardRequest,
    SetCardLimitsRequest,
    UnfreezeCardRequest,
)

GROUP: Final = 4
KINDS: Final = {
    CardKind.CARD_KIND_CODE: "phone with payment codes",
    CardKind.CARD_KIND_VIRTUAL: "id of another system",
    CardKind.CARD_KIND_PHONE: "phone number",
}
ONCE: Final = "It is told this once and stored nowhere."

card_app = typer.Typer(no_args_is_help=True, help="Cards: issue, link, freeze, replace. Value belongs to the wallet.")

NumberTo = Annotated[
    Path | None,
    typer.Option(
        "--number-to", help="Write the number to this new file (0600) instead of printing it.", show_default=False
    ),
]
PerOperation = Annotated[
    str | None, typer.Option(metavar="AMOUNT", help="Largest single spend; no limit.", show_default=False)
]
PerDay = Annotated[
    str | None, typer.Option(metavar="AMOUNT", help="What it spends a business date; no limit.", show_default=False)
]
PerMonth = Annotated[
    str | None, typer.Option(metavar="AMOUNT", help="What it spends a calendar month; no limit.", show_default=False)
]
MemberId = Annotated[str, typer.Option("--member", metavar="MEMBER_ID", help="UUID of the member.")]


@card_app.command(
    "issue", epilog="Example: coalition card issue --issuer grocer --member MEMBER_ID --number-to card.txt"
)
@client_command
def card_issue(
    session: Session,
    issuer: Annotated[
        str, typer.Option(metavar="PARTICIPANT", help="Who issues it; the identity's own.", show_default=False)
    ] = "",
    member: Annotated[
        str | None,
        typer.Option("--member", metavar="MEMBER_ID", help="Link it to this member too.", show_default=False),
    ] = None,
    number: Annotated[
        str, typer.Option("--number", help="Number printed on it already: @FILE or -; one is made.", show_default=False)
    ] = "",
    per_operation: PerOperation = None,
    per_day: PerDay = None,
    per_month: PerMonth = None,
    number_to: NumberTo = None,
    request_id: RequestId = None,
) -> None:
    """Issue a card; with --member it can pay at once, otherwise link it later."""
    check_free(number_to)
    with session.coalition() as connection:
        answer = connection.call(
            connection.members.IssueCard,
            IssueCardRequest(
                request_id=read_request_id(request_id),
                issuer=issuer,
                card_number=read_card(number) if number else "",
                limits=read_limits(session, per_operation, per_day, per_month),
            ),
        )
        if number_to and answer.card_number:
            write_card(number_to, answer.card_number)
        if member and answer.card_number:
            answer.card.CopyFrom(link(connection, answer.card_number, member))
    session.say(answer, *told(answer.card, answer.card_number, number_to))


@card_app.command("link", epilog="Example: coalition card link --card @card.txt --member MEMBER_ID")
@client_command
def card_link(session: Session, card: CardNumber, member: MemberId, request_id: RequestId = None) -> None:
    """Link an issued card to a member: from now on it pays from the member's wallet."""
    with session.coalition() as connection:
        answer = connection.call(
            connection.members.LinkCard,
            LinkCardRequest(request_id=read_request_id(request_id), card_number=read_card(card), member_id=member),
        )
    session.say(answer, described(answer.card))


@card_app.command("freeze", epilog="Example: coalition card freeze --member MEMBER_ID --card-id 7")
@client_command
def card_freeze(
    session: Session,
    card: AnyCard = None,
    member: MemberOfCard = None,
    card_id: CardId = None,
    request_id: RequestId = None,
) -> None:
    """Freeze a card: no purchase follows the answer. A lost one is named by --member and --card-id."""
    named = read_any_card(card, member, card_id)
    with session.coalition() as connection:
        answer = connection.call(
            connection.members.FreezeCard,
            FreezeCardRequest(request_id=read_request_id(request_id), **named),
        )
    session.say(answer, described(answer.card))


@card_app.command("unfreeze", epilog="Example: coalition card unfreeze --card -")
@client_command
def card_unfreeze(
    session: Session,
    card: AnyCard = None,
    member: MemberOfCard = None,
    card_id: CardId = None,
    request_id: RequestId = None,
) -> None:
    """Let a frozen card pay again."""
    named = read_any_card(card, member, card_id)
    with session.coalition() as connection:
        answer = connection.call(
            connection.members.UnfreezeCard,
            UnfreezeCardRequest(request_id=read_request_id(request_id), **named),
        )
    session.say(answer, described(answer.card))


@card_app.command(
    "replace", epilog="Example: coalition card replace --member MEMBER_ID --card-id 7 --number-to new.txt"
)
@client_command
def card_replace(
    session: Session,
    card: AnyCard = None,
    member: MemberOfCard = None,
    card_id: CardId = None,
    number_to: NumberTo = None,
    request_id: RequestId = None,
) -> None:
    """End a card for ever and give the member a new one on the same wallet. No value moves."""
    check_free(number_to)
    named = read_any_card(card, member, card_id)
    with session.coalition() as connection:
        answer = connection.call(
            connection.members.ReplaceCard,
            ReplaceCardRequest(request_id=read_request_id(request_id), **named),
        )
    if number_to and answer.card_number:
        write_card(number_to, answer.card_number)
    session.say(answer, *told(answer.card, answer.card_number, number_to))


@card_app.command(
    "limit", epilog="Example: coalition card limit --member MEMBER_ID --card-id 7 --per-day 200.00 --per-month 1000.00"
)
@client_command
def card_limit(
    session: Session,
    card: AnyCard = None,
    member: MemberOfCard = None,
    card_id: CardId = None,
    per_operation: PerOperation = None,
    per_day: PerDay = None,
    per_month: PerMonth = None,
    request_id: RequestId = None,
) -> None:
    """Set what one card may spend of its wallet, such as a card that is lent. Limits that are left out end."""
    named = read_any_card(card, member, card_id)
    limits = read_limits(session, per_operation, per_day, per_month)
    with session.coalition() as connection:
        answer = connection.call(
            connection.members.SetCardLimits,
            SetCardLimitsRequest(request_id=read_request_id(request_id), limits=limits, **named),
        )
    session.say(answer, described(answer.card))


@card_app.command("show", epilog="Example: coalition card show --card @card.txt")
@client_command
def card_show(session: Session, card: CardNumber) -> None:
    """Show where a card stands."""
    with session.coalition() as connection:
        answer = connection.call(connection.members.GetCard, GetCardRequest(card_number=read_card(card)))
    session.say(answer, described(answer.card))


def link(connection: Connection, number: str, member_id: str) -> Card:
    """Link a card that was just issued."""
    request = LinkCardRequest(request_id=new_request_id(), card_number=number, member_id=member_id)
    return connection.call(connection.members.LinkCard, request).card


def read_limits(
    session: Session, per_operation: str | None, per_day: str | None, per_month: str | None
) -> CardLimits | None:
    """The limits given; None where none is."""
    given = {"operation_minor": per_operation, "day_minor": per_day, "month_minor": per_month}
    limits = {name: session.amount(text) for name, text in given.items() if text is not None}
    return CardLimits(**limits) if limits else None


def described(card: Card) -> str:
    """A card, or what stands for one, for people: by its four digits."""
    member = f", member {card.member_id}" if card.member_id else ", linked to nobody"
    replaced = f", replaced by card {card.replaced_by_card_id}" if card.replaced_by_card_id else ""
    limits = "".join(
        f", {format_number(value)} per {field.name.removesuffix('_minor')}" for field, value in card.limits.ListFields()
    )
    what = KINDS.get(card.kind, "card")
    state = enum_name(card, "state")
    return f"{what} **** {card.last_four}: {state}, issued by {card.issuer}{member}{replaced}{limits}"


def told(card: Card, number: str, written_to: Path | None) -> tuple[str, ...]:
    """What issuing and replacing say: the card, and its number once."""
    if not number:
        return (described(card), "The number was told when the request was first answered; it is stored nowhere.")
    if written_to:
        return (described(card), f"Its number is in {written_to}; use it as --card @{written_to}. {ONCE}")
    grouped = " ".join(number[start : start + GROUP] for start in range(0, len(number), GROUP))
    return (described(card), f"Its number is {grouped}. {ONCE}")


def check_free(path: Path | None) -> None:
    """End the command with exit code 2 before anything is issued when the file for the number exists."""
    if path is not None and path.exists():
        raise typer.BadParameter(f"--number-to {path}: the file exists; name a new one")
