"""Net debit caps over the wire: added up behind the journal, binding from the next batch on, no longer than needed."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from coalition.bootstrap.clock import utc_now
from coalition.domain.acts import JSON
from coalition.domain.events import EventKind
from coalition.domain.kinds import Kind
from coalition.followers.caps import capped_exposures
from coalition.followers.follower import Follower
from coalition.storage.connect import connect
from coalition.v1.terminal_pb2 import GetBalanceRequest
from coalition.v1.terminal_pb2_grpc import TerminalServiceStub
from tests.house import FIRST_DAY, House, Refusal, refusal_of
from tests.server.conftest import Tills
from tests.server.messages import CAFE_TILL, STORE_TILL, authorize, capture, purchase, refund, top_up

FAR = 10**11


@pytest.fixture
def card(house: House, tills: Tills) -> str:
    """480,000 in its wallet, of store-a."""
    card = house.new_card()
    tills(STORE_TILL).TopUp(top_up(card, 400_000))
    return card


def refused(call: Any, request: Any) -> Refusal:
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    return refusal_of(caught.value)


class Cap:
    """The cap of store-a, in versions, and the follower that minds it."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.follower = Follower(capped_exposures(), lambda: connect(house.dsn()), utc_now, time.sleep)
        self.follower.catch_up()

    def owed(self) -> int:
        """What store-a owes, as far as it is folded."""
        rows = self._house.query(
            "SELECT owed_minor FROM participant_exposures JOIN participants USING (participant_id)"
            " WHERE code = 'store-a' AND unit = 1"
        )
        return int(rows[0][0]) if rows else 0

    def set(self, net_debit_minor: int, warning_percent: int = 80) -> None:
        content: dict[str, JSON] = {
            "participant": "store-a",
            "net_debit_minor": net_debit_minor,
            "warning_percent": warning_percent,
        }
        office, act = self._house.office, self._house.act
        found = self._house.query(
            "SELECT max(version) FROM agreement_versions JOIN agreements USING (agreement_id) WHERE code = 'a-cap'"
        )[0][0]
        if found is None:
            made = act(Kind.AGREEMENT_CREATED, cap=net_debit_minor)
            office.create_agreement(made, "a-cap", "CAPS", content, FIRST_DAY)
        else:
            office.revise_agreement(
                act(Kind.AGREEMENT_REVISED, cap=net_debit_minor, of=found), "a-cap", found, content, FIRST_DAY
            )
        self.follower.catch_up()


@pytest.fixture
def cap(house: House) -> Iterator[Cap]:
    cap = Cap(house)
    yield cap
    cap.set(FAR)


def test_who_reaches_its_cap_is_taken_by_nobody_until_it_owes_less_than_the_warning(
    tills: Tills, card: str, cap: Cap
) -> None:
    """The till hears whose cap it is; captures and refunds go on; a refund is what brings the debt down here."""
    cafe, store = tills(CAFE_TILL), tills(STORE_TILL)
    cap.set(cap.owed() + 20_000, warning_percent=99)
    held = cafe.Authorize(authorize(card, 6_000)).receipt
    bought = cafe.Purchase(purchase(card, 30_000)).receipt
    cap.follower.catch_up()

    declined = purchase(card, 1)
    first, again = refused(cafe.Purchase, declined), refused(cafe.Purchase, declined)
    assert ("PARTICIPANT_CAPPED", "FAILED_PRECONDITION", "store-a") == (
        first.reason,
        first.code,
        first.metadata["participant"],
    )
    assert "true" == again.metadata["replayed"]
    assert 0 == here_at_last(cafe, card, 0)
    assert 6_000 == cafe.Capture(capture(held.request_id, 6_000)).receipt.amount_minor
    assert 10 == store.Purchase(purchase(card, 10)).receipt.amount_minor  # at home it owes nobody
    cafe.Refund(refund(bought.request_id, 30_000))
    cap.follower.catch_up()
    assert 10 == cafe.Purchase(purchase(card, 10)).receipt.amount_minor


def here_at_last(till: TerminalServiceStub, card: str, expected: int) -> int:
    """What is shown as accepted here; the front door's own look at the programme is up to a second behind."""
    end = time.monotonic() + 30
    while True:
        here = till.GetBalance(GetBalanceRequest(card_number=card)).balance.balance_here_minor
        if here == expected or time.monotonic() > end:
            return here
        time.sleep(0.1)


