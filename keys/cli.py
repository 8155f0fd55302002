"""The ceremony commands. They print paths, versions and public keys; never a secret, and take none as an argument.

Exit codes: 0 done, 1 refused (standard error says why and what to do), 2 the command line was wrong.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from keys import authority as certificates
from keys import lifecycle, private_files
from keys.errors import AuthorityError, KeysError
from keys.issued import read_record
from keys.revocation import LIST_NAME
from keys.ring import KeyRing
from keys.ring_file import KeyPurpose, KeyState
from keys.ring_making import add_key, create_ring
from keys.signature import public_key_pem

STATE_STYLE = {
    KeyState.ENABLED: "green",
    KeyState.DISABLED: "yellow",
    KeyState.DESTROY_SCHEDULED: "red",
    KeyState.DESTROYED: "dim",
}
TERMINAL_DAYS = 7

app = typer.Typer(
    name="keys",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Make and inspect the keys and certificates of a coalition.

A **key ring** seals member records, hashes look-ups and signs batches. An **authority** issues the certificates that
say who calls, renews them, and revokes them. Keep each in a directory of its own, outside the source tree.

Start here:

- python -m keys init var/keys
- python -m keys authority var/authority --trust-domain coalition.example
- python -m keys certificate var/authority spiffe://coalition.example/server
- python -m keys issued var/authority

Exit codes: 0 done, 1 refused (the message says what to do), 2 wrong command line.
""",
)

RingDirectory = Annotated[Path, typer.Argument(metavar="DIR", help="Directory of the key ring, mode 0700.")]
AuthorityDirectory = Annotated[Path, typer.Argument(metavar="DIR", help="Directory of the authority, mode 0700.")]


@app.command(epilog="Example: python -m keys init var/keys")
def init(directory: RingDirectory) -> None:
    """Make a key ring with version 1 of every key.

    The directory is made when missing. Existing keys are never overwritten. Back the directory up at once, away from
    the database: without it no sealed record can ever be read again.
    """
    with refusals():
        ring = create_ring(directory, random=os.urandom, create_time=certificates.utc_now())
    _say(f"Key ring made in {directory}, deployment {ring.deployment_id}.")
    _say(f"Back it up, away from the database. Next: python -m keys list {directory}")


@app.command(epilog="Example: python -m keys add pin var/keys")
def add(
    purpose: Annotated[KeyPurpose, typer.Argument(metavar="PURPOSE", help="The purpose, as the refusal named it.")],
    directory: RingDirectory,
) -> None:
    """Make a key that a ring of an earlier release does not have.

    Nothing else of the ring changes. Earlier releases do not load a ring with keys they do not know: add the key when
    you will not go back. Start the server again afterwards; it reads its ring once.
    """
    with refusals():
        version = add_key(directory, purpose, random=os.urandom, create_time=certificates.utc_now())
    _say(f"{version.purpose.value} key version {version.version} made, kept at {version.uri}.")
    _say("Back the directory up again, away from the database, and start the server again.")


@app.command(epilog="Example: python -m keys authority var/authority --trust-domain coalition.example")
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
    _say(f"Authority of {trust_domain} made; peers trust {path}.")
    _say(f"Next: python -m keys certificate {directory} spiffe://{trust_domain}/server")


@app.command(
    epilog="""Examples:

- python -m keys certificate var/authority spiffe://coalition.example/t/chain/store7/till1
- python -m keys certificate var/authority spiffe://coalition.example/op/alice --days 1
- python -m keys certificate var/authority spiffe://coalition.example/server --hostname ledger.example
"""
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
    _say(f"certificate {files.cert}\nprivate key {files.key}\nauthority   {files.chain}")


@app.command(
    epilog="""Examples:

- python -m keys renew var/certificates spiffe://coalition.example/t/cafe/main/till-1
- python -m keys renew var/certificates spiffe://coalition.example/server --days 90
"""
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
    _say(f"certificate {files.cert}\nprivate key {files.key}\nauthority   {files.chain}")


@app.command(
    epilog="""Examples:

- python -m keys revoke var/certificates spiffe://coalition.example/t/cafe/main/till-1
- python -m keys revoke var/certificates spiffe://coalition.example/t/cafe/main/till-1 --serial 5f3a90c2
"""
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
        _say(f"revoked {each.serial:x}, which would have ended on {each.end:%Y-%m-%d}")
    _say(f"Next: copy {directory / LIST_NAME} to the certificates directory of every server that has another one.")


@app.command(epilog="Example: python -m keys issued var/certificates")
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
        _say(f"{state:7}  until {each.end:%Y-%m-%d}  {each.serial:040x}  {each.identity}")


@app.command("list", epilog="Example: python -m keys list var/keys")
def list_versions(directory: RingDirectory) -> None:
    """Show every key version and its state.

    Also proves that the ring loads: every file is there, private, and the one the ring recorded.
    """
    with refusals():
        ring = KeyRing.load(directory)
    table = Table(title=f"deployment {ring.deployment_id}", title_justify="left")
    for heading in ("key", "version", "state", "made", "kept at"):
        table.add_column(heading, overflow="fold")
    for version in ring.versions:
        table.add_row(
            version.purpose.value,
            str(version.version),
            f"[{STATE_STYLE[version.state]}]{version.state.value}[/]" + (", primary" if version.primary else ""),
            f"{version.create_time:%Y-%m-%d}" if version.create_time else "",
            version.uri,
        )
    Console().print(table)


@app.command("export-public", epilog="Example: python -m keys export-public var/keys > batch-signing.pem")
def export_public(
    directory: RingDirectory,
    *,
    raw_hex: Annotated[bool, typer.Option("--hex", help="Print the 32 raw bytes as hexadecimal instead.")] = False,
) -> None:
    """Print the public key that batch signatures are checked with, as PEM.

    Give it to auditors and merchants over a channel of its own: who can change it in transit can forge signatures.
    """
    with refusals():
        public_key = KeyRing.load(directory).batch_public_key()
    typer.echo(public_key.hex() if raw_hex else public_key_pem(public_key), nl=raw_hex)


def main() -> None:
    """Run the command line."""
    app(prog_name="python -m keys")


@contextmanager
def refusals() -> Iterator[None]:
    """Turn a refusal, or trouble with the disk, into one sentence and exit code 1."""
    try:
        yield
    except KeysError as refusal:
        typer.echo(f"refused: {refusal}", err=True)
        raise typer.Exit(1) from None
    except OSError as trouble:
        typer.echo(f"refused: {trouble.filename}: {trouble.strerror}", err=True)
        raise typer.Exit(1) from None


def _serial(text: str | None) -> int | None:
    try:
        return None if text is None else int(text.replace(":", ""), 16)
    except ValueError:
        raise AuthorityError("serial: must be hexadecimal, as `python -m keys issued` shows it") from None


def _say(sentence: str) -> None:
    # Plain, so that long paths stay whole and can be copied.
    typer.echo(sentence)
