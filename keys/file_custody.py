"""`file:NAME`: keys as files beside the ring file, 0600 or refused.

In a ring without a passphrase a file is the 32 bytes themselves: for development, or where the disk is sealed. In a
ring with one it is sealed under the ring's file key (keys/passphrase.py) and bound to its deployment, purpose, version.
"""

from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys import private_files
from keys.custody import SECRET_BYTES, KeyName
from keys.errors import KeyFileBroken
from keys.labelled import labelled
from keys.randomness import Random, draw
from keys.secret_custody import SecretCustody

SCHEME: Final = "file:"
PLAIN_SUFFIX: Final = ".key"
SEALED_SUFFIX: Final = ".sealed"
NONCE_BYTES: Final = 12
SEALED_BYTES: Final = NONCE_BYTES + SECRET_BYTES + 16
FROM_BACKUP: Final = "restore it from the backup of the key directory"


class FileCustody(SecretCustody):
    """Keys as files of one directory; `file_key` (32 bytes) is the ring's, None for a ring without a passphrase."""

    def __init__(self, directory: Path, file_key: bytes | None = None) -> None:
        self._directory = directory
        self._file_key = file_key

    def put(self, name: KeyName, place: str, secret: bytes, random: Random) -> str:
        if self._file_key is None:
            path, content = self._directory / (name.stem + PLAIN_SUFFIX), secret
        else:
            path = self._directory / (name.stem + SEALED_SUFFIX)
            # The key is sealed once and its file never rewritten, so random nonces are far from meeting.
            nonce = draw(random, NONCE_BYTES)
            content = nonce + AESGCM(self._file_key).encrypt(nonce, secret, _context(name))
        private_files.write_new(path, content)
        return SCHEME + path.name

    def secret(self, name: KeyName, uri: str) -> bytes:
        path = self._path(uri)
        content = private_files.read_private(path, FROM_BACKUP)
        wanted = SECRET_BYTES if self._file_key is None else SEALED_BYTES
        if len(content) != wanted:
            kind = "a key file" if self._file_key is None else "a sealed key file"
            raise KeyFileBroken(path, f"has {len(content)} bytes, {kind} has {wanted}")
        if self._file_key is None:
            return content
        try:
            return AESGCM(self._file_key).decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], _context(name))
        except InvalidTag:
            raise KeyFileBroken(path, f"does not open as {name.stem} of this ring; {FROM_BACKUP}") from None

    def destroy(self, name: KeyName, uri: str) -> None:
        self._path(uri).unlink(missing_ok=True)
        private_files.sync_directory(self._directory)

    def _path(self, uri: str) -> Path:
        return self._directory / uri.removeprefix(SCHEME)


def _context(name: KeyName) -> bytes:
    return labelled(b"coalition key file 1", name.deployment_id.bytes, name.purpose.value, str(name.version))
