"""Who is who over mutual TLS: certificate files, the server's own credentials, the reader of names in certificates.

Issues development certificates only, with the authority below var; says nothing about what an identity may do.
"""

from collections.abc import Sequence
from typing import Final

from coalition.bootstrap.clock import utc_now
from coalition.bootstrap.errors import strongroom_errors
from coalition.config import Settings
from coalition.server.assembly import Credentials
from coalition.server.identity import ParsePath
from keys import (
    CertificateFiles,
    SpiffeError,
    certificate_files,
    create_authority,
    issue,
    parse_spiffe,
)

CERTIFICATE_DAYS: Final = 90


def certificate(settings: Settings, path: str, *, days: int = CERTIFICATE_DAYS) -> CertificateFiles:
    """The certificate files of an identity such as "/t/cafe/main/till-1".

    With the development authority, made on first use, they are issued when missing or past half their life. Where only
    the authority's certificate lies, others issue: what is there is used as it is. Raises StrongroomRefused for what is
    no identity, and for a certificate that is missing and cannot be issued here.
    """
    directory = settings.certificates_directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    path = "/" + path.strip("/")
    half_life_seconds = days * 86_400 / 2
    with strongroom_errors():
        if not (directory / "authority.pem").exists():
            create_authority(directory, settings.trust_domain)
        files = certificate_files(directory, path[1:].split("/"))
        issuing = (directory / "authority.key").exists()
        if not files.cert.exists() or (
            issuing and utc_now().timestamp() - files.cert.stat().st_mtime > half_life_seconds
        ):
            files = issue(directory, f"spiffe://{settings.trust_domain}{path}", days=days)
    return files


def server_credentials(settings: Settings) -> Credentials:
    """The PEM files of /server; development certificates are made when missing. Raises StrongroomRefused."""
    files = certificate(settings, "/server")
    return Credentials(files.cert, files.key, files.chain)


def path_parser(trust_domain: str) -> ParsePath:
    """Reads the identity in a certificate's names."""

    def parse(names: Sequence[str]) -> tuple[str, ...]:
        try:
            return parse_spiffe(names, trust_domain)
        except SpiffeError as error:
            raise ValueError(str(error)) from None

    return parse
