"""The points part of the liability report: what each debtor owes members in points today, and what they are worth.

Worth by the newest version of the programme, whatever a point was worth when it was earned: so are claims of a
hand-over. Breakage is not guessed at. Reads only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from coalition.domain.points_programme import PointsProgramme
from coalition.domain.programme import Programme
from coalition.domain.rates import Rate
from coalition.storage.liability import OutstandingPoints
from settlement.cells import write_csv
from settlement.reserve import both, figures


@dataclass(frozen=True, slots=True)
class PointsOwed:
    """Points of one programme by who owes them today; `worth_minor` is what they are worth, rounded half-even once."""

    debtor: str
    programme: str
    wallets: int
    points: int
    owed_points: int
    value: Rate
    worth_minor: int


def points_owed(found: Iterable[OutstandingPoints], programme: Programme) -> list[PointsOwed]:
    """One for each programme that any member has points of, in order of their numbers."""
    answer = []
    for row in found:
        versions = [each for each in programme.versions.values() if each.agreement_id == row.programme_id]
        newest = max(versions, key=lambda each: each.version)
        content = newest.content
        if isinstance(content, PointsProgramme):
            debtor_id = programme.standing_for(programme.participant_by_code[content.debtor].participant_id)
            worth = content.value.half_even(row.points)
            told = (row.wallets, row.points, row.owed_points, content.value, worth)
            answer.append(PointsOwed(programme.participants[debtor_id].code, newest.code, *told))
    return answer


def write_points(directory: Path, owed: Sequence[PointsOwed]) -> None:
    """points.csv in `directory`."""
    write_csv(
        directory / "points.csv",
        ("debtor", "programme", "wallets", "points", "owed_by_members", "value_minor", *both("worth")),
        (
            (
                *(row.debtor, row.programme, row.wallets, row.points, row.owed_points, str(row.value)),
                *figures(row.worth_minor),
            )
            for row in owed
        ),
    )
