"""What an auditor pins before looking at anything: the log's key, its witnesses, the keys that sealed batches.

A trust file has the lines of a tlog-policy, and besides a line for each key that signs or signed batches:
`batches KEY [FIRST [LAST]]`, the batch numbers it may have signed. A key that was retired keeps its line with a LAST.
A line `terminals KEY` names an authority whose certificates terminals sign their days with: its public key, whole
(SubjectPublicKeyInfo in base64), as a certificate does not hold the key of whoever issued it.
"""

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Final

from coalition.audit.errors import EvidenceMalformed
from coalition.audit.note import KeyKind, NoteKey
from coalition.audit.policy import Policy, policy_lines, with_line

NUMBER_DIGITS_MAX: Final = 18
AUTHORITY_BYTES_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class BatchKey:
    """A key and the batches it may have signed, both ends included; `last` None: it still signs."""

    key: NoteKey
    first: int = 1
    last: int | None = None

    def may_sign(self, number: int) -> bool:
        return self.first <= number and (self.last is None or number <= self.last)


@dataclass(slots=True)
class Trust:
    """The pins of one coalition's log."""

    policy: Policy = field(default_factory=Policy)
    batch_keys: list[BatchKey] = field(default_factory=list)
    authorities: list[bytes] = field(default_factory=list)
    """Public keys (SubjectPublicKeyInfo, DER) of those who issue terminals' certificates."""

    @classmethod
    def parse(cls, text: str) -> "Trust":
        """Read a trust file. Raises EvidenceMalformed, also unless it pins one log and a key of batches."""
        trust = cls()
        for number, words in policy_lines(text):
            with_line(number, trust.add, words)
        if len(trust.policy.logs) != 1:
            raise EvidenceMalformed("a trust file pins one log, by one line `log KEY`")
        if not trust.batch_keys:
            raise EvidenceMalformed(
                "a trust file pins the keys that seal batches, by lines `batches KEY [FIRST [LAST]]`"
            )
        if not trust.policy.quorum:
            raise EvidenceMalformed("a trust file has a quorum line; `quorum none` asks for no witness")
        return trust

    def add(self, words: list[str]) -> None:
        """Take one line in. Raises EvidenceMalformed."""
        match words:
            case ["batches", key]:
                self._add_batch_key(BatchKey(NoteKey.parse(key)))
            case ["batches", key, first]:
                self._add_batch_key(BatchKey(NoteKey.parse(key), _number(first)))
            case ["batches", key, first, last]:
                self._add_batch_key(BatchKey(NoteKey.parse(key), _number(first), _number(last)))
            case ["terminals", key]:
                self._add_authority(key)
            case _:
                self.policy.add(words)

    @property
    def log(self) -> NoteKey:
        """The log's key; its name is the origin of every checkpoint."""
        (key,) = self.policy.logs.values()
        return key

    @property
    def trust_domain(self) -> str:
        """The domain of the identities that certificates name: the origin begins with it."""
        return self.log.name.partition("/")[0]

    def keys_of(self, number: int) -> list[bytes]:
        """The public keys that may have signed batch `number`."""
        return [each.key.public_key for each in self.batch_keys if each.may_sign(number)]

    def __str__(self) -> str:
        """The trust file."""
        lines = [f"log {self.log}"]
        for each in self.batch_keys:
            last = "" if each.last is None else f" {each.last}"
            lines.append(f"batches {each.key} {each.first}{last}")
        lines += [f"terminals {b64encode(each).decode()}" for each in self.authorities]
        lines += [f"witness {each.name} {each.key} {each.url}".rstrip() for each in self.policy.witnesses.values()]
        lines += [
            f"group {name} {group.threshold} {' '.join(group.members)}" for name, group in self.policy.groups.items()
        ]
        return "\n".join([*lines, f"quorum {self.policy.quorum}", ""])

    def _add_authority(self, text: str) -> None:
        try:
            key = b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not 0 < len(key) <= AUTHORITY_BYTES_MAX or key in self.authorities:
            raise EvidenceMalformed("an authority is a public key in base64, and stands here once")
        self.authorities.append(key)

    def _add_batch_key(self, key: BatchKey) -> None:
        if key.key.kind is not KeyKind.NOTE:
            raise EvidenceMalformed(f"{key.key.name}: a key of batches signs notes (type 01)")
        if key.last is not None and key.last < key.first:
            raise EvidenceMalformed(f"{key.key.name}: its last batch is before its first")
        self.batch_keys.append(key)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS_MAX):
        raise EvidenceMalformed(f"{text} is no batch number")
    return int(text)
