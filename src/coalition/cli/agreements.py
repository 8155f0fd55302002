"""`coalition agreement`: what issuers sell, what acquirers take, what they pay. Versions are added, never edited."""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import typer

from coalition.cli.agreement_content import Content, content_json, content_message, content_of
from coalition.cli.agreement_text import described, parties
from coalition.cli.options import RequestId, read_request_id
from coalition.cli.output import table
from coalition.cli.session import Session, client_command, pages
from coalition.v1.programme_pb2 import (
    CreateAgreementRequest,
    GetAgreementRequest,
    ListAgreementsRequest,
    RequireAgreementApprovalRequest,
    ReviseAgreementRequest,
    SignAgreementRequest,
)

CUSTODIES: Final = {"issuer": "ISSUER_HELD", "operator": "OPERATOR_HELD"}

agreement_app = typer.Typer(no_args_is_help=True, help="What was agreed between participants, in versions.")
add_app = typer.Typer(
    no_args_is_help=True,
    help="Make an agreement, or its next version. A party is a participant's code, or chain:CODE for all of a chain.",
)
agreement_app.add_typer(add_app, name="add")

Code = Annotated[str, typer.Argument(metavar="CODE", help="Code to know the agreement by: a-z, 0-9 and -.")]
From = Annotated[
    str | None, typer.Option("--from", metavar="DATE", help="First day in force; today.", show_default=False)
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="DATE", help="First day out of force; none.", show_default=False)
]
Revises = Annotated[
    int | None,
    typer.Option("--revises", metavar="VERSION", help="Add the version after this one.", show_default=False),
]
ContentFile = Annotated[
    Path | None,
    typer.Option("--file", help="JSON with the content instead of options; - is standard input.", show_default=False),
]
Calendar = Annotated[str | None, typer.Option(metavar="CODE", help="Settlement calendar; monthly.", show_default=False)]


class Made(NamedTuple):
    """How any agreement is made, whatever it says: from where its content comes, from when on, after which version."""

    file: ContentFile = None
    effective_from: From = None
    effective_until: Until = None
    revises: Revises = None
    request_id: RequestId = None


@add_app.command("terms", epilog="Example: coalition agreement add terms grocer-2026 --issuer grocer --bonus 1000:1/5")
@client_command
def add_terms(
    session: Session,
    code: Code,
    issuer: Annotated[str | None, typer.Option(help="Who owes the value sold.", show_default=False)] = None,
    bonus: Annotated[
        list[str],
        typer.Option(
            metavar="[AMOUNT:]RATE", help="Bonus from this paid amount on; repeat for steps.", show_default=False
        ),
    ] = [],  # noqa: B006 - typer makes a new list for each run
    seller: Annotated[
        list[str], typer.Option(help="Who may sell; the issuer. Repeat for more.", show_default=False)
    ] = [],  # noqa: B006 - the same
    custody: Annotated[
        str | None, typer.Option(help="issuer (default) or operator: who holds the money paid.", show_default=False)
    ] = None,
    minimum: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="Smallest amount sold; 0.01.", show_default=False)
    ] = None,
    balance_limit: Annotated[
        str | None,
        typer.Option(metavar="AMOUNT", help="Balance a wallet may not pass by a top-up; none.", show_default=False),
    ] = None,
    bonus_months: Annotated[
        int | None, typer.Option(help="Months until unused bonus expires; never.", show_default=False)
    ] = None,
    sponsor: Annotated[
        str | None, typer.Option(help="Participant that bears part of the bonus.", show_default=False)
    ] = None,
    sponsor_share: Annotated[
        str | None, typer.Option(metavar="RATE", help="The sponsor's part of the bonus; none.", show_default=False)
    ] = None,
    sponsor_limit: Annotated[
        str | None,
        typer.Option(metavar="AMOUNT", help="Most bonus the sponsor bears.", show_default=False),
    ] = None,
    when_used_up: Annotated[
        str | None,
        typer.Option(
            help="end (default): then no bonus is granted; issuer: it bears the bonus above the limit.",
            show_default=False,
        ),
    ] = None,
    seller_commission: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="What the issuer pays a seller, of the amount; nothing.", show_default=False),
    ] = None,
    top_up_loss: Annotated[
        str | None, typer.Option(help="seller (default) or issuer: who bears a bounced payment.", show_default=False)
    ] = None,
    calendar: Calendar = None,
    made: Made = Made(),
) -> None:
    """Agree on what an issuer sells: stored value, with a bonus by the amount paid.

    --bonus 1/5 gives a fifth on any amount; --bonus 500:10% --bonus 1000:1/5 a tenth from 500.00, a fifth from 1000.00.
    """
    if custody is not None and custody not in CUSTODIES:
        raise typer.BadParameter(f"--custody is one of {', '.join(CUSTODIES)}")
    options = {
        "issuer": issuer,
        "custody": CUSTODIES[custody] if custody else None,
        "sellers": seller or None,
        "tiers": [tier(session, step) for step in bonus] or None,
        "minimum_minor": session.amount(minimum) if minimum else None,
        "balance_limit_minor": session.amount(balance_limit) if balance_limit else None,
        "bonus_months": bonus_months,
        "sponsor": sponsor,
        "sponsor_share": sponsor_share,
        "sponsor_limit_minor": session.amount(sponsor_limit) if sponsor_limit else None,
        "when_used_up": when_used_up and when_used_up.upper(),
        "seller_commission": seller_commission,
        "top_up_loss": top_up_loss and top_up_loss.upper(),
        "calendar": calendar,
    }
    add(session, "terms", code, options, *made)


