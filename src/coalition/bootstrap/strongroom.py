"""The key ring of this house and what seals with it. Holds no key material itself: `keys` does."""

import os
from pathlib import Path

from coalition.audit.log_signer import LogSigner
from coalition.audit.notary import BatchNotary
from coalition.audit.note import KeyKind, NoteKey
from coalition.bootstrap.clock import utc_now
from coalition.bootstrap.errors import StrongroomRefused, strongroom_errors
from coalition.config import Settings
from coalition.domain.journal import Notary
from keys import KeyPurpose, KeyRing, KeyVersion, Passphrase, create_ring, read_passphrase
from keys.ring_making import rotate_key


def existing_key_ring(settings: Settings) -> KeyRing:
    """The key ring, for whoever must never make one of its own. Raises StrongroomRefused."""
    directory = settings.keys_directory
    if not directory.exists():
        raise StrongroomRefused(
            f"no key ring in {directory}: run this where the server keeps its var directory, or name the ring's with "
            "COALITION_KEYS"
        )
    with strongroom_errors():
        return KeyRing.load(directory, passphrase=_passphrase(settings.keys_passphrase_file))


def key_ring(settings: Settings) -> KeyRing:
    """The key ring; made when the directory holds none yet. Raises StrongroomRefused."""
    return ring_in(settings.keys_directory, settings.keys_passphrase_file)


def ring_in(directory: Path, passphrase_file: Path | None = None) -> KeyRing:
    """The key ring in a directory; made when that holds none yet, sealed where there is a passphrase.

    Raises StrongroomRefused.
    """
    with strongroom_errors():
        if directory.is_dir() and any(directory.iterdir()):
            return KeyRing.load(directory, passphrase=_passphrase(passphrase_file))
        directory.parent.mkdir(parents=True, exist_ok=True)
        return create_ring(directory, random=os.urandom, create_time=utc_now(), passphrase=_passphrase(passphrase_file))


def rotated(settings: Settings, purpose: KeyPurpose, place: str) -> KeyVersion:
    """The next version of a key, made now, kept at `place`; new things are made with it. Raises StrongroomRefused."""
    with strongroom_errors():
        return rotate_key(
            settings.keys_directory,
            purpose,
            random=os.urandom,
            create_time=utc_now(),
            place=place,
            passphrase=_passphrase(settings.keys_passphrase_file),
        )


def _passphrase(file: Path | None) -> Passphrase | None:
    """How the passphrase is had, should the ring ask for it; the file is read only then."""
    return None if file is None else lambda: read_passphrase(file)


def log_signer(settings: Settings, ring: KeyRing) -> LogSigner:
    """Signs checkpoints of the audit log of this deployment, whose name is their origin (C2SP: a URL without scheme).

    The batches' key signs them: the two texts can never be taken for each other, since one begins with this name and
    the other with `coalition batch v1`.
    """
    return LogSigner(NoteKey(origin(settings, ring), KeyKind.NOTE, ring.batch_public_key()), ring.sign_batch)


def batch_key(settings: Settings, ring: KeyRing) -> NoteKey:
    """What others check the signatures of batches with."""
    return NoteKey(f"{settings.trust_domain}/{ring.deployment_id}/batches", KeyKind.NOTE, ring.batch_public_key())


def origin(settings: Settings, ring: KeyRing) -> str:
    """The name of this deployment's audit log; the last part counts its epochs."""
    return f"{settings.trust_domain}/{ring.deployment_id}/1"


def notary(ring: KeyRing) -> Notary:
    """Seals batches with the ring's signing key."""
    return BatchNotary(ring.sign_batch)
