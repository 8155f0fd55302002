"""The server's memory stays flat: resident bytes over ten minutes of steady load, judged by the second half."""

import statistics
import time
from typing import NamedTuple

import pytest

from tests.faults.books import check_books
from tests.faults.load import Load
from tests.faults.site import Site
from tests.faults.trade import Trade

MINUTES = 10
SAMPLE_SECONDS = 5.0
CARDS = 5_000
MEBIBYTE = 1024 * 1024
# Allocators keep what a peak needed; more than this in five minutes is a leak.
GROWTH_MAX_SHARE = 0.05
GROWTH_MAX_BYTES = 20 * MEBIBYTE
pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]


class Sample(NamedTuple):
    """At `seconds` after the start of the load."""

    seconds: float
    resident_bytes: int
    answered: int


def test_the_servers_memory_is_flat_over_ten_minutes_of_load(
    site: Site, trade: Trade, capsys: pytest.CaptureFixture[str]
):
    server = site.owner
    cards = trade.funded_cards(server.address, CARDS)
    samples: list[Sample] = []
    with Load(site, [server.address], cards, unary=6, batches=2, forget=True, seed=73) as load:
        started = time.monotonic()
        while (passed := time.monotonic() - started) < MINUTES * 60:
            samples.append(Sample(passed, server.resident_bytes(), load.heard))
            time.sleep(SAMPLE_SECONDS)
        samples.append(Sample(time.monotonic() - started, server.resident_bytes(), load.heard))
    assert server.is_running
    check_books(site)
    half = samples[len(samples) // 2 :]
    first, last = (statistics.median(each.resident_bytes for each in part) for part in (half[:6], half[-6:]))
    slope = statistics.linear_regression([s.seconds / 60 for s in half], [s.resident_bytes for s in half]).slope
    with capsys.disabled():
        print(f"\n{'minute':>6} {'resident MiB':>13} {'operations/s':>13}")
        for minute in range(MINUTES):
            part = [each for each in samples if minute * 60 <= each.seconds <= (minute + 1) * 60 + SAMPLE_SECONDS]
            rate = (part[-1].answered - part[0].answered) / (part[-1].seconds - part[0].seconds)
            resident = statistics.median(each.resident_bytes for each in part) / MEBIBYTE
            print(f"{minute + 1:>6} {resident:>13.1f} {rate:>13.0f}")
        print(
            f"{samples[-1].answered:,} operations; second half {slope / MEBIBYTE:+.2f} MiB a minute, "
            f"{(last - first) / MEBIBYTE:+.1f} MiB in all"
        )

    assert samples[-1].answered > 1_000 * MINUTES
    assert last - first <= GROWTH_MAX_SHARE * first + GROWTH_MAX_BYTES
