"""`python -m keys` for a ring as a whole: make it, look at it, lock it."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from keys.authority import utc_now
from keys.cli.application import RING, app, refusals, say
from keys.file_custody import SCHEME
from keys.index_plan import MEMBERS_DEFAULT, MEMBERS_MAX
from keys.passphrase import Passphrase, read_passphrase
from keys.ring import KeyRing
from keys.ring_file import KeyPurpose, KeyState
from keys.ring_making import add_key, create_ring, set_record_suite
from keys.ring_passphrase import set_passphrase
from keys.ring_reading import read_ring_file
from keys.signature import public_key_pem
from keys.suites import RecordSuite

STATE_STYLE: Final = {
    KeyState.ENABLED: "green",
    KeyState.DISABLED: "yellow",
    KeyState.DESTROY_SCHEDULED: "red",
    KeyState.DESTROYED: "dim",
}


class Suite(StrEnum):
    """The suites of a record, as they are typed."""

    AES = "aes"
    SM4 = "sm4"


class PublicPurpose(StrEnum):
    """The purposes whose keys have a public half."""

    BATCH_SIGNING = KeyPurpose.BATCH_SIGNING.value
    PIN_SEALING = KeyPurpose.PIN_SEALING.value


PUBLIC_KIND: Final = {PublicPurpose.BATCH_SIGNING: "Ed25519", PublicPurpose.PIN_SEALING: "X25519"}

RingDirectory = Annotated[Path, typer.Argument(metavar="DIR", help="Directory of the key ring, mode 0700.")]
Purpose = Annotated[KeyPurpose, typer.Argument(metavar="PURPOSE", help=f"One of {', '.join(KeyPurpose)}.")]
Custody = Annotated[
    str,
    typer.Option(
        metavar="URI",
        help="Where keys are made: file: (beside the ring file), "
        "pkcs11:token=T?module-path=/PATH&pin-source=file:/PATH (a hardware module), or awskms:KEY_ARN.",
    ),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="File with the ring's passphrase, mode 0600. Without it you are asked."),
]
Members = Annotated[
    int,
    typer.Option(
        min=1, max=MEMBERS_MAX, help="How many members are expected: says how long the index that finds them is."
    ),
]
Records = Annotated[Suite, typer.Option(metavar="SUITE", help="How member records are sealed: aes or sm4.")]


@app.command(
    rich_help_panel=RING,
    epilog="""Examples:

- python -m keys init var/keys
- python -m keys init var/keys --passphrase
- python -m keys init var/keys --custody 'pkcs11:token=T?module-path=/usr/lib/M.so&pin-source=file:/etc/pin'
- python -m keys init var/keys --custody awskms:arn:aws:kms:REGION:ACCOUNT:key/ID
""",
)
def init(
    directory: RingDirectory,
    custody: Custody = SCHEME,
    records: Records = Suite.AES,
    members: Members = MEMBERS_DEFAULT,
    passphrase_file: PassphraseFile = None,
    *,
    passphrase: Annotated[bool, typer.Option("--passphrase", help="Seal the key files; you are asked.")] = False,
) -> None:
    """Make a key ring with version 1 of every key.

    The directory is made when missing. Existing keys are never overwritten. Back the directory up at once, away from
    the database: without it no sealed record can ever be read again. So can a hardware token be lost: back up both.
    """
    with refusals():
        chosen = _new_passphrase(passphrase_file) if passphrase or passphrase_file else None
        ring = create_ring(
            directory,
            random=os.urandom,
            create_time=utc_now(),
            place=custody,
            passphrase=chosen,
            suite=RecordSuite[records.name],
            members=members,
        )
    say(f"Key ring made in {directory}, deployment {ring.deployment_id}.")
    say(f"Back it up, away from the database. Next: python -m keys list {directory}")


@app.command(rich_help_panel=RING, epilog="Example: python -m keys add pin var/keys")
def add(
    purpose: Purpose, directory: RingDirectory, custody: Custody = SCHEME, passphrase_file: PassphraseFile = None
) -> None:
    """Make a key that a ring of an earlier release does not have.

    Nothing else of the ring changes. Earlier releases do not load a ring with keys they do not know: add the key when
    you will not go back. Start the server again afterwards; it reads its ring once.
    """
    with refusals():
        version = add_key(
            directory,
            purpose,
            random=os.urandom,
            create_time=utc_now(),
            place=custody,
            passphrase=existing_passphrase(passphrase_file),
        )
    say(f"{purpose.value} key version {version.version} made, kept at {version.uri}.")
    say("Back the directory up again, away from the database, and start the server again.")


@app.command("list", rich_help_panel=RING, epilog="Example: python -m keys list var/keys")
def list_versions(directory: RingDirectory, passphrase_file: PassphraseFile = None) -> None:
    """Show every key version and its state.

    Also proves that the ring loads: every key is there, private, and the one the ring recorded.
    """
    with refusals():
        ring = KeyRing.load(directory, passphrase=existing_passphrase(passphrase_file))
        locked = read_ring_file(directory).lock is not None
    title = f"deployment {ring.deployment_id}, records {ring.record_suite.name}" + (", passphrase" if locked else "")
    table = Table(title=title, title_justify="left")
    for heading in ("key", "version", "state", "made", "kept at"):
        table.add_column(heading, overflow="fold")
    for version in ring.versions:
        state = f"[{STATE_STYLE[version.state]}]{version.state.value}[/]" + (", primary" if version.primary else "")
        if version.index_bits:
            state += f", {version.index_bits} bits"
        if version.destroy_time:
            state += f", {version.destroy_time:%Y-%m-%d}"
        made = f"{version.create_time:%Y-%m-%d}" if version.create_time else ""
        table.add_row(version.purpose.value, str(version.version), state, made, version.uri)
    Console().print(table)


@app.command(
    "export-public",
    rich_help_panel=RING,
    epilog="""Examples:

