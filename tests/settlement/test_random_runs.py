"""Random months with a bank that refuses, returns and repeats itself: the invariants hold after every step."""

import random
from collections.abc import Iterator

import pytest

from settlement.errors import NeedsHuman, NothingToDo
from tests.ledger_fixtures import NAMES, Ledger, new_ledger, write_batch
from tests.postgres import SharedPostgres
from tests.settlement.runs_month import (
    abort,
    approve,
    bank_says,
    close_and_net,
    confirm,
    dues,
    export,
    furnish,
    net,
    parties,
    prepare,
    state,
    windows,
    withhold,
)

MONTHS = 5


@pytest.fixture
def ledger(postgres: SharedPostgres) -> Iterator[Ledger]:
    ledger = new_ledger(postgres)
    furnish(ledger)
    yield ledger
    postgres.drop(ledger.database)


def expected(moved: dict[int, int], owed: dict[int, int]) -> dict[int, int]:
    """What is due by the test's own books: what was netted less what the bank moved."""
    found = {party: owed.get(party, 0) - moved.get(party, 0) for party in NAMES}
    return {party: amount for party, amount in found.items() if amount}


class Bank:
    """Answers instructions at random; remembers what it moved, with the participants' sign."""

    def __init__(self, ledger: Ledger, draw: random.Random) -> None:
        self._ledger = ledger
        self._draw = draw
        self.moved: dict[int, int] = {}
        self._told: list[bytes] = []
        self._count = 0

    def answer(self, run_id: int, sign: int) -> None:
        """Every instruction of one side that waits, in random order and groups; some refused, some told twice."""
        waiting = [
            each
            for each in parties(self._ledger, run_id).values()
            if each.state == "WAITING" and each.instructed_minor * sign > 0
        ]
        self._draw.shuffle(waiting)
        while waiting:
            size = self._draw.randint(1, len(waiting))
            group, waiting = waiting[:size], waiting[size:]
            rows = []
            for each in group:
                self._count += 1
                result = "REJECTED" if self._draw.random() < 0.2 else "BOOKED"
                rows.append((f"b{self._count}", each, result))
                if result == "BOOKED":
                    self.moved[each.participant_id] = self.moved.get(each.participant_id, 0) + each.instructed_minor
            file = bank_says(*rows)
            confirm(self._ledger, file)
            self._told.append(file)
            if self._draw.random() < 0.3:
                with pytest.raises(NothingToDo):
                    confirm(self._ledger, self._draw.choice(self._told))

    def give_back(self, run_id: int) -> None:
        """Some payment that was made comes back, weeks later."""
        paid = [
            each
            for each in parties(self._ledger, run_id).values()
            if each.state == "PAID" and each.instructed_minor > 0
        ]
        if paid and self._draw.random() < 0.5:
            each = self._draw.choice(paid)
            self._count += 1
            confirm(self._ledger, bank_says((f"r{self._count}", each, "RETURNED")))
            self.moved[each.participant_id] -= each.instructed_minor


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_bank_does_the_books_say_what_it_did(ledger: Ledger, seed: int):
    """After every step DUE, BANK and COLLATERAL add up, the bank is not overdrawn, and due is netted less moved."""
    draw = random.Random(seed)
    bank, owed = Bank(ledger, draw), dict.fromkeys(NAMES, 0)
    run_id, ends = 0, []
    for month in range(1, MONTHS + 1):
        claims = []
        for _ in range(draw.randint(0, 12)):
            debtor, creditor = draw.sample(sorted(NAMES), 2)
            claims.append((debtor, creditor, draw.randint(1, 60_000)))
            owed[debtor] -= claims[-1][2]
            owed[creditor] += claims[-1][2]
        if claims:
            with ledger.connect("coalition_app") as connection:
                write_batch(connection, claims)
        label = f"2017-{month:02}"
        close_and_net(ledger, label)
        assert expected(bank.moved, owed) == dues(ledger)
        minimum = draw.choice([0, 0, 5_000])
        prepare(ledger, minimum=minimum, limit=10**9 if minimum else 0)
        run_id += 1
        if draw.random() < 0.3:
            abort(ledger, run_id)
            assert "CLOSED" == windows(ledger)[label]
            dues(ledger)
            net(ledger, label)
            prepare(ledger, minimum=minimum, limit=10**9 if minimum else 0)
            run_id += 1
        assert expected(bank.moved, owed) == dues(ledger)
        approve(ledger)
        for sign in (-1, 1):
            if state(ledger, run_id) in {"APPROVED", "SETTLING"}:
                covered = export(ledger, run_id).uncovered_minor == 0
                if sign < 0 or covered:
                    bank.answer(run_id, sign)
                else:
                    withhold(ledger, run_id)
            # What the operator advanced is due to it, and was moved by nobody else.
            books = dues(ledger)
            advanced = sum(books.values()) - sum(expected(bank.moved, owed).values())
            bank.moved[1] = bank.moved.get(1, 0) - advanced
            assert advanced >= 0
            assert expected(bank.moved, owed) == books
        ends.append(state(ledger, run_id))
        assert ("DONE", "SETTLED") == (ends[-1], windows(ledger)[label])
        bank.give_back(run_id)
        assert expected(bank.moved, owed) == dues(ledger)
        with pytest.raises((NothingToDo, NeedsHuman)):
            abort(ledger, run_id)
    assert MONTHS == ends.count("DONE")
