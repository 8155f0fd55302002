"""PINs at the desk: each try counted and committed before it is compared, judged with the payment it came with."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from coalition.domain.commands import Hold, Purchase
from coalition.domain.errors import Contention
from coalition.domain.pins import CountedTry, PinRow, count_tries
from coalition.domain.reasons import Reason
from coalition.storage import pins
from coalition.storage.arrays import number_columns
from coalition.storage.pipeline import Pipeline
from tests.clearing.desks import Interference, lose_the_answer
from tests.clearing.house import House
from tests.clearing.pins import WRONG, Checker, run, set_pin, told, tries, with_pin


def deadlock(_: House) -> None:
    raise Contention("deadlock")


OK, LOCKED = (Reason.ACCEPTED, ""), (Reason.PIN_LOCKED, "")


def wrong(left: int) -> tuple[Reason, str]:
    return Reason.PIN_WRONG, str(left)


def test_five_wrong_pins_in_a_row_lock_whatever_comes_after(house: House) -> None:
    """The right PIN too: otherwise a thief would try on."""
    token, checker = house.funded_card(), Checker()
    wallet = set_pin(house, token)

    answers = [run(house, checker, with_pin(house.purchase("cafe", token, 10), WRONG))[0] for _ in range(5)]
    after = run(house, checker, with_pin(house.purchase("cafe", token, 10)))

    assert [wrong(4), wrong(3), wrong(2), wrong(1), wrong(0)] == told(answers)
    assert [LOCKED] == told(after)
    assert [wallet] * 5 == checker.compared
    assert (5, 0) == tries(house, wallet)
    house.check_books()


def test_a_right_pin_begins_the_count_anew(house: House) -> None:
    token, checker = house.funded_card(), Checker()
    wallet = set_pin(house, token)
    four = [with_pin(house.hold("cafe", token, 10), WRONG) for _ in range(4)]

    assert [wrong(4), wrong(3), wrong(2), wrong(1)] == told(run(house, checker, *four))
    assert [OK] == told(run(house, checker, with_pin(house.purchase("cafe", token, 10))))
    assert (5, 5) == tries(house, wallet)
    assert [wrong(4)] == told(run(house, checker, with_pin(house.purchase("cafe", token, 10), WRONG)))


def test_a_right_pin_is_right_although_the_money_is_too_little(house: House) -> None:
    """Else a member with an empty wallet would lock it with the right PIN."""
    token, checker = house.funded_card(1_000), Checker()
    wallet = set_pin(house, token)
    dear = [with_pin(house.purchase("cafe", token, 999_999)) for _ in range(6)]

    assert [Reason.INSUFFICIENT_FUNDS] * 5 == [reason for reason, _ in told(run(house, checker, *dear[:5]))]
    assert (5, 5) == tries(house, wallet)
    assert [Reason.INSUFFICIENT_FUNDS] == [reason for reason, _ in told(run(house, checker, dear[5]))]


def test_a_right_pin_forgives_no_try_that_was_counted_after_it(house: House) -> None:
    """In one batch: right, then five wrong ones. All six were counted first; the fifth wrong one is number six."""
    token, checker = house.funded_card(), Checker()
    wallet = set_pin(house, token)
    first = with_pin(house.purchase("cafe", token, 10))
    others = [with_pin(house.purchase("cafe", token, 10), WRONG) for _ in range(4)]

    assert [OK, wrong(3), wrong(2), wrong(1), wrong(0)] == told(run(house, checker, first, *others))
    assert (5, 1) == tries(house, wallet)
    assert [wrong(0), LOCKED] == told(
        run(house, checker, *[with_pin(house.purchase("cafe", token, 10), WRONG) for _ in range(2)])
    )


def test_a_request_that_is_answered_is_never_counted_again(house: House) -> None:
    """DESIGN 4: a wrong PIN sent again, sent without it, or sent with another, is told the same and costs no try."""
    token, checker = house.funded_card(), Checker()
    wallet = set_pin(house, token)
    sale = house.purchase("cafe", token, 10)
    first = run(house, checker, with_pin(sale, WRONG), with_pin(sale, WRONG))
    again = run(house, checker, with_pin(sale, WRONG))
    without, right, unreadable = (run(house, checker, each) for each in (sale, with_pin(sale), with_pin(sale, "")))

    assert [wrong(4)] * 6 == told([*first, *again, *without, *right, *unreadable])
    assert [False, True, True, True, True, True] == [
        each.replayed for each in [*first, *again, *without, *right, *unreadable]
    ]
    assert [wallet] == checker.compared
    assert (1, 0) == tries(house, wallet)


def test_an_unreadable_pin_is_told_and_leaves_nothing(house: House) -> None:
    """The terminal fetches the key anew and sends under the same request id; its companions in the batch go on."""
    token, checker = house.funded_card(), Checker()
    wallet = set_pin(house, token)
    sale = house.purchase("cafe", token, 10)

    answers = run(
        house, checker, house.purchase("cafe", token, 1), with_pin(sale, ""), house.purchase("cafe", token, 2)
    )

    assert [OK, (Reason.PIN_UNREADABLE, ""), OK] == told(answers)
    assert (0, 0) == tries(house, wallet)
    assert [OK] == told(run(house, checker, with_pin(sale)))
    house.check_books()


def test_without_a_pin_of_its_own_a_wallet_says_so(house: House) -> None:
    token, checker = house.funded_card(), Checker()

    assert [(Reason.PIN_NOT_SET, "")] == told(run(house, checker, with_pin(house.purchase("cafe", token, 10))))
    assert [] == checker.compared


def test_a_card_that_leads_nowhere_is_told_as_ever(house: House) -> None:
    checker = Checker()
    stranger = with_pin(house.purchase("cafe", b"\xff" * 32, 10))

    assert [(Reason.CARD_UNKNOWN, "")] == told(run(house, checker, stranger))


def test_a_pin_set_after_the_count_is_what_counts(house: House) -> None:
    """Set at the counter while a payment is under way: that is compared again, with the new one."""
    token = house.funded_card()
    wallet = set_pin(house, token)
    checker = Checker()
    checker.meanwhile = lambda: len(checker.compared) == 1 and set_pin(house, token, WRONG)

    assert [wrong(4)] == told(run(house, checker, with_pin(house.purchase("cafe", token, 10))))
    assert [wallet, wallet] == checker.compared
    assert (1, 0) == tries(house, wallet)


@pytest.mark.parametrize("fault", [deadlock, lose_the_answer])
def test_a_batch_that_is_run_again_is_compared_once(house: House, fault: Callable[[House], None]) -> None:
    """A deadlock or a lost connection must not use up a member's tries."""
    token, checker = house.funded_card(), Checker()
    wallet = set_pin(house, token)
    broken = Interference(house, "locked", fault, lambda number: number <= 6)

    answers = run(house, checker, with_pin(house.purchase("cafe", token, 10), WRONG), store=broken.store())

    assert 6 == broken.faults
    assert [wrong(4)] == told(answers)
    assert [wallet] == checker.compared
    assert (1, 0) == tries(house, wallet)


