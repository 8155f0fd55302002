"""A statistical sample of a bundle, for two people to look at in clear: who is in it follows from log and seed.

Two methods. *Attribute sampling*: members, each as likely as any other, without replacement; for whether records are
genuine. *Monetary-unit sampling*: accepted operations, each as likely as it is large, by one random start and a fixed
interval; for whether amounts are. The population is what the log tells, in its order, so nobody can leave it out of a
draw. The seed is the auditor's, chosen after the checkpoint; anybody with the bundle and the seed draws the same.

Draws are SHA-256 over the checkpoint's root, the seed and a counter. Decides nothing and opens nothing.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterator
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final, NamedTuple

from coalition.audit.bundle import Bundle
from coalition.audit.bundle_format import CHECKPOINT
from coalition.audit.checkpoint import Checkpoint
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.told import told_by
from coalition.audit.errors import EvidenceMalformed
from coalition.audit.leaf import LeafData, Payload
from coalition.audit.note import SignedNote
from coalition.domain.kinds import FIRST_ACT, Kind

LABEL: Final = b"coalition sample v1"
SIZE_MAX: Final = 10_000
SEED_CHARACTERS_MAX: Final = 200
_RECORDS: Final = frozenset({int(Kind.MEMBER_ENROLLED), int(Kind.MEMBER_REVISED), int(Kind.CONSENT_SET)})


class Method(StrEnum):
    """How a sample is drawn."""

    ATTRIBUTE = "attribute"
    MONETARY_UNIT = "monetary-unit"


class Drawn(NamedTuple):
    """One of the sample. `entry_id` told the member's newest record, or is the operation, hit `hits` times."""

    entry_id: int
    member_id: str
    wallet_id: int
    amount_minor: int
    hits: int


class Sample(NamedTuple):
    """What was drawn, of how many (members, or minor units), from the log whose checkpoint has this root, in hex."""

    root: str
    population: int
    drawn: list[Drawn]


def draw(bundle: Bundle, method: Method, size: int, seed: str) -> Sample:
    """The sample of `size` (all, where there are no more). Raises EvidenceMalformed, also for a bad size or seed."""
    if not 1 <= size <= SIZE_MAX:
        raise EvidenceMalformed(f"the size of a sample is 1 to {SIZE_MAX}")
    if not 1 <= len(seed) <= SEED_CHARACTERS_MAX:
        raise EvidenceMalformed(f"a seed has 1 to {SEED_CHARACTERS_MAX} characters")
    root = Checkpoint.parse(SignedNote.parse(bundle.note(CHECKPOINT) or b"").text).root
    chance = Chance(root, seed)
    if method is Method.ATTRIBUTE:
        population = members(bundle)
        chosen = chance.choose(len(population), min(size, len(population)))
        return Sample(root.hex(), len(population), [population[place] for place in chosen])
    total = sum(amount for _, _, amount in operations(bundle))
    return Sample(root.hex(), total, list(hit(bundle, total, min(size, total), chance)))


class Chance:
    """Numbers that nobody could choose: they follow from a root and a seed."""

    def __init__(self, root: bytes, seed: str) -> None:
        self._prefix = b"%b\n%b\n%b\n" % (LABEL, root.hex().encode(), seed.encode("utf-8", "surrogatepass"))
        self._counter = 0

    def below(self, bound: int) -> int:
        """A number from 0 to `bound` - 1, each as likely: what would make some likelier is drawn again."""
        limit = (1 << 256) // bound * bound
        while True:
            digest = hashlib.sha256(self._prefix + str(self._counter).encode()).digest()
            self._counter += 1
            value = int.from_bytes(digest, "big")
            if value < limit:
                return value % bound

    def choose(self, count: int, size: int) -> list[int]:
        """`size` different places below `count`, in order (Floyd's way: each set as likely)."""
        chosen: set[int] = set()
        for top in range(count - size, count):
            place = self.below(top + 1)
            chosen.add(top if place in chosen else place)
        return sorted(chosen)


def members(bundle: Bundle) -> list[Drawn]:
    """Every member with a record by the log and not erased, with the entry that told its newest one; by member id."""
    found: dict[str, int] = {}
    for entry, told in acts(bundle):
        if entry.kind == Kind.MEMBER_ERASED:
            found.pop(str(told.get("member_id")), None)
        elif entry.kind == Kind.MEMBERS_IMPORTED:
            found.update(dict.fromkeys(told.get("records", {}), entry.entry_id))
        elif entry.kind in _RECORDS:
            found[str(told.get("member_id"))] = entry.entry_id
    return [Drawn(entry_id, member_id, 0, 0, 1) for member_id, entry_id in sorted(found.items())]


def operations(bundle: Bundle) -> Iterator[tuple[int, int, int]]:
    """Every accepted operation on a wallet that has an amount: entry, wallet, minor units; in the log's order."""
    for _, entry in entries(bundle):
        if entry.kind < FIRST_ACT and not entry.reason and entry.wallet_id and entry.amount_minor > 0:
            yield entry.entry_id, entry.wallet_id, entry.amount_minor


def hit(bundle: Bundle, total: int, size: int, chance: Chance) -> Iterator[Drawn]:
    """The operations that hold the minor units at a random start and every `total / size` behind it."""
    if not size:
        return
    interval = Fraction(total, size)
    start = Fraction(chance.below(total), total) * interval
    marks = [int(start + place * interval) for place in range(size)]
    passed = 0
    for entry_id, wallet_id, amount in operations(bundle):
        hits = bisect_left(marks, passed + amount) - bisect_left(marks, passed)
        passed += amount
        if hits:
            yield Drawn(entry_id, "", wallet_id, amount, hits)


def acts(bundle: Bundle) -> Iterator[tuple[Payload, dict[str, Any]]]:
    """Every accepted act that can be read, with what it tells."""
    for opened, entry in entries(bundle):
        if entry.kind >= FIRST_ACT and not entry.reason and (told := told_by(opened)) is not None:
            yield entry, told


def entries(bundle: Bundle) -> Iterator[tuple[Opened, Payload]]:
    """Every entry, in order. Raises EvidenceMalformed: such a bundle is not drawn from."""
    for place, (data, payload) in enumerate(zip(bundle.leaves(), bundle.payloads(), strict=True)):
        entry = Payload.parse(payload)
        yield Opened(bundle.start_size + place, LeafData.parse(data), entry, None), entry
