"""What a settlement command can end with, besides being done.

SettlementError
|- NothingToDo     it was done before, or its time has not come: exit code 2
`- NeedsHuman      something must be decided or repaired first: exit code 1
   |- ProposalRefused   proposed agreements that could not be made, or of which a past month tells nothing
   |- WindowNotNetted   a window that would have to be netted is not, or there is none
   |- AmountWrong       an amount that the books do not allow
   |- PartyUnknown      a code that nobody has who could be meant
   |- ChangedMeanwhile  what was checked was not what would be written; run it again
   `- BooksDiffer       two ways to the same figures disagree; `differences` says where
"""

from collections.abc import Sequence

from coalition.domain.errors import CoalitionError

DIFFERENCES_SHOWN = 20


class SettlementError(CoalitionError):
    """The root of the errors of this room."""


class NothingToDo(SettlementError):
    """The command changed nothing because nothing was left to change; `facts` says how things stand."""

    def __init__(self, sentence: str, facts: dict[str, str | int | None] | None = None) -> None:
        super().__init__(sentence)
        self.facts = facts or {}


class NeedsHuman(SettlementError):
    """The command changed nothing; the sentence says what to do first."""


class ProposalRefused(NeedsHuman):
    """A proposal is none; the sentence names which, and what to correct."""


class WindowNotNetted(NeedsHuman):
    """Only netted windows have figures to compare with; `label` says which one is none."""

    def __init__(self, label: str, sentence: str) -> None:
        super().__init__(sentence)
        self.label = label


class AmountWrong(NeedsHuman):
    """The amount named is not one that the books allow; the sentence says which are."""


class PartyUnknown(NeedsHuman):
    """Nobody that could be meant has this code; `code` says which."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class ChangedMeanwhile(NeedsHuman):
    """Somebody else wrote while the figures were being checked; running it again is right."""


class BooksDiffer(NeedsHuman):
    """Sums that must be equal are not; nothing was written."""

    def __init__(self, what: str, differences: Sequence[str]) -> None:
        shown = [f"  {difference}" for difference in differences[:DIFFERENCES_SHOWN]]
        if len(differences) > len(shown):
            shown.append(f"  and {len(differences) - len(shown)} more")
        super().__init__("\n".join([f"{what}: {len(differences)} differences", *shown]))
        self.differences = tuple(differences)