def test_a_pin_does_not_change_what_a_request_means(house: House) -> None:
    token = house.new_card()
    sale = house.purchase("cafe", token, 10)

    assert sale.body_hash == with_pin(sale).body_hash == with_pin(sale, WRONG).body_hash
    assert "SEALED" not in repr(with_pin(sale))


WORKERS, EACH = 8, 3


def compared_at_once(house: House, token: bytes) -> int:
    """So many wrong PINs from as many workers at once as are there; how many were compared.

    A comparison waits until no other can be on its way: whoever counts after it is then too late.
    """
    meeting = threading.Barrier(WORKERS)

    def wait() -> None:
        with suppress(threading.BrokenBarrierError):
            meeting.wait(1.0)

    checker = Checker(wait)

    def worker(_: int) -> list[Any]:
        return [run(house, checker, with_pin(house.purchase("cafe", token, 10), WRONG))[0].reason for _ in range(EACH)]

    with ThreadPoolExecutor(WORKERS) as pool:
        reasons = Counter(reason for told in pool.map(worker, range(WORKERS)) for reason in told)
    assert {Reason.PIN_WRONG, Reason.PIN_LOCKED} >= reasons.keys()
    assert reasons[Reason.PIN_WRONG] == len(checker.compared)
    return len(checker.compared)


def test_tries_at_once_are_compared_as_often_as_they_were_counted(house: House) -> None:
    token = house.funded_card()
    wallet = set_pin(house, token)

    assert 5 == compared_at_once(house, token)
    assert (5, 0) == tries(house, wallet)


def forgets_to_lock(
    pipeline: Pipeline, lane_count: int, known: Mapping[bytes, Any], commands: Sequence[Purchase | Hold]
) -> dict[Any, CountedTry]:
    """The bug that P26 is about: look, compare, and count when it was wrong."""
    looked = pipeline.execute(pins.LOCK_PINS, number_columns([known[each.token] for each in commands]))
    pipeline.run()
    rows = {row[1]: PinRow(*row) for row in looked.rows()}
    counted, _ = count_tries([known[each.token][1] for each in commands], rows)
    return {(each.participant_id, each.request_id): tried for each, tried in zip(commands, counted, strict=True)}


def test_a_count_after_the_comparison_would_be_noticed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above has teeth: with that bug all of the workers compare."""
    token = house.funded_card()
    wallet = set_pin(house, token)
    monkeypatch.setattr(pins, "count_and_commit", forgets_to_lock)

    assert 5 < compared_at_once(house, token)
    assert (0, 0) == tries(house, wallet)


def test_a_worker_killed_between_count_and_comparison_has_used_up_the_try(house: House) -> None:
    """Whoever can crash a server may not buy guesses with it."""
    token = house.funded_card()
    wallet = set_pin(house, token)
    sale = with_pin(house.purchase("cafe", token, 10), WRONG)
    child = os.fork()
    if not child:  # the worker: it ends in the middle of the comparison
        run(house, Checker(lambda: os.kill(os.getpid(), signal.SIGKILL)), sale)
        os._exit(0)
    _, status = os.waitpid(child, 0)

    assert signal.SIGKILL == os.WTERMSIG(status)
    assert (1, 0) == tries(house, wallet)
    assert [] == house.query("SELECT 1 FROM entries WHERE kind = 2")
    # Another worker is given the same batch.
    assert [wrong(3)] == told(run(house, Checker(), sale))
    assert (2, 0) == tries(house, wallet)
