"""Keys inside a hardware module, behind the interfaces that keys in memory answer too; and the token that holds them.

Key wrap is CKM_AES_KEY_WRAP (RFC 3394), which every module numbers alike; with padding they do not agree.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from keys import private_files
from keys.custody import CHECK_BYTES, HASH_CHECK_MESSAGE, SECRET_BYTES, WRAP_CHECK_KEY
from keys.errors import CustodyRefused, SealBroken
from keys.pkcs11_uri import parse_pkcs11_uri

if TYPE_CHECKING:
    import pkcs11

WRAPPED_BYTES: Final = SECRET_BYTES + 8
DER_OCTET_STRING: Final = b"\x04\x20"
Done = TypeVar("Done")
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

    def __init__(self, open_session: "Callable[[], pkcs11.Session]") -> None:
        self._open_session = open_session
        self._session = open_session()
        self._keys: dict[tuple[str, pkcs11.ObjectClass], HsmKey] = {}
        self._turn = Lock()

    @contextmanager
    def at_work(self, uri: str) -> Iterator["pkcs11.Session"]:
        """Hold the token. The library's errors leave as ours, which say what to look at and hold no secret."""
        with self._turn, _module_errors(uri):
            yield self._session

    def use(self, uri: str, kind: "pkcs11.ObjectClass", work: "Callable[[pkcs11.Session, HsmKey], Done]") -> Done:
        """Do `work` with the key of that URI; once more, with a new login, where the module has dropped the session.

        A module that restarts or a token that was pulled out ends every session. Raises CustodyRefused.
        """
        with self._turn, _module_errors(uri):
            try:
                return work(self._session, self._key(uri, kind))
            except _lost():
                self._keys.clear()
                self._session = self._open_session()
                return work(self._session, self._key(uri, kind))

    def _key(self, uri: str, kind: "pkcs11.ObjectClass") -> HsmKey:
        label = parse_pkcs11_uri(uri).object or ""
        key = self._keys.get((label, kind))
        if key is None:
            key = self._keys[label, kind] = self._session.get_key(object_class=kind, label=label)
        return key


class HsmKeyWrapper:
    """A key-encryption key of the module. The data key itself passes through this process, as it does with files."""

    def __init__(self, uri: str, token: Token) -> None:
        self._uri = uri
        self._token = token

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

        def wrapped(session: "pkcs11.Session", wrapping: HsmKey) -> bytes:
            held = session.create_object(template)
            try:
                return bytes(wrapping.wrap_key(held, mechanism=Mechanism.AES_KEY_WRAP))
            finally:
                held.destroy()

        return self._token.use(self._uri, ObjectClass.SECRET_KEY, wrapped)

    def unwrap(self, wrapped: bytes) -> bytes:
        """The key again. Raises SealBroken when it was wrapped by another key or was changed."""
        from pkcs11 import ObjectClass  # noqa: PLC0415

        key = None
        if len(wrapped) == WRAPPED_BYTES:
            key = self._token.use(self._uri, ObjectClass.SECRET_KEY, lambda _, wrapping: _unwrapped(wrapping, wrapped))
        # Raised outside every handler: the error must not carry the cause that tells which check failed.
        if key is None:
            raise SealBroken
        return key

    def check(self) -> bytes:
        """The end of a wrapped constant."""
        return self.wrap(WRAP_CHECK_KEY)[-CHECK_BYTES:]


def _unwrapped(wrapping: HsmKey, wrapped: bytes) -> bytes | None:
    from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass  # noqa: PLC0415
    from pkcs11 import exceptions as refusals  # noqa: PLC0415

    template = {Attribute.TOKEN: False, Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}
    try:
        held = wrapping.unwrap_key(
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

    def __init__(self, uri: str, token: Token) -> None:
        self._uri = uri
        self._token = token

    def digest(self, message: bytes) -> bytes:
        """32 bytes."""
        from pkcs11 import Mechanism, ObjectClass  # noqa: PLC0415

        return self._token.use(
            self._uri, ObjectClass.SECRET_KEY, lambda _, key: bytes(key.sign(message, mechanism=Mechanism.SHA256_HMAC))
        )

    def check(self) -> bytes:
        """A short hash under a label no other message begins with."""
        return self.digest(HASH_CHECK_MESSAGE)[:CHECK_BYTES]


class HsmSigner:
    """Ed25519 in the module."""

    def __init__(self, uri: str, token: Token) -> None:
        from pkcs11 import Attribute, ObjectClass  # noqa: PLC0415

        self._uri = uri
        self._token = token
        point = token.use(uri, ObjectClass.PUBLIC_KEY, lambda _, key: bytes(key[Attribute.EC_POINT]))
        self._public_key = point.removeprefix(DER_OCTET_STRING)

    def sign(self, message: bytes) -> bytes:
        """64 bytes, the same for the same message."""
        from pkcs11 import Mechanism, ObjectClass  # noqa: PLC0415

        return self._token.use(
            self._uri, ObjectClass.PRIVATE_KEY, lambda _, key: bytes(key.sign(message, mechanism=Mechanism.EDDSA))
        )

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

    def open_session() -> "pkcs11.Session":
        try:
            return found.open(rw=True, user_pin=pin)
        except pkcs11.UserAlreadyLoggedIn:
            return found.open(rw=True)

    return Token(open_session)


def _lost() -> tuple[type[Exception], ...]:
    """What a module answers that knows our session, or its login, no more."""
    from pkcs11 import exceptions as refusals  # noqa: PLC0415

    return (
        refusals.DeviceError,
        refusals.DeviceRemoved,
        refusals.KeyHandleInvalid,
        refusals.ObjectHandleInvalid,
        refusals.SessionClosed,
        refusals.SessionHandleInvalid,
        refusals.TokenNotPresent,
        refusals.UserNotLoggedIn,
    )


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
