"""The errors of the strongroom. Messages name files, versions and cures; never key bytes, plaintext or card numbers.

KeysError
├── SealBroken            a record or wrapped key does not open here; deliberately says no more
├── PlaintextTooLong      more bytes than one record may hold
├── KeyUnavailable        the key version exists but may not be used (DISABLED, DESTROYED...), or is unknown
├── KeyMissing            the ring is older than this purpose and has no key for it
├── KeyChangeRefused      a key version cannot be made, or cannot go to that state; says what comes first
├── BoxKeyBroken          what was given as the key of a sealed box is none
├── CertificateBroken     what was given as a certificate is none, or has a key of another kind
├── StatementForged       a signature that the certificate's key did not make over these bytes
├── CustodyUnknown        a key URI whose scheme this build does not serve
├── CustodyRefused        the hardware module or cloud service does not do what was asked; says what to check
├── KeyDirectoryError     something about a file or directory that holds keys
│   ├── PermissionsTooOpen
│   ├── KeyFileMissing
│   ├── KeyFileBroken
│   ├── KeyFileExists
│   ├── PassphraseMissing
│   ├── PassphraseWrong
│   └── RingBroken
├── PassphraseWeak        too short to stand alone between a thief and the keys
├── AuthorityError        a certificate that this authority must not issue
└── SpiffeError           an identity that is not one of ours
    ├── SpiffeCountWrong
    ├── SpiffeTooLong
    ├── SpiffeMalformed
    └── SpiffeTrustDomainWrong
"""

from pathlib import Path


class KeysError(Exception):
    """Base of every error this room raises on purpose."""


class SealBroken(KeysError):
    """The bytes do not open for this member, record, revision and field group.

    It never says which check failed, so that nobody can learn by asking. Count it and raise an alarm.
    """

    def __init__(self) -> None:
        super().__init__("the sealed bytes do not open")


class PlaintextTooLong(KeysError):
    """One record may not hold that much. Split it, or refuse the input at the door."""

    def __init__(self, size_bytes: int, size_bytes_max: int) -> None:
        self.size_bytes = size_bytes
        self.size_bytes_max = size_bytes_max
        super().__init__(f"plaintext has {size_bytes} bytes, a sealed record holds at most {size_bytes_max}")


class KeyUnavailable(KeysError):
    """The key version is not ENABLED, or the ring does not know it."""

    def __init__(self, purpose: str, version: int, state: str) -> None:
        self.purpose = purpose
        self.version = version
        self.state = state
        super().__init__(f"{purpose} key version {version} is {state}; only an ENABLED version may be used")


class KeyMissing(KeysError):
    """The ring was made by a release that did not know this purpose. The message holds the command that adds it."""

    def __init__(self, purpose: str, directory: Path) -> None:
        self.purpose = purpose
        super().__init__(f"the key ring has no {purpose} key; make it with: python -m keys add {purpose} {directory}")


class KeyChangeRefused(KeysError):
    """The ceremony asks for a change that is not possible, or not yet. Nothing was changed."""

    def __init__(self, purpose: str, version: int, sentence: str) -> None:
        self.purpose = purpose
        self.version = version
        super().__init__(f"{purpose} key version {version}: {sentence}")


class BoxKeyBroken(KeysError):
    """Not the 32 bytes of an X25519 key, or a public key with which every secret would be zero."""

    def __init__(self) -> None:
        super().__init__("the key of a sealed box must be 32 bytes, as generate_box_key makes them")


class CertificateBroken(KeysError):
    """The bytes are no certificate, or its key is of a kind this house does not use. The message says which."""

    def __init__(self, sentence: str) -> None:
        super().__init__(f"certificate {sentence}")


class StatementForged(KeysError):
    """The signature is not by this certificate's key over these bytes as this kind of statement."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(f"the signature under this {kind} statement was not made with the certificate's key")


class CustodyUnknown(KeysError):
    """A key URI names a custody this build does not serve."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        super().__init__(f"key URI {uri!r}: unknown custody; this build serves file:, pkcs11: and awskms:")


class CustodyRefused(KeysError):
    """The custody of a key does not answer, does not let us in, or does not have the key. The message says which."""

    def __init__(self, uri: str, sentence: str) -> None:
        self.uri = uri
        super().__init__(f"key URI {uri!r}: {sentence}")


class KeyDirectoryError(KeysError):
    """Trouble with a file or directory that holds keys; `path` says which one."""

    def __init__(self, path: Path, sentence: str) -> None:
        self.path = path
        super().__init__(f"{path}: {sentence}")


class PermissionsTooOpen(KeyDirectoryError):
    """Somebody other than the owner could read or change it. The message holds the command that cures it."""

    def __init__(self, path: Path, mode: int, mode_wanted: int) -> None:
        self.mode = mode
        super().__init__(path, f"mode is {mode:04o}, so others can reach keys; run: chmod {mode_wanted:o} {path}")


class KeyFileMissing(KeyDirectoryError):
    """A file or directory the ring or the authority needs is not there."""

    def __init__(self, path: Path, cure: str) -> None:
        super().__init__(path, f"does not exist; {cure}")


class KeyFileBroken(KeyDirectoryError):
    """The file is there but is not what the ring file or the authority recorded."""


class KeyFileExists(KeyDirectoryError):
    """Making new keys here would overwrite old ones, and what they sealed would be lost. Nothing was changed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "already exists; keys are never overwritten: choose another directory, or move it away")


class PassphraseMissing(KeyDirectoryError):
    """The ring is sealed by a passphrase and none was given, or the file that should hold it is empty."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            "the passphrase is missing; give the file that holds it with --passphrase-file (python -m keys) or "
            "COALITION_KEYS_PASSPHRASE_FILE (coalition, settlement)",
        )


class PassphraseWrong(KeyDirectoryError):
    """The passphrase does not open this ring, or the ring file was changed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "the passphrase does not open this ring")


class PassphraseWeak(KeysError):
    """The passphrase is too short."""

    def __init__(self, characters_min: int) -> None:
        super().__init__(f"a passphrase has at least {characters_min} characters: take five words or more")


class RingBroken(KeyDirectoryError):
    """The ring file is not a valid ring; the message names the field."""


class AuthorityError(KeysError):
    """The authority refuses to issue what was asked; the message names the argument and the cure."""


class SpiffeError(KeysError):
    """The identity is not acceptable: answer as to an unknown caller."""


class SpiffeCountWrong(SpiffeError):
    """A certificate must carry exactly one URI."""

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(f"a certificate must carry exactly one URI name, this one has {count}")


class SpiffeTooLong(SpiffeError):
    """The id is longer than this house accepts."""

    def __init__(self, size_bytes: int, size_bytes_max: int) -> None:
        super().__init__(f"SPIFFE id has {size_bytes} bytes, at most {size_bytes_max} are accepted")


class SpiffeMalformed(SpiffeError):
    """Bad characters, an empty element, or a path of no known role."""


class SpiffeTrustDomainWrong(SpiffeError):
    """A well-formed id of somebody else's trust domain."""

    def __init__(self, trust_domain: str) -> None:
        super().__init__(f"SPIFFE id is not of trust domain {trust_domain!r}")
