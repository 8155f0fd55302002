"""Typed fields out of the foreign JSON of an agreement; every complaint names the field and what is expected there."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from coalition.domain.errors import Refused
from coalition.domain.rates import Rate
from coalition.domain.reasons import Reason

CODE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
CHAIN_PREFIX: Final = "chain:"
# Bounds that keep a slip of the pen out of every later sum: no amount passes 10**15 fen.
MINOR_MAX: Final = 10**15
COUNT_MAX: Final = 1_000_000
# Nothing that ends outlives a century (nor the last year a date can hold).
MONTHS_MAX: Final = 1200
CUSTODIES: Final = ("ISSUER_HELD", "OPERATOR_HELD")


class Fields:
    """Reads typed fields out of foreign JSON; every complaint names the field."""

    def __init__(self, content: Mapping[str, Any], path: str = "content") -> None:
        self._content = dict(content)
        self._path = path

    def bad(self, name: str, wish: str) -> Refused:
        return Refused(Reason.AGREEMENT_INVALID, field=f"{self._path}.{name}", metadata={"expected": wish})

    def choice(self, name: str, among: tuple[str, ...]) -> str:
        """One of `among`, whose first is what an absent field means."""
        value = self._content.pop(name, among[0])
        if not isinstance(value, str) or value not in among:
            raise self.bad(name, " or ".join(among))
        return value

    def code(self, name: str, default: str | None = None, *, also: str | None = None) -> str:
        value = self._content.pop(name, default)
        if not isinstance(value, str) or not (value == also or CODE.fullmatch(value)):
            raise self.bad(name, "a code such as store-12" + (f" or {also}" if also else ""))
        return value

    def optional_code(self, name: str) -> str | None:
        return self.code(name) if self._content.get(name) is not None else self._content.pop(name, None)

    def party(self, name: str) -> str:
        value = self._content.pop(name, None)
        if not is_party(value):
            raise self.bad(name, "a participant code or chain:<code>")
        return str(value)

    def parties(self, name: str, default: list[str], *, may_be_none: bool = False) -> tuple[str, ...]:
        values = self._content.pop(name, default)
        if not isinstance(values, list) or not (values or may_be_none) or not all(is_party(value) for value in values):
            raise self.bad(name, "a list of participant codes or chain:<code>")
        return tuple(values)

    def rate(self, name: str, default: str, most: int = 1) -> Rate:
        value = self._content.pop(name, default)
        try:
            rate = Rate.parse(value) if isinstance(value, str) else None
        except ValueError:
            rate = None
        if rate is None or rate.numerator > rate.denominator * most:
            raise self.bad(name, f'a fraction such as "6/1000" from 0 to {most}')
        return rate

    def whole(self, name: str, default: int | None, most: int = MINOR_MAX) -> int | None:
        value = self._content.pop(name, default)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise self.bad(name, f"a whole number from 1 to {most}")
        return value

    def flag(self, name: str, default: bool) -> bool:  # noqa: FBT001  (a default value, not a switch)
        value = self._content.pop(name, default)
        if not isinstance(value, bool):
            raise self.bad(name, "true or false")
        return value

    def rows(self, name: str, wish: str) -> Iterator["Fields"]:
        """Each item of a list of objects, to be read and finished by the caller."""
        rows = self._content.pop(name, [])
        if not isinstance(rows, list):
            raise self.bad(name, f"a list: {wish}")
        for index, row in enumerate(rows):
            place = f"{name}[{index}]"
            if not isinstance(row, Mapping):
                raise self.bad(place, wish)
            yield Fields(row, f"{self._path}.{place}")

    def part(self, name: str, wish: str) -> "Fields | None":
        """An object within, to be read and finished by the caller; None where it is absent."""
        value = self._content.pop(name, None)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self.bad(name, wish)
        return Fields(value, f"{self._path}.{name}")

    def finish(self) -> None:
        for name in self._content:
            raise self.bad(name, "no such field")


def is_party(value: object) -> bool:
    """Whether it names a participant or a chain."""
    return isinstance(value, str) and CODE.fullmatch(value.removeprefix(CHAIN_PREFIX)) is not None
