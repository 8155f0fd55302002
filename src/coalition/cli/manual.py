"""`coalition help`: the one page on money and identities that every other command takes for granted."""

from typing import Final

import typer

# Lines of at most 80 characters: a terminal is that wide, and this page is not folded.
PAGE: Final = """\
Money
  Amounts are written in the scheme currency with a point: 300, 300.50,
  1,200.00, 300.00 CNY. They are read as exact minor units (fen), never as
  floating point; more than two decimals are refused. --json prints minor units.
  Rates are exact too: 1/5, 20%, 0.6%, 0.006.

Identities
  Every call is made by an identity, the path in its certificate. Its three
  files are in var/certificates/PATH:
    op/NAME                        the operator: participants, agreements,
                                   members, cards, windows
    ap/NAME                        an approver: lets what another asked for
                                   happen, such as seeing members unmasked
    hq/PARTICIPANT                 headquarters of a participant: reads what
                                   concerns it, enrols, handles cards
    t/PARTICIPANT/STORE/TERMINAL   a terminal: top-up, pay, refund, balance,
                                   entries
    ts/PARTICIPANT-OR-CHAIN/NAME   a till server, which speaks for all
                                   terminals below it
    aud/FIRM                       an auditor: reads the journal
    mg/NAME                        a member gateway: reads members' own
                                   wallets and data, for them
  Commands of headquarters speak as op/admin, commands of a till as the terminal
  named by --at. --as chooses another:
    coalition participant list --as hq/cafe
    coalition pay --at cafe/main/till-1 --as ts/cafe/server-1 --card - 300.00
  Where the development authority is at hand (var/certificates/authority.key,
  made by the first `coalition serve`), a missing certificate is issued on the
  spot. Elsewhere the operator of the authority issues it.

Cards
  A full card number is a secret. --card @FILE reads it from a file and --card -
  from standard input; without --card you are asked. Typed on the command line
  it stays in the shell's history: fine for a card of a development house only.
  Instead of a card a till takes --code (the payment code a phone shows),
  --phone @FILE, or --id @FILE (another system's id as JSON).

PINs
  A PIN is never typed on the command line: --pin ask asks for it, --pin - and
  --pin @FILE read it. It is sealed to the server's key before it is sent.

Exactly once
  Every write has a request_id. After a lost answer repeat the command with
  --request-id and the id it had: it is answered with the first outcome and
  posts nothing twice.

Exit codes
  0 done, 1 refused by the service (the reason is printed), 2 wrong command line
  or configuration, 3 no answer. A till (coalition till) besides: 3 not done,
  4 the answer was lost and is being reversed; only 0 means paid.
"""


def manual() -> None:
    """Explain amounts, identities, cards, repetition and exit codes on one page."""
    typer.echo(PAGE, nl=False)
