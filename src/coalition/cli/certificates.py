"""Where a command's certificate comes from: its file, or in a development house the authority that made the house."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import typer

from coalition.client import CertificateMissing, ClientCertificate, certificate_folder
from coalition.client.certificate import CERTIFICATE, KEY
from coalition.config import Settings

AUTHORITY_KEY: Final = "authority.key"
RENEW_SECONDS: Final = 30 * 86_400
"""Age at which a development certificate, which lives 90 days, is renewed when it is used."""

IDENTITIES: Final = {
    "op": "op/NAME",
    "ap": "ap/NAME",
    "hq": "hq/PARTICIPANT",
    "t": "t/PARTICIPANT/STORE/TERMINAL",
    "ts": "ts/PARTICIPANT-OR-CHAIN/NAME",
    "aud": "aud/FIRM",
    "mg": "mg/NAME",
}


def read_identity(text: str) -> str:
    """An identity as people write it, without slashes around it; what is none ends the command with exit code 2."""
    identity = text.strip("/")
    role, *names = identity.split("/")
    form = IDENTITIES.get(role, "")
    if not form or len(names) != form.count("/") or not all(names):
        raise typer.BadParameter(f"an identity is one of {', '.join(IDENTITIES.values())}; see coalition help")
    return identity


def own_certificate(settings: Settings, identity: str) -> ClientCertificate:
    """The certificate of `identity`, issued now when it is missing and the development authority is at hand.

    Raises CertificateMissing, whose message names the cure.
    """
    directory = settings.certificates_directory
    try:
        folder = certificate_folder(directory, identity)
    except ValueError as error:
        raise CertificateMissing(directory, str(error)) from None
    if (directory / AUTHORITY_KEY).exists():
        file = folder / CERTIFICATE
        if not file.exists() or time.time() - file.stat().st_mtime > RENEW_SECONDS:
            issue(settings, identity)
    elif not folder.exists():
        raise CertificateMissing(
            folder,
            "there is no development authority here to issue one. Start a development house with: coalition serve; or "
            "get the three files of this identity from the operator of the authority",
        )
    return ClientCertificate.load_folder(folder)


def day_signer_of(settings: Settings, identity: str) -> Callable[[bytes], bytes]:
    """Signs closes of a day as `identity`, by the key of its own certificate. Raises CertificateMissing."""
    own_certificate(settings, identity)
    return day_signer_in(certificate_folder(settings.certificates_directory, identity))


def day_signer_in(folder: Path) -> Callable[[bytes], bytes]:
    """The same by the key in a folder of certificate files. Raises CertificateMissing, naming the cure."""
    # Opens the strongroom: only where it is needed.
    from coalition.bootstrap.errors import HouseError
    from coalition.bootstrap.statements import day_signer

    try:
        return day_signer(folder / KEY)
    except HouseError as error:
        raise CertificateMissing(folder, str(error)) from None


def issue(settings: Settings, identity: str) -> None:
    """Issue the certificate of an identity. Raises CertificateMissing for what is no identity, or cannot be issued."""
    # Opens the strongroom: only where it is needed.
    from coalition.bootstrap.errors import HouseError
    from coalition.bootstrap.identities import certificate

    try:
        certificate(settings, identity)
    except HouseError as error:
        raise CertificateMissing(settings.certificates_directory / identity.strip("/"), str(error)) from None
