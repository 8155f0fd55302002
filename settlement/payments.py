"""The right half of the picture: net payers, the operator as paying agent, net receivers. Pure drawing."""

from collections.abc import Mapping
from typing import Final

from settlement import svg
from settlement.multilateral import major

SHOWN: Final = 10  # bars by name on each side; the others are one bar
OTHERS: Final = 0
BAR_WIDTH: Final = 20
GAP: Final = 5
LABEL_GAP: Final = 38
HUB_WIDTH: Final = 86
LABEL_WIDTH: Final = 205
SIDES: Final = ((-1, "pays", "payers", "#e3a99f"), (1, "receives", "receivers", "#93c9bb"))


def draw(
    x: float,
    y: float,
    width: float,
    height: float,
    names: Mapping[int, str],
    net: Mapping[int, int],
    operator: str,
    colours: Mapping[int, str],
) -> list[str]:
    """The payments in a box at (x, y): bars on both sides, as high as their amounts, joined to the operator's bar."""
    paid = sum(amount for amount in net.values() if amount > 0)
    hub_x = x + (width - HUB_WIDTH) / 2
    if not paid:
        return [
            svg.text(
                x + width / 2, y + height / 2, "nobody pays, nobody receives", size=18, colour=svg.SOFT, anchor="middle"
            )
        ]
    longest = SHOWN + 1
    scale = (height - GAP * (longest - 1)) / paid
    hub_height = paid * scale
    hub_y = y + (height - hub_height) / 2
    drawn: list[str] = []
    for sign, verb, plural, others_colour in SIDES:
        rows, hidden = side(net, sign)
        titles = {key: f"{hidden:,} other {plural}" if key == OTHERS else names[key] for key, _ in rows}
        shades = {key: others_colour if key == OTHERS else colours[key] for key, _ in rows}
        top = y + (height - hub_height - GAP * (len(rows) - 1)) / 2
        hub_top = hub_y
        bar_x = x + LABEL_WIDTH if sign < 0 else x + width - LABEL_WIDTH - BAR_WIDTH
        middles = []
        for key, amount in rows:
            thickness = amount * scale
            tip = f"{titles[key]} {verb} {major(amount, grouped=True)}"
            near, far = (bar_x + BAR_WIDTH, hub_x) if sign < 0 else (bar_x, hub_x + HUB_WIDTH)
            drawn.append(band(near, top, far, hub_top, thickness, shades[key], tip))
            drawn.append(svg.rectangle(bar_x, top, BAR_WIDTH, max(thickness, 1), shades[key], radius=2))
            middles.append(top + thickness / 2)
            top += thickness + GAP
            hub_top += thickness
        drawn += labels(rows, middles, titles, verb, bar_x, sign, y, height)
    drawn.append(svg.rectangle(hub_x, hub_y - 6, HUB_WIDTH, hub_height + 12, svg.INK, radius=8))
    middle_x, middle_y = hub_x + HUB_WIDTH / 2, hub_y + hub_height / 2
    drawn.append(
        f'<g transform="rotate(-90 {svg.number(middle_x)} {svg.number(middle_y)})">'
        + svg.text(
            middle_x, middle_y - 4, svg.shortened(operator, 30), size=20, colour="#ffffff", anchor="middle", bold=True
        )
        + svg.text(
            middle_x, middle_y + 20, f"in {major(paid, grouped=True)} = out", size=14, colour="#cbd2d9", anchor="middle"
        )
        + "</g>"
    )
    return drawn


def side(net: Mapping[int, int], sign: int) -> tuple[list[tuple[int, int]], int]:
    """(participant, amount) of one side, largest first, OTHERS last; and how many OTHERS stands for."""
    ranked = sorted(
        ((participant, abs(amount)) for participant, amount in net.items() if amount * sign > 0),
        key=lambda row: (-row[1], row[0]),
    )
    if len(ranked) <= SHOWN + 1:
        return ranked, 0
    hidden = ranked[SHOWN:]
    return [*ranked[:SHOWN], (OTHERS, sum(amount for _, amount in hidden))], len(hidden)


def band(near: float, top: float, far: float, far_top: float, thickness: float, colour: str, title: str) -> str:
    """A stream of constant thickness between a bar and the operator."""
    bend = (near + far) / 2
    return svg.path(
        [
            *("M", near, top, "C", bend, top, bend, far_top, far, far_top, "L", far, far_top + thickness),
            *("C", bend, far_top + thickness, bend, top + thickness, near, top + thickness, "Z"),
        ],
        colour,
        opacity="0.55",
        title=title,
    )


def labels(
    rows: list[tuple[int, int]],
    middles: list[float],
    titles: Mapping[int, str],
    verb: str,
    bar_x: float,
    sign: int,
    y: float,
    height: float,
) -> list[str]:
    """Names and amounts outside the bars, pushed apart where bars are thin."""
    anchor = "end" if sign < 0 else "start"
    edge = bar_x if sign < 0 else bar_x + BAR_WIDTH
    drawn = []
    heights = svg.spread(middles, LABEL_GAP, y, y + height)
    for (key, amount), middle, label_y in zip(rows, middles, heights, strict=True):
        drawn.append(svg.line([(edge + sign * 3, middle), (edge + sign * 16, label_y)], "#b8b2a7"))
        text_x = edge + sign * 20
        drawn.append(svg.text(text_x, label_y - 1, svg.shortened(titles[key], 24), size=13, anchor=anchor, bold=True))
        amount_text = f"{verb} {major(amount, grouped=True)}"
        drawn.append(svg.text(text_x, label_y + 14, amount_text, size=12, colour=svg.SOFT, anchor=anchor))
    return drawn
