"""Random months: every operation in the house and in the model; after each, lots, positions and answers agree.

`House` checks the promises by itself after each operation: nothing below zero, wallet = lots = fold of the transfers,
FLOAT and BONUS = what the lots still owe, every window adds up to zero.
"""

from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from coalition.domain.commands import Goods
from coalition.domain.errors import Refused
from tests.domain.house import Done, House
from tests.domain.model import Model, ModelHold, ModelLot, Rules, Spend

ISSUERS, ACQUIRERS, SELLERS = "ab", "abcd", "abs"
BONUS = {"a": Fraction(1, 5), "b": Fraction(3, 17)}
SPONSORED = {"a": Fraction(1, 3), "b": Fraction(0)}
CUSTODIAN = {"a": "A", "b": "T"}

acquirers = st.sampled_from(ACQUIRERS)
amounts = st.integers(1, 3000)
rates = st.sampled_from(["0", "5/1000", "1/100", "1/3"])
parts = st.sampled_from(["0", "1/3", "1/2", "1"])
one_in_six = st.sampled_from([False] * 5 + [True])


class Month(RuleBasedStateMachine):
    """A is issuer-held, sponsored by S, its bonus ends; B is held by T and bears the loss of bounced top-ups."""

    @initialize(data=st.data())
    def open_house(self, data: st.DataObject) -> None:
        self.house = House()
        self.model = Model(self.house.day)
        self.house.terms("a", "1/5", sellers=["a", "s"], bonus_months=1, sponsor="s", sponsor_share="1/3")
        self.house.terms("b", "3/17", sellers=list(SELLERS), custody="OPERATOR_HELD", top_up_loss="ISSUER")
        self.top_ups: list[tuple[Done, ModelLot]] = []
        self.spends: list[tuple[Done, Spend]] = []
        self.holds: list[tuple[Done, ModelHold]] = []
        for acquirer in ACQUIRERS:
            self.acquire(
                acquirer, data.draw(rates), data.draw(rates), data.draw(st.booleans()), data.draw(st.booleans())
            )
            for issuer in ISSUERS:
                self.accept(
                    issuer,
                    acquirer,
                    data.draw(parts),
                    data.draw(rates),
                    data.draw(st.booleans()),
                    data.draw(st.booleans()),
                )

        self.top_up("a", "a", data.draw(amounts))
        self.top_up("s", "b", data.draw(amounts))

    @rule(acquirer=acquirers, fee=rates, commission=rates, gross=st.booleans(), fees_return=st.booleans())
    def acquire(self, acquirer: str, fee: str, commission: str, gross: bool, fees_return: bool) -> None:
        self.house.acquire(
            acquirer,
            operator_fee=fee,
            commission=commission,
            fee_base=base(gross),
            fees_return=fees_return,
            returns_at=list(ACQUIRERS),
        )
        self.model.acquiring[acquirer.upper()] = Rules(
            fee=Fraction(fee), commission=Fraction(commission), gross=gross, fees_return=fees_return
        )

    @rule(
        issuer=st.sampled_from(ISSUERS),
        acquirer=acquirers,
        share=parts,
        fee=rates,
        gross=st.booleans(),
        fees_return=st.booleans(),
        accepted=st.sampled_from([True, True, True, False]),
    )
    def accept(
        self, issuer: str, acquirer: str, share: str, fee: str, gross: bool, fees_return: bool, accepted: bool = True
    ) -> None:
        self.house.accept(
            issuer,
            acquirer,
            issuer_bonus_share=share,
            interchange=fee,
            interchange_base=base(gross),
            fees_return=fees_return,
            accepted=accepted,
        )
        rules = Rules(share=Fraction(share), fee=Fraction(fee), gross=gross, fees_return=fees_return)
        self.model.acceptance[issuer.upper(), acquirer.upper()] = rules if accepted else None

    @rule(seller=st.sampled_from(SELLERS), issuer=st.sampled_from(ISSUERS), amount=amounts)
    def top_up(self, seller: str, issuer: str, amount: int) -> None:
        if (seller == "b" and issuer == "a") or issuer.upper() in self.model.left:
            return
        done = self.house.top_up(seller, amount, issuer=issuer)
        bonus = int(amount * BONUS[issuer])
        lot = ModelLot(
            len(self.model.lots),
            issuer.upper(),
            CUSTODIAN[issuer],
            seller.upper(),
            SPONSORED[issuer],
            issuer == "b",
            self.model.day.replace(month=self.model.day.month + 1) if issuer == "a" and bonus else None,
            amount + bonus,
            amount,
            amount + bonus,
            amount,
        )
        self.model.claim(lot.seller, lot.custodian, amount)
        self.model.lots.append(lot)
        self.top_ups.append((done, lot))

    @rule(at=acquirers, data=st.data())
    def purchase(self, at: str, data: st.DataObject) -> None:
        amount = data.draw(self.spending(at))
        plan = self.model.plan(at.upper(), amount)
        done = self.agrees(plan if isinstance(plan, str) else None, self.house.purchase, at, amount)
        if done is not None and not isinstance(plan, str):
            spend = self.model.spend(at.upper(), plan)
            self.spends.append((done, spend))
            drawn = [(part.face, part.principal) for part in spend.parts]
            assert drawn == [(row.face, row.principal) for row in done.decision.allocations]

    @precondition(lambda self: self.spends)
    @rule(data=st.data(), share=parts, fee=rates, fees_return=st.booleans())
    def revise(self, data: st.DataObject, share: str, fee: str, fees_return: bool) -> None:
        """New versions of all that an earlier purchase was made under: its refunds must not notice."""
        _, spend = data.draw(st.sampled_from(self.spends))
        at = spend.at.lower()
        self.acquire(at, fee, fee, gross=True, fees_return=fees_return)
        for issuer in ISSUERS:
            self.accept(issuer, at, share, fee, gross=True, fees_return=fees_return)

    @precondition(lambda self: self.spends)
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        done, spend = data.draw(st.sampled_from(self.spends))
        left = spend.face - spend.back
        amount = data.draw(st.integers(1, left + 1) | st.just(max(left, 1)))
        expected = "REFUND_EXCEEDS_ORIGINAL" if amount > left else None
        if self.agrees(expected, self.house.refund, spend.at.lower(), amount, done) is not None:
            self.model.refund(spend, amount)

    @precondition(lambda self: self.spends)
    @rule(data=st.data(), at=acquirers, goods=st.sampled_from([Goods.KEPT, Goods.PASSED_ON]))
    def return_elsewhere(self, data: st.DataObject, at: str, goods: Goods) -> None:
        done, spend = data.draw(st.sampled_from(self.spends))
        left = spend.face - spend.back
        amount = data.draw(st.integers(1, left + 1) | st.just(max(left, 1)))
        expected = "REFUND_EXCEEDS_ORIGINAL" if amount > left else None
        if self.agrees(expected, self.house.return_elsewhere, at, amount, done, goods) is not None:
            self.model.return_elsewhere(spend, amount, at.upper(), kept=goods is Goods.KEPT)

    @precondition(lambda self: self.spends)
    @rule(data=st.data())
    def undo_spend(self, data: st.DataObject) -> None:
        """What is left comes back with its fees, whatever the agreements say; a second time nothing is left."""
        done, spend = data.draw(st.sampled_from(self.spends))
        left = spend.face - spend.back
        undone = self.agrees(None, self.house.reverse, spend.at.lower(), done)
        assert undone is not None
        assert left == undone.decision.amount_minor
        if left:
            self.model.refund(spend, left, fees_always=True)

    @rule(data=st.data(), rarely=one_in_six)
    def undo_top_up(self, data: st.DataObject, rarely: bool) -> None:
        if rarely:
            done, lot = data.draw(st.sampled_from(self.top_ups))
            self.model.reverse(lot)
            self.agrees(None, self.house.reverse, lot.seller.lower(), done)

    @rule(at=acquirers, data=st.data(), seconds=st.sampled_from([60, 600, 6_000]))
    def hold(self, at: str, data: st.DataObject, seconds: int) -> None:
        amount = data.draw(self.spending(at))
        plan = self.model.plan(at.upper(), amount)
        done = self.agrees(plan if isinstance(plan, str) else None, self.house.hold, at, amount, seconds=seconds)
        if done is not None and not isinstance(plan, str):
            for lot, face in plan:
                lot.reserved += face
            self.holds.append((done, ModelHold(at.upper(), plan, self.model.seconds + seconds)))

    @rule(seconds=st.sampled_from([59, 60, 600]))
    def wait(self, seconds: int) -> None:
        self.house.wait(seconds)
        self.model.seconds += seconds

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        done, hold = data.draw(st.sampled_from(self.holds))
        self.agrees(self.model.end(hold, late=False), self.house.void, hold.at.lower(), done)

    @rule()
    def expire_holds(self) -> None:
        for done, hold in self.holds:
            if self.model.seconds >= hold.until:
                self.agrees(self.model.end(hold, late=True), self.house.expire_hold, done)

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def undo_hold(self, data: st.DataObject) -> None:
        done, hold = data.draw(st.sampled_from(self.holds))
        expected = "ORIGINAL_NOT_REVERSIBLE" if hold.is_captured else None
        if hold.is_open:
            self.model.release(hold, [0] * len(hold.reservations))
        self.agrees(expected, self.house.reverse, hold.at.lower(), done)

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def capture(self, data: st.DataObject) -> None:
        done, hold = data.draw(st.sampled_from(self.holds))
        amount = data.draw(st.integers(1, sum(face for _, face in hold.reservations) + 1))
        spend = self.model.capture(hold, amount)
        captured = self.agrees(
            spend if isinstance(spend, str) else None, self.house.capture, hold.at.lower(), amount, done
        )
        if captured is not None and not isinstance(spend, str):
            self.spends.append((captured, spend))

    @rule(data=st.data(), rarely=one_in_six)
    def reverse_top_up(self, data: st.DataObject, rarely: bool) -> None:
        if rarely:
            done, lot = data.draw(st.sampled_from(self.top_ups))
            self.agrees(self.model.reverse(lot), self.house.reverse_top_up, lot.seller.lower(), done)

    @rule()
    def expire(self) -> None:
        for done, lot in self.top_ups:
            self.agrees(self.model.expire(lot), self.house.expire, done)

    @rule(at=acquirers, rarely=one_in_six)
    def cash_out(self, at: str, rarely: bool) -> None:
        if rarely:
            self.agrees(self.model.cash_out(at.upper()), self.house.cash_out, at)

    @rule(leaving=st.sampled_from(ISSUERS), successor=st.sampled_from("ds"), price=amounts, rarely=one_in_six)
    def hand_over(self, leaving: str, successor: str, price: int, rarely: bool) -> None:
        """Its value lives on: every operation before is undone, refunded and captured after it all the same."""
        if rarely and leaving.upper() not in self.model.left:
            event("hand_over: ACCEPTED")
            self.house.hand_over(leaving, successor, price)
            self.model.hand_over(leaving.upper(), successor.upper(), price)

    @rule(days=st.sampled_from([0, 1, 31]))
    def later(self, days: int) -> None:
        """Also the next window; days stop before the year does, so that `replace(month=...)` above stays simple."""
        if self.house.day.month < 10 and self.house.day.day < 25:
            self.house.later(days)
            if self.house.day.day > 28:
                self.house.later(5)
            self.model.day = self.house.day
        self.house.next_window()
        self.model.window += 1

    @invariant()
    def lots_agree(self) -> None:
        lots = self.house.wallet().lots.values()
        assert [(lot.face, lot.principal, lot.reserved, lot.is_reversed) for lot in lots] == [
            (lot.face, lot.principal, lot.reserved, lot.reversed) for lot in self.model.lots
        ]

    @invariant()
    def positions_agree(self) -> None:
        for window in (self.model.window - 1, self.model.window):
            assert self.model.nets(window) == self.house.nets(window)
        for at in ACQUIRERS:
            assert self.model.here(at.upper()) == self.house.here(at)

    def spending(self, at: str) -> st.SearchStrategy[int]:
        """Mostly what can be spent there, and one fen more."""
        return st.integers(1, self.model.here(at.upper()) // 2 + 1) | st.integers(1, self.model.here(at.upper()) + 1)

    def agrees(self, expected: str | None, operation: Any, *arguments: Any, **named: Any) -> Done | None:
        """Do it; the house accepts what the model accepts, and declines for the same reason."""
        reason, done = None, None
        try:
            done = operation(*arguments, **named)
        except Refused as refused:
            reason = refused.reason.name
        event(f"{operation.__name__}: {reason or 'ACCEPTED'}")
        assert expected == reason
        return done


def base(gross: bool) -> str:
    return "GROSS" if gross else "PRINCIPAL"


TestMonth = Month.TestCase
TestMonth.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