def test_a_cap_that_is_raised_or_lowered_binds_from_its_version_on(tills: Tills, card: str, cap: Cap) -> None:
    cafe = tills(CAFE_TILL)
    cafe.Purchase(purchase(card, 10_000))
    cap.follower.catch_up()
    cap.set(max(cap.owed(), 1))
    assert "PARTICIPANT_CAPPED" == refused(cafe.Purchase, purchase(card, 1)).reason
    cap.set(cap.owed() * 2)

    assert 1 == cafe.Purchase(purchase(card, 1)).receipt.amount_minor


def test_a_participant_is_told_when_it_nears_reaches_and_leaves_its_cap(
    house: House, tills: Tills, card: str, cap: Cap
) -> None:
    """Once each, whichever process minds the cap by then."""

    def told() -> list[tuple[int]]:
        return house.query("SELECT kind FROM cap_notices WHERE entry_id > %s ORDER BY entry_id", before)

    before = house.query("SELECT coalesce(max(entry_id), 0) FROM cap_notices")[0][0]
    cap.set(cap.owed() * 10 + 100_000, warning_percent=99)
    cap.set(cap.owed() + 20_000, warning_percent=1)
    cap.follower.catch_up()
    assert [(EventKind.CAP_NEAR,)] == told()
    tills(CAFE_TILL).Purchase(purchase(card, 10))
    Follower(capped_exposures(), lambda: connect(house.dsn()), utc_now, time.sleep).catch_up()
    assert [(EventKind.CAP_NEAR,)] == told()
    tills(CAFE_TILL).Purchase(purchase(card, 30_000))
    cap.follower.catch_up()
    cap.set(FAR)

    assert [(EventKind.CAP_NEAR,), (EventKind.CAP_REACHED,), (EventKind.CAP_CLEARED,)] == told()


def test_a_cap_that_is_near_is_logged_once_whatever_else_changes_in_the_programme(
    house: House, tills: Tills, card: str, cap: Cap
) -> None:
    """Each change is a reason to read the programme anew, and none to warn again; falling below the mark is."""

    def near(step: Callable[[], object]) -> list[str]:
        with capture_logs() as lines:
            step()
            cap.follower.catch_up()
        return [line["event"] for line in lines if line["event"] == "cap_near"]

    def change() -> None:
        with connect(house.dsn()) as connection:
            connection.execute("UPDATE config_epoch SET epoch = epoch + 1")
        tills(CAFE_TILL).Purchase(purchase(card, 10))

    cap.set(cap.owed() * 10 + 100_000, warning_percent=99)
    assert ["cap_near"] == near(lambda: cap.set(cap.owed() + 20_000, warning_percent=1))
    assert [] == near(change)
    assert [] == near(change)
    cap.set(FAR, warning_percent=99)
    assert ["cap_near"] == near(lambda: cap.set(cap.owed() + 20_000, warning_percent=1))


def test_a_cap_is_passed_only_by_what_the_step_that_found_it_had_not_read(house: House, tills: Tills, cap: Cap) -> None:
    """The stated bound, proved by the journal: nothing that began after the step's commit was accepted."""
    cards = [house.new_card() for _ in range(8)]
    for each in cards:
        tills(STORE_TILL).TopUp(top_up(each, 400_000))
    cap.follower.catch_up()
    cap.set(cap.owed() + 5_000)
    before = house.query("SELECT last_value FROM journal_number")[0][0]
    begun_after: list[str] = []
    reasons: set[str] = set()
    recorded, stop = threading.Event(), threading.Event()

    def sell(card: str) -> None:
        for _ in range(400):
            request = purchase(card, 100)
            if recorded.is_set():
                begun_after.append(request.request_id)
            try:
                tills(CAFE_TILL).Purchase(request)
            except grpc.RpcError as error:
                reasons.add(refusal_of(error).reason)
                return

    follower = threading.Thread(target=cap.follower.run, args=(stop,))
    threads = [threading.Thread(target=sell, args=(each,)) for each in cards]
    for thread in (follower, *threads):
        thread.start()
    end = time.monotonic() + 60
    while not recorded.is_set() and time.monotonic() < end:
        if house.query("SELECT 1 FROM caps_reached WHERE is_stopped AND number > %s", before):
            recorded.set()
    for thread in threads:
        thread.join()
    stop.set()
    follower.join()

    accepted = house.query(
        "SELECT count(*) FROM entries WHERE reason = 0 AND request_id = ANY (%s::uuid[])", begun_after
    )
    assert recorded.is_set()
    assert {"PARTICIPANT_CAPPED"} == reasons
    assert [(0,)] == accepted
    assert cap.follower.rebuild().equal
