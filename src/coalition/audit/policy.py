"""Whom an auditor trusts to have seen a checkpoint: C2SP tlog-policy, a file of logs, witnesses, groups and a quorum.

Comes from the reader's own disk, never from what is being judged.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from coalition.audit.errors import EvidenceMalformed
from coalition.audit.note import KeyKind, NoteKey

NONE: Final = "none"
NAMES_MAX: Final = 256
POLICY_BYTES_MAX: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Witness:
    """Somebody who cosigns checkpoints; `url` is where checkpoints are sent to, empty where nobody here sends any."""

    name: str
    key: NoteKey
    url: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses and groups of which `threshold` must have cosigned."""

    threshold: int
    members: tuple[str, ...]


@dataclass(slots=True)
class Policy:
    """Logs by origin, witnesses and groups by name, and the name that must have cosigned (none: nobody need)."""

    logs: dict[str, NoteKey] = field(default_factory=dict)
    witnesses: dict[str, Witness] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    quorum: str = ""

    @classmethod
    def parse(cls, text: str) -> "Policy":
        """Read a policy file. Raises EvidenceMalformed with the line."""
        policy = cls()
        for number, words in policy_lines(text):
            with_line(number, policy.add, words)
        if not policy.quorum:
            raise EvidenceMalformed("the policy has no quorum line; `quorum none` asks for no witness")
        return policy

    def add(self, words: list[str]) -> None:
        """Take one line in. Raises EvidenceMalformed."""
        match words:
            case ["log", key] | ["log", key, _]:
                self._add_log(NoteKey.parse(key))
            case ["witness", name, key]:
                self._add_witness(Witness(name, NoteKey.parse(key)))
            case ["witness", name, key, url]:
                self._add_witness(Witness(name, NoteKey.parse(key), url))
            case ["group", name, threshold, *members] if members:
                self._add_group(name, threshold, members)
            case ["quorum", name]:
                if self.quorum:
                    raise EvidenceMalformed("there is more than one quorum line")
                if name != NONE and name not in self._names:
                    raise EvidenceMalformed(f"{name} is no witness or group above this line")
                self.quorum = name
            case _:
                raise EvidenceMalformed(
                    "a line is `log KEY`, `witness NAME KEY`, `group NAME K MEMBERS`, `quorum NAME`"
                )

    def is_met(self, cosigners: Collection[NoteKey]) -> bool:
        """Whether these keys' cosignatures are enough."""
        return self.quorum == NONE or self._has_witnessed(self.quorum, cosigners)

    @property
    def witness_keys(self) -> list[NoteKey]:
        """The keys whose cosignatures count."""
        return [witness.key for witness in self.witnesses.values()]

    def _has_witnessed(self, name: str, cosigners: Collection[NoteKey]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return self.witnesses[name].key in cosigners
        return sum(self._has_witnessed(member, cosigners) for member in group.members) >= group.threshold

    @property
    def _names(self) -> set[str]:
        return {*self.witnesses, *self.groups}

    def _add_log(self, key: NoteKey) -> None:
        if key.kind is not KeyKind.NOTE:
            raise EvidenceMalformed(f"{key.name}: a log's key signs notes (type 01)")
        if key.name in self.logs or any(key.public_key == each.public_key for each in self.logs.values()):
            raise EvidenceMalformed(f"{key.name}: this log or its key stands here twice")
        self.logs[key.name] = key

    def _add_witness(self, witness: Witness) -> None:
        self._check_new(witness.name)
        if witness.key.kind is not KeyKind.COSIGNATURE:
            raise EvidenceMalformed(f"{witness.name}: a witness's key signs cosignatures (type 04)")
        if any(witness.key.public_key == each.key.public_key for each in self.witnesses.values()):
            raise EvidenceMalformed(f"{witness.name}: another witness has the same key")
        self.witnesses[witness.name] = witness

    def _add_group(self, name: str, threshold: str, members: list[str]) -> None:
        self._check_new(name)
        if unknown := [member for member in members if member not in self._names]:
            raise EvidenceMalformed(f"{unknown[0]} is no witness or group above this line")
        taken = [member for group in self.groups.values() for member in group.members]
        if len({*members, *taken}) != len(members) + len(taken):
            raise EvidenceMalformed("a witness or group is a member once, of one group")
        count = {"all": str(len(members)), "any": "1"}.get(threshold, threshold)
        if not (count.isascii() and count.isdigit() and 1 <= int(count[:4]) <= len(members)):
            raise EvidenceMalformed(f"a group's threshold is all, any, or 1 to {len(members)}")
        self.groups[name] = Group(int(count), tuple(members))

    def _check_new(self, name: str) -> None:
        if name == NONE or name in self._names:
            raise EvidenceMalformed(f"{name}: this name is taken")
        if len(self._names) >= NAMES_MAX:
            raise EvidenceMalformed(f"a policy has at most {NAMES_MAX} names")


def policy_lines(text: str) -> list[tuple[int, list[str]]]:
    """The lines that say something, as words, with their numbers. Raises EvidenceMalformed."""
    if len(text) > POLICY_BYTES_MAX:
        raise EvidenceMalformed(f"a policy has at most {POLICY_BYTES_MAX} characters")
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if any(character < " " and character != "\t" for character in line):
            raise EvidenceMalformed(f"line {number}: control characters")
        words = [word for word in line.replace("\t", " ").split(" ") if word]
        if words and not words[0].startswith("#"):
            found.append((number, words))
    return found


def with_line(number: int, add: Callable[[list[str]], None], words: list[str]) -> None:
    """Call `add` with the words; what it refuses is said with the line's number."""
    try:
        add(words)
    except EvidenceMalformed as error:
        raise EvidenceMalformed(f"line {number}: {error}") from None