@add_app.command(
    "acceptance", epilog="Example: coalition agreement add acceptance cafe-takes-grocer --issuer grocer --acquirer cafe"
)
@client_command
def add_acceptance(
    session: Session,
    code: Code,
    issuer: Annotated[str | None, typer.Option(help="Whose value.", show_default=False)] = None,
    acquirer: Annotated[str | None, typer.Option(help="Where it is spent.", show_default=False)] = None,
    accepted: Annotated[bool | None, typer.Option("--accepted/--refused", show_default=False)] = None,
    issuer_bonus_share: Annotated[
        str | None, typer.Option(metavar="RATE", help="Part of the bonus the issuer pays for; all.", show_default=False)
    ] = None,
    interchange: Annotated[
        str | None, typer.Option(metavar="RATE", help="What the acquirer pays the issuer; nothing.", show_default=False)
    ] = None,
    interchange_base: Annotated[
        str | None, typer.Option(help="gross (default) or principal.", show_default=False)
    ] = None,
    fees_return: Annotated[bool | None, typer.Option("--fees-return/--fees-stay", show_default=False)] = None,
    offline_limit: Annotated[
        str | None,
        typer.Option(metavar="AMOUNT", help="Largest sale its tills may approve offline; none.", show_default=False),
    ] = None,
    shortfall_bearer: Annotated[
        str | None,
        typer.Option(help="Who bears what the wallet lacks then: acquirer (default) or issuer.", show_default=False),
    ] = None,
    calendar: Calendar = None,
    made: Made = Made(),
) -> None:
    """Agree that an acquirer takes an issuer's value. An issuer always takes its own."""
    options = {
        "issuer": issuer,
        "acquirer": acquirer,
        "accepted": accepted,
        "issuer_bonus_share": issuer_bonus_share,
        "interchange": interchange,
        "interchange_base": interchange_base and interchange_base.upper(),
        "fees_return": fees_return,
        "offline_limit_minor": session.amount(offline_limit) if offline_limit else None,
        "shortfall_bearer": shortfall_bearer and shortfall_bearer.upper(),
        "calendar": calendar,
    }
    add(session, "acceptance", code, options, *made)


@add_app.command(
    "acquiring",
    epilog="Example: coalition agreement add acquiring cafe-fees --acquirer cafe --operator-fee 0.6% --commission 1%",
)
@client_command
def add_acquiring(
    session: Session,
    code: Code,
    acquirer: Annotated[str | None, typer.Option(help="Who pays.", show_default=False)] = None,
    operator_fee: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="The operator's share of each purchase; none.", show_default=False),
    ] = None,
    commission: Annotated[
        str | None, typer.Option(metavar="RATE", help="The commission's share; none.", show_default=False)
    ] = None,
    commission_to: Annotated[
        str | None,
        typer.Option(help="RECRUITER (default), who enrolled the member, or a participant.", show_default=False),
    ] = None,
    fee_base: Annotated[str | None, typer.Option(help="gross (default) or principal.", show_default=False)] = None,
    fees_return: Annotated[bool | None, typer.Option("--fees-return/--fees-stay", show_default=False)] = None,
    calendar: Calendar = None,
    made: Made = Made(),
) -> None:
    """Agree on what an acquirer pays for each purchase by card. Without one in force it sells nothing by card."""
    options = {
        "acquirer": acquirer,
        "operator_fee": operator_fee,
        "commission": commission,
        "commission_to": commission_to,
        "fee_base": fee_base and fee_base.upper(),
        "fees_return": fees_return,
        "calendar": calendar,
    }
    add(session, "acquiring", code, options, *made)


