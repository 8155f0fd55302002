"""The few SVG elements the picture is drawn with. Pure text; numbers are printed the same on every machine."""

from collections.abc import Iterable
from typing import Final
from unicodedata import east_asian_width
from xml.sax.saxutils import escape, quoteattr

FONT: Final = (
    "'Noto Sans SC', 'Noto Sans', 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', 'DejaVu Sans', Helvetica, "
    "sans-serif"
)
INK: Final = "#1f2933"
SOFT: Final = "#616e7c"
PAPER: Final = "#fbfaf7"


def number(value: float) -> str:
    """A coordinate with one decimal and no negative zero."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def text(
    x: float, y: float, content: str, *, size: int = 13, colour: str = INK, anchor: str = "start", bold: bool = False
) -> str:
    """One line of text; `anchor` is start, middle or end."""
    weight = ' font-weight="700"' if bold else ""
    return (
        f'<text x="{number(x)}" y="{number(y)}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"{weight}>'
        f"{escape(content)}</text>"
    )


def rectangle(x: float, y: float, width: float, height: float, fill: str, *, radius: float = 0) -> str:
    """A filled rectangle with round corners of `radius`."""
    return (
        f'<rect x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}" '
        f'rx="{number(radius)}" fill="{fill}"/>'
    )


def path(commands: Iterable[str | float], fill: str, *, opacity: str = "1", title: str = "") -> str:
    """A filled shape; `title` is what a browser shows under the pointer."""
    drawn = " ".join(command if isinstance(command, str) else number(command) for command in commands)
    tip = f"<title>{escape(title)}</title>" if title else ""
    return f'<path d="{drawn}" fill="{fill}" fill-opacity="{opacity}">{tip}</path>'


def line(points: Iterable[tuple[float, float]], colour: str, *, width: str = "1") -> str:
    """A thin line through `points`."""
    joined = " ".join(f"{number(x)},{number(y)}" for x, y in points)
    return f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def document(width: int, height: int, title: str, description: str, body: Iterable[str]) -> str:
    """The whole file."""
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family={quoteattr(FONT)}>'
    )
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            opening,
            f"<title>{escape(title)}</title>",
            f"<desc>{escape(description)}</desc>",
            rectangle(0, 0, width, height, PAPER),
            *body,
            "</svg>",
            "",
        ]
    )


def shortened(content: str, columns: int) -> str:
    """`content` cut to so many columns, a Chinese character taking two."""
    kept, used = "", 0
    for character in content:
        used += 2 if east_asian_width(character) in "WF" else 1
        if used > columns:
            return kept[:-1] + "…"
        kept += character
    return kept


def spread(wanted: list[float], gap: float, low: float, high: float) -> list[float]:
    """Positions as near as possible to the wanted ones (ascending), at least `gap` apart, between `low` and `high`."""
    placed: list[float] = []
    for place in wanted:
        placed.append(max(place, placed[-1] + gap if placed else low))
    limit = high
    for index in range(len(placed) - 1, -1, -1):
        placed[index] = min(placed[index], limit)
        limit = placed[index] - gap
    return placed
