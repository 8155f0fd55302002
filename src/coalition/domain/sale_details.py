"""What a terminal tells of a sale besides its amount: the lines of its receipt, its tenders, its place offline.

Kept with the entry as canonical bytes that its leaf binds. No personal data; nothing here decides what is posted.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason

CARD: Final = "CARD"


class SaleItem(NamedTuple):
    """A line of the receipt. `quantity_thousandths` of `unit` (empty: pieces); `amount_minor` is after discounts."""

    sku: str
    category: str
    brand: str
    quantity_thousandths: int
    unit: str
    amount_minor: int


class Tender(NamedTuple):
    """One of the means it was paid with: CARD (the member's), CASH, BANK_CARD, VOUCHER or OTHER."""

    kind: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class SaleDetails:
    """`sequence_number` is the place of an upload in its terminal's queue of offline sales, 1 and up; 0 for others."""

    items: Sequence[SaleItem] = ()
    tenders: Sequence[Tender] = ()
    sequence_number: int = 0

    def canonical(self) -> bytes:
        """JSON in UTF-8 without blanks, keys sorted, lines and tenders as arrays in the order of their fields.

        What was not told is left out; of nothing the bytes are empty.
        """
        told: dict[str, Any] = {}
        if self.items:
            told["items"] = self.items
        if self.tenders:
            told["tenders"] = self.tenders
        if self.sequence_number:
            told["sequence_number"] = self.sequence_number
        if not told:
            return b""
        return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def parse(cls, canonical: bytes) -> "SaleDetails":
        """What `canonical` has written."""
        told = json.loads(canonical) if canonical else {}
        return cls(
            tuple(SaleItem(*item) for item in told.get("items", ())),
            tuple(Tender(*tender) for tender in told.get("tenders", ())),
            told.get("sequence_number", 0),
        )

    def check_sums(self, amount_minor: int) -> None:
        """Raise Refused(FIELD_INVALID) unless the tenders are those of a sale whose card part is `amount_minor`."""
        if not self.tenders:
            return
        by_card = sum(tender.amount_minor for tender in self.tenders if tender.kind == CARD)
        if by_card != amount_minor:
            raise _unequal(f"tenders of kind CARD that add up to amount_minor, {amount_minor}", by_card)
        tendered = sum(tender.amount_minor for tender in self.tenders)
        sold = sum(item.amount_minor for item in self.items)
        if self.items and sold != tendered:
            raise _unequal(f"tenders that add up to the sum of items, {sold}", tendered)


def _unequal(expected: str, found: int) -> Refused:
    return Refused(Reason.FIELD_INVALID, "tenders", {"expected": f"{expected}; they add up to {found}"})
