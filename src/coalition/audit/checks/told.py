"""What the acts of the log tell of things that change, and what the tables may say of them.

Tables are read while the house works: a row may be as it was at the batch `since`, or as any later act made it. What a
bundle cannot hold (it starts late, or ends before the tables were read) is never a breach.
"""

import json
from collections import defaultdict
from collections.abc import Hashable, Iterator
from typing import Any, Generic, TypeVar

from coalition.audit.bundle import Bundle
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Check
from coalition.domain.ids import number_of

Value = TypeVar("Value")


def told_by(opened: Opened) -> dict[str, Any] | None:
    """What an act's answer tells; None where it cannot be read."""
    try:
        told = json.loads(opened.entry.answer)["answer"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


class Tables:
    """How much of the tables' past and future a bundle's entries cover."""

    def __init__(self, bundle: Bundle) -> None:
        self.since, self.until = bundle.state_numbers or (0, 0)
        self.are_there = bundle.state_numbers is not None
        self._from_the_first = bundle.start_size == 0
        self._to_the_last = bundle.last_number >= self.until

    def stray(self, check: Check, sentence: str) -> None:
        """A row that no entry of the bundle tells of: a breach, unless the entry may lie outside."""
        if self._from_the_first and self._to_the_last:
            check.breach(sentence)
        else:
            check.lacks(f"{sentence}, or one outside the bundle does")

    def differs(self, check: Check, sentence: str) -> None:
        """A row is not as the bundle's entries leave it: a breach, unless later entries may have made it so."""
        if self._to_the_last:
            check.breach(sentence)
        else:
            check.lacks(f"{sentence}, unless by an entry behind the bundle's end")


class Latest(Generic[Value]):
    """The last value of each of many things at the batch `since`, and every value told later."""

    def __init__(self, since: int) -> None:
        self._since = since
        self._at: dict[Any, Value] = {}
        self._later: dict[Any, list[Value]] = {}

    def tell(self, key: Hashable, value: Value, opened: Opened) -> None:
        """An entry tells the thing's value from now on."""
        if number_of(opened.entry.entry_id) <= self._since:
            self._at[key] = value
        else:
            self._later.setdefault(key, []).append(value)

    def last(self, key: Hashable) -> Value | None:
        """What was told of the thing last."""
        return self._later[key][-1] if key in self._later else self._at.get(key)

    def possible(self, key: Hashable) -> list[Value]:
        """What the tables may say of the thing; nothing where no entry tells of it."""
        return [*([self._at[key]] if key in self._at else []), *self._later.get(key, ())]

    def due(self) -> Iterator[Any]:
        """The things that tables must have: told by then, and nothing of them later."""
        return (key for key in self._at if key not in self._later)


class ToldStates:
    """Values of things by key, each with the batch that told it."""

    def __init__(self) -> None:
        self._told: dict[Hashable, list[tuple[int, Any]]] = defaultdict(list)

    def tell(self, key: Hashable, value: Any, opened: Opened) -> None:
        """An entry tells the thing's value from now on."""
        self._told[key].append((number_of(opened.entry.entry_id), value))

    def knows(self, key: Hashable) -> bool:
        return key in self._told

    def values(self, key: Hashable) -> list[Any]:
        """Every value that was told, in order."""
        return [value for _, value in self._told.get(key, ())]

    def admits(self, key: Hashable, value: Any, since: int) -> bool:
        """Whether the thing may have this value in tables that are as new as batch `since`, or newer."""
        told = self._told[key]
        later = [each for number, each in told if number > since]
        before = [each for number, each in told if number <= since]
        return value in later or (bool(before) and before[-1] == value)

    def keys_since(self, since: int) -> set[Any]:
        """What the tables must have: told by then."""
        return {key for key, told in self._told.items() if told[0][0] <= since}
