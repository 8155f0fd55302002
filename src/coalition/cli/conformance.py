"""`coalition conformance`: the failures of a till, played against a server; for merchants who write their own terminal
and for operators before they open. Prints what is promised and whether the server keeps it.
"""

from pathlib import Path
from typing import Annotated

import typer

from coalition.bootstrap.pins import seal_pin
from coalition.cli.certificates import day_signer_in
from coalition.cli.options import Pin, read_code, read_pin
from coalition.cli.output import console, print_json, table
from coalition.cli.till import Card, read_own_card
from coalition.cli.till_screen import ask_card
from coalition.client import ClientCertificate, Connection, RetryPolicy
from coalition.client.arguments import terminal_ref
from coalition.client.conformance import TooLittleMoney, play
from coalition.client.player import Member

FAILED = 1


def conformance(
    address: Annotated[str, typer.Option("--address", metavar="HOST:PORT", help="The server.", show_default=False)],
    certificate: Annotated[
        Path,
        typer.Option(
            "--certificate",
            metavar="FOLDER",
            help="Of a terminal: certificate.pem, private.key and authority.pem.",
            show_default=False,
        ),
    ],
    card: Card = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="TILL", help="Terminal, where the certificate is a till server's.", show_default=False
        ),
    ] = None,
    code: Annotated[
        str | None,
        typer.Option(
            "--code",
            metavar="-|@FILE",
            help="The code that the phone of the card's member shows now: its cases are played, too.",
            show_default=False,
        ),
    ] = None,
    pin: Pin = None,
    currency: Annotated[str, typer.Option("--currency", help="Of the coalition.")] = "CNY",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Play the failures of a till against a server: lost answers, duplicates, reversals before their originals.

    It closes the terminal's day as well, and signs by the key in the folder: play it with a terminal of its own.
    With --code and --pin what a member shows is played, too: a code used twice, a PIN after it was asked for.

    The card needs 20.00 that this terminal accepts, and nobody else may use it meanwhile; it ends with what it had.
    Exit code 0: every promise is kept; 1: one is not.
    """
    number = ask_card() if card is None else read_own_card(card)
    member = Member(read_code(code) if code else "", read_pin(pin) or "", seal_pin)
    once = RetryPolicy(attempts_max=1)
    with Connection(address, ClientCertificate.load_folder(certificate), retry=once) as connection:
        connection.wait_until_ready(once.deadline_s)
        try:
            place = terminal_ref(at) if at else None
            sign = day_signer_in(certificate)
            cases = play(connection, number, at=place, currency_code=currency, member=member, sign=sign)
            verdicts = list(cases)
        except TooLittleMoney as error:
            raise typer.BadParameter(str(error)) from None
    if as_json:
        print_json([{"name": each.name, "passed": each.passed, "failure": each.failure} for each in verdicts])
    else:
        kept = sum(each.passed for each in verdicts)
        rows = ((each.name, "PASS" if each.passed else "FAIL", each.failure or each.promise) for each in verdicts)
        console().print(
            table(f"{kept} of {len(verdicts)} promises kept", ("case", "", "promise, or what broke it"), rows)
        )
    if not all(each.passed for each in verdicts):
        raise typer.Exit(FAILED)
