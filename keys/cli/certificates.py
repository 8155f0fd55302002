"""`python -m keys` for certificates: an authority, and a certificate's whole life."""

from pathlib import Path
from typing import Annotated

import typer

from keys import authority as certificates
from keys import lifecycle, private_files
from keys.cli.application import CERTIFICATES, app, refusals, say
from keys.errors import AuthorityError
from keys.issued import read_record
from keys.revocation import LIST_NAME

TERMINAL_DAYS = 7

AuthorityDirectory = Annotated[Path, typer.Argument(metavar="DIR", help="Directory of the authority, mode 0700.")]


@app.command(
    rich_help_panel=CERTIFICATES,
    epilog="Example: python -m keys authority var/authority --trust-domain coalition.example",
)
def authority(
    directory: AuthorityDirectory,
    trust_domain: Annotated[
        str, typer.Option(help="Name of the coalition in every identity: a-z, 0-9, '.', '-', '_'.")
    ] = "coalition.example",
) -> None:
    """Make a development certificate authority, valid for ten years.

    Its private key is a file: fine for development and demonstrations, not for production.
    """
    with refusals():
        path = certificates.create_authority(directory, trust_domain)
    say(f"Authority of {trust_domain} made; peers trust {path}.")
    say(f"Next: python -m keys certificate {directory} spiffe://{trust_domain}/server")


@app.command(
    rich_help_panel=CERTIFICATES,
    epilog="""Examples:

- python -m keys certificate var/authority spiffe://coalition.example/t/chain/store7/till1
- python -m keys certificate var/authority spiffe://coalition.example/op/alice --days 1
- python -m keys certificate var/authority spiffe://coalition.example/server --hostname ledger.example
""",
)
def certificate(
    directory: AuthorityDirectory,
    spiffe_uri: Annotated[
        str,
        typer.Argument(
            metavar="SPIFFE_URI",
            help="spiffe://TRUST_DOMAIN followed by /op/NAME (operator), /hq/PARTICIPANT, "
            "/t/PARTICIPANT/STORE/TERMINAL, /ts/CHAIN/NAME (till server), /aud/FIRM (auditor), "
            "/mg/ID (member gateway) or /server.",
        ),
    ],
    days: Annotated[
        int, typer.Option(min=1, max=certificates.DAYS_MAX, help="How many days it is valid.")
    ] = TERMINAL_DAYS,
    hostname: Annotated[
        list[str] | None,
        typer.Option(help="Host name or IP address clients dial; repeat for more. Only for /server."),
    ] = None,
) -> None:
    """Issue a certificate and a fresh private key for one identity.

    Prints the three files: certificate, private key, and the authority to trust. An earlier pair of the same identity
    is replaced. A server certificate is always good for localhost, 127.0.0.1 and ::1.
    """
    with refusals():
        files = certificates.issue(
            directory, spiffe_uri, days=days, clock=certificates.utc_now, hostnames=hostname or ()
        )
    say(f"certificate {files.cert}\nprivate key {files.key}\nauthority   {files.chain}")


@app.command(
    rich_help_panel=CERTIFICATES,
    epilog="""Examples:

- python -m keys renew var/certificates spiffe://coalition.example/t/cafe/main/till-1
- python -m keys renew var/certificates spiffe://coalition.example/server --days 90
""",
)
def renew(
    directory: AuthorityDirectory,
    spiffe_uri: Annotated[str, typer.Argument(metavar="SPIFFE_URI", help="The identity, as it was issued.")],
    days: Annotated[
        int | None,
        typer.Option(min=1, max=certificates.DAYS_MAX, help="How many days it is valid; else as many as the old one."),
    ] = None,
) -> None:
    """Issue a new key and certificate for an identity that has one, before the old one ends.

    Prints the three files, which take the place of the old ones here. Carry them to the terminal: until the old
    certificate ends both are good, so nothing stands still. Connections made with the old one go on. If the old key may
    be in wrong hands, revoke its serial number too; `python -m keys issued` shows it.
    """
    with refusals():
        files = lifecycle.renew(directory, spiffe_uri, days=days)
    say(f"certificate {files.cert}\nprivate key {files.key}\nauthority   {files.chain}")


@app.command(
    rich_help_panel=CERTIFICATES,
    epilog="""Examples:

- python -m keys revoke var/certificates spiffe://coalition.example/t/cafe/main/till-1
- python -m keys revoke var/certificates spiffe://coalition.example/t/cafe/main/till-1 --serial 5f3a90c2
""",
)
def revoke(
    directory: AuthorityDirectory,
    spiffe_uri: Annotated[str, typer.Argument(metavar="SPIFFE_URI", help="The identity, as it was issued.")],
    serial: Annotated[
        str | None, typer.Option(metavar="HEX", help="Only the certificate of this serial number; else all of them.")
    ] = None,
) -> None:
    """Revoke certificates before their end: a terminal was stolen, sold, or its key was copied.

    Writes the authority's signed list, DIR/authority.crl. A server that runs on this directory refuses the identity
    within a second, on connections that are open too; carry the file to every other server's certificates directory.
    For good: a certificate cannot be made valid again. The identity may be issued a new one.
    """
    with refusals():
        number = _serial(serial)
        revoked = lifecycle.revoke(directory, spiffe_uri, serial=number)
    for each in revoked:
        say(f"revoked {each.serial:x}, which would have ended on {each.end:%Y-%m-%d}")
    say(f"Next: copy {directory / LIST_NAME} to the certificates directory of every server that has another one.")


@app.command(rich_help_panel=CERTIFICATES, epilog="Example: python -m keys issued var/certificates")
def issued(directory: AuthorityDirectory) -> None:
    """Show every certificate the authority issued: identity, serial number, end, and whether it is still good."""
    with refusals():
        private_files.check_directory(directory, f"{certificates.MAKE_AUTHORITY} {directory}")
        listed = lifecycle.revocations(directory)
        record = read_record(directory)
    revoked, now = listed.serials if listed else frozenset(), certificates.utc_now()
    for each in record:
        state = "revoked" if each.serial in revoked else "over" if each.end <= now else "good"
        # Plain lines: a serial number in a table is cut in two and cannot be copied.
        say(f"{state:7}  until {each.end:%Y-%m-%d}  {each.serial:040x}  {each.identity}")


def _serial(text: str | None) -> int | None:
    try:
        return None if text is None else int(text.replace(":", ""), 16)
    except ValueError:
        raise AuthorityError("serial: must be hexadecimal, as `python -m keys issued` shows it") from None
