"""Which custody serves a key URI."""

from pathlib import Path

from keys import file_custody, kms_custody, pkcs11_custody, pkcs11_uri
from keys.custody import Custody
from keys.errors import CustodyUnknown


class Custodians:
    """Every custody of one ring; `file_key` is the ring's, None for a ring without a passphrase."""

    def __init__(self, directory: Path, file_key: bytes | None) -> None:
        self._by_scheme: dict[str, Custody] = {
            file_custody.SCHEME: file_custody.FileCustody(directory, file_key),
            pkcs11_uri.SCHEME: pkcs11_custody.Pkcs11Custody(directory),
            kms_custody.SCHEME: kms_custody.KmsCustody(directory),
        }

    def of(self, uri: str) -> Custody:
        """The custody of that URI. Raises CustodyUnknown."""
        scheme, colon, _ = uri.partition(":")
        custody = self._by_scheme.get(scheme + colon)
        if custody is None:
            raise CustodyUnknown(uri)
        return custody
