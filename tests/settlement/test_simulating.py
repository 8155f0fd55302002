"""`python -m settlement simulate` on a real ledger: past months under proposed agreements, read and never written."""

import csv
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from lxml import etree

from coalition.domain.acts import JSON, Act
from coalition.domain.commands import CashOut, Command, TopUpReturn, TopUpReversal
from coalition.domain.kinds import Kind
from coalition.followers.follower import Follower
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection, connect
from coalition.storage.embedded import SUPERUSER
from coalition.storage.positions import POSITIONS
from coalition.storage.programme import load
from coalition.storage.simulation_reads import successions
from coalition.storage.succession import hand_over
from settlement import cli, closing, netting
from settlement.errors import NeedsHuman
from settlement.proposals import read_proposals
from tests.clearing.house import AGREEMENTS, DAY, House, accepted, new_house
from tests.ledger_fixtures import NOTARY
from tests.postgres import SharedPostgres

AFTER_JANUARY = datetime(2017, 1, 31, 16, 0, tzinfo=UTC)
CAFE = dict(AGREEMENTS["cafe-acquiring"][1])
SOLD = ("TERMS", "PASSES")  # proposals of these are no simulation
VOLUME = {"payer": "cafe", "bands": [{"rate": "1/100"}, {"from_volume": 40_000, "rate": "1/200"}]}


@pytest.fixture(scope="module")
def house(postgres: SharedPostgres) -> Iterator[House]:
    """Two netted months with every kind of sale; in February a has handed over to b, and March is open."""
    house = new_house(postgres)
    with connect(house.dsn(SUPERUSER)) as owner:
        owner.execute(
            "WITH agreement AS (INSERT INTO agreements (code, kind, create_time) VALUES ('cafe-volume', 'FEES', now())"
            " RETURNING agreement_id) INSERT INTO agreement_versions (agreement_id, version, effective_from,"
            " content, create_time) SELECT agreement_id, 1, '2017-01-01', %s, now() FROM agreement",
            (json.dumps(VOLUME),),
        )
    card, late = trade(house)
    close_and_net(house, 0)
    accepted(house.run(house.refund("cafe", late, 5_000))[0])
    leave(house)
    for answer in house.run(house.purchase("cafe", card, 4_000), house.refund("cafe", late, 5_000)):
        accepted(answer)
    close_and_net(house, 1)
    yield house
    postgres.drop(house.database)


def trade(house: House) -> tuple[bytes, Any]:
    """At cafe 60000 are bought, 10000 of them given back, 3000 undone; 8000 by a hold at a, on-us; an upload falls
    short of 20000, for which the issuer stands in; a top-up that b sold of a's value bounces once it was spent, between
    two refunds of its purchase.
    """
    card = house.funded_card(100_000)
    bounced = house.new_card()
    top_up = replace(house.top_up("b", bounced, 5_000), issuer_id=house.terminals["a"][0])
    bought, undone, spent = (
        house.purchase("cafe", card, 60_000),
        house.purchase("cafe", card, 3_000),
        house.purchase("cafe", bounced, 5_000),
    )
    hold = house.hold("a", card, 9_000)
    steps: list[list[Command]] = [
        [top_up, bought, undone, hold],
        [spent, house.refund("cafe", bought.request_id, 10_000), house.reverse("cafe", undone.request_id)],
        [house.capture("a", hold.request_id, 8_000), house.refund("cafe", spent.request_id, 1_000)],
        [house.reverse("b", top_up.request_id)],
        [house.refund("cafe", spent.request_id, 1_000)],
        [house.upload("cafe", house.funded_card(10_000), 32_000)],
    ]
    for step in steps:
        for answer in house.run(*step):
            accepted(answer)
    return card, bought.request_id


def leave(house: House) -> None:
    """B stands for a from now on, as the hand-over writes it; what its lots owe is not asked for here."""
    numbers = {code: house.terminals[code][0] for code in ("a", "b")}

    def apply(connection: Connection) -> dict[str, JSON]:
        hand_over(connection, numbers["a"], numbers["b"])
        return {"participant": "a", "successor": "b"}

    with settling(house) as work:
        act = Act(Kind.SUCCESSION, 1, uuid4(), b"\x00" * 32, "/op/settlement")
        Acts(64, lambda _: DAY, NOTARY).perform(work, act, apply)


def settling(house: House) -> Connection:
    return connect(house.dsn("coalition_settlement"))


