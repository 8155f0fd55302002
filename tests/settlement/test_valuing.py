"""Points of a window on a real ledger: folded as money is, valued once before netting, zero of each unit afterwards."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from coalition.domain.agreements import parse_content
from coalition.domain.events import EventKind
from coalition.domain.kinds import Kind
from coalition.domain.simulation import Proposal
from coalition.followers.follower import Follower
from coalition.storage import positions as folded
from coalition.storage import settlement as store
from coalition.storage.connect import Connection, connect
from coalition.storage.positions import POSITIONS
from coalition.storage.settlement_events import SETTLEMENT_EVENTS
from settlement import closing, netting, rederiving, report, simulating, valuing
from settlement.errors import NothingToDo
from tests.clearing.house import House, accepted, new_house
from tests.ledger_fixtures import NOTARY
from tests.postgres import SharedPostgres

AFTER_JANUARY = datetime(2017, 1, 31, 16, 0, tzinfo=UTC)


@pytest.fixture
def house(postgres: SharedPostgres) -> Iterator[House]:
    house = new_house(postgres)
    house.add_points_programme()
    yield house
    house.check_books()
    postgres.drop(house.database)


def connection(house: House) -> Connection:
    return connect(house.dsn("coalition_settlement"))


def follower(house: House) -> Follower:
    return Follower(POSITIONS, lambda: connection(house), lambda: datetime.now(UTC), time.sleep)


def close(house: House, months: int = 0) -> None:
    with connection(house) as work:
        now = AFTER_JANUARY + timedelta(days=31 * months)
        closing.close(work, "monthly", label=None, following=None, clock=lambda: now, sleep=time.sleep, notary=NOTARY)


def net(house: House, label: str = "2017-01") -> netting.Netted:
    with connection(house) as work:
        return netting.net(work, follower(house), "monthly", label, notary=NOTARY)


def trade(house: House) -> bytes:
    """30,000 at cafe earn 300 points of b, borne by cafe; 101 are taken back; 53 are spent at a. The card."""
    card = house.funded_card()
    sale = house.purchase("cafe", card, 30_000)
    accepted(house.run(sale)[0])
    accepted(house.run(house.refund("cafe", sale.request_id, 10_050))[0])
    accepted(house.run(house.spend_points("a", card, 53))[0])
    return card


def valued(house: House) -> list[tuple[int, int, int, str, int, int]]:
    rows = house.query("SELECT answer FROM entries WHERE kind = %s ORDER BY entry_id", Kind.VALUATION)
    told = [json.loads(answer)["answer"]["valued"] for (answer,) in rows]
    names = ("debtor_id", "creditor_id", "unit", "value", "points", "amount_minor")
    return [tuple(row[name] for name in names) for each in told for row in each]


def money(house: House) -> dict[str, int]:
    rows = house.query(
        "SELECT p.code, n.net_position_minor::int FROM net_positions n JOIN participants p USING (participant_id)"
        " WHERE n.unit = 1"
    )
    return dict(rows)


def test_points_become_one_money_claim_for_each_pair_and_no_unit_is_left(house: House):
    """At half a fen: cafe owes b 150 for 300, b owes cafe 50 for 101 and a 26 for 53 (half to even both times)."""
    trade(house)
    a, b, cafe = (house.terminals[code][0] for code in ("a", "b", "cafe"))
    close(house)
    net(house)
    assert [(b, a, 100, "1/2", 53, 26), (b, cafe, 100, "1/2", 101, 50), (cafe, b, 100, "1/2", 300, 150)] == valued(
        house
    )
    assert [(0, 0)] == house.query(
        "SELECT min(net_position_minor)::int, max(net_position_minor)::int FROM net_positions WHERE unit = 100"
    )
    positions = money(house)
    assert (74, 0) == (positions["b"], sum(positions.values()))
    assert [] == house.query("SELECT unit FROM transfers WHERE code = 20 AND unit <> 1")
    with connection(house) as work:
        rederiving.rederive(work, follower(house), "monthly", "2017-01")


def test_a_netting_that_was_killed_after_the_valuation_goes_on_with_the_same_figures(house: House):
    trade(house)
    close(house)
    with connection(house) as work:
        (window,) = (each for each in store.windows(work, "monthly") if each.label == "2017-01")
        follower(house).catch_up(netting.cut_of(window))
        number = valuing.value_window(work, window, folded.bilateral(work, window.window_id), notary=NOTARY)
    before = valued(house)
    net(house)
    assert before == valued(house)
    assert [(number,)] == house.query("SELECT (valuation_entry_id >> 22)::int FROM windows WHERE label = '2017-01'")
    with pytest.raises(NothingToDo):
        net(house)
    assert before == valued(house)


def test_a_month_without_points_has_no_valuation_and_a_later_refund_falls_into_the_next(house: House):
    card = house.funded_card()
    sale = house.purchase("cafe", card, 30_000)
    accepted(house.run(sale)[0])
    close(house)
    net(house)
    close(house, 1)
    net(house, "2017-02")
    accepted(house.run(house.refund("cafe", sale.request_id, 30_000))[0])
    close(house, 2)
    net(house, "2017-03")
    assert [(300, 150), (300, 150)] == [told[-2:] for told in valued(house)]
    first, last = money_claims(house, "2017-01"), money_claims(house, "2017-03")
    assert {(creditor, debtor): amount for (debtor, creditor), amount in first.items()} == last


def money_claims(house: House, label: str) -> dict[tuple[int, int], int]:
    rows = house.query(
        "SELECT debtor_id, creditor_id, amount_minor::int FROM window_claims JOIN windows USING (window_id)"
        " WHERE label = %s AND unit = 1 AND code = 42",
        label,
    )
    return {(debtor, creditor): amount for debtor, creditor, amount in rows}


def test_reports_tell_points_beside_money_and_add_up(house: House, tmp_path: Path):
    trade(house)
    close(house)
    net(house)
    with connection(house) as work:
        report.write(work, "monthly", "2017-01", tmp_path / "report")
    bilateral = (tmp_path / "report" / "bilateral.csv").read_text()
    assert "POINTS_VALUE,MONEY,150," in bilateral
    assert "POINTS,POINTS 100,300,300,1" in bilateral
    summary = json.loads((tmp_path / "report" / "summary.json").read_text())
    assert 0 == summary["sum_of_net_positions_minor"]


def test_what_points_are_worth_is_told_and_no_simulation_touches_them(house: House):
    """An event of the valuation to each of the three, in money; the month plays again to the same figures."""
    trade(house)
    close(house)
    net(house)
    events = Follower(SETTLEMENT_EVENTS, lambda: connection(house), lambda: datetime.now(UTC), time.sleep)
    events.catch_up()
    told = house.query(
        "SELECT p.code, e.amount_minor::int FROM settlement_events e JOIN participants p USING (participant_id)"
        " WHERE kind = %s ORDER BY 1",
        EventKind.POINTS_VALUED,
    )
    terms = parse_content("ACQUIRING", {"acquirer": "cafe", "operator_fee": "6/1000", "commission": "1/100"})
    with connection(house) as work:
        outcome = simulating.simulate(
            work, follower(house), "monthly", ["2017-01"], [Proposal("cafe-acquiring", "ACQUIRING", terms)]
        )

    assert [("a", 26), ("b", 150 - 50 - 26), ("cafe", 50 - 150)] == told
    assert not outcome.changes_something
    assert {"POINTS_VALUE"} <= {line.code for line in outcome.lines}


def test_what_points_become_and_repay_are_lines_of_their_own(house: House, tmp_path: Path):
    """Participant b pays a 75 for stored value of a's; bar is owed 40 points of b's, valued with b's other points."""
    house.execute(
        "UPDATE agreement_versions SET content = content || %s::jsonb WHERE unit = 100",
        json.dumps(
            {
                "conversion": {"issuer": "a", "rate": "1/2", "minimum_points": 2},
                "repays": [{"programme": "moons", "rate": "2"}],
            }
        ),
    )
    rule = {
        "debtor": "bar",
        "earned_at": ["b"],
        "steps": [{"from_minor": 1, "rate": "1/100"}],
        "value": "3",
        "repaid_with": [{"programme": "points", "rate": "2"}],
    }
    house.execute(
        "WITH agreement AS (INSERT INTO agreements (code, kind, create_time) VALUES ('moons', 'POINTS', now())"
        " RETURNING agreement_id) INSERT INTO agreement_versions (agreement_id, version, effective_from, content,"
        " create_time, unit) SELECT agreement_id, 1, '2017-01-01', %s, now(), 101 FROM agreement",
        json.dumps(rule),
    )
    house.execute("UPDATE config_epoch SET epoch = epoch + 1")
    card = trade(house)
    house.run(house.purchase("cafe", card, 20_000))
    sale = house.purchase("b", card, 2_000)
    house.run(sale, house.spend_points("b", card, 20, programme="moons"))
    accepted(house.run(house.refund("b", sale.request_id, 2_000))[0])
    accepted(house.run(house.convert_points("cafe", card, 150))[0])
    accepted(house.run(house.repay_points("cafe", card, "moons"))[0])
    close(house)
    net(house)
    with connection(house) as work:
        rederiving.rederive(work, follower(house), "monthly", "2017-01")
        report.write(work, "monthly", "2017-01", tmp_path / "report")
        terms = parse_content("ACQUIRING", {"acquirer": "cafe", "operator_fee": "6/1000", "commission": "1/100"})
        outcome = simulating.simulate(
            work, follower(house), "monthly", ["2017-01"], [Proposal("cafe-acquiring", "ACQUIRING", terms)]
        )
    bilateral = (tmp_path / "report" / "bilateral.csv").read_text()
    assert "POINTS_CONVERSION,MONEY,75," in bilateral
    assert "POINTS_REPAYMENT,POINTS 100,40,40,1" in bilateral
    b, bar = house.terminals["b"][0], house.terminals["bar"][0]
    assert {(b, bar, 100, "1/2", 40, 20), (bar, b, 101, "3", 20, 60)} <= set(valued(house))
    assert not outcome.changes_something
    assert 0 == sum(money(house).values())
