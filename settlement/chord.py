"""The left half of the picture: the bilateral claims as ribbons in a circle. Pure drawing, no figures of its own.

Each participant is an arc as long as what it owes and is owed; a ribbon touches its debtor's arc and stops short of its
creditor's. The largest are shown by name, all others together.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from math import cos, pi, sin, sqrt
from typing import Final

from settlement import svg
from settlement.multilateral import major

SHOWN: Final = 13  # arcs by name; more labels than that cannot be read around one circle
OTHERS: Final = 0  # participants are numbered from 1
OTHERS_COLOUR: Final = "#9aa5b1"
ARC_WIDTH: Final = 15
LABEL_GAP: Final = 43
GAP_SHARE: Final = 0.06  # of the circle, left free between the arcs
GAP_MAX: Final = 0.05  # radians
CREDITOR_GAP: Final = 11
POINT_WIDTH_MAX: Final = 34


@dataclass(frozen=True, slots=True)
class Circle:
    """Where it is drawn."""

    x: float
    y: float
    radius: float

    def point(self, angle: float, radius: float) -> tuple[float, float]:
        """Angle 0 is the top, growing clockwise."""
        return self.x + radius * sin(angle), self.y - radius * cos(angle)


def draw(
    x: float,
    y: float,
    radius: float,
    names: Mapping[int, str],
    pairs: Mapping[tuple[int, int], int],
    colours: Mapping[int, str],
) -> list[str]:
    """The circle around (x, y) with its labels."""
    if not pairs:
        ring = (
            f'<circle cx="{svg.number(x)}" cy="{svg.number(y)}" r="{svg.number(radius)}" fill="none" stroke="#dcd9d0" '
        )
        return [
            ring + 'stroke-width="3"/>',
            svg.text(x, y + 6, "nobody owes anybody", size=18, colour=svg.SOFT, anchor="middle"),
        ]
    circle = Circle(x, y, radius)
    flows, hidden = gathered(pairs)
    owes, owed = totals(flows)
    order = around(owes, owed)
    arcs = arcs_of(order, owes, owed)
    titles = {key: f"{hidden:,} others" if key == OTHERS else names[key] for key in order}
    shades = {key: OTHERS_COLOUR if key == OTHERS else colours[key] for key in order}
    drawn = ribbons(circle, flows, order, arcs, titles, shades)
    for key in order:
        start, end = arcs[key]
        drawn.append(arc(circle, start, end, shades[key], titles[key]))
    return [*drawn, *labels(circle, order, arcs, titles, owes, owed)]


def gathered(pairs: Mapping[tuple[int, int], int]) -> tuple[dict[tuple[int, int], int], int]:
    """The flows between the largest participants and OTHERS, and how many participants OTHERS stands for."""
    owes, owed = totals(pairs)
    ranked = sorted(owes.keys() | owed.keys(), key=lambda key: (-(owes[key] + owed[key]), key))
    shown = set(ranked if len(ranked) <= SHOWN + 1 else ranked[:SHOWN])
    flows: dict[tuple[int, int], int] = defaultdict(int)
    for (debtor, creditor), amount in pairs.items():
        flows[debtor if debtor in shown else OTHERS, creditor if creditor in shown else OTHERS] += amount
    return dict(sorted(flows.items())), len(ranked) - len(shown)


def totals(flows: Mapping[tuple[int, int], int]) -> tuple[dict[int, int], dict[int, int]]:
    """What each one owes, and what each one is owed."""
    owes: dict[int, int] = defaultdict(int)
    owed: dict[int, int] = defaultdict(int)
    for (debtor, creditor), amount in flows.items():
        owes[debtor] += amount
        owed[creditor] += amount
    return owes, owed


def around(owes: Mapping[int, int], owed: Mapping[int, int]) -> list[int]:
    """Clockwise from the top: net receivers on the right, net payers on the left, large ones near the top."""
    keys = set(owes) | set(owed)
    net = {key: owed.get(key, 0) - owes.get(key, 0) for key in keys}
    return sorted(keys, key=lambda key: (-net[key], key))


def arcs_of(order: list[int], owes: Mapping[int, int], owed: Mapping[int, int]) -> dict[int, tuple[float, float]]:
    """Start and end angle of each participant's arc."""
    total = sum(owes.values()) + sum(owed.values())
    gap = min(2 * pi * GAP_SHARE / len(order), GAP_MAX)
    free = 2 * pi - gap * len(order)
    arcs = {}
    angle = gap / 2
    for key in order:
        span = free * (owes.get(key, 0) + owed.get(key, 0)) / total
        arcs[key] = (angle, angle + span)
        angle += span + gap
    return arcs


