"""Random months of collateral, defaults and recoveries: the invariants hold after every step."""

import random
from functools import partial

import pytest

from tests.ledger_fixtures import NAMES, Ledger, write_batch
from tests.settlement.default_month import TRUST, declare, done, held, move, recover
from tests.settlement.runs_month import close_and_net, dues, furnish


@pytest.mark.parametrize("seed", range(2))
def test_the_books_add_up_after_every_step_of_random_months(ledger: Ledger, seed: int):
    """BANK = DUE + COLLATERAL, nothing below zero in the bank; custody and principal bear nothing of a default."""
    furnish(ledger)
    draw = random.Random(seed)
    owed: dict[int, int] = dict.fromkeys(NAMES, 0)  # the test's own books of the months, without defaults
    there: dict[str, int] = {}
    lost: dict[str, int] = {}
    defaults = recoveries = 0
    for number in range(1, 7):
        claims = []
        for _ in range(draw.randint(1, 10)):
            debtor, creditor = draw.sample(sorted(NAMES), 2)
            claims.append((debtor, creditor, draw.randint(1, 9_999)))
            owed[debtor] -= claims[-1][2]
            owed[creditor] += claims[-1][2]
        for code in draw.sample(["store-a", "cafe-c", "garage-d"], 2):
            amount = draw.randint(1, 4_000)
            done(ledger, partial(move, ledger, code, amount, f"K{number}-{code}"))
            there[code] = there.get(code, 0) + amount
            dues(ledger)
        with ledger.connect("coalition_app") as connection:
            write_batch(connection, claims)
        close_and_net(ledger, f"2017-{number:02}")
        code = draw.choice(["store-a", "cafe-c", "garage-d"])
        before, party = dues(ledger), next(each for each, name in NAMES.items() if name == code)
        if before.get(party, 0) < 0:
            result = done(ledger, partial(declare, ledger, code))
            defaults += 1
            taken = int(str(result.body["collateral_minor"]))
            assert min(-before[party], there.get(code, 0)) == taken
            there[code] = there.get(code, 0) - taken
            lost[code] = lost.get(code, 0) - before[party] - taken
            after = dues(ledger)
            assert 0 == after.get(party, 0)
            assert before.get(TRUST, 0) == after.get(TRUST, 0)
            assert sum(before.values()) + taken == sum(after.values())
        if lost.get(code):
            amount = draw.randint(1, lost[code])
            done(ledger, partial(recover, ledger, amount, f"R{number}", code))
            lost[code] -= amount
            recoveries += 1
        _, collaterals = held(ledger)
        assert {NAMES[each]: amount for each, amount in collaterals.items()} == {
            name: amount for name, amount in there.items() if amount
        }
    assert owed[TRUST] == dues(ledger).get(TRUST, 0)
    assert min(defaults, recoveries) > 0
