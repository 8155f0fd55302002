"""All commands under one roof, and what each way of failing exits with."""

from collections.abc import Sequence
from typing import Final

import typer

from coalition.cli import (  # eight of them add commands only
    card_rules,  # noqa: F401
    credentials,
    day_limits,  # noqa: F401
    giving_back,
    hand_over,  # noqa: F401
    house,
    member_changes,  # noqa: F401
    member_data,  # noqa: F401
    member_erasing,  # noqa: F401
    members_export,  # noqa: F401
    opening_lots,  # noqa: F401
    simulating,  # noqa: F401
    till_day,  # noqa: F401
    tills,
    window_fees,  # noqa: F401
    windows,
)
from coalition.cli.agreements import agreement_app
from coalition.cli.audit import audit_app
from coalition.cli.cards import card_app
from coalition.cli.conformance import conformance
from coalition.cli.days import day_app
from coalition.cli.debts import debt_app
from coalition.cli.disputes import dispute_app
from coalition.cli.events import events
from coalition.cli.follow import follow
from coalition.cli.gateway import gateway
from coalition.cli.keys import key_app
from coalition.cli.manual import manual
from coalition.cli.members import member_app
from coalition.cli.members_import import members_app
from coalition.cli.output import console
from coalition.cli.participants import participant_app, store_app, terminal_app
from coalition.cli.passes import pass_app
from coalition.cli.points import points_app
from coalition.cli.refusals import show_refusal, show_unreachable
from coalition.cli.replay import demo, replay_app
from coalition.cli.till import till_app
from coalition.cli.wallet import wallet
from coalition.cli.witness import witness
from coalition.client import CallRefused, CertificateMissing, NotDone, ServerUnreachable
from coalition.config import SettingInvalid

DONE: Final = 0
REFUSED: Final = 1
WRONG_USAGE: Final = 2
NO_ANSWER: Final = 3

HOUSE: Final = "The house"
HEADQUARTERS: Final = "Headquarters"
COUNTER: Final = "The counter"
TILL: Final = "The till"
MONTH: Final = "The month"
AUDIT: Final = "The audit"

