"""kill -9 of a till at every step of a sale, and of the server during sales, against the real service.

After the next start nothing is unsettled: a sale is paid once and known to be, or not paid and undone.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from coalition.bootstrap.statements import day_signer
from coalition.client import (
    Declined,
    NotDone,
    OutcomeUnknown,
    State,
    Terminal,
    TryRules,
)
from coalition.client.outbox_rows import OPEN_STATES
from tests.client import crashing_till
from tests.client.proxy import Proxy
from tests.faults.site import Site, new_site, wait_until
from tests.faults.trade import Trade, lay_trade

CAFE = "t/cafe/main/till-1"
PATIENT = TryRules(deadline_s=2.0, total_s=20.0, pauses_s=(0.1, 0.2, 0.4))
pytestmark = [pytest.mark.xdist_group("serial"), pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Shop:
    """A real service, a proxy before it, and funded cards."""

    site: Site
    trade: Trade
    outbox: Path

    def folder(self) -> Path:
        return self.site.var / "certificates" / CAFE

    def card(self) -> str:
        return self.trade.funded_cards(self.site.owner.address, 1, 100_000)[0]

    def till(self, address: str = "", outbox: Path | None = None) -> Terminal:
        certificate = self.site.certificate(CAFE)
        return Terminal(
            address or self.site.owner.address,
            certificate,
            outbox=outbox or self.outbox,
            rules=PATIENT,
            at=crashing_till.PLACE,
        )


@pytest.fixture(scope="module")
def laid() -> Iterator[tuple[Site, Trade]]:
    with new_site() as site:
        assert site.owner.is_running
        yield site, lay_trade(site)


@pytest.fixture
def shop(laid: tuple[Site, Trade], tmp_path: Path) -> Shop:
    site, trade = laid
    assert site.owner.is_running
    site.certificate(CAFE)
    return Shop(site, trade, tmp_path / "till.outbox")


def run_till(shop: Shop, step: str, card: str, *amounts: int) -> list[dict[str, object]]:
    """A till in a process of its own that dies at the step; what it told before."""
    arguments = [step, shop.site.owner.address, str(shop.folder()), str(shop.outbox), *map(str, amounts)]
    ran = subprocess.run(
        [sys.executable, crashing_till.__file__, *arguments],
        input=card,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert -9 == ran.returncode, (step, ran.stdout, ran.stderr)
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.parametrize("step", crashing_till.STEPS)
def test_a_till_killed_at_any_step_leaves_nothing_unsettled(shop: Shop, step: str):
    """Never paid twice, never half paid, and what the cashier was told stays true."""
    card = shop.card()
    with shop.till(outbox=shop.outbox.with_suffix(".before")) as till:
        before = till.balance(card).balance_minor

    told = run_till(shop, step, card, 700)
    with shop.till() as till:
        till.purchase(card, 50)  # waits for what the crash left
        rows = till.recent()[1:]
        left = till.balance(card).balance_minor
        assert 0 == till.state.waiting

    accepted = [row for row in rows if row.state is State.ACCEPTED]
    assert before - 50 - sum(row.amount_minor for row in accepted) == left
    assert not OPEN_STATES & {row.state for row in rows}
    assert [each["paid"] for each in told if "paid" in each] in ([], [row.request_id for row in accepted])
    assert bool(accepted) is (step in {"answer stored, not told", "told"})


@pytest.mark.parametrize("step", crashing_till.DAY_STEPS)
def test_a_till_killed_while_it_closes_its_day_closes_it_once(shop: Shop, step: str):
    """Stored before it is sent, sent again by the next start: one close in the journal, and its answer is told."""
    with shop.till(outbox=shop.outbox.with_suffix(".before")) as till:
        sign = day_signer(shop.folder() / "private.key")
        first = till.close_day(sign)  # whatever this terminal did before; the day of the till that dies begins here
    run_till(shop, step, shop.card(), 700, 50)
    with shop.till() as till:
        closed = till.close_day(sign)
        after = till.day_totals()

    assert (True, first.number + 1, []) == (closed.agrees, closed.number, list(closed.answer.differences))
    assert ((), (), first.number + 2) == (after.ours, after.theirs, after.number)


def test_a_sale_that_is_posted_after_its_till_died_is_undone(shop: Shop):
    """The request waited in the service while the till lost its power: the reversal finds it, whoever comes first."""
    card = shop.card()
    with shop.till(outbox=shop.outbox.with_suffix(".before")) as till:
        before = till.balance(card).balance_minor

    with shop.site.blocked_wallet(card):
        run_till(shop, "in the service", card, 700)
        till = shop.till().open()  # its reversal arrives while the sale is still under way
        time.sleep(0.3)
    try:
        assert till.settled(20)
        assert before == till.balance(card).balance_minor
        assert [State.UNDONE] == [row.state for row in till.recent()]
    finally:
        till.close()


def test_no_till_that_died_left_a_card_number_on_disk(shop: Shop):
    """A stolen till tells nothing, however it ended."""
    card = shop.card()
    run_till(shop, "sent, not answered", card, 700)

    files = list(shop.outbox.parent.glob("till.outbox*"))
    assert files
    for file in files:
        assert card.encode() not in file.read_bytes()
        assert 0o600 == file.stat().st_mode & 0o777


def test_a_server_killed_during_sales_loses_none_and_doubles_none(shop: Shop):
    """Eight tills go on through a kill of the server; the tills' receipts and the ledger agree to the fen."""
    cards = [shop.card() for _ in range(8)]
    stop = threading.Event()
    with Proxy(shop.site.owner.address) as proxy, shop.till(proxy.address) as till:
        start = [till.balance(card).balance_minor for card in cards]
        paid = [0] * len(cards)
        counts = {"paid": 0, "unknown": 0, "not done": 0}

        def sell(number: int) -> None:
            while not stop.is_set():
                try:
                    paid[number] += till.purchase(cards[number], 7).amount_minor
                    counts["paid"] += 1
                except OutcomeUnknown:
                    counts["unknown"] += 1
                except NotDone:
                    counts["not done"] += 1

        threads = [threading.Thread(target=sell, args=(number,)) for number in range(len(cards))]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: counts["paid"] > 25, 60, "the tills sell")
            shop.site.owner.kill()
            before = counts["paid"]
            proxy.target = shop.site.owner.address
            wait_until(lambda: counts["paid"] > before + 25, 60, "they sell again")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert till.settled(60), till.state
        left = [till.balance(card).balance_minor for card in cards]

    print(f"a kill of the server: {counts}")
    assert [had - spent for had, spent in zip(start, paid, strict=True)] == left


