"""`pkcs11:`: keys that are made in a hardware module and never leave it (PKCS#11; SoftHSM2 in tests).

Wrapping, hashing and signing happen inside. The one exception is the key that opens sealed boxes: HPKE needs more than
modules offer, so its secret is a file beside the ring file, wrapped by a key of the module and in memory once opened.
Key wrap is CKM_AES_KEY_WRAP (RFC 3394), which every module numbers alike; with padding they do not agree. Needs the
package's extra `hsm`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from keys import private_files
from keys.custody import (
    CHECK_BYTES,
    HASH_CHECK_MESSAGE,
    SECRET_BYTES,
    WRAP_CHECK_KEY,
    Custody,
    KeyedHash,
    KeyName,
    KeyWrapper,
    Opener,
    Signer,
)
from keys.errors import CustodyRefused, SealBroken
from keys.file_custody import FROM_BACKUP
from keys.pkcs11_uri import Pkcs11Uri, parse_pkcs11_uri
from keys.randomness import Random, draw
from keys.ring_file import KeyPurpose
from keys.sealed_box import BoxOpener

if TYPE_CHECKING:
    import pkcs11

WRAPPED_SUFFIX: Final = ".wrapped"
WRAPPED_BYTES: Final = SECRET_BYTES + 8
ED25519_OID: Final = "1.3.101.112"
DER_OCTET_STRING: Final = b"\x04\x20"
KEY_BITS: Final = 8 * SECRET_BYTES
HsmKey: TypeAlias = Any
"""A key object of the library, which composes what it can do (sign, wrap) when it is found, out of types' sight."""


class HsmKeyWrapper:
    """A key-encryption key of the module. The data key itself passes through this process, as it does with files."""

    def __init__(self, uri: str, session: "pkcs11.Session", key: HsmKey) -> None:
        self._uri = uri
        self._session = session
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
        with _module_errors(self._uri):
            held = self._session.create_object(template)
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
        with _module_errors(self._uri):
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

    def __init__(self, uri: str, key: HsmKey) -> None:
        self._uri = uri
        self._key = key

    def digest(self, message: bytes) -> bytes:
        """32 bytes."""
        from pkcs11 import Mechanism  # noqa: PLC0415

        with _module_errors(self._uri):
            return bytes(self._key.sign(message, mechanism=Mechanism.SHA256_HMAC))

    def check(self) -> bytes:
        """A short hash under a label no other message begins with."""
        return self.digest(HASH_CHECK_MESSAGE)[:CHECK_BYTES]


class HsmSigner:
    """Ed25519 in the module."""

    def __init__(self, uri: str, key: HsmKey, public_key: bytes) -> None:
        self._uri = uri
        self._key = key
        self._public_key = public_key

    def sign(self, message: bytes) -> bytes:
        """64 bytes, the same for the same message."""
        from pkcs11 import Mechanism  # noqa: PLC0415

        with _module_errors(self._uri):
            return bytes(self._key.sign(message, mechanism=Mechanism.EDDSA))

    def check(self) -> bytes:
        """The public key, 32 raw bytes."""
        return self._public_key


