"""The picture of a window: who owes whom before netting, and who pays and receives after it, on one page.

Warm colours will pay, cool ones will receive, in both halves. Pure: the same figures give the same bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from settlement import chord, payments, svg
from settlement.multilateral import major, saving_percent

WIDTH: Final = 1800
HEIGHT: Final = 1080
MARGIN: Final = 60
WARM: Final = ("#d64545", "#f0b429", "#e8825b", "#ba2525", "#de911d", "#e66a6a", "#cb6e17", "#f7c948")
COOL: Final = ("#0c6b58", "#2bb0ed", "#27ab83", "#0b69a3", "#3ebd93", "#1992d4", "#14919b", "#65d6ad")
GREY: Final = "#9aa5b1"
FIGURE_LONG: Final = 12  # characters of a figure that fit in large type
WORDS_WIDTH: Final = 280  # a part of the bar narrower than its words goes without them
SAVED_PATTERN: Final = (
    '<defs><pattern id="saved" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="8" height="8" fill="#f5e4e0"/><rect width="3" height="8" fill="#edc9c1"/></pattern></defs>'
)


@dataclass(frozen=True, slots=True)
class Month:
    """Everything the picture shows; amounts in minor units of `currency_code`, participants by number."""

    scheme: str
    label: str
    currency_code: str
    operator: str
    names: Mapping[int, str]
    pairs: Mapping[tuple[int, int], int]
    net: Mapping[int, int]
    transfer_count: int


def draw(month: Month) -> str:
    """The page as an SVG document."""
    gross = sum(month.pairs.values())
    paid = sum(amount for amount in month.net.values() if amount > 0)
    instructions = sum(1 for amount in month.net.values() if amount)
    saving = saving_percent(gross, paid)
    colours = colours_of(month)
    title = f"Settlement {month.label}: who owes whom, before and after netting"
    description = (
        f"{month.scheme}. Gross {major(gross, grouped=True)}, net {major(paid, grouped=True)} {month.currency_code}; "
        f"netting saved {saving} percent of gross."
    )
    body = [
        *header(month, gross, paid, saving),
        *saving_bar(gross, paid, saving),
        *panel_title(
            MARGIN,
            "Before netting",
            f"{month.transfer_count:,} claims; each ribbon touches its debtor and stops short of its creditor",
        ),
        *chord.draw(480, 660, 262, month.names, month.pairs, colours),
        *panel_title(
            940,
            "After netting",
            f"{instructions:,} positions, settled through {svg.shortened(month.operator, 28)}; drawn to its own scale",
        ),
        *payments.draw(940, 330, 800, 660, month.names, month.net, month.operator, colours),
        *legend(),
    ]
    return svg.document(WIDTH, HEIGHT, title, description, body)


def colours_of(month: Month) -> dict[int, str]:
    """A colour for each participant, by size of its position: warm for net payers, cool for net receivers."""
    colours: dict[int, str] = {}
    by_size = sorted(month.net, key=lambda participant: (-abs(month.net[participant]), participant))
    for palette, sign in ((WARM, -1), (COOL, 1)):
        side = [participant for participant in by_size if month.net[participant] * sign > 0]
        colours |= {participant: palette[index % len(palette)] for index, participant in enumerate(side)}
    return {participant: colours.get(participant, GREY) for participant in month.net}


def header(month: Month, gross: int, paid: int, saving: str) -> list[str]:
    """Title on the left, the three figures on the right."""
    drawn = [
        svg.text(MARGIN, 84, f"Settlement {month.label}", size=44, bold=True),
        svg.text(
            MARGIN,
            118,
            f"{svg.shortened(month.scheme, 60)} · {len(month.net):,} participants",
            size=18,
            colour=svg.SOFT,
        ),
    ]
    figures = (
        (1130, f"{major(gross, grouped=True)}", f"gross claims, {month.currency_code}", svg.INK),
        (1470, f"{major(paid, grouped=True)}", f"moves after netting, {month.currency_code}", COOL[0]),
        (1740, f"{saving} %", "of gross saved", WARM[0]),
    )
    for x, figure, caption, colour in figures:
        drawn.append(
            svg.text(
                x, 84, figure, size=36 if len(figure) <= FIGURE_LONG else 30, colour=colour, anchor="end", bold=True
            )
        )
        drawn.append(svg.text(x, 112, caption, size=16, colour=svg.SOFT, anchor="end"))
    return drawn


def saving_bar(gross: int, paid: int, saving: str) -> list[str]:
    """Gross as a full bar, what still moves as its filled part."""
    width, top, height = WIDTH - 2 * MARGIN, 150, 34
    moving = width * paid / gross if gross else 0
    drawn = [
        SAVED_PATTERN,
        svg.rectangle(MARGIN, top, width, height, "url(#saved)" if gross else "#eceae4", radius=5),
    ]
    if not gross:
        return [
            *drawn,
            svg.text(WIDTH / 2, top + 23, "no claims in this window", size=15, colour=svg.SOFT, anchor="middle"),
        ]
    drawn.append(svg.rectangle(MARGIN, top, moving, height, COOL[0], radius=5))
    if width - moving > WORDS_WIDTH:
        words = f"{saving} % never has to move"
        drawn.append(
            svg.text(
                MARGIN + moving + (width - moving) / 2, top + 23, words, size=15, colour="#7b2c1f", anchor="middle"
            )
        )
    if moving > WORDS_WIDTH / 2:
        drawn.append(svg.text(MARGIN + 14, top + 23, "still moves", size=15, colour="#ffffff"))
    return drawn


def panel_title(x: float, title: str, subtitle: str) -> list[str]:
    """Heading of one half."""
    return [
        svg.text(x, 252, title, size=26, bold=True),
        svg.text(x, 280, subtitle, size=15, colour=svg.SOFT),
    ]


def legend() -> list[str]:
    """What the two families of colours mean."""
    drawn = []
    for x, colours, meaning in ((MARGIN, WARM, "pays after netting"), (MARGIN + 270, COOL, "receives after netting")):
        drawn += [svg.rectangle(x + 18 * place, 1034, 15, 15, colours[place], radius=3) for place in range(4)]
        drawn.append(svg.text(x + 82, 1047, meaning, size=14, colour=svg.SOFT))
    drawn.append(svg.rectangle(MARGIN + 570, 1034, 15, 15, GREY, radius=3))
    drawn.append(
        svg.text(MARGIN + 594, 1047, "smaller participants together, or settled to zero", size=14, colour=svg.SOFT)
    )
    return drawn