def close_and_net(house: House, months: int) -> None:
    now = AFTER_JANUARY + timedelta(days=29 * months)
    reader = Follower(POSITIONS, lambda: settling(house), lambda: datetime.now(UTC), time.sleep)
    with settling(house) as work:
        closed = closing.close(
            work, "monthly", label=None, following=None, clock=lambda: now, sleep=time.sleep, notary=NOTARY
        )
        netting.net(work, reader, "monthly", closed.label, notary=NOTARY)


def proposed(directory: Path, *proposals: tuple[str, str, dict[str, Any]]) -> str:
    path = directory / "proposed.json"
    rows = [{"code": code, "kind": kind, "content": content} for code, kind, content in proposals]
    path.write_text(json.dumps(rows), encoding="utf-8")
    return str(path)


def run(house: House, path: str, *more: str) -> int:
    return cli.main(["simulate", path, *more, "--json", "--database-url", house.dsn("coalition_settlement")])


def differences(told: str) -> dict[tuple[str, str, str], int]:
    """By window, participant and code; not zeros."""
    lines = json.loads(told)["lines"]
    for label in {line["window"] for line in lines}:
        nets = [line for line in lines if line["window"] == label and line["code"] == "NET"]
        assert 0 == sum(line["real_minor"] for line in nets) == sum(line["simulated_minor"] for line in nets)
    return {
        (line["window"], line["participant"], line["code"]): line["difference_minor"]
        for line in lines
        if line["difference_minor"]
    }


def test_the_agreements_that_were_in_force_make_no_difference_to_anybody(house: House, tmp_path: Path, capsys):
    """Each entry leads to the claims it posted, or the command ends with 1; nothing is written."""
    again = [(code, kind.lower(), content) for code, (kind, content) in AGREEMENTS.items() if kind not in SOLD]
    path = proposed(tmp_path, *again, ("cafe-volume", "fees", VOLUME))
    before = house.query("SELECT count(*), max(entry_id) FROM entries")

    assert 2 == run(house, path, "2017-01", "2017-02")
    told = capsys.readouterr()
    assert {} == differences(told.out)
    assert [] == json.loads(told.out)["declined"]
    assert "nobody" in told.err
    assert before == house.query("SELECT count(*), max(entry_id) FROM entries")
    kinds = house.query("SELECT DISTINCT kind FROM entries WHERE reason = 0")
    assert {Kind.PURCHASE, Kind.CAPTURE, Kind.UPLOAD, Kind.REFUND, Kind.REVERSAL} <= {kind for (kind,) in kinds}


def test_a_higher_operators_fee_costs_the_cafe_what_the_operator_gains(house: House, tmp_path: Path, capsys):
    """By hand, one percent instead of six per mille. January: of 60000, 5000 and 32000, 600 + 50 + 320 instead of
    360 + 30 + 192; of what was given back, 10000 and 2 x 1000, 100 + 2 x 10 instead of 60 + 2 x 6: 850 to 510.
    February: of 4000, 40 instead of 24, and of 2 x 5000 given back 100 instead of 60: -60 to -36. The 3000 count not.
    """
    path, out = (
        proposed(tmp_path, ("cafe-acquiring", "acquiring", CAFE | {"operator_fee": "1/100"})),
        tmp_path / "o.csv",
    )

    assert 0 == run(house, path, "2017-01", "2017-02", "--out", str(out))
    expected = {("2017-01", 340), ("2017-02", -24)}
    assert {
        (label, participant, code): sign * amount
        for label, amount in expected
        for participant, sign in (("cafe", -1), ("hq", 1))
        for code in ("OPERATOR_FEE", "NET")
    } == differences(capsys.readouterr().out)
    with out.open(encoding="utf-8", newline="") as file:
        rows = {(row["window"], row["participant"], row["code"]): row for row in csv.DictReader(file)}
    assert "-3.40" == rows["2017-01", "cafe", "NET"]["difference"]
    assert ("0", "0.00") == (
        rows["2017-01", "bar", "NET"]["difference_minor"],
        rows["2017-01", "bar", "NET"]["simulated"],
    )


def test_only_what_february_gives_back_of_its_own_sales_follows_the_proposal(house: House, tmp_path: Path, capsys):
    path = proposed(tmp_path, ("cafe-acquiring", "acquiring", CAFE | {"operator_fee": "1/100"}))

    assert 0 == run(house, path, "2017-02", "--participant", "hq")
    assert {("2017-02", "hq", "OPERATOR_FEE"): 16, ("2017-02", "hq", "NET"): 16} == {
        key: line for key, line in _lines_of(capsys.readouterr().out).items() if line
    }