app = typer.Typer(
    name="coalition",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""One member card, one wallet, one monthly settlement for many merchants.

    Start a server with: coalition serve. It prints what to type next. Every command's --help ends with an example, and
    coalition help is one page on amounts, identities and cards. The month is closed by: python -m settlement""",
)

app.command("serve", rich_help_panel=HOUSE, epilog="Example: coalition serve")(house.serve)
app.command("demo", rich_help_panel=HOUSE, epilog="Example: coalition demo --months 1 --members 300")(demo)
app.add_typer(replay_app, name="replay", rich_help_panel=HOUSE)
app.command("follow", rich_help_panel=HOUSE, epilog="Example: coalition follow")(follow)
app.command(
    "gateway",
    rich_help_panel=HOUSE,
    epilog="Example: coalition gateway --map tills.csv --as ts/cafe/gateway --listen 127.0.0.1:8583",
)(gateway)
app.command("migrate", rich_help_panel=HOUSE, epilog="Example: coalition migrate")(house.migrate)
app.command("check", rich_help_panel=HOUSE, epilog="Example: coalition check")(house.check)
app.command("certificate", rich_help_panel=HOUSE, epilog="Example: coalition certificate t/cafe/main/till-1")(
    house.certificate
)
app.add_typer(key_app, name="keys", rich_help_panel=HOUSE)
app.command("help", rich_help_panel=HOUSE)(manual)
app.add_typer(participant_app, name="participant", rich_help_panel=HEADQUARTERS)
app.add_typer(store_app, name="store", rich_help_panel=HEADQUARTERS)
app.add_typer(terminal_app, name="terminal", rich_help_panel=HEADQUARTERS)
app.add_typer(agreement_app, name="agreement", rich_help_panel=HEADQUARTERS)
app.add_typer(member_app, name="member", rich_help_panel=COUNTER)
app.add_typer(members_app, name="members", rich_help_panel=COUNTER)
card_app.command("device", epilog="Example: coalition card device --member MEMBER_ID --to device.json")(
    credentials.card_device
)
card_app.command("code", epilog="Example: coalition card code --device device.json")(credentials.card_code)
card_app.command("add-id", epilog="Example: coalition card add-id --member MEMBER_ID --id @openid.json")(
    credentials.card_add_id
)
card_app.command("add-phone", epilog="Example: coalition card add-phone --member MEMBER_ID")(credentials.card_add_phone)
card_app.command("remove", epilog="Example: coalition card remove --member MEMBER_ID --card-id 7")(
    credentials.card_remove
)
app.add_typer(card_app, name="card", rich_help_panel=COUNTER)
app.command("wallet", rich_help_panel=COUNTER, epilog="Example: coalition wallet MEMBER_ID")(wallet)
app.command(
    "top-up", rich_help_panel=TILL, epilog="Example: coalition top-up --at grocer/main/till-1 --card @card.txt 1000.00"
)(tills.top_up)
app.command("pay", rich_help_panel=TILL, epilog="Example: coalition pay --at cafe/main/till-1 --card @card.txt 300.00")(
    tills.pay
)
app.command("refund", rich_help_panel=TILL, epilog="Example: coalition refund --at cafe/main/till-1 4194305 100.00")(
    giving_back.refund
)
app.command(
    "return-top-up", rich_help_panel=TILL, epilog="Example: coalition return-top-up --at grocer/main/till-1 4194305"
)(giving_back.return_top_up)
app.command("reverse-top-up", rich_help_panel=TILL, epilog="Example: coalition reverse-top-up --as hq/grocer 4194305")(
    giving_back.reverse_top_up
)
app.command(
    "cash-out", rich_help_panel=TILL, epilog="Example: coalition cash-out --at grocer/main/till-1 --card @card.txt"
)(giving_back.cash_out)
app.add_typer(pass_app, name="pass", rich_help_panel=TILL)
app.add_typer(points_app, name="points", rich_help_panel=TILL)
app.command(
    "balance", rich_help_panel=TILL, epilog="Example: coalition balance --at cafe/main/till-1 --card @card.txt"
)(tills.balance)
app.command(
    "entries", rich_help_panel=TILL, epilog="Example: coalition entries --at cafe/main/till-1 --card @card.txt"
)(tills.entries)
app.add_typer(till_app, name="till", rich_help_panel=TILL)
app.add_typer(day_app, name="day", rich_help_panel=TILL)
app.command(
    "conformance",
    rich_help_panel=TILL,
    epilog="Example: coalition conformance --address 127.0.0.1:7443 --certificate var/certificates/t/cafe/main/till-1 "
    "--card @card.txt",
)(conformance)
app.command("windows", rich_help_panel=MONTH, epilog="Example: coalition windows")(windows.windows)
app.command("positions", rich_help_panel=MONTH, epilog="Example: coalition positions --window 2017-01")(
    windows.positions
)
app.command("claims", rich_help_panel=MONTH, epilog="Example: coalition claims --participant cafe")(windows.claims)
app.add_typer(debt_app, name="debt", rich_help_panel=MONTH)
app.add_typer(dispute_app, name="dispute", rich_help_panel=MONTH)
app.command(
    "events", rich_help_panel=MONTH, epilog="Example: coalition events --as hq/cafe --cursor events.cursor --json"
)(events)
app.add_typer(audit_app, name="audit", rich_help_panel=AUDIT)
app.command(
    "witness",
    rich_help_panel=AUDIT,
    epilog="Example: coalition witness --name witness.example/w1 --policy logs.policy --listen 127.0.0.1:7445",
)(witness)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what failed is said on standard error."""
    try:
        app(args=arguments, prog_name="coalition")
    except CallRefused as refusal:
        show_refusal(refusal)
        return REFUSED
    except ServerUnreachable as failure:
        show_unreachable(failure)
        return NO_ANSWER
    except NotDone as failure:  # of a till's outbox
        console(stderr=True).print(str(failure), style="bold red", soft_wrap=True)
        return NO_ANSWER
    except (CertificateMissing, SettingInvalid, house.HouseRefused) as error:
        console(stderr=True).print(str(error), style="bold red", soft_wrap=True)
        return WRONG_USAGE
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else DONE
    return DONE