class Pkcs11Custody(Custody):
    """Keys of hardware modules; `directory` is where the ring file is."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def make(self, name: KeyName, place: str, random: Random) -> str:
        base = parse_pkcs11_uri(place)
        label = f"coalition/{name.deployment_id}/{name.stem}"
        wrapped = name.stem + WRAPPED_SUFFIX if name.purpose is KeyPurpose.PIN_SEALING else None
        uri = base.with_object(label, wrapped)
        with _module_errors(str(uri)):
            session = _session(uri)
            if _labelled(session, label):
                raise CustodyRefused(str(uri), "the module has this key already; keys are never overwritten")
            _generate(session, name.purpose, label)
        if wrapped:
            secret = self.wrapper(name, str(uri)).wrap(draw(random, SECRET_BYTES))
            private_files.write_new(self._directory / wrapped, secret)
        return str(uri)

    def destroy(self, name: KeyName, uri: str) -> None:
        parsed = parse_pkcs11_uri(uri)
        with _module_errors(uri):
            for held in _labelled(_session(parsed), parsed.object or ""):
                held.destroy()
        if parsed.wrapped:
            (self._directory / parsed.wrapped).unlink(missing_ok=True)
            private_files.sync_directory(self._directory)

    def wrapper(self, name: KeyName, uri: str) -> KeyWrapper:
        from pkcs11 import ObjectClass  # noqa: PLC0415

        parsed = parse_pkcs11_uri(uri)
        with _module_errors(uri):
            session = _session(parsed)
            key = session.get_key(object_class=ObjectClass.SECRET_KEY, label=parsed.object)
        return HsmKeyWrapper(uri, session, key)

    def keyed_hash(self, name: KeyName, uri: str) -> KeyedHash:
        from pkcs11 import ObjectClass  # noqa: PLC0415

        parsed = parse_pkcs11_uri(uri)
        with _module_errors(uri):
            key = _session(parsed).get_key(object_class=ObjectClass.SECRET_KEY, label=parsed.object)
        return HsmKeyedHash(uri, key)

    def signer(self, name: KeyName, uri: str) -> Signer:
        from pkcs11 import Attribute, ObjectClass  # noqa: PLC0415

        parsed = parse_pkcs11_uri(uri)
        with _module_errors(uri):
            session = _session(parsed)
            key = session.get_key(object_class=ObjectClass.PRIVATE_KEY, label=parsed.object)
            public = session.get_key(object_class=ObjectClass.PUBLIC_KEY, label=parsed.object)
            point = bytes(public[Attribute.EC_POINT])
        return HsmSigner(uri, key, point.removeprefix(DER_OCTET_STRING))

    def opener(self, name: KeyName, uri: str) -> Opener:
        wrapped = private_files.read_private(self._directory / (parse_pkcs11_uri(uri).wrapped or ""), FROM_BACKUP)
        try:
            return BoxOpener(self.wrapper(name, uri).unwrap(wrapped))
        except SealBroken:
            raise CustodyRefused(uri, f"the module's key does not open the file; {FROM_BACKUP}") from None


def _generate(session: "pkcs11.Session", purpose: KeyPurpose, label: str) -> None:
    """Make a key that signs, hashes or wraps, and does nothing else; it can never be read."""
    from pkcs11 import Attribute, KeyType, Mechanism  # noqa: PLC0415
    from pkcs11.util.ec import encode_named_curve_parameters  # noqa: PLC0415

    hidden = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
    uses = (Attribute.ENCRYPT, Attribute.DECRYPT, Attribute.WRAP, Attribute.UNWRAP, Attribute.SIGN, Attribute.VERIFY)
    alone = dict.fromkeys(uses, False)
    match purpose:
        case KeyPurpose.KEY_ENCRYPTION | KeyPurpose.PIN_SEALING:
            template = hidden | alone | {Attribute.WRAP: True, Attribute.UNWRAP: True}
            session.generate_key(KeyType.AES, KEY_BITS, label=label, store=True, template=template)
        case KeyPurpose.BLIND_INDEX | KeyPurpose.CARD_TOKEN | KeyPurpose.PIN:
            template = hidden | alone | {Attribute.SIGN: True}
            session.generate_key(
                KeyType.GENERIC_SECRET,
                KEY_BITS,
                label=label,
                store=True,
                mechanism=Mechanism.GENERIC_SECRET_KEY_GEN,
                template=template,
            )
        case KeyPurpose.BATCH_SIGNING:
            curve = {Attribute.EC_PARAMS: encode_named_curve_parameters(ED25519_OID)}
            session.create_domain_parameters(KeyType.EC_EDWARDS, curve, local=True).generate_keypair(
                mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN, label=label, store=True, private_template=hidden
            )


def _labelled(session: "pkcs11.Session", label: str) -> list["pkcs11.Object"]:
    from pkcs11 import Attribute  # noqa: PLC0415

    return list(session.get_objects({Attribute.LABEL: label}))


def _session(uri: Pkcs11Uri) -> "pkcs11.Session":
    return _opened(uri.module_path, uri.token, uri.pin_source)


@lru_cache(maxsize=16)
def _opened(module_path: str, token: str, pin_source: Path) -> "pkcs11.Session":
    """One session for each token and process: a module has few, and a login counts for the whole process."""
    import pkcs11  # noqa: PLC0415

    pin = private_files.read_private(pin_source, "write the token's user PIN into it, mode 0600").decode().strip()
    found = pkcs11.lib(module_path).get_token(token_label=token)
    try:
        return found.open(rw=True, user_pin=pin)
    except pkcs11.UserAlreadyLoggedIn:
        return found.open(rw=True)


@contextmanager
def _module_errors(uri: str) -> Iterator[None]:
    """Turn the library's errors into ours: their names say what to look at, and hold no secret."""
    try:
        import pkcs11  # noqa: PLC0415
    except ImportError:
        raise CustodyRefused(uri, "needs a package: pip install 'coalition[hsm]'") from None
    try:
        yield
    except pkcs11.PKCS11Error as trouble:
        says = CURES.get(type(trouble).__name__, "see to the module, its token and its log")
        raise CustodyRefused(uri, f"the module answers {type(trouble).__name__}; {says}") from None


CURES: Final = {
    "NoSuchToken": "the token's label is another, or the module has another configuration (SoftHSM: SOFTHSM2_CONF)",
    "PinIncorrect": "the file of pin-source holds another PIN; do not try often, a token locks itself",
    "PinLocked": "the security officer must set a new user PIN",
    "NoSuchKey": "the key was destroyed, or the token is another; restore the token's backup",
}
