"""Day limits of terminals and participants: added up behind the journal, binding from the next batch on."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from coalition.bootstrap.clock import utc_now
from coalition.domain.acts import JSON
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason
from coalition.followers.day_limits import day_totals
from coalition.followers.follower import Follower
from coalition.storage.connect import connect
from tests.house import FIRST_DAY, House, refusal_of
from tests.server.conftest import Tills
from tests.server.messages import authorize, capture, purchase, refund, top_up

TILL_1, TILL_2 = "t/cafe/main/till-1", "t/cafe/main/till-2"
STORE_TILL = "t/store-a/main/till-1"


@pytest.fixture
def card(house: House, tills: Tills) -> str:
    card = house.new_card()
    tills(STORE_TILL).TopUp(top_up(card, 400_000))
    return card


def refused(call: Any, request: Any) -> tuple[str, str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    refusal = refusal_of(caught.value)
    return refusal.reason, refusal.metadata.get("subject", ""), refusal.metadata.get("flow", "")


class Limits:
    """Limits of the cafe above what its day already holds, in versions, and the follower that minds them."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.follower = Follower(day_totals(), lambda: connect(house.dsn()), utc_now, time.sleep)
        self.follower.catch_up()

    def day(self, till: str | None, *kinds: Kind) -> int:
        """What today's totals of the cafe are, of one till or of all."""
        rows = self._house.query(
            "SELECT coalesce(sum(accepted_minor), 0)::bigint FROM day_totals JOIN terminals t USING (terminal_id)"
            " JOIN stores s USING (store_id) JOIN participants p USING (participant_id)"
            " WHERE p.code = 'cafe' AND (%s::text IS NULL OR t.code = %s) AND kind = ANY (%s)"
            " AND business_date = (SELECT max(business_date) FROM day_totals)",
            till,
            till,
            [int(kind) for kind in kinds],
        )
        return int(rows[0][0])

    def set(self, **limits: int) -> None:
        content: dict[str, JSON] = {"acquirer": "cafe", **limits}
        office, act = self._house.office, self._house.act
        versions = self._house.query(
            "SELECT max(version) FROM agreement_versions JOIN agreements USING (agreement_id)"
            " WHERE code = 'cafe-limits'"
        )
        number = len(self._house.query("SELECT 1 FROM agreement_versions"))
        if versions[0][0] is None:
            made = act(Kind.AGREEMENT_CREATED, code="cafe-limits", at=number)
            office.create_agreement(made, "cafe-limits", "LIMITS", content, FIRST_DAY)
        else:
            made = act(Kind.AGREEMENT_REVISED, code="cafe-limits", at=number)
            office.revise_agreement(made, "cafe-limits", versions[0][0], content, FIRST_DAY)


@pytest.fixture
def limits(house: House) -> Iterator[Limits]:
    limits = Limits(house)
    yield limits
    limits.set()


SPENT = (Kind.PURCHASE, Kind.HOLD)


def test_a_till_that_has_reached_its_limit_takes_nothing_more_that_day(tills: Tills, card: str, limits: Limits):
    """The operation that reaches the limit is the last; captures, refunds and the other till go on."""
    limits.set(terminal_purchase_minor=limits.day("till-1", *SPENT) + 10_000)
    held = tills(TILL_1).Authorize(authorize(card, 6_000)).receipt
    limits.follower.catch_up()
    last = tills(TILL_1).Purchase(purchase(card, 5_000)).receipt
    limits.follower.catch_up()

    declined = purchase(card, 1)
    assert (Reason.DAY_LIMIT_REACHED.name, "TERMINAL", "PURCHASE") == refused(tills(TILL_1).Purchase, declined)
    assert (Reason.DAY_LIMIT_REACHED.name, "TERMINAL", "PURCHASE") == refused(tills(TILL_1).Purchase, declined)
    assert Reason.DAY_LIMIT_REACHED.name == refused(tills(TILL_1).Authorize, authorize(card, 1))[0]
    assert 6_000 == tills(TILL_1).Capture(capture(held.request_id, 6_000)).receipt.amount_minor
    assert 500 == tills(TILL_1).Refund(refund(last.request_id, 500)).receipt.amount_minor
    assert 100 == tills(TILL_2).Purchase(purchase(card, 100)).receipt.amount_minor