@agreement_app.command("list", epilog="Example: coalition agreement list")
@client_command
def agreement_list(session: Session) -> None:
    """List the latest version of every agreement."""
    with session.coalition() as connection:
        rows = list(pages(connection, connection.programme.ListAgreements, ListAgreementsRequest(), "agreements"))
    session.say(
        rows,
        table(
            f"{len(rows)} agreements",
            ("code", "version", "kind", "from", "until", "between"),
            (
                (
                    row.code,
                    str(row.version),
                    str(row.WhichOneof("content")).upper(),
                    row.effective_from,
                    row.effective_until,
                    parties(content_of(row)),
                )
                for row in rows
            ),
        ),
    )


@agreement_app.command("show", epilog="Example: coalition agreement show cafe-fees --version 1")
@client_command
def agreement_show(
    session: Session,
    code: Code,
    version: Annotated[int, typer.Option(help="Version to show; the latest.", show_default=False)] = 0,
) -> None:
    """Show one version of an agreement. With --json its content is what --file reads."""
    with session.coalition() as connection:
        agreement = connection.call(
            connection.programme.GetAgreement, GetAgreementRequest(code=code, version=version)
        ).agreement
    if session.as_json and not session.field:
        typer.echo(json.dumps(content_json(content_of(agreement)), ensure_ascii=False))
        return
    session.say(agreement, described(session.settings.currency, agreement))


@agreement_app.command("sign", epilog="Example: coalition agreement sign cafe-fees 2")
@client_command
def sign_agreement(
    session: Session,
    code: Code,
    version: Annotated[int, typer.Argument(metavar="VERSION", help="Which version.")],
    request_id: RequestId = None,
) -> None:
    """Let a version hold that others than its maker have approved."""
    request = SignAgreementRequest(request_id=read_request_id(request_id), code=code, version=version)
    with session.coalition() as connection:
        answer = connection.call(connection.programme.SignAgreement, request)
    session.say(answer, described(session.settings.currency, answer.agreement))


@agreement_app.command("require-approval", epilog="Example: coalition agreement require-approval")
@client_command
def require_approval(session: Session, request_id: RequestId = None) -> None:
    """Rule that every new version needs the approval of others and is then signed. There is no way back."""
    request = RequireAgreementApprovalRequest(request_id=read_request_id(request_id))
    with session.coalition() as connection:
        answer = connection.call(connection.programme.RequireAgreementApproval, request)
    session.say(answer, "From now on a version of an agreement holds once others have approved it and it is signed.")


def add(
    session: Session,
    kind: str,
    code: str,
    options: dict[str, Any],
    file: Path | None,
    effective_from: str | None,
    effective_until: str | None,
    revises: int | None,
    request_id: str | None,
) -> None:
    """Send version 1, or the version after `revises`, and print it."""
    content = read_content(kind, options, file)
    arguments: dict[str, Any] = {
        "request_id": read_request_id(request_id),
        "code": code,
        "effective_from": effective_from or f"{datetime.now(ZoneInfo(session.settings.zone)):%Y-%m-%d}",
        "effective_until": effective_until or "",
        kind: content,
    }
    with session.coalition() as connection:
        if revises is None:
            made = connection.call(connection.programme.CreateAgreement, CreateAgreementRequest(**arguments))
            session.say(made, described(session.settings.currency, made.agreement))
        else:
            revised = connection.call(
                connection.programme.ReviseAgreement, ReviseAgreementRequest(expected_version=revises, **arguments)
            )
            session.say(revised, described(session.settings.currency, revised.agreement))


def read_content(kind: str, options: dict[str, Any], file: Path | None) -> Content:
    """The content from options or from a file; trouble ends the command with exit code 2."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        if file is None:
            return content_message(kind, given)
        if given:
            raise typer.BadParameter(f"--file holds the whole content; leave out {', '.join(given)}")
        loaded = json.loads(sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8"))
        if not isinstance(loaded, dict):
            raise typer.BadParameter("--file must hold one JSON object")
        return content_message(kind, loaded)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"--file is no JSON: line {error.lineno}: {error.msg}") from None
    except OSError as error:
        raise typer.BadParameter(f"--file {file}: {error.strerror}") from None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def tier(session: Session, step: str) -> dict[str, Any]:
    """The tier of "1000:1/5", or of "1/5" for any amount."""
    amount, colon, rate = step.rpartition(":")
    return {"from_minor": session.amount(amount) if colon else 1, "bonus": rate}
