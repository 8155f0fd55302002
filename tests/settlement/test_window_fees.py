"""Fees of a window on a real ledger: measured by the fold, posted once before netting, part of every statement."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from coalition.domain.kinds import Kind
from coalition.followers.follower import Follower
from coalition.storage import settlement as store
from coalition.storage.connect import Connection, connect
from coalition.storage.embedded import SUPERUSER
from coalition.storage.positions import POSITIONS, Claim
from coalition.storage.rederivation import AccountPair
from coalition.storage.window_volumes import WINDOW_VOLUMES
from settlement import closing, netting, rederiving, report
from settlement.errors import BooksDiffer, NothingToDo
from tests.clearing.house import House, accepted, new_house
from tests.ledger_fixtures import NOTARY
from tests.postgres import SharedPostgres

AFTER_JANUARY = datetime(2017, 1, 31, 16, 0, tzinfo=UTC)


@pytest.fixture
def house(postgres: SharedPostgres) -> Iterator[House]:
    house = new_house(postgres)
    yield house
    postgres.drop(house.database)


def connection(house: House) -> Connection:
    return connect(house.dsn("coalition_settlement"))


def follower(house: House) -> Follower:
    return Follower(POSITIONS, lambda: connection(house), lambda: datetime.now(UTC), time.sleep)


def agree(house: House, code: str, since: str = "2017-01-01", **content: Any) -> None:
    with connect(house.dsn(SUPERUSER)) as owner:
        owner.execute(
            "WITH agreement AS (INSERT INTO agreements (code, kind, create_time) VALUES (%s, 'FEES', now())"
            " RETURNING agreement_id) INSERT INTO agreement_versions (agreement_id, version, effective_from,"
            " content, create_time) SELECT agreement_id, 1, %s, %s, now() FROM agreement",
            (code, since, json.dumps(content)),
        )


def close(house: House, months: int = 0, **said: Any) -> closing.Closed:
    with connection(house) as work:
        now = AFTER_JANUARY + timedelta(days=31 * months)
        return closing.close(
            work, "monthly", label=None, following=None, clock=lambda: now, sleep=time.sleep, notary=NOTARY, **said
        )


def net(house: House, label: str) -> netting.Netted:
    with connection(house) as work:
        return netting.net(work, follower(house), "monthly", label, notary=NOTARY)


def fees(house: House) -> list[tuple[str, str, int, int]]:
    """What was told of each fee: agreement, base, volume, fee, over all windows."""
    rows = house.query("SELECT answer FROM entries WHERE kind = %s ORDER BY entry_id", Kind.ASSESS)
    told = [json.loads(answer)["answer"]["fees"] for (answer,) in rows]
    return [(fee["agreement"], fee["base"], fee["volume"], fee["fee_minor"]) for each in told for fee in each]


def trade(house: House) -> bytes:
    """At a 100,000 and 5,000 are sold, the 5,000 come back; at cafe 60,000 are bought, 10,000 given back, 3,000 undone;
    at a, on-us, 8,000 are bought by a hold.
    """
    card = house.funded_card(100_000)
    bounced = house.top_up("a", house.new_card(), 5_000)
    bought, undone = house.purchase("cafe", card, 60_000), house.purchase("cafe", card, 3_000)
    hold = house.hold("a", card, 9_000)
    house.run(bounced, bought, undone, hold)
    answers = house.run(
        house.refund("cafe", bought.request_id, 10_000),
        house.reverse("cafe", undone.request_id),
        house.capture("a", hold.request_id, 8_000),
        house.reverse("a", bounced.request_id),
    )
    for answer in answers:
        accepted(answer)
    return card


def test_fees_are_measured_net_of_refunds_and_posted_once_as_claims_of_the_closed_window(house: House, tmp_path: Path):
    agree(house, "cafe-volume", payer="cafe", bands=[{"rate": "1/100"}, {"from_volume": 40_000, "rate": "1/200"}])
    agree(house, "a-volume", payer="a", bands=[{"rate": "1/80"}])
    agree(house, "a-sells", payer="a", base="TOP_UPS", payee="b", flat_minor=7, bands=[{"rate": "1/1000"}])
    agree(house, "bar-flat", payer="bar", flat_minor=9_900, minimum_minor=1)
    agree(house, "later", "2017-02-01", payer="b", flat_minor=5)
    card = trade(house)
    closed = close(house)
    accepted(house.run(house.purchase("cafe", card, 1_000))[0])  # in February, before January is netted
    done = net(house, "2017-01")

    expected = [
        ("a-sells", "TOP_UPS", 100_000, 107),
        ("a-volume", "PURCHASES", 8_000, 100),
        ("bar-flat", "PURCHASES", 0, 9_900),
        ("cafe-volume", "PURCHASES", 50_000, 450),
    ]
    assert expected == sorted(fees(house))
    legs = house.query(
        "SELECT p.code, c.code, amount_minor, label FROM transfers t JOIN windows USING (window_id)"
        " JOIN participants p ON p.participant_id = debit >> 24 & 16777215"
        " JOIN participants c ON c.participant_id = credit >> 24 & 16777215 WHERE t.code = 13 ORDER BY 1, 3"
    )
    january = "2017-01"
    assert [
        ("a", "hq", 100, january),
        ("a", "b", 107, january),
        ("bar", "hq", 9_900, january),
        ("cafe", "hq", 450, january),
    ] == legs
    with connection(house) as work:
        window = next(each for each in store.windows(work, "monthly") if each.label == january)
        assert window.assess_entry_id is not None
        assert closed.cut_number < window.assess_entry_id >> 22 < done.netting_entry_id >> 22
    assert_reported(house, tmp_path)
    with pytest.raises(NothingToDo):
        net(house, january)
    close(house, 1)
    net(house, "2017-02")
    assert ("cafe-volume", "PURCHASES", 1_000, 10) in fees(house)
    assert ("later", "PURCHASES", 0, 5) in fees(house)


def assert_reported(house: House, directory: Path) -> None:
    """Its lines end at each net position, or writing fails."""
    with connection(house) as work:
        report.write(work, "monthly", "2017-01", directory / "report")
    (statement,) = (directory / "report").rglob("bar.csv")
    assert "ASSESS" in statement.read_text()


def test_a_netting_that_was_killed_after_the_fees_finds_them_and_asks_for_nothing_twice(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    agree(house, "bar-flat", payer="bar", flat_minor=9_900)
    close(house)
    with monkeypatch.context() as patched:
        patched.setattr(store, "store_net_positions", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            net(house, "2017-01")

    assert 9_900 == net(house, "2017-01").gross_minor
    assert [("bar-flat", "PURCHASES", 0, 9_900)] == fees(house)


def test_without_a_schedule_nothing_is_posted_and_an_entry_behind_the_cut_is_still_refused(house: House):
    trade(house)
    close(house)
    net(house, "2017-01")

    assert [] == fees(house)
    pair = AccountPair(4 << 48 | 3 << 24, 4 << 48 | 4 << 24, 13, 1, 5, 1, 9, 9)
    claims = [Claim(1, 3, 4, 13, 1, 5, 1)]
    rederiving.verify_claims(claims, [pair], [(0, 8), (8, 9)])
    for numbers in ([(0, 8)], [(0, 8), (9, 10)]):
        with pytest.raises(BooksDiffer):
            rederiving.verify_claims(claims, [pair], numbers)


def test_the_fees_are_of_the_windows_numbers_when_it_is_derived_again(house: House):
    agree(house, "bar-flat", payer="bar", flat_minor=9_900)
    trade(house)
    close(house)
    net(house, "2017-01")

    with connection(house) as work:
        parts = rederiving.rederive(work, follower(house), "monthly", "2017-01")
        whole = rederiving.rederive(work, follower(house), "monthly", "2017-01", whole_journal=True)

    assert parts == whole


def test_activated_members_are_those_whose_first_purchase_lies_in_the_window(house: House):
    agree(
        house, "b-recruits", payer="hq", payee="b", base="ACTIVATED_MEMBERS", measured="PAYEE", bands=[{"rate": "500"}]
    )
    cards = [house.new_card("b") for _ in range(3)]
    for card in cards:
        house.run(house.top_up("a", card, 1_000))
    house.run(house.purchase("cafe", cards[0], 10), house.purchase("cafe", cards[0], 10))
    close(house)
    house.run(house.purchase("cafe", cards[0], 10), house.purchase("cafe", cards[1], 10))
    net(house, "2017-01")
    close(house, 1)
    net(house, "2017-02")

    assert [("b-recruits", "ACTIVATED_MEMBERS", 1, 500)] * 2 == fees(house)


def test_the_fold_of_volumes_is_made_again_to_the_same_bytes_over_two_windows(house: House):
    """Whether a window was open or closed when its entries were folded makes no difference."""
    reader = follower(house).beside(WINDOW_VOLUMES)
    card = trade(house)
    reader.catch_up()
    close(house)
    house.run(house.purchase("cafe", card, 500))
    reader.catch_up()

    assert reader.rebuild().equal
    assert 2 == house.query("SELECT count(DISTINCT window_id)::int FROM window_volumes")[0][0]
