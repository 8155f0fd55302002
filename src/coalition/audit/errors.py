"""What evidence can be: not readable at all, or readable and false."""

from coalition.domain.errors import CoalitionError


class EvidenceMalformed(CoalitionError):
    """Bytes that are not what they are called: a note, a key, a policy, a proof. Nothing was judged."""


class EvidenceBroken(CoalitionError):
    """A proof or a signature that can be read and does not hold."""
