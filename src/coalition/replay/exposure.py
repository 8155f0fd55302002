"""Net debit caps once more, by decision 0026: what each capped participant owed all the time, and why it was declined.

What is owed is minus the sum of CLEARING and DUE. Whoever reaches the cap is stopped until it owes less than the
warning. A decline for a cap is explained if its participant was stopped then, or had been until at most `LAG` batches
before: caps are minded behind the journal.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from coalition.replay.facts import Facts
from coalition.replay.sums import CapsFacts

LAG: Final = 200
FOREVER: Final = 1 << 63
# Each account of a capped participant, batch by batch, with what the batch changed in money (points count once they are
# valued); beside it the declines.
MOVES: Final = """
SELECT number, account[1] AS kind, account[2] AS participant, sum(amount)::BIGINT
FROM (SELECT entry_id, regexp_extract_all(side, '^(CLEARING|DUE|COLLATERAL)[(](.*)[)]$', 1)
             || regexp_extract_all(side, '^(CLEARING|DUE|COLLATERAL)[(](.*)[)]$', 2) AS account, amount
      FROM (SELECT entry_id, unnest([debit, credit]) AS side, unnest([amount_minor, -amount_minor]) AS amount
            FROM transfers WHERE unit = 1))
JOIN entries USING (entry_id) WHERE len(account) = 2 AND account[2] IN ({capped})
GROUP BY ALL ORDER BY ALL
"""
DECLINES: Final = """
SELECT number, kind, participant, capped FROM entries WHERE reason = 'PARTICIPANT_CAPPED' ORDER BY number, place
"""


@dataclass(slots=True)
class Exposure:
    """What happened to a capped participant; minor units. `most` is the most it owed."""

    participant: str
    cap: int = 0
    most: int = 0
    warnings: int = 0
    stops: int = 0
    declines: int = 0
    _owed: int = field(default=0, repr=False)
    _collateral: int = field(default=0, repr=False)
    _is_warned: bool = field(default=False, repr=False)
    _stopped_until: int = field(default=-FOREVER, repr=False)  # a batch; FOREVER: it is stopped

    def move(self, caps: CapsFacts, kind: str, amount: int) -> None:
        """What a batch changed on one of its accounts; a debit is above zero."""
        if kind == "COLLATERAL":
            self._collateral -= amount
        else:
            self._owed += amount
        self.cap = caps.net_debit + (max(self._collateral, 0) if caps.with_collateral else 0)

    def judge(self, caps: CapsFacts, number: int) -> None:
        """Where it stands after a batch."""
        self.most = max(self.most, self._owed)
        mark = self.cap * caps.warning_percent // 100
        if self._owed >= self.cap and self._stopped_until != FOREVER:
            self._stopped_until = FOREVER
            self.stops += 1
        elif self._owed < mark and self._stopped_until == FOREVER:
            self._stopped_until = number
        self.warnings += self._owed >= mark and not self._is_warned
        self._is_warned = self._owed >= mark

    def declined(self, number: int) -> bool:
        """Count a decline; whether it is explained."""
        self.declines += 1
        return number <= self._stopped_until + LAG


def explain(facts: Facts) -> tuple[list[Exposure], list[str]]:
    """Every capped participant's year, and a sentence for each decline that its cap does not explain."""
    caps = {each.participant: each for each in facts.caps()}
    exposures = {participant: Exposure(participant) for participant in sorted(caps)}
    differences: list[str] = []
    moves = _moves(facts, caps)
    ahead = next(moves, None)
    for number, kind, participant, capped in facts.stream(DECLINES):
        while ahead is not None and ahead[0] < number:
            _take(exposures, caps, *ahead)
            ahead = next(moves, None)
        exposure = exposures.get(capped)
        if exposure is None or not exposure.declined(number):
            differences.append(
                f"batch {number}: a {kind} at {participant} was declined for the cap of {capped}, which was not reached"
            )
    while ahead is not None:
        _take(exposures, caps, *ahead)
        ahead = next(moves, None)
    return list(exposures.values()), differences


def _moves(facts: Facts, caps: Mapping[str, CapsFacts]) -> Iterator[tuple[int, list[tuple[str, str, int]]]]:
    """(batch, [(kind of account, participant, debit above zero)]) in journal order."""
    if not caps:
        return
    number, rows = 0, list[tuple[str, str, int]]()
    names = ", ".join(f"'{participant}'" for participant in sorted(caps))
    for batch, kind, participant, amount in facts.stream(MOVES.format(capped=names)):
        if batch != number and rows:
            yield number, rows
            rows = []
        number = batch
        rows.append((kind, participant, amount))
    if rows:
        yield number, rows


def _take(
    exposures: Mapping[str, Exposure], caps: Mapping[str, CapsFacts], number: int, rows: list[tuple[str, str, int]]
) -> None:
    for kind, participant, amount in rows:
        exposures[participant].move(caps[participant], kind, amount)
    for participant in {row[1] for row in rows}:
        exposures[participant].judge(caps[participant], number)
