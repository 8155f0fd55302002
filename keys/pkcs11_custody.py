"""`pkcs11:`: keys that are made in a hardware module and never leave it (PKCS#11; SoftHSM2 in tests).

Wrapping, hashing and signing happen inside. The one exception is the key that opens sealed boxes: HPKE needs more than
modules offer, so its secret is a file beside the ring file, wrapped by a key of the module and in memory once opened.
Needs the package's extra `hsm`.
"""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from keys import private_files
from keys.custody import SECRET_BYTES, Custody, KeyedHash, KeyName, KeyWrapper, Opener, Signer
from keys.errors import CustodyRefused, KeysError, SealBroken
from keys.file_custody import FROM_BACKUP
from keys.pkcs11_keys import HsmKeyedHash, HsmKeyWrapper, HsmSigner, token_of
from keys.pkcs11_uri import parse_pkcs11_uri
from keys.randomness import Random, draw
from keys.ring_file import KeyPurpose
from keys.sealed_box import BoxOpener

if TYPE_CHECKING:
    import pkcs11

WRAPPED_SUFFIX: Final = ".wrapped"
ED25519_OID: Final = "1.3.101.112"
KEY_BITS: Final = 8 * SECRET_BYTES


class Pkcs11Custody(Custody):
    """Keys of hardware modules; `directory` is where the ring file is."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def make(self, name: KeyName, place: str, random: Random) -> str:
        base = parse_pkcs11_uri(place)
        label = f"coalition/{name.deployment_id}/{name.stem}"
        wrapped = name.stem + WRAPPED_SUFFIX if name.purpose is KeyPurpose.PIN_SEALING else None
        uri = str(base.with_object(label, wrapped))
        secret = draw(random, SECRET_BYTES) if wrapped else b""
        with token_of(uri).at_work(uri) as session:
            if _labelled(session, label):
                raise CustodyRefused(uri, "the module has this key already; keys are never overwritten")
            _generate(session, name.purpose, label)
        if wrapped:
            try:
                private_files.write_new(self._directory / wrapped, self.wrapper(name, uri).wrap(secret))
            except BaseException:
                with suppress(OSError, KeysError):
                    self.destroy(name, str(base.with_object(label)))
                raise
        return uri

    def destroy(self, name: KeyName, uri: str) -> None:
        parsed = parse_pkcs11_uri(uri)
        with token_of(uri).at_work(uri) as session:
            for held in _labelled(session, parsed.object or ""):
                held.destroy()
        if parsed.wrapped:
            (self._directory / parsed.wrapped).unlink(missing_ok=True)
            private_files.sync_directory(self._directory)

    def wrapper(self, name: KeyName, uri: str) -> KeyWrapper:
        return HsmKeyWrapper(uri, token_of(uri))

    def keyed_hash(self, name: KeyName, uri: str) -> KeyedHash:
        return HsmKeyedHash(uri, token_of(uri))

    def signer(self, name: KeyName, uri: str) -> Signer:
        return HsmSigner(uri, token_of(uri))

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