def _lines_of(told: str) -> dict[tuple[str, str, str], int]:
    return {
        (line["window"], line["participant"], line["code"]): line["difference_minor"]
        for line in json.loads(told)["lines"]
    }


def test_a_sponsor_would_have_borne_its_share_of_the_bonus_of_what_was_sold_then(house: House, tmp_path: Path, capsys):
    """By hand, a fifth on top is a sixth of what is spent, and the bar bears the half of it: of 60000, the 8000 of the
    hold and what the upload found, 12000, less the 10000 given back: (10000 + 1334 + 2000 - 1667) / 2. The lot that
    bounced had no bonus.
    """
    terms = AGREEMENTS["chain-terms"][1] | {"sponsor": "bar", "sponsor_share": "1/2"}

    assert 0 == run(house, proposed(tmp_path, ("chain-terms", "terms", terms)), "2017-01")
    assert {
        ("2017-01", participant, code): amount
        for participant, amount in (("a", 5_833), ("bar", -5_833))
        for code in ("BONUS", "NET")
    } == differences(capsys.readouterr().out)


def test_with_custody_the_cash_would_have_lain_there_and_paid_for_what_was_spent(house: House, tmp_path: Path, capsys):
    """By hand, January. In: 100000, 10000 and 5000 that were paid, less 1000 that was left of what bounced and 1000
    that came back to it: 113000. Out: principal of 50000, 2500, 5000 and 10000 at the cafe and of 6666 on-us, less
    8333, 2500 and 2 x 1000 that came back: 61333. What lies there in the end is the difference; a owes the cafe nothing
    for it, and b, who stood for a in February, gets back and spends what is its own by then.
    """
    terms = AGREEMENTS["chain-terms"][1] | {"custody": "OPERATOR_HELD"}
    path, out = proposed(tmp_path, ("chain-terms", "terms", terms)), tmp_path / "o.csv"

    assert 0 == run(house, path, "2017-02", "2017-01", "--out", str(out))
    told = capsys.readouterr().out
    january = {
        (participant, code): amount
        for (label, participant, code), amount in differences(told).items()
        if label == "2017-01"
    }
    assert {
        ("a", "TOP_UP_CASH"): -113_000,
        ("a", "PRINCIPAL"): 61_333,
        ("a", "NET"): -51_667,
        ("trust", "TOP_UP_CASH"): 113_000,
        ("trust", "PRINCIPAL"): -61_333,
        ("trust", "NET"): 51_667,
    } == january
    lies = [
        (each["window"], each["custodian"], each["issuer"], each["real_minor"], each["simulated_minor"])
        for each in json.loads(told)["floats"]
    ]
    assert [
        ("2017-01", "trust", "a", 0, 51_667),
        ("2017-01", "a", "a", 51_667, 0),
        ("2017-02", "trust", "a", 0, 55_834),
        ("2017-02", "trust", "b", 0, 832),
        ("2017-02", "a", "a", 55_834, 0),
        ("2017-02", "b", "b", 832, 0),
    ] == lies
    # What custody has and is owed is what it holds (SUMS section 2), under the proposal too.
    owed = sum(amount for (_, each, code), amount in differences(told).items() if (each, code) == ("trust", "NET"))
    assert 55_834 + 832 == owed
    with out.open(encoding="utf-8", newline="") as file:
        rows = {(row["window"], row["participant"], row["code"]): row["simulated"] for row in csv.DictReader(file)}
    assert "516.67" == rows["2017-01", "trust", "FLOAT(a)"]


def test_only_what_was_sold_in_the_windows_would_lie_elsewhere(house: House, tmp_path: Path, capsys):
    """February sold nothing: what January sold stays where it was sold to."""
    terms = AGREEMENTS["chain-terms"][1] | {"custody": "OPERATOR_HELD"}

    assert 2 == run(house, proposed(tmp_path, ("chain-terms", "terms", terms)), "2017-02")
    assert {} == differences(capsys.readouterr().out)


def test_a_table_of_where_money_would_have_lain_is_shown_to_people(house: House, tmp_path: Path, capsys):
    terms = AGREEMENTS["chain-terms"][1] | {"custody": "OPERATOR_HELD"}
    path = proposed(tmp_path, ("chain-terms", "terms", terms))

    assert 0 == cli.main(["simulate", path, "2017-01", "--database-url", house.dsn("coalition_settlement")])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["2017-01", "trust", "a", "0.00", "516.67", "516.67"] in rows


