"""The picture of a statement: what came in on the left, what went out on the right, the participant between them.

Pure drawing; the same figures give the same bytes.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from settlement import svg
from settlement.multilateral import major
from settlement.payments import band
from settlement.picture import COOL, GREY, WARM
from settlement.statement import Flow

WIDTH: Final = 1000
HEIGHT: Final = 400
TOP: Final = 44
SHOWN: Final = 7  # counterparties by name on each side; the others are one bar
GAP: Final = 6
BAR_WIDTH: Final = 14
LABEL_WIDTH: Final = 250
LABEL_GAP: Final = 40
HUB_WIDTH: Final = 120
OTHERS: Final = 0

Side = list[tuple[int, int]]


def draw(title: str, names: Mapping[int, str], flows: Sequence[Flow]) -> str:
    """The picture as an SVG document; `flows` are of one unit, one for each counterparty."""
    incoming = ranked([(flow.counterparty_id, flow.received_minor) for flow in flows])
    outgoing = ranked([(flow.counterparty_id, flow.sent_minor) for flow in flows])
    received, sent = (sum(amount for _, amount in side) for side in (incoming, outgoing))
    description = f"received {major(received, grouped=True)}, sent {major(sent, grouped=True)}"
    body = [
        svg.text(LABEL_WIDTH, 22, f"in {major(received, grouped=True)}", size=17, colour=COOL[0], bold=True),
        svg.text(
            WIDTH - LABEL_WIDTH,
            22,
            f"out {major(sent, grouped=True)}",
            size=17,
            colour=WARM[0],
            anchor="end",
            bold=True,
        ),
    ]
    largest = max(received, sent)
    if not largest:
        body.append(svg.text(WIDTH / 2, HEIGHT / 2, "no claims in this window", colour=svg.SOFT, anchor="middle"))
        return svg.document(WIDTH, HEIGHT, title, description, body)
    scale = (HEIGHT - TOP - 16 - GAP * SHOWN) / largest
    hub = largest * scale
    hub_y = TOP + (HEIGHT - TOP - 16 - hub) / 2
    hub_x = (WIDTH - HUB_WIDTH) / 2
    body += side(incoming, names, -1, hub_x, hub_y + (hub - received * scale) / 2, scale, COOL)
    body += side(outgoing, names, 1, hub_x, hub_y + (hub - sent * scale) / 2, scale, WARM)
    body.append(svg.rectangle(hub_x, hub_y - 4, HUB_WIDTH, hub + 8, svg.INK, radius=6))
    net = received - sent
    words = "even" if not net else "to receive" if net > 0 else "to pay"
    middle = hub_y + hub / 2
    body.append(svg.text(WIDTH / 2, middle - 4, words, size=14, colour="#cbd2d9", anchor="middle"))
    body.append(
        svg.text(
            WIDTH / 2, middle + 18, major(abs(net), grouped=True), size=17, colour="#ffffff", anchor="middle", bold=True
        )
    )
    return svg.document(WIDTH, HEIGHT, title, description, body)


def ranked(amounts: list[tuple[int, int]]) -> Side:
    """(counterparty, amount) above zero, largest first, those beyond SHOWN together as OTHERS."""
    above = sorted(((key, amount) for key, amount in amounts if amount), key=lambda row: (-row[1], row[0]))
    if len(above) <= SHOWN + 1:
        return above
    return [*above[:SHOWN], (OTHERS, sum(amount for _, amount in above[SHOWN:]))]


def side(
    rows: Side, names: Mapping[int, str], sign: int, hub_x: float, hub_y: float, scale: float, colours: Sequence[str]
) -> list[str]:
    """Bars of one side with their names, each joined to the hub by a stream as thick as its amount."""
    total = sum(amount for _, amount in rows) * scale + GAP * max(len(rows) - 1, 0)
    y = TOP + max(0.0, (HEIGHT - TOP - 16 - total) / 2)
    bar_x = LABEL_WIDTH if sign < 0 else WIDTH - LABEL_WIDTH - BAR_WIDTH
    near = bar_x + BAR_WIDTH if sign < 0 else bar_x
    far = hub_x if sign < 0 else hub_x + HUB_WIDTH
    drawn, middles = [], []
    for place, (key, amount) in enumerate(rows):
        thickness = amount * scale
        colour = GREY if key == OTHERS else colours[place % len(colours)]
        drawn.append(band(near, y, far, hub_y, thickness, colour, ""))
        drawn.append(svg.rectangle(bar_x, y, BAR_WIDTH, max(thickness, 1), colour, radius=2))
        middles.append(y + thickness / 2)
        y += thickness + GAP
        hub_y += thickness
    anchor, edge = ("end", LABEL_WIDTH - 10) if sign < 0 else ("start", WIDTH - LABEL_WIDTH + 10)
    heights = svg.spread(middles, LABEL_GAP, TOP, HEIGHT - 20)
    for (key, amount), height in zip(rows, heights, strict=True):
        name = "others" if key == OTHERS else names[key]
        drawn.append(svg.text(edge, height + 1, svg.shortened(name, 26), size=14, anchor=anchor, bold=True))
        drawn.append(svg.text(edge, height + 17, major(amount, grouped=True), size=13, colour=svg.SOFT, anchor=anchor))
    return drawn
