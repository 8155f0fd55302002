"""Figures: one measurement as a rate with percentiles, and the median of several rounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """Operations a second, and the latency of one call (or batch) at the median and the 99th percentile."""

    name: str
    rate_per_s: float
    p50_ms: float
    p99_ms: float


def figure(name: str, operations: int, seconds: float, latencies: Sequence[float]) -> Figure:
    """From what was done in `seconds`, and each call's own latency in seconds."""
    ordered = sorted(latencies)
    return Figure(
        name,
        operations / seconds,
        1000 * ordered[len(ordered) // 2],
        1000 * ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
    )


def median_figure(rounds: Sequence[Figure]) -> Figure:
    """The median of each column over rounds of one name."""
    return Figure(
        rounds[0].name,
        median(each.rate_per_s for each in rounds),
        median(each.p50_ms for each in rounds),
        median(each.p99_ms for each in rounds),
    )