def test_bands_of_a_windows_fee(house: House, tmp_path: Path, capsys):
    """By hand: the cafe sold 60000 + 5000 + 32000 less 12000: 85000. Bands ask 400 + 225; a flat 1000 is 375 more."""
    path = proposed(tmp_path, ("cafe-volume", "FEES", {"payer": "cafe", "flat_minor": 1_000}))

    assert 0 == run(house, path, "monthly/2017-01")
    assert {
        ("2017-01", participant, code): amount
        for participant, amount in (("cafe", -375), ("hq", 375))
        for code in ("WINDOW_FEE", "NET")
    } == differences(capsys.readouterr().out)


def test_what_would_have_been_declined_is_counted_and_changes_no_figure(house: House, tmp_path: Path, capsys):
    refused = AGREEMENTS["cafe-acceptance"][1] | {"accepted": False}
    path = proposed(tmp_path, ("cafe-acceptance", "acceptance", refused))

    assert 0 == run(house, path, "2017-01")
    told = capsys.readouterr().out
    assert {} == differences(told)
    # 60000, the 3000 that were undone later, 5000, and the upload of 32000
    assert [
        {"amount_minor": 100_000, "count": 4, "participant": "cafe", "reason": "NOT_ACCEPTED_HERE", "window": "2017-01"}
    ] == json.loads(told)["declined"]


def test_fees_that_do_not_follow_from_the_volumes_are_no_ground_to_stand_on(house: House, tmp_path: Path, capsys):
    path, moved = proposed(tmp_path, ("cafe-acquiring", "acquiring", CAFE)), 10_000
    house.execute("UPDATE window_volumes SET volume_minor = volume_minor + %s", moved)
    try:
        assert 1 == run(house, path, "2017-01")
    finally:
        house.execute("UPDATE window_volumes SET volume_minor = volume_minor - %s", moved)
    assert "fees of 2017-01" in capsys.readouterr().err


def test_a_table_for_people_ends_with_the_sum_of_all(house: House, tmp_path: Path, capsys):
    path = proposed(tmp_path, ("cafe-acquiring", "acquiring", CAFE | {"operator_fee": "1/100"}))

    assert 0 == cli.main(["simulate", path, "2017-01", "--database-url", house.dsn("coalition_settlement")])
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert ["0.00", "0.00", "0.00"] == rows["all"]
    assert "3.40" == rows["hq"][-1]


def test_a_picture_shows_who_would_have_gained_and_lost(house: House, tmp_path: Path):
    """Two bars of one length, to the right and to the left; the same figures give the same bytes."""
    path = proposed(tmp_path, ("cafe-acquiring", "acquiring", CAFE | {"operator_fee": "1/100"}))
    drawn = []
    for name in ("one.svg", "two.svg"):
        assert 0 == run(house, path, "2017-01", "--picture", str(tmp_path / name))
        drawn.append((tmp_path / name).read_text(encoding="utf-8"))
    page = etree.fromstring(drawn[0].encode())
    space = {"s": "http://www.w3.org/2000/svg"}
    bars = [bar.attrib for bar in page.findall("s:rect", space)[1:]]
    texts = [text.text for text in page.findall("s:text", space)]

    assert drawn[0] == drawn[1]
    assert [("700", "300"), ("400", "300")] == [(bar["x"], bar["width"]) for bar in bars]
    assert ["hq", "+3.40", "cafe", "-3.40"] == texts[2:]
    assert "3.40 CNY would have moved between 2 of" in (texts[1] or "")


def test_who_stood_for_whom_is_read_from_the_journal(house: House):
    with settling(house) as work:
        found = successions(work, load(work))

    assert [{}, {house.terminals["a"][0]: house.terminals["b"][0]}] == [standing for _, standing in found]


