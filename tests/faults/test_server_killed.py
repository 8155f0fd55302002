"""kill -9 of the server during load: acknowledged is durable, an entry is whole or absent, a retry gets one answer."""

import random

import pytest

from tests.faults.books import balances, check_balances, check_books, check_notes
from tests.faults.load import Load
from tests.faults.notes import Counts
from tests.faults.site import Site
from tests.faults.trade import Trade

ROUNDS = 5
pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(300)]


def kill_server_rounds(site: Site, trade: Trade, rounds: int, seed: int) -> Counts:
    """Load, kill -9, start again, compare; the counts of all rounds."""
    draw = random.Random(seed)
    total = Counts()
    for number in range(rounds):
        before = balances(site, trade.cards)
        with Load(site, [site.owner.address], trade.cards, seed=seed * 1_000 + number) as load:
            load.wait_for_more(draw.randint(100, 600))
            site.owner.kill()
        server = site.owner
        check_books(site)
        counts = check_notes(site, server.address, load.notes)
        check_balances(site, before, load.notes)
        check_books(site)
        counts.seconds.append(server.start_seconds)
        total.add(counts)
    return total


def test_a_killed_server_lost_nothing_acknowledged_and_doubled_nothing(site: Site, trade: Trade):
    counts = kill_server_rounds(site, trade, ROUNDS, seed=1)
    print(f"kill -9 of the server, {ROUNDS} rounds: {counts}")

    assert counts.acknowledged > 50 * ROUNDS
    assert counts.committed_unheard + counts.absent > 0, "nothing was under way when the server was killed"
