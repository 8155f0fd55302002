"""Sale references in use: a terminal's reference stands for one accepted sale, whatever request ids it was sent under.

Taken by a purchase, an authorization, an upload or a top-up that is accepted; free again once that was reversed, voided
or has expired, because a till that timed out reverses and then sells anew under the same reference.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from coalition.domain.errors import Refused
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason

TAKERS: Final = frozenset({Kind.TOP_UP, Kind.PURCHASE, Kind.HOLD, Kind.UPLOAD, Kind.PASS_SALE, Kind.PASS_VISIT})
"""What takes its reference. A capture may repeat that of its authorization: it is the same sale."""


class Sale(NamedTuple):
    """The merchant's reference of a sale, as the terminal says it."""

    terminal_id: int
    reference: str


class TakenSale(NamedTuple):
    """A reference with the entry that has taken it."""

    sale: Sale
    entry_id: int


@dataclass(slots=True)
class SaleReferences:
    """Those that a batch names: `found` as they were read, `held` as its commands have left them."""

    found: dict[Sale, int] = field(default_factory=dict)
    held: dict[Sale, int] = field(default_factory=dict)

    def read(self, sale: Sale, entry_id: int) -> None:
        """Put what the store holds."""
        self.found[sale] = self.held[sale] = entry_id

    def check_free(self, sale: Sale) -> None:
        """Raise Refused(SALE_REFERENCE_USED), naming the entry that has it."""
        if (entry_id := self.held.get(sale)) is not None:
            raise Refused(Reason.SALE_REFERENCE_USED, metadata={"earlier_entry_id": str(entry_id)})

    def take(self, sale: Sale, entry_id: int) -> None:
        """The entry was accepted under it."""
        self.held[sale] = entry_id

    def free(self, taken: TakenSale) -> None:
        """The entry was undone; nothing happens where another has taken the reference meanwhile."""
        if self.held.get(taken.sale) == taken.entry_id:
            del self.held[taken.sale]

    def freed(self) -> list[Sale]:
        """What the store must forget: read, and not held by the same entry any more."""
        return sorted(sale for sale, entry_id in self.found.items() if self.held.get(sale) != entry_id)

    def taken(self) -> list[TakenSale]:
        """What the store must keep anew."""
        return sorted(TakenSale(sale, entry) for sale, entry in self.held.items() if self.found.get(sale) != entry)