@pytest.mark.parametrize(
    ("proposals", "label", "words"),
    [
        ([("cafe-acquiring", "acquiring", CAFE)], "2017-03", "2017-03 of calendar monthly is OPEN"),
        ([("cafe-acquiring", "acquiring", CAFE)], "2016-01", "has no window 2016-01"),
        ([("cafe-acquiring", "acquiring", CAFE | {"acquirer": "bar"})], "2017-01", "between the parties"),
        (
            [("chain-terms", "terms", {"issuer": "chain:shop", "tiers": []})],
            "2017-01",
            "sponsor_share and custody alone",
        ),
        ([("another", "acquiring", CAFE)], "2017-01", "overlaps cafe-acquiring"),
        ([("new", "acquiring", CAFE | {"acquirer": "nobody"})], "2017-01", "content.acquirer"),
        ([("one", "fees", {"payer": "bar"}), ("two", "fees", {"payer": "bar"})], "2017-01", "overlaps one"),
        ([("cafe-acquiring", "acquiring", CAFE), ("cafe-acquiring", "acquiring", CAFE)], "2017-01", "twice"),
    ],
)
def test_what_cannot_be_simulated_is_told_and_ends_with_1(
    house: House, tmp_path: Path, capsys, proposals, label, words
):
    assert 1 == run(house, proposed(tmp_path, *proposals), label)
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no JSON"),
        ("[]", "proposes nothing"),
        ('{"code": "x", "kind": "fees"}', "proposal 1: must be an object with code, kind and content"),
        ('{"code": "x", "kind": "gift", "content": {}}', "kind one of acceptance, acquiring, fees, terms"),
        ('{"code": "x", "kind": "limits", "content": {}}', "nobody can know of a past month"),
        ('{"code": "x", "kind": "acquiring", "content": {"acquirer": "c", "operator_fee": "1%"}}', "operator_fee"),
    ],
)
def test_a_file_that_cannot_be_read_names_what_to_correct(tmp_path: Path, text: str, words: str):
    path = tmp_path / "proposed.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(NeedsHuman, match=words):
        read_proposals(path)


CUSTODIES = ("ISSUER_HELD", "OPERATOR_HELD")


@pytest.mark.parametrize(("was", "would_be"), [CUSTODIES, CUSTODIES[::-1]])
def test_what_custody_has_and_is_owed_is_what_it_holds_whichever_way(
    postgres: SharedPostgres, tmp_path: Path, capsys, was: str, would_be: str
):
    """A top-up that b sold, one that a sold, purchases, a return within days, bounced money and a cash-out at the cafe:
    the pool's position is its float before and after, and another window of it changes nothing that was sold before.
    """
    house = new_house(postgres)
    terms = AGREEMENTS["chain-terms"][1]
    house.execute(
        "UPDATE agreement_versions SET content = %s FROM agreements a WHERE a.agreement_id = agreement_versions"
        ".agreement_id AND a.code = 'chain-terms'",
        json.dumps(terms | {"custody": was}),
    )
    card, returned, bounced = (house.new_card() for _ in range(3))
    other = replace(house.top_up("b", card, 20_000), issuer_id=house.terminals["a"][0])
    back, bad = house.top_up("a", returned, 7_000), house.top_up("a", bounced, 30_000)
    steps: list[list[Command]] = [
        [other, house.top_up("a", card, 10_000), back, bad],
        [house.purchase("cafe", card, 9_000), house.purchase("b", bounced, 12_000), house.purchase("a", card, 600)],
        [
            TopUpReturn(**house._common("a", 0, None), original_request_id=back.request_id),
            TopUpReversal(**house._common("a", 0, None), original_request_id=bad.request_id),
        ],
        [CashOut(**house._common("cafe", 0, None), token=card)],
        [house.top_up("a", card, 15_000)],
    ]
    for step in steps:
        for answer in house.run(*step):
            accepted(answer)
    close_and_net(house, 0)
    path = proposed(tmp_path, ("chain-terms", "terms", terms | {"custody": would_be}))

    assert 0 == run(house, path, "2017-01")
    told = json.loads(capsys.readouterr().out)
    (net,) = [line for line in told["lines"] if (line["participant"], line["code"]) == ("trust", "NET")]
    real, simulated = (
        sum(each[f"{which}_minor"] for each in told["floats"] if each["custodian"] == "trust")
        for which in ("real", "simulated")
    )
    assert (net["real_minor"], net["simulated_minor"]) == (real, simulated)
    assert {0, 15_000} == {real, simulated}
    assert 0 == sum(each["difference_minor"] for each in told["floats"])
    cash = {line["code"]: line["difference_minor"] for line in told["lines"] if line["participant"] == "cafe"}
    assert 0 == cash["CASH_OUT"] == cash["NET"], "who is paid is paid as much, by another"
    postgres.drop(house.database)
