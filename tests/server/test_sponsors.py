"""Limits of sponsors over the wire: what was granted is added up behind the journal, beyond it nothing is granted."""

import threading
import time

import pytest

from coalition.bootstrap.clock import utc_now
from coalition.domain.acts import JSON
from coalition.domain.events import EventKind
from coalition.domain.kinds import Kind
from coalition.followers.follower import Follower
from coalition.followers.sponsors import limited_sponsors
from coalition.storage.connect import connect
from tests.house import FIRST_DAY, House
from tests.server.conftest import Tills
from tests.server.messages import CAFE_TILL, STORE_TILL, purchase, refund, top_up


class Sponsored:
    """Terms of store-a, a fifth on top, of which the cafe bears half, in versions; and the follower that minds it."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.follower = Follower(limited_sponsors(), lambda: connect(house.dsn()), utc_now, time.sleep)
        self._code = str(house.query("SELECT code FROM agreements WHERE kind = 'TERMS' ORDER BY agreement_id")[0][0])

    def limit(self, limit_minor: int | None) -> None:
        found = self._house.query(
            "SELECT max(version) FROM agreement_versions JOIN agreements USING (agreement_id) WHERE code = %s",
            self._code,
        )[0][0]
        content: dict[str, JSON] = {
            "issuer": "store-a",
            "tiers": [{"from_minor": 1, "bonus": "1/5"}],
            "sponsor": "cafe",
            "sponsor_share": "1/2",
        }
        if limit_minor is not None:
            content["sponsor_limit_minor"] = limit_minor
        act = self._house.act(Kind.AGREEMENT_REVISED, limit=limit_minor, of=found)
        self._house.office.revise_agreement(act, self._code, found, content, FIRST_DAY)
        self.follower.catch_up()

    def borne(self) -> int:
        """What the cafe bears of all that was granted under these terms since it is their sponsor."""
        rows = self._house.query(
            "SELECT b.granted_minor, v.content->>'sponsor' FROM sponsored_bonus b JOIN agreements a"
            " ON a.agreement_id = b.terms_id JOIN agreement_versions v"
            " ON v.agreement_id = b.terms_id AND v.version = b.terms_version WHERE a.code = %s",
            self._code,
        )
        return sum((granted + 1) // 2 for granted, sponsor in rows if sponsor == "cafe")


@pytest.fixture
def terms(house: House) -> Sponsored:
    sponsored = Sponsored(house)
    sponsored.limit(None)
    return sponsored


def test_beyond_the_limit_of_its_sponsor_no_bonus_is_granted(house: House, tills: Tills, terms: Sponsored) -> None:
    """Of 200.00 of bonus the cafe bears 100.00, its limit; the next lot has none, and refunds go on as they were."""
    card, store = house.new_card(), tills(STORE_TILL)
    terms.limit(terms.borne() + 10_000)
    before = house.query("SELECT coalesce(max(entry_id), 0) FROM cap_notices")[0][0]
    assert 20_000 == store.TopUp(top_up(card, 100_000)).receipt.bonus_minor
    terms.follower.catch_up()

    sold = store.TopUp(top_up(card, 100_000)).receipt
    assert (100_000, 0) == (sold.principal_minor, sold.bonus_minor)
    notices = house.query(
        "SELECT p.code, n.kind FROM cap_notices n JOIN participants p USING (participant_id) WHERE entry_id > %s",
        before,
    )
    assert [("cafe", EventKind.SPONSOR_REACHED)] == notices
    bought = tills(CAFE_TILL).Purchase(purchase(card, 12_000)).receipt
    assert (10_000, 2_000) == (bought.principal_minor, bought.bonus_minor)
    assert 2_000 == tills(CAFE_TILL).Refund(refund(bought.request_id, 12_000)).receipt.bonus_minor
    assert terms.follower.rebuild().equal


def test_a_limit_that_is_raised_or_ended_lets_bonus_be_granted_again(
    house: House, tills: Tills, terms: Sponsored
) -> None:
    card, store = house.new_card(), tills(STORE_TILL)
    terms.limit(1)
    terms.limit(terms.borne() or 1)
    assert 0 == store.TopUp(top_up(card, 1_000)).receipt.bonus_minor
    terms.limit(terms.borne() + 1_000)
    assert 200 == store.TopUp(top_up(card, 1_000)).receipt.bonus_minor
    terms.limit(1)
    assert 0 == store.TopUp(top_up(card, 1_000)).receipt.bonus_minor
    terms.limit(None)
    assert 200 == store.TopUp(top_up(card, 1_000)).receipt.bonus_minor


def test_a_limit_is_passed_only_by_what_the_step_that_found_it_had_not_read(
    house: House, tills: Tills, terms: Sponsored
) -> None:
    """The stated bound, proved by the journal: no lot that began after the step's commit has a bonus."""
    cards = [house.new_card() for _ in range(4)]
    terms.limit(terms.borne() + 500)
    before = house.query("SELECT last_value FROM journal_number")[0][0]
    recorded, stop = threading.Event(), threading.Event()
    bonuses: list[tuple[bool, int]] = []

    def sell(card: str) -> None:
        for _ in range(200):
            began_after = recorded.is_set()
            bonuses.append((began_after, tills(STORE_TILL).TopUp(top_up(card, 100)).receipt.bonus_minor))
            if began_after:
                return

    follower = threading.Thread(target=terms.follower.run, args=(stop,))
    threads = [threading.Thread(target=sell, args=(each,)) for each in cards]
    for thread in (follower, *threads):
        thread.start()
    end = time.monotonic() + 60
    while not recorded.is_set() and time.monotonic() < end:
        if house.query("SELECT 1 FROM sponsors_reached WHERE is_reached AND number > %s", before):
            recorded.set()
    for thread in threads:
        thread.join()
    stop.set()
    follower.join()

    assert recorded.is_set()
    assert {0} == {bonus for began_after, bonus in bonuses if began_after}
    assert 50 <= sum(1 for _, bonus in bonuses if bonus)  # 10 fen of each 20 are the cafe's
