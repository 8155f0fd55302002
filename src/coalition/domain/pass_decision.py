"""What a decision on a pass does to the books, and what the journal and the receipt say of it."""

from dataclasses import dataclass, field

from coalition.domain.books import Books
from coalition.domain.commands import Command
from coalition.domain.decision import Decision
from coalition.domain.journal import NO_FACTS
from coalition.domain.passes import Pass, Visit

UNSOLD = Pass(0, 0, 0, 0, 0, 0, 0, 0, None, 1, 0, 0, 0)
"""Stands where a decision has no pass; none is made so."""


@dataclass(slots=True)
class PassDecision(Decision):
    """`held` is the pass, already made with all of it where `opens_pass`; the changes are what it gains or loses.

    `accepted_under` is the acceptance of a visit, (None, None) on-us; `returns_visit` the entry of one that comes back.
    The facts say what the pass has left, so that its history can be told from the journal alone: `pass`, `visits` and
    `visits_left`, and `acceptance` as "agreement/version".
    """

    held: Pass = field(default_factory=lambda: UNSOLD)
    visits_change: int = 0
    principal_change: int = 0
    accepted_under: tuple[int | None, int | None] | None = None
    returns_visit: int | None = None
    opens_pass: bool = False
    ends_pass: bool = False

    def apply(self, books: Books, command: Command, entry_id: int) -> None:
        """See Decision.apply."""
        Decision.apply(self, books, command, entry_id)
        held, book = self.held, books.passes
        if self.opens_pass:
            book.passes[held.pass_id] = held
            book.opened.add(held.pass_id)
        else:
            held.visits += self.visits_change
            held.principal += self.principal_change
            held.is_over = held.is_over or self.ends_pass
            book.moved.add(held.pass_id)
        if self.accepted_under is not None:
            taken = (-self.visits_change, -self.principal_change, *self.accepted_under)
            book.visits[entry_id] = Visit(held.lane, entry_id, held.pass_id, *taken, is_returned=False)
            book.taken.add(entry_id)
        if self.returns_visit is not None:
            book.visits[self.returns_visit] = book.visits[self.returns_visit]._replace(is_returned=True)
            book.taken.add(self.returns_visit)
        self.facts = {**(self.facts or NO_FACTS), **self._told()}

    def _told(self) -> dict[str, str]:
        told = {
            "pass": str(self.held.pass_id),
            "visits": str(abs(self.visits_change)),
            "visits_left": str(self.held.visits),
        }
        if self.held.last_day is not None:
            told["pass_last_day"] = self.held.last_day.isoformat()
        if self.accepted_under is not None and self.accepted_under[0] is not None:
            told["acceptance"] = "{}/{}".format(*self.accepted_under)
        return told