def ribbons(
    circle: Circle,
    flows: Mapping[tuple[int, int], int],
    order: list[int],
    arcs: Mapping[int, tuple[float, float]],
    titles: Mapping[int, str],
    shades: Mapping[int, str],
) -> list[str]:
    """All flows, large ones first so that small ones lie on top."""
    place = {key: index for index, key in enumerate(order)}
    owes, owed = totals(flows)
    ends: dict[tuple[int, int, str], tuple[float, float]] = {}
    for key in order:
        # Ends along an arc follow the partners' order around the circle, so that ribbons of one arc do not cross.
        partners = sorted(order, key=lambda other: (place[other] - place[key]) % len(order), reverse=True)
        angle, stop = arcs[key]
        per_minor = (stop - angle) / (owes.get(key, 0) + owed.get(key, 0))
        for other in partners:
            for flow, side in (((key, other), "debtor"), ((other, key), "creditor")):
                width = flows.get(flow, 0) * per_minor
                ends[(*flow, side)] = (angle, angle + width)
                angle += width
    return [
        ribbon(
            circle,
            ends[debtor, creditor, "debtor"],
            ends[debtor, creditor, "creditor"],
            shades[debtor],
            f"{titles[debtor]} owes {titles[creditor]} {major(amount, grouped=True)}",
        )
        for (debtor, creditor), amount in sorted(flows.items(), key=lambda item: (-item[1], item[0]))
    ]


def ribbon(circle: Circle, source: tuple[float, float], target: tuple[float, float], colour: str, title: str) -> str:
    """From the debtor's arc through the middle to a point at the creditor's."""
    inner = circle.radius - 3
    middle = (circle.x, circle.y)
    start = circle.point(source[0], inner)
    return svg.path(
        [
            *("M", *start, *arc_to(circle, source, inner)),
            *("Q", *middle, *creditor_end(circle, target, inner)),
            *("Q", *middle, *start, "Z"),
        ],
        colour,
        opacity="0.62",
        title=title,
    )


def creditor_end(circle: Circle, target: tuple[float, float], inner: float) -> list[str | float]:
    """A point for a narrow ribbon, for a wide one an edge along the arc, which it does not touch."""
    short = inner - CREDITOR_GAP
    if (target[1] - target[0]) * inner > POINT_WIDTH_MAX:
        return [*circle.point(target[0], short), *arc_to(circle, target, short)]
    tip = circle.point((target[0] + target[1]) / 2, inner)
    return [*circle.point(target[0], short), "L", *tip, "L", *circle.point(target[1], short)]


def arc_to(circle: Circle, angles: tuple[float, float], radius: float) -> list[str | float]:
    """Clockwise along the circle to the second angle."""
    large = "1" if angles[1] - angles[0] > pi else "0"
    return ["A", radius, radius, "0", large, "1", *circle.point(angles[1], radius)]


def arc(circle: Circle, start: float, end: float, colour: str, title: str) -> str:
    """The band of one participant."""
    outer = circle.radius + ARC_WIDTH
    large = "1" if end - start > pi else "0"
    return svg.path(
        [
            *("M", *circle.point(start, circle.radius), *arc_to(circle, (start, end), circle.radius)),
            *("L", *circle.point(end, outer), "A", outer, outer, "0", large, "0", *circle.point(start, outer), "Z"),
        ],
        colour,
        title=title,
    )


def labels(
    circle: Circle,
    order: list[int],
    arcs: Mapping[int, tuple[float, float]],
    titles: Mapping[int, str],
    owes: Mapping[int, int],
    owed: Mapping[int, int],
) -> list[str]:
    """Names and amounts on both sides, pushed apart where arcs are short, with a thin line to their arc."""
    drawn = []
    for side, anchor in ((1, "start"), (-1, "end")):
        wanted = []
        for key in order:
            middle = sum(arcs[key]) / 2
            if (sin(middle) >= 0) == (side == 1):
                wanted.append((circle.point(middle, circle.radius + ARC_WIDTH + 14)[1], key, middle))
        wanted.sort()
        reach = circle.radius + 80
        heights = svg.spread([y for y, _, _ in wanted], LABEL_GAP, circle.y - reach, circle.y + reach)
        for height, (_, key, middle) in zip(heights, wanted, strict=True):
            bend = circle.point(middle, circle.radius + ARC_WIDTH + 9)
            # Never nearer to the middle than its line bends: the line would run through the words.
            x = circle.x + side * max(label_reach(circle, height), side * (bend[0] - circle.x) + 6)
            start = circle.point(middle, circle.radius + ARC_WIDTH + 2)
            drawn.append(svg.line([start, bend, (x - side * 5, height)], "#b8b2a7"))
            drawn.append(svg.text(x, height - 4, svg.shortened(titles[key], 22), size=13, anchor=anchor, bold=True))
            for below, words, total in ((9, "owes", owes), (21, "is owed", owed)):
                amount = f"{words} {major(total.get(key, 0), grouped=True)}"
                drawn.append(svg.text(x, height + below, amount, size=11, colour=svg.SOFT, anchor=anchor))
    return drawn


def label_reach(circle: Circle, height: float) -> float:
    """How far from the centre line a label starts at `height`: clear of the circle, near it at top and bottom."""
    clear = circle.radius + ARC_WIDTH + 24
    beyond = sqrt(max(0.0, clear * clear - (height - circle.y) * (height - circle.y)))
    return max(beyond, 90.0) + 6
