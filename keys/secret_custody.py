"""Custodies that keep 32 secret bytes and hand them to this process when the ring is loaded."""

from abc import abstractmethod

from keys.custody import SECRET_BYTES, Custody, KeyedHash, KeyName, KeyWrapper, Opener, Signer
from keys.randomness import Random, draw
from keys.sealed_box import BoxOpener
from keys.software_keys import AesKeyWrapper, Ed25519Signer, HmacSha256


class SecretCustody(Custody):
    """What the custodies of secrets have in common: the keys are used in memory."""

    def make(self, name: KeyName, place: str, random: Random) -> str:
        return self.put(name, place, draw(random, SECRET_BYTES), random)

    def wrapper(self, name: KeyName, uri: str) -> KeyWrapper:
        return AesKeyWrapper(self.secret(name, uri))

    def keyed_hash(self, name: KeyName, uri: str) -> KeyedHash:
        return HmacSha256(self.secret(name, uri))

    def signer(self, name: KeyName, uri: str) -> Signer:
        return Ed25519Signer(self.secret(name, uri))

    def opener(self, name: KeyName, uri: str) -> Opener:
        return BoxOpener(self.secret(name, uri))

    @abstractmethod
    def put(self, name: KeyName, place: str, secret: bytes, random: Random) -> str:
        """Keep a secret under that name and answer its URI. Never overwrites."""

    @abstractmethod
    def secret(self, name: KeyName, uri: str) -> bytes:
        """The 32 bytes again, for the key objects only."""
