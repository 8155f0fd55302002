"""`awskms:KEY_ARN?wrapped=NAME`: each key is a file beside the ring file that AWS KMS encrypted.

KMS is asked once for each key when the ring is loaded, never while clearing: a call takes milliseconds, a purchase may
not. So the keys are in memory afterwards, as those of `file:` are; what KMS adds is that the directory alone opens
nothing, and that its log shows who opened what. The encryption context binds a file to its deployment, purpose and
version. Credentials are found as every AWS client finds them. Needs the package's extra `kms`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from keys import private_files
from keys.custody import SECRET_BYTES, KeyName
from keys.errors import CustodyRefused
from keys.file_custody import FROM_BACKUP
from keys.randomness import Random
from keys.secret_custody import SecretCustody

SCHEME: Final = "awskms:"
WRAPPED_SUFFIX: Final = ".wrapped"
ARN_REGION_PLACE: Final = 3
ARN_FIELDS: Final = 6


class KmsCustody(SecretCustody):
    """Key files of one directory, encrypted by AWS KMS."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._clients: dict[str, Any] = {}

    def put(self, name: KeyName, place: str, secret: bytes, random: Random) -> str:
        key, _ = self._parsed(place)
        path = self._directory / (name.stem + WRAPPED_SUFFIX)
        answer = self._ask(
            place, lambda kms: kms.encrypt(KeyId=key, Plaintext=secret, EncryptionContext=_context(name))
        )
        private_files.write_new(path, answer["CiphertextBlob"])
        return f"{SCHEME}{key}?wrapped={quote(path.name)}"

    def secret(self, name: KeyName, uri: str) -> bytes:
        key, path = self._parsed(uri)
        blob = private_files.read_private(path, FROM_BACKUP)
        # The key is named although the blob knows it: a blob of somebody else's key must not be taken.
        answer = self._ask(
            uri, lambda kms: kms.decrypt(KeyId=key, CiphertextBlob=blob, EncryptionContext=_context(name))
        )
        secret: bytes = answer["Plaintext"]
        if len(secret) != SECRET_BYTES:
            raise CustodyRefused(uri, f"holds {len(secret)} bytes, a key has {SECRET_BYTES}")
        return secret

    def destroy(self, name: KeyName, uri: str) -> None:
        """Remove the file. The key in KMS serves others too and stays."""
        self._parsed(uri)[1].unlink(missing_ok=True)
        private_files.sync_directory(self._directory)

    def _parsed(self, uri: str) -> tuple[str, Path]:
        key, _, query = uri.removeprefix(SCHEME).partition("?")
        if len(key.split(":")) != ARN_FIELDS or not key.startswith("arn:"):
            raise CustodyRefused(uri, "must be awskms: and the ARN of a symmetric key, arn:aws:kms:REGION:...:key/ID")
        return key, self._directory / unquote(query.removeprefix("wrapped="))

    def _ask(self, uri: str, request: Callable[[Any], Any]) -> Any:
        try:
            # Only an installation that uses KMS has its client.
            import boto3  # noqa: PLC0415
            from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
        except ImportError:
            raise CustodyRefused(uri, "needs a package: pip install 'coalition[kms]'") from None
        region = self._parsed(uri)[0].split(":")[ARN_REGION_PLACE]
        try:
            # Making a client takes longer than asking it.
            if region not in self._clients:
                self._clients[region] = boto3.client("kms", region_name=region)
            return request(self._clients[region])
        except ClientError as refusal:
            code = refusal.response.get("Error", {}).get("Code", "no code")
            raise CustodyRefused(uri, f"KMS answers {code}; see to the key's state, its policy and the file") from None
        except BotoCoreError as trouble:
            raise CustodyRefused(uri, f"KMS cannot be asked: {type(trouble).__name__}") from None


def _context(name: KeyName) -> dict[str, str]:
    return {
        "coalition-deployment": str(name.deployment_id),
        "coalition-purpose": name.purpose.value,
        "coalition-version": str(name.version),
    }