- python -m keys export-public var/keys > batch-signing.pem
- python -m keys export-public var/keys --purpose pin-sealing --hex
""",
)
def export_public(
    directory: RingDirectory,
    purpose: Annotated[
        PublicPurpose, typer.Option(metavar="PURPOSE", help="batch-signing or pin-sealing.")
    ] = PublicPurpose.BATCH_SIGNING,
    *,
    raw_hex: Annotated[bool, typer.Option("--hex", help="Print the 32 raw bytes as hexadecimal instead.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Every version, oldest first: those of earlier signatures too.")
    ] = False,
) -> None:
    """Print the public key that batch signatures are checked with, or that terminals seal PINs to, as PEM.

    Give it to auditors and merchants over a channel of its own: who can change it in transit can forge signatures.
    """
    with refusals():
        file = read_ring_file(directory)
    for version in file.of(KeyPurpose(purpose)):
        if version.primary or every:
            text = version.check.hex() + "\n" if raw_hex else public_key_pem(version.check, PUBLIC_KIND[purpose])
            typer.echo(text, nl=False)


@app.command(rich_help_panel=RING, epilog="Example: python -m keys passphrase var/keys")
def passphrase(
    directory: RingDirectory,
    passphrase_file: PassphraseFile = None,
    new_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File with the new passphrase. Without it you are asked.")
    ] = None,
) -> None:
    """Seal the key files of a ring under a passphrase, or change it.

    The server needs it then: write it into a file of mode 0600 (a credential of systemd, for example) and name that in
    COALITION_KEYS_PASSPHRASE_FILE. Copies and backups made before still open as they did: destroy them.
    """
    with refusals():
        set_passphrase(
            directory, _new_passphrase(new_file), old=existing_passphrase(passphrase_file), random=os.urandom
        )
    say(f"The key files in {directory} are sealed. Back the directory up again, and destroy the backups before.")


@app.command(rich_help_panel=RING, epilog="Example: python -m keys records var/keys sm4")
def records(
    directory: RingDirectory, suite: Annotated[Suite, typer.Argument(metavar="SUITE", help="aes or sm4.")]
) -> None:
    """Choose how member records are sealed from now on; records sealed before stay readable.

    aes is AES-256-GCM with HKDF-SHA512; sm4 is SM4-GCM with HMAC-SM3, where a Chinese commercial-cryptography review
    asks for it. Releases before this one do not open records of sm4. Start the server again afterwards.
    """
    with refusals():
        set_record_suite(directory, RecordSuite[suite.name])
    say(f"New records are sealed with {suite.name}. Start the server again.")


def existing_passphrase(file: Path | None) -> Passphrase:
    """From the file, or asked at the keyboard; only when the ring has one."""
    if file is not None:
        return lambda: read_passphrase(file)
    return lambda: str(typer.prompt("Passphrase of the ring", hide_input=True))


def _new_passphrase(file: Path | None) -> Passphrase:
    """Asked once, whoever needs it again."""
    if file is not None:
        chosen = read_passphrase(file)
    else:
        chosen = str(typer.prompt("New passphrase", hide_input=True, confirmation_prompt=True))
    return lambda: chosen
