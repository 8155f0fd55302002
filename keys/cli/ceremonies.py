"""`python -m keys` for one key's life: its next version, its states, and its end, which two people must want."""

import os
from pathlib import Path
from typing import Annotated

import typer

from keys import ring_states
from keys.authority import utc_now
from keys.cli.application import CEREMONIES, app, refusals, say
from keys.cli.ring import Custody, Members, PassphraseFile, Purpose, RingDirectory, existing_passphrase
from keys.file_custody import SCHEME
from keys.index_plan import MEMBERS_DEFAULT
from keys.officers import PEOPLE
from keys.ring_file import KeyPurpose
from keys.ring_making import rotate_key

RESTART = "Back the directory up again, and start the server again: it reads its ring once."
AFTER_ROTATION = {
    KeyPurpose.KEY_ENCRYPTION: "Member keys wrapped before still open; wrap them anew with: coalition keys rewrap",
    KeyPurpose.BLIND_INDEX: "Next, when every server has been started again: python -m keys set-primary blind-index",
    KeyPurpose.PIN: "PINs set before still match; each is tagged anew when it is next used.",
    KeyPurpose.PIN_SEALING: "Terminals fetch the new public key; what they seal to the old one still opens.",
    KeyPurpose.BATCH_SIGNING: "Give auditors the new public key: python -m keys export-public DIR --all",
}

Version = Annotated[
    int, typer.Argument(metavar="VERSION", min=1, help="Its number, as `python -m keys list` shows it.")
]
Authority = Annotated[
    Path,
    typer.Option(metavar="DIR", help="Directory with the authority.pem (and authority.crl) that says who is operator."),
]


@app.command(rich_help_panel=CEREMONIES, epilog="Example: python -m keys rotate key-encryption var/keys")
def rotate(
    purpose: Purpose,
    directory: RingDirectory,
    custody: Custody = SCHEME,
    members: Members = MEMBERS_DEFAULT,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make the next version of a key; new things are made with it, and the old one still opens the old ones."""
    with refusals():
        version = rotate_key(
            directory,
            purpose,
            random=os.urandom,
            create_time=utc_now(),
            place=custody,
            passphrase=existing_passphrase(passphrase_file),
            members=members,
        )
    say(f"{purpose.value} key version {version.version} made, kept at {version.uri}.")
    say(f"{AFTER_ROTATION[purpose]}\n{RESTART}")


@app.command(rich_help_panel=CEREMONIES, epilog="Example: python -m keys enable key-encryption 1 var/keys")
def enable(purpose: Purpose, version: Version, directory: RingDirectory) -> None:
    """Let a version be used again. A destruction that was scheduled is off."""
    with refusals():
        ring_states.enable(directory, purpose, version)
    say(f"{purpose.value} key version {version} is ENABLED. {RESTART}")


@app.command(rich_help_panel=CEREMONIES, epilog="Example: python -m keys disable key-encryption 1 var/keys")
def disable(purpose: Purpose, version: Version, directory: RingDirectory) -> None:
    """Take a version out of use until it is enabled again. Not the primary one: rotate first."""
    with refusals():
        ring_states.disable(directory, purpose, version)
    say(f"{purpose.value} key version {version} is DISABLED. {RESTART}")


@app.command(
    "set-primary", rich_help_panel=CEREMONIES, epilog="Example: python -m keys set-primary blind-index 2 var/keys"
)
def set_primary(purpose: Purpose, version: Version, directory: RingDirectory) -> None:
    """Make new things with another version that is ENABLED: a new blind index that every server knows by now, or back.

    After a new blind index, and when every server has been started again: coalition keys reindex
    """
    with refusals():
        ring_states.set_primary(directory, purpose, version)
    say(f"{purpose.value} key version {version} is primary. {RESTART}")


@app.command(
    "schedule-destroy",
    rich_help_panel=CEREMONIES,
    epilog="Example: python -m keys schedule-destroy key-encryption 1 var/keys --days 30",
)
def schedule_destroy(
    purpose: Purpose,
    version: Version,
    directory: RingDirectory,
    days: Annotated[
        int, typer.Option(min=0, max=ring_states.SCHEDULE_DAYS_MAX, help="Not destroyed before so many days.")
    ] = ring_states.SCHEDULE_DAYS,
) -> None:
    """Take a version out of use, to be destroyed later. What only it opens is unreadable from now on.

    A mistake shows at once and is undone by `enable`. Before a key-encryption key goes, wrap every member key anew.
    """
    with refusals():
        found = ring_states.schedule_destruction(directory, purpose, version, days=days)
    say(f"{purpose.value} key version {version} may be destroyed from {found.destroy_time:%Y-%m-%d %H:%M} UTC.")
    say(RESTART)
    say(f"On that day {PEOPLE} operators sign: python -m keys confirm-destroy {purpose.value} {version} {directory}")


@app.command(
    "confirm-destroy",
    rich_help_panel=CEREMONIES,
    epilog="Example: python -m keys confirm-destroy key-encryption 1 var/keys --authority var/authority "
    "--certificate alice/certificate.pem --private-key alice/private.key",
)
def confirm_destroy(
    purpose: Purpose,
    version: Version,
    directory: RingDirectory,
    authority: Authority,
    certificate: Annotated[Path, typer.Option(metavar="FILE", help="Your certificate, /op/NAME.")],
    private_key: Annotated[Path, typer.Option(metavar="FILE", help="Its private key, mode 0600.")],
) -> None:
    """Sign, as one of two operators, that a scheduled version may be destroyed.

    Your certificate must still be good when the key is destroyed. The signatures are kept beside the ring.
    """
    with refusals():
        people = ring_states.confirm_destruction(
            directory, purpose, version, authority=authority, certificate=certificate, private_key=private_key
        )
    say(f"Signed: {len(people)} of {PEOPLE}, {', '.join(people)}.")
    if len(people) >= PEOPLE:
        say(f"Next: python -m keys destroy {purpose.value} {version} {directory} --authority {authority}")


@app.command(
    rich_help_panel=CEREMONIES,
    epilog="Example: python -m keys destroy key-encryption 1 var/keys --authority var/authority",
)
def destroy(purpose: Purpose, version: Version, directory: RingDirectory, authority: Authority) -> None:
    """Do away with a key version for good: its day has come and two operators have signed.

    Backups of the directory and of a hardware token still hold the key: destroy them too.
    """
    with refusals():
        ring_states.destroy(directory, purpose, version, authority=authority)
    say(f"{purpose.value} key version {version} is DESTROYED. Destroy its backups too: of the directory, of the token.")
