"""How long a blind index is: long enough to find a member, too short to tell one.

With R members and L bits about C = R / 2**L of them share a value. CipherSweet's rule, 2 <= C < sqrt(R), keeps any
value from naming one member and any guess from being confirmed; within it L = round(log2 R) - 4 leaves 11 to 23
candidates to open and compare. Plan anew, by rotating the index, when the members have doubled.
"""

from math import log2
from typing import Final

BITS_DEFAULT: Final = 16
"""What rings were made with before their number of members was asked: right for a million."""
BITS_MAX: Final = 31
"""The database keeps a value as a signed integer of four bytes."""
MEMBERS_DEFAULT: Final = 1_000_000
MEMBERS_MAX: Final = 10_000_000_000


def planned_bits(members: int) -> int:
    """The bits of an index for so many members, 1 to 30. Raises ValueError for fewer than 1 or more than 10**10."""
    if not 1 <= members <= MEMBERS_MAX:
        raise ValueError(f"members must be from 1 to {MEMBERS_MAX}")
    information = log2(members)
    # Below 256 members the second term is the larger: C must stay below sqrt(R).
    bits = max(round(information) - 4, int(information / 2) + 1)
    # C is at least 2; of four members or fewer every value would name one, so they get the shortest index there is.
    return max(1, min(bits, int(information) - 1, BITS_MAX))
