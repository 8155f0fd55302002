"""A month under other agreements: the figures by hand, and nothing changes where nothing is proposed.

The months are those of `House`, read the way the journal is: sales with what had been returned of them by then.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from coalition.domain.agreements import parse_content
from coalition.domain.errors import LedgerBroken
from coalition.domain.ids import number_of
from coalition.domain.journal import AllocationRow
from coalition.domain.lots import SHORTFALL_LOT, Allocation
from coalition.domain.reasons import Reason
from coalition.domain.refund import REFUNDABLE
from coalition.domain.simulation import Pair, Posted, Proposal, Simulated, Simulation, pair
from tests.domain.house import LANE, Done, House
from tests.domain.test_machine import ISSUERS, Month, amounts, one_in_six

ALL_NUMBERS = range(1, 1 << 40)


def proposal(code: str, kind: str, **content: Any) -> Proposal:
    return Proposal(code, kind, parse_content(kind, content))


def posted_in(house: House) -> list[Posted]:
    """The sales of the house and what gave back of them, each as the journal would tell it."""
    sales = {done.entry_id: done for done in house.journal if done.command.kind in REFUNDABLE}
    back: Counter[tuple[int, int]] = Counter()
    reversed_lots: set[int] = set()
    found = []
    for done in house.journal:
        decision = done.decision
        named = decision.original.entry_id if decision.original else 0
        sale = sales.get(done.entry_id) or sales.get(named)
        if sale is not None and decision.wallet is not None and decision.amount_minor:
            found.append(_posted(house, done, sale, back, reversed_lots))
        for row in decision.allocations:
            if row.original_entry_id is not None:
                back[row.original_entry_id, row.place] += row.face
                back[row.original_entry_id, ~row.place] += row.principal
        if decision.reverses is not None:
            reversed_lots.add(decision.reverses.lot_id)
    return found


def _posted(house: House, done: Done, sale: Done, back: Counter[tuple[int, int]], reversed_lots: set[int]) -> Posted:
    wallet = sale.decision.wallet
    assert wallet is not None
    rows: Iterable[AllocationRow] = sale.decision.allocations
    allocations = [
        Allocation(row.place, row.lot_id, *row[2:6], back[sale.entry_id, row.place], back[sale.entry_id, ~row.place])
        for row in rows
    ]
    drawn = {row.lot_id for row in rows if row.lot_id != SHORTFALL_LOT}
    lots = {number: replace(wallet.lots[number], is_reversed=number in reversed_lots) for number in drawn}
    original = house.books.originals_by_entry[sale.entry_id]
    return Posted(
        done.entry_id,
        done.command.kind,
        done.command.participant_id,
        done.decision.amount_minor,
        house.day,
        replace(original, allocations=allocations),
        replace(wallet, lane=LANE, lots=lots),
        [leg for leg in done.decision.transfers if leg.window_id is not None],
    )


def simulated(
    house: House,
    *proposals: Proposal,
    window: int = 1,
    numbers: range = ALL_NUMBERS,
    programmes: Callable[[int], Pair] | None = None,
) -> list[Simulated]:
    known = pair(house.books.programme, proposals, house.successors)
    simulation = Simulation(programmes or (lambda _: known), 1, window, [numbers])
    windows = {done.entry_id: {leg.window_id for leg in done.decision.transfers} - {None} for done in house.journal}
    return [
        simulation.simulate(posted)
        for posted in posted_in(house)
        if not windows[posted.entry_id] or window in windows[posted.entry_id]
    ]


@pytest.fixture
def worked() -> House:
    """Golden G0: 100000 + 20000 sold by A, 30000 spent at C, 10000 of it given back; fees 0.6 % and 1 %."""
    house = House()
    house.terms("a")
    house.accept("a", "c")
    house.acquire("c", operator_fee="6/1000", commission="1/100")
    house.top_up("a", 100_000)
    bought = house.purchase("c", 30_000)
    house.refund("c", 10_000, bought)
    return house


def by_letter(house: House, *proposals: Proposal, **named: Any) -> dict[str, tuple[int, int]]:
    """What each participant's position was by sales and what gave back of them, and what it would have been."""
    real: Counter[str] = Counter()
    proposed: Counter[str] = Counter()
    for entry in simulated(house, *proposals, **named):
        for sums, claims in ((real, entry.real), (proposed, entry.proposed)):
            for (debtor, creditor, _), amount in claims.items():
                sums[house.letter[debtor]] -= amount
                sums[house.letter[creditor]] += amount
    return {letter: (real[letter], proposed[letter]) for letter in sorted({*real, *proposed})}


def test_an_operators_fee_of_one_percent_instead_of_six_per_mille(worked: House):
    """By hand: of 30000 the fee is 300 instead of 180, of which a third, 100 instead of 60, comes back: 200 to 120."""
    fees = proposal("acquire-c", "ACQUIRING", acquirer="c", operator_fee="1/100", commission="1/100")

    assert {"A": (-19_800, -19_800), "C": (19_680, 19_600), "H": (120, 200)} == by_letter(worked, fees)


def test_a_bonus_that_the_acquirer_bears_and_an_interchange(worked: House):
    """By hand: A no longer owes the bonus of 5000, of which 1667 came back, so C gets 3333 less; and C pays A 0.5 % of
    30000, 150, of which a third comes back: 100.
    """
    bearing = proposal(
        "accept-a-c", "ACCEPTANCE", issuer="a", acquirer="c", issuer_bonus_share="0", interchange="1/200"
    )

    assert {"A": (-19_800, -16_367), "C": (19_680, 16_247), "H": (120, 120)} == by_letter(worked, bearing)