def test_a_limit_that_is_raised_lets_the_till_go_on_until_the_new_one(tills: Tills, card: str, limits: Limits):
    before = limits.day("till-1", *SPENT)
    limits.set(terminal_purchase_minor=before + 1_000)
    tills(TILL_1).Purchase(purchase(card, 1_000))
    limits.follower.catch_up()
    assert Reason.DAY_LIMIT_REACHED.name == refused(tills(TILL_1).Purchase, purchase(card, 1))[0]
    limits.set(terminal_purchase_minor=before + 1_500)
    tills(TILL_1).Purchase(purchase(card, 499))
    limits.follower.catch_up()
    tills(TILL_1).Purchase(purchase(card, 1))
    limits.follower.catch_up()

    assert Reason.DAY_LIMIT_REACHED.name == refused(tills(TILL_1).Purchase, purchase(card, 1))[0]


def test_a_limit_that_is_near_is_logged_once_whatever_else_changes_in_the_programme(
    house: House, tills: Tills, card: str, limits: Limits
):
    """Each change is a reason to read the programme anew, and none to warn again; another limit is."""

    def near() -> list[int]:
        with capture_logs() as lines:
            tills(TILL_1).Purchase(purchase(card, 1))
            limits.follower.catch_up()
        return [line["limit_minor"] for line in lines if line["event"] == "day_limit_near"]

    before = limits.day("till-1", *SPENT)
    limit = (before + 10) * 10 // 9
    limits.set(terminal_purchase_minor=limit)
    assert [limit] == near()
    for _ in range(2):
        with connect(house.dsn()) as connection:
            connection.execute("UPDATE config_epoch SET epoch = epoch + 1")
        assert [] == near()
    limits.set(terminal_purchase_minor=limit + 1)
    assert [limit + 1] == near()


def test_the_tills_of_a_participant_share_its_limit(tills: Tills, card: str, limits: Limits):
    limits.set(participant_purchase_minor=limits.day(None, *SPENT) + 2_000)
    for till in (TILL_1, TILL_2):
        tills(till).Purchase(purchase(card, 1_000))
    limits.follower.catch_up()

    for till in (TILL_1, TILL_2):
        assert (Reason.DAY_LIMIT_REACHED.name, "PARTICIPANT", "PURCHASE") == refused(
            tills(till).Purchase, purchase(card, 1)
        )


def test_refunds_have_a_limit_of_their_own(tills: Tills, card: str, limits: Limits):
    """A cashier's refunds to his own card are one of the oldest frauds there is."""
    limits.set(terminal_refund_minor=limits.day("till-1", Kind.REFUND) + 300)
    sale = tills(TILL_1).Purchase(purchase(card, 1_000)).receipt
    tills(TILL_1).Refund(refund(sale.request_id, 300))
    limits.follower.catch_up()

    assert (Reason.DAY_LIMIT_REACHED.name, "TERMINAL", "REFUND") == refused(
        tills(TILL_1).Refund, refund(sale.request_id, 1)
    )
    assert 1 == tills(TILL_1).Purchase(purchase(card, 1)).receipt.amount_minor


@contextmanager
def following(limits: Limits) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=limits.follower.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_limit_is_passed_only_by_what_the_step_that_found_it_had_not_read(house: House, tills: Tills, limits: Limits):
    """The stated bound, proved by the journal: nothing that began after the step's commit was accepted."""
    cards = [house.new_card() for _ in range(8)]
    for each in cards:
        tills(STORE_TILL).TopUp(top_up(each, 400_000))
    limits.follower.catch_up()
    limits.set(participant_purchase_minor=limits.day(None, *SPENT) + 5_000)
    before = house.query("SELECT last_value FROM journal_number")[0][0]
    begun_after: list[str] = []
    reasons: set[str] = set()
    recorded = threading.Event()

    def sell(card: str, till: str) -> None:
        for _ in range(400):
            request = purchase(card, 100)
            if recorded.is_set():
                begun_after.append(request.request_id)
            try:
                tills(till).Purchase(request)
            except grpc.RpcError as error:
                reasons.add(refusal_of(error).reason)
                return

    threads = [threading.Thread(target=sell, args=(card, till)) for card in cards for till in (TILL_1, TILL_2)]
    with following(limits):
        for thread in threads:
            thread.start()
        end = time.monotonic() + 60
        while not recorded.is_set() and time.monotonic() < end:
            if house.query("SELECT 1 FROM day_limits_reached WHERE subject = 2 AND number > %s", before):
                recorded.set()
        for thread in threads:
            thread.join()

    accepted = house.query(
        "SELECT count(*) FROM entries WHERE reason = 0 AND request_id = ANY (%s::uuid[])", begun_after
    )
    assert recorded.is_set()
    assert {Reason.DAY_LIMIT_REACHED.name} == reasons
    assert [(0,)] == accepted
