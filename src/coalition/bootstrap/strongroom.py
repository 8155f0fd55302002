"""The key ring of this house and what seals with it. Holds no key material itself: `keys` does."""

import os

from coalition.audit.notary import BatchNotary
from coalition.bootstrap.clock import utc_now
from coalition.bootstrap.errors import StrongroomRefused, strongroom_errors
from coalition.config import Settings
from coalition.domain.journal import Notary
from keys import KeyRing, Passphrase, create_ring, read_passphrase


def existing_key_ring(settings: Settings) -> KeyRing:
    """The key ring, for whoever must never make one of its own. Raises StrongroomRefused."""
    directory = settings.keys_directory
    if not directory.exists():
        raise StrongroomRefused(
            f"no key ring in {directory}: run this where the server keeps its var directory, or name the ring's with "
            "COALITION_KEYS"
        )
    with strongroom_errors():
        return KeyRing.load(directory, passphrase=_passphrase(settings))


def key_ring(settings: Settings) -> KeyRing:
    """The key ring; made when the directory holds none yet, sealed where a passphrase is set.

    Raises StrongroomRefused.
    """
    directory = settings.keys_directory
    if directory.is_dir() and any(directory.iterdir()):
        return existing_key_ring(settings)
    with strongroom_errors():
        directory.parent.mkdir(parents=True, exist_ok=True)
        return create_ring(directory, random=os.urandom, create_time=utc_now(), passphrase=_passphrase(settings))


def _passphrase(settings: Settings) -> Passphrase | None:
    """How the passphrase is had, should the ring ask for it; the file is read only then."""
    file = settings.keys_passphrase_file
    return None if file is None else lambda: read_passphrase(file)


def notary(ring: KeyRing) -> Notary:
    """Seals batches with the ring's signing key."""
    return BatchNotary(ring.sign_batch)
