"""A lot's principal and bonus: no slicing drifts, none can be farmed, a refund is the exact inverse."""

from datetime import date
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from coalition.domain.bearing import Bearing
from coalition.domain.lots import Allocation, Lot, consumption_order, draw, give_back, principal_of_spend
from coalition.domain.rates import Rate, returned


def lot_of(principal: int, bonus: int, lot_id: int = 1, bonus_expiry: date | None = None, reserved: int = 0) -> Lot:
    face = principal + bonus
    return Lot(5, lot_id, 1, 3, 3, 3, 1, 1, bonus_expiry, face, principal, face, principal, reserved)


def spend(lot: Lot, amount: int) -> int:
    principal = principal_of_spend(lot, amount)
    lot.face -= amount
    lot.principal -= principal
    return principal


def slices(data: st.DataObject, whole: int) -> list[tuple[int, int]]:
    """Up to twenty slices of `whole`, as (before, after)."""
    return list(pairwise(sorted(data.draw(st.sets(st.integers(1, whole), max_size=19)) | {0, whole})))


lots = st.builds(lot_of, st.integers(1, 50_000), st.integers(0, 50_000))


@given(lot=lots, data=st.data())
def test_every_slicing_stays_within_one_fen_of_the_exact_ratio(lot: Lot, data: st.DataObject):
    """A floor over what remains would drift; this one starts from what was sold."""
    principal = face = 0
    for before, after in slices(data, lot.face_sold):
        amount = after - before
        taken = spend(lot, amount)
        face, principal = face + amount, principal + taken

        assert 0 <= taken <= amount
        assert abs(principal - Fraction(face * lot.principal_sold, lot.face_sold)) < 1
        assert face - principal <= lot.face_sold - lot.principal_sold
    assert (lot.face_sold, lot.principal_sold) == (face, principal)


def test_many_purchases_of_one_fen_do_not_eat_the_bonus_first():
    lot = lot_of(100_000, 20_000)
    principal = sum(spend(lot, 1) for _ in range(20_000))

    assert 20_000 * 100_000 // 120_000 == principal
    assert 20_000 - 20_000 // 6 - 1 <= lot.bonus <= 20_000


@given(lot=lots, data=st.data())
def test_refunds_in_any_slices_restore_lots_exactly(lot: Lot, data: st.DataObject):
    """Last allocation first; meanwhile no lot holds more than was sold, nor less than nothing."""
    if lot.face_sold > 1:
        spend(lot, data.draw(st.integers(1, lot.face_sold - 1)))
    other = lot_of(700, 100, lot_id=2)
    before = [(each.face, each.principal) for each in (lot, other)]
    amount = data.draw(st.integers(1, lot.face + other.face))
    allocations = []
    for place, (drawn, face, principal) in enumerate(draw([lot, other], amount)):
        allocations.append(Allocation(place, drawn.lot_id, face, principal, None, None))
        drawn.face -= face
        drawn.principal -= principal
    by_id = {1: lot, 2: other}
    for start, end in slices(data, amount):
        back = end - start
        parts = give_back(allocations, back)

        assert back == sum(part.face for part in parts)

        for part in parts:
            place, mended = part.allocation.place, by_id[part.allocation.lot_id]
            mended.face += part.face
            mended.principal += part.principal

            assert 0 <= part.principal <= part.face
            assert 0 <= mended.principal <= mended.principal_sold
            assert 0 <= mended.bonus <= mended.face_sold - mended.principal_sold

            allocations[place] = part.allocation._replace(
                returned_face=part.allocation.returned_face + part.face,
                returned_principal=part.allocation.returned_principal + part.principal,
            )
    assert before == [(each.face, each.principal) for each in (lot, other)]
    assert [] == give_back(allocations, 1)


def test_last_allocation_is_refunded_first():
    allocations = [Allocation(0, 1, 12000, 10000, None, None), Allocation(1, 2, 3000, 2608, None, None)]

    assert [(2, 3000, 2608), (1, 1000, 833)] == [
        (part.allocation.lot_id, part.face, part.principal) for part in give_back(allocations, 4000)
    ]


def test_soonest_bonus_expiry_is_consumed_first_and_lots_without_one_last():
    never, late, soon, old = (
        lot_of(1, 0, 1),
        lot_of(1, 1, 2, date(2026, 3, 1)),
        lot_of(1, 1, 4, date(2026, 2, 1)),
        lot_of(1, 1, 3, date(2026, 2, 1)),
    )

    assert [old, soon, late, never] == consumption_order([never, late, soon, old])


def test_reserved_face_is_not_drawn():
    reserved = lot_of(1000, 0, reserved=600)

    assert [400] == [part.face for part in draw([reserved], 1000)]


parts = st.fractions(0, 1, max_denominator=12)


def rate_of(part: Fraction) -> Rate:
    return Rate.of(part.numerator, part.denominator)


@given(issuer=parts, sponsor=parts, bonus=st.integers(0, 3000), data=st.data())
def test_bearers_shares_add_up_and_come_back_in_any_slices(
    issuer: Fraction, sponsor: Fraction, bonus: int, data: st.DataObject
):
    """Even with three bearers no share shrinks while more is returned: a claim can never come out negative."""
    bearing = Bearing(1, 1, 9, rate_of(issuer * (1 - sponsor)), rate_of(issuer))
    whole = bearing.shares(bonus)

    assert bonus == sum(whole)
    assert all(share >= 0 for share in whole)
    assert all(
        abs(share - exact) < 1
        for share, exact in zip(
            whole, (bonus * issuer * (1 - sponsor), bonus * issuer * sponsor, bonus * (1 - issuer)), strict=True
        )
    )

    got = [0, 0, 0]
    for before, after in slices(data, bonus) if bonus else []:
        back = bearing.shares_returned(bonus, before, after)

        assert after - before == sum(back)
        assert all(share >= 0 for share in back)

        got = [sum(pair) for pair in zip(got, back, strict=True)]
    assert list(whole) == got


@given(numerator=st.integers(0, 50), denominator=st.integers(1, 1000), amount=st.integers(0, 10**12))
def test_rates_round_half_to_even_and_floor_exactly(numerator: int, denominator: int, amount: int):
    rate, exact = Rate.of(numerator, denominator), Fraction(numerator, denominator) * amount

    assert round(exact) == rate.half_even(amount)
    assert exact.__floor__() == rate.floor(amount)


@given(total=st.integers(0, 10_000), whole=st.integers(1, 10_000), data=st.data())
def test_fees_returned_in_any_slices_add_up_to_the_fee(total: int, whole: int, data: st.DataObject):
    back = [returned(total, before, after, whole) for before, after in slices(data, whole)]

    assert total == sum(back)
    assert all(part >= 0 for part in back)
