"""Who the client is: the three PEM files of one identity. Reads them; makes and prints nothing of them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import grpc

from coalition.client.errors import CertificateMissing

CERTIFICATE, KEY, AUTHORITY = "certificate.pem", "private.key", "authority.pem"


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """The PEM texts of an identity: its certificate, its private key, the authority it trusts in servers."""

    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)
    authority: bytes = field(repr=False)

    @classmethod
    def load(cls, directory: Path, identity: str) -> Self:
        """Read the files of `identity` such as "t/cafe/main/till-1" below `directory`.

        Raises CertificateMissing when one of them is not there or may not be read.
        """
        return cls.load_folder(certificate_folder(directory, identity))

    @classmethod
    def load_folder(cls, folder: Path) -> Self:
        """Read certificate.pem, private.key and authority.pem of `folder`. Raises CertificateMissing."""
        try:
            return cls(*((folder / name).read_bytes() for name in (CERTIFICATE, KEY, AUTHORITY)))
        except OSError as error:
            raise CertificateMissing(folder, error.strerror or "cannot be read") from None

    def credentials(self) -> grpc.ChannelCredentials:
        """What gRPC makes a channel of."""
        return grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)


def certificate_folder(directory: Path, identity: str) -> Path:
    """Where the files of an identity are, issued or not: `DIR/t/cafe/main/till-1` for "/t/cafe/main/till-1".

    Raises ValueError for a path that could leave the directory.
    """
    elements = identity.strip("/").split("/")
    if any(element in {"", ".", ".."} for element in elements):
        raise ValueError("an identity is a path such as op/admin, hq/cafe or t/cafe/main/till-1")
    return directory.joinpath(*elements)
