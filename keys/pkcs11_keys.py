"""Keys inside a hardware module, behind the interfaces that keys in memory answer too; and the token that holds them.

Key wrap is CKM_AES_KEY_WRAP (RFC 3394), which every module numbers alike; with padding they do not agree.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from keys import private_files
from keys.custody import CHECK_BYTES, HASH_CHECK_MESSAGE, SECRET_BYTES, WRAP_CHECK_KEY
from keys.errors import CustodyRefused, SealBroken
from keys.pkcs11_uri import parse_pkcs11_uri

if TYPE_CHECKING:
    import pkcs11

WRAPPED_BYTES: Final = SECRET_BYTES + 8
HsmKey: TypeAlias = Any
"""A key object of the library, which composes what it can do (sign, wrap) when it is found, out of types' sight."""
CURES: Final = {
    "NoSuchToken": "the token's label is another, or the module has another configuration (SoftHSM: SOFTHSM2_CONF)",
    "PinIncorrect": "the file of pin-source holds another PIN; do not try often, a token locks itself",
    "PinLocked": "the security officer must set a new user PIN",
    "NoSuchKey": "the key was destroyed, or the token is another; restore the token's backup",
}


class Token:
    """A login to a token, and its turn: one operation at a time, as modules get lost when several threads ask."""

    def __init__(self, session: "pkcs11.Session") -> None:
        self._session = session
        self._turn = Lock()

    @contextmanager
    def at_work(self, uri: str) -> Iterator["pkcs11.Session"]:
        """Hold the token. The library's errors leave as ours, which say what to look at and hold no secret."""
        with self._turn, _module_errors(uri):
            yield self._session


class HsmKeyWrapper:
    """A key-encryption key of the module. The data key itself passes through this process, as it does with files."""

    def __init__(self, uri: str, token: Token, key: HsmKey) -> None:
        self._uri = uri
        self._token = token
        self._key = key

    def wrap(self, key: bytes) -> bytes:
        """The key (32 bytes), encrypted, 40 bytes."""
        from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass  # noqa: PLC0415

        template = {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.VALUE: key,
            Attribute.TOKEN: False,
            Attribute.SENSITIVE: False,
            Attribute.EXTRACTABLE: True,
        }
        with self._token.at_work(self._uri) as session:
            held = session.create_object(template)
            try:
                return bytes(self._key.wrap_key(held, mechanism=Mechanism.AES_KEY_WRAP))
            finally:
                held.destroy()

    def unwrap(self, wrapped: bytes) -> bytes:
        """The key again. Raises SealBroken when it was wrapped by another key or was changed."""
        key = self._unwrapped(wrapped) if len(wrapped) == WRAPPED_BYTES else None
        # Raised outside every handler: the error must not carry the cause that tells which check failed.
        if key is None:
            raise SealBroken
        return key

    def check(self) -> bytes:
        """The end of a wrapped constant."""
        return self.wrap(WRAP_CHECK_KEY)[-CHECK_BYTES:]

    def _unwrapped(self, wrapped: bytes) -> bytes | None:
        from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass  # noqa: PLC0415
        from pkcs11 import exceptions as refusals  # noqa: PLC0415

        template = {Attribute.TOKEN: False, Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}
        with self._token.at_work(self._uri):
            try:
                held = self._key.unwrap_key(
                    ObjectClass.SECRET_KEY, KeyType.AES, wrapped, mechanism=Mechanism.AES_KEY_WRAP, template=template
                )
            # Modules have several names for bytes that do not unwrap; SoftHSM says GeneralError.
            except (
                refusals.WrappedKeyInvalid,
                refusals.WrappedKeyLenRange,
                refusals.EncryptedDataInvalid,
                refusals.EncryptedDataLenRange,
                refusals.FunctionFailed,
                refusals.GeneralError,
            ):
                return None
            try:
                return bytes(held[Attribute.VALUE])
            finally:
                held.destroy()


class HsmKeyedHash:
    """HMAC-SHA-256 in the module."""

    def __init__(self, uri: str, token: Token, key: HsmKey) -> None:
        self._uri = uri
        self._token = token
        self._key = key

    def digest(self, message: bytes) -> bytes:
        """32 bytes."""
        from pkcs11 import Mechanism  # noqa: PLC0415

        with self._token.at_work(self._uri):
            return bytes(self._key.sign(message, mechanism=Mechanism.SHA256_HMAC))

    def check(self) -> bytes:
        """A short hash under a label no other message begins with."""
        return self.digest(HASH_CHECK_MESSAGE)[:CHECK_BYTES]


class HsmSigner:
    """Ed25519 in the module."""

    def __init__(self, uri: str, token: Token, key: HsmKey, public_key: bytes) -> None:
        self._uri = uri
        self._token = token
        self._key = key
        self._public_key = public_key

    def sign(self, message: bytes) -> bytes:
        """64 bytes, the same for the same message."""
        from pkcs11 import Mechanism  # noqa: PLC0415

        with self._token.at_work(self._uri):
            return bytes(self._key.sign(message, mechanism=Mechanism.EDDSA))

    def check(self) -> bytes:
        """The public key, 32 raw bytes."""
        return self._public_key


def token_of(uri: str) -> Token:
    """The token a URI names, logged in to. Raises CustodyRefused, and the errors of the PIN's file."""
    parsed = parse_pkcs11_uri(uri)
    with _module_errors(uri):
        return _opened(parsed.module_path, parsed.token, parsed.pin_source)


@lru_cache(maxsize=16)
def _opened(module_path: str, token: str, pin_source: Path) -> Token:
    """One session for each token and process: a module has few, and a login counts for the whole process."""
    import pkcs11  # noqa: PLC0415

    pin = private_files.read_private(pin_source, "write the token's user PIN into it, mode 0600").decode().strip()
    found = pkcs11.lib(module_path).get_token(token_label=token)
    try:
        return Token(found.open(rw=True, user_pin=pin))
    except pkcs11.UserAlreadyLoggedIn:
        return Token(found.open(rw=True))


@contextmanager
def _module_errors(uri: str) -> Iterator[None]:
    try:
        import pkcs11  # noqa: PLC0415
    except ImportError:
        raise CustodyRefused(uri, "needs a package: pip install 'coalition[hsm]'") from None
    try:
        yield
    except pkcs11.PKCS11Error as trouble:
        says = CURES.get(type(trouble).__name__, "see to the module, its token and its log")
        raise CustodyRefused(uri, f"the module answers {type(trouble).__name__}; {says}") from None
