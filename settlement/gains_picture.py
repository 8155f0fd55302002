"""The picture of a simulation: what each participant would have gained or lost, one bar each from the middle.

Warm bars lose, cool ones gain, as in the picture of a window. Pure: the same figures give the same bytes.
"""

from collections.abc import Sequence
from typing import Final

from coalition.domain.simulation_records import Line
from settlement import svg
from settlement.multilateral import major
from settlement.picture import COOL, GREY, MARGIN, WARM

WIDTH: Final = 1200
TOP: Final = 150
ROW: Final = 34
BAR: Final = 20
MIDDLE: Final = 700
HALF: Final = 300  # of the widest bar
NAME_COLUMNS: Final = 32
BARS_MAX: Final = 40  # the largest; the others stand together in one row


def draw(nets: Sequence[Line], windows: Sequence[str], currency_code: str) -> str:
    """The page as an SVG document, of each participant's NET over these windows."""
    moved = sorted((line for line in nets if line.difference_minor), key=lambda each: -abs(each.difference_minor))
    shown, rest = moved[:BARS_MAX], moved[BARS_MAX:]
    widest = max((abs(line.difference_minor) for line in shown), default=1)
    gained = sum(line.difference_minor for line in moved if line.difference_minor > 0)
    named = ", ".join(windows)
    title = f"Who would have gained and who would have lost: {named}"
    body = [
        svg.text(MARGIN, 64, "Who would have gained, who would have lost", size=32, bold=True),
        svg.text(
            MARGIN,
            98,
            f"{svg.shortened(named, 80)} · {major(gained, grouped=True)} {currency_code} would have moved between "
            f"{len(moved):,} of {len(nets):,}",
            size=16,
            colour=svg.SOFT,
        ),
    ]
    ordered = sorted(shown, key=lambda each: (-each.difference_minor, each.participant))
    for place, line in enumerate(ordered):
        body += row(TOP + place * ROW, line.participant, line.difference_minor, widest)
    end = TOP + len(ordered) * ROW
    if rest:
        difference = sum(line.difference_minor for line in rest)
        body.append(
            svg.text(
                MARGIN, end + 16, f"{len(rest):,} smaller ones, together {major(difference, grouped=True)}", size=14
            )
        )
        end += ROW
    if not moved:
        body.append(svg.text(MARGIN, TOP + 16, "Nobody's figures would have been others.", size=16, colour=svg.SOFT))
        end += ROW
    body.append(svg.line([(MIDDLE, TOP - 12), (MIDDLE, end)], GREY))
    description = f"Differences in {currency_code}, simulated less real; they add up to zero."
    return svg.document(WIDTH, end + MARGIN, title, description, body)


def row(top: float, name: str, difference_minor: int, widest: int) -> list[str]:
    """A name, its bar from the middle to the side it would have moved, and the amount at the bar's end."""
    width = max(1.0, HALF * abs(difference_minor) / widest)
    gains = difference_minor > 0
    left, end, anchor = (MIDDLE, MIDDLE + width + 8, "start") if gains else (MIDDLE - width, MIDDLE - width - 8, "end")
    return [
        svg.text(MARGIN, top + 16, svg.shortened(name, NAME_COLUMNS), size=15),
        svg.rectangle(left, top, width, BAR, COOL[0] if gains else WARM[0], radius=3),
        svg.text(end, top + 16, ("+" if gains else "") + major(difference_minor, grouped=True), size=14, anchor=anchor),
    ]