def test_what_the_line_swallowed_is_reversed_on_the_real_ledger(shop: Shop):
    """Posted, its answer lost, reversed: the member has every fen back, and the late original stays dead."""
    card = shop.card()
    impatient = TryRules(deadline_s=0.6, total_s=1.2, pauses_s=(0.05,))
    with Proxy(shop.site.owner.address) as proxy:
        certificate = shop.site.certificate(CAFE)
        with Terminal(proxy.address, certificate, outbox=shop.outbox, rules=impatient) as till:
            before = till.balance(card).balance_minor
            proxy.swallows_answers = True
            with pytest.raises(OutcomeUnknown) as lost:
                till.purchase(card, 900)
            with shop.till(outbox=shop.outbox.with_suffix(".look")) as other:
                during = other.balance(card).balance_minor
            proxy.heal()
            assert till.settled(30)
            after = till.balance(card).balance_minor
            hold = till.authorize(card, 400)
            till.void(hold)
            spent = till.capture(till.authorize(card, 300), 200)
            with pytest.raises(Declined) as twice:
                till.void(hold)

    assert (before - 900, before) == (during, after)
    assert before - 200 == spent.balance_minor
    assert "HOLD_RESOLVED" == twice.value.reason
    assert "REVERSED" == lost.value.will_be
