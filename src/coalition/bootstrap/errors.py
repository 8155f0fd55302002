"""What bootstrap says when the house cannot be put together: each sentence names the cause and its cure."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from coalition.domain.errors import CoalitionError
from keys import KeysError

# What the command line catches: it does not know the domain.
HouseError: TypeAlias = CoalitionError


class StrongroomRefused(CoalitionError):
    """The key ring or a certificate cannot be used or made; the message is the strongroom's own."""


@contextmanager
def strongroom_errors() -> Iterator[None]:
    """Turn the errors of `keys`, which knows no room, into the house's own. Raises StrongroomRefused."""
    try:
        yield
    except KeysError as error:
        raise StrongroomRefused(str(error)) from error