def test_what_gives_back_of_an_earlier_sale_follows_the_agreements_it_was_made_under(worked: House):
    fees = proposal("acquire-c", "ACQUIRING", acquirer="c", operator_fee="1/2", commission="1/100")
    refund = number_of(worked.journal[-1].entry_id)

    assert {"A": (-19_800, -19_800), "C": (19_680, 9_800), "H": (120, 10_000)} == by_letter(worked, fees)
    assert {"A": (-19_800, -19_800), "C": (19_680, 19_680), "H": (120, 120)} == by_letter(
        worked, fees, numbers=range(refund, refund + 1)
    )


def test_a_sale_that_would_have_been_declined_is_told_and_keeps_its_claims(worked: House):
    refused = proposal("accept-a-c", "ACCEPTANCE", issuer="a", acquirer="c", accepted=False)

    entries = simulated(worked, refused)

    assert [Reason.NOT_ACCEPTED_HERE, Reason.NOT_ACCEPTED_HERE] == [entry.declined for entry in entries]
    assert [entry.real for entry in entries] == [entry.proposed for entry in entries]


def test_a_shortfall_is_borne_by_whom_the_proposal_names():
    house = House()
    house.terms("a", bonus="0")
    house.accept("a", "c")
    house.acquire("c")
    house.top_up("a", 1_000)
    sold = house.upload("c", 1_500)
    house.refund("c", 600, sold)
    bears = proposal(
        "accept-a-c", "ACCEPTANCE", issuer="a", acquirer="c", offline_limit_minor=2_000, shortfall_bearer="ISSUER"
    )

    # 1000 of principal, less the 100 given back; under the proposal also the shortfall of 500, which came back first.
    assert {"A": (-900, -900), "C": (900, 900)} == by_letter(house, bears)
    sale = simulated(house, bears)[0]
    assert (1_000, 1_500) == (sale.real.total(), sale.proposed.total())


def test_what_a_hold_releases_to_a_bounced_lot_passes_on_as_it_did():
    """S has sold a lot of A, which bounces under a hold: captured are 2000, the 3000 that are released go back to S."""
    house = House()
    house.terms("a", bonus="0", sellers=["a", "s"])
    house.accept("a", "c")
    house.acquire("c")
    sold = house.top_up("s", 5_000, issuer="a")
    hold = house.hold("c", 5_000)
    house.reverse_top_up("s", sold)
    captured = house.capture("c", 2_000, hold)
    fees = proposal("acquire-c", "ACQUIRING", acquirer="c", operator_fee="1/100")

    assert "A=>S 3000" in captured.legs
    assert {"A": (-2_000, -2_000), "C": (2_000, 1_980), "H": (0, 20)} == by_letter(house, fees)


def test_claims_that_do_not_follow_from_the_agreements_named_are_no_ground_to_stand_on(worked: House):
    posted = posted_in(worked)[0]
    known = pair(worked.books.programme, (), {})

    with pytest.raises(LedgerBroken, match="do not follow"):
        Simulation(lambda _: known, 1, 1, [ALL_NUMBERS]).simulate(posted._replace(claims=posted.claims[1:]))


class SteadyMonth(Month):
    """A random month in which no agreement is revised: as its versions really were, nobody gains or loses by them."""

    def __init__(self) -> None:
        super().__init__()
        self.handed: list[tuple[int, dict[int, int]]] = [(0, {})]
        """From which number on who stood for whom."""

    def acquire(self, acquirer: str, fee: str, commission: str, gross: bool, fees_return: bool) -> None:
        """No rule any more: agreed on at the start only."""
        super().acquire(acquirer, fee, commission, gross, fees_return)

    def accept(
        self, issuer: str, acquirer: str, share: str, fee: str, gross: bool, fees_return: bool, accepted: bool = True
    ) -> None:
        """No rule any more."""
        super().accept(issuer, acquirer, share, fee, gross, fees_return, accepted)

    def revise(self, data: st.DataObject, share: str, fee: str, fees_return: bool) -> None:
        """Never."""

    def later(self, days: int) -> None:
        """Never: one window."""

    @rule(leaving=st.sampled_from(ISSUERS), successor=st.sampled_from("ds"), price=amounts, rarely=one_in_six)
    def hand_over(self, leaving: str, successor: str, price: int, rarely: bool) -> None:
        """Kept with the number of the entry that comes after it."""
        if rarely and leaving.upper() not in self.model.left:
            self.house.hand_over(leaving, successor, price)
            self.model.hand_over(leaving.upper(), successor.upper(), price)
            self.handed.append((len(self.house.journal) + 1, dict(self.house.successors)))

    def teardown(self) -> None:
        """The versions in force once more, as proposals: each entry leads to what it posted, and to the same again."""
        if not hasattr(self, "house"):
            return
        house = self.house
        again = [
            Proposal(version.code, version.kind, version.content)
            for version in house.versions
            if version.kind != "TERMS"
        ]
        known = [(since, pair(house.books.programme, again, successors)) for since, successors in self.handed]

        def programmes(number: int) -> Pair:
            return next(each for since, each in reversed(known) if since <= number)

        for entry in simulated(house, *again, programmes=programmes):
            assert entry.declined is None
            assert entry.real == entry.proposed


class RevisedMonth(Month):
    """A random month with revisions at any moment: each entry leads to what it posted by the versions it names."""

    def hand_over(self, leaving: str, successor: str, price: int, rarely: bool) -> None:
        """Never."""

    def teardown(self) -> None:
        """`simulate` raises LedgerBroken where one does not."""
        if hasattr(self, "house"):
            for window in range(1, self.house.window + 1):
                for entry in simulated(self.house, window=window):
                    assert entry.real == entry.proposed


TestSteadyMonth = SteadyMonth.TestCase
TestRevisedMonth = RevisedMonth.TestCase
TestSteadyMonth.settings = TestRevisedMonth.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
