"""What issuers owe members, and the reserve it takes, on a real ledger."""

import csv
import json
from datetime import date
from pathlib import Path

import pytest

from coalition.domain.ids import entry_id
from coalition.storage import positions as folded
from coalition.storage.liability import Liability, liability
from settlement import cli
from settlement.errors import NeedsHuman
from settlement.reserve import Reserve, reserves
from tests.ledger_fixtures import Ledger

TODAY = date(2017, 6, 30)
LOT = (
    "INSERT INTO lots (lane, lot_id, wallet_id, issuer_id, custodian_id, terms_id, terms_version, seller_id, "
    "bonus_expiry, face_sold, principal_sold, face, principal, is_open) "
    "VALUES (0, %s, %s, %s, %s, 1, 1, 3, %s, 200000, 200000, %s, %s, %s)"
)


@pytest.fixture
def owing(ledger: Ledger) -> Ledger:
    """Store A owes two wallets, one lot in custody and one old; cafe C owes a little; one lot is spent."""
    lots = (
        # number, time, wallet, issuer, custodian, bonus expiry, face, principal, open
        (1, "2017-06-01 16:30Z", 1, 3, 3, date(2017, 7, 10), 120000, 100001, True),
        (2, "2016-05-01 00:00Z", 2, 3, 2, None, 50000, 50000, True),
        (3, "2017-03-31 16:00Z", 1, 4, 4, date(2017, 9, 1), 600, 500, True),
        (4, "2017-06-02 00:00Z", 1, 4, 4, None, 0, 0, False),
    )
    with ledger.connect("coalition") as owner:
        for number, time, wallet, issuer, custodian, expiry, face, principal, is_open in lots:
            owner.execute(
                "INSERT INTO batches (number, time, count, root, signature) "
                "VALUES (%s, %s, 1, decode(repeat('00', 32), 'hex'), '')",
                (number, time),
            )
            entry = entry_id(number, 0, 0)
            owner.execute(LOT, (entry, wallet, issuer, custodian, expiry, face, principal, is_open))
        owner.execute(
            "INSERT INTO wallets (lane, wallet_id, balance_minor, recruiter_id, last_entry_id) "
            "VALUES (0, 1, 120600, 3, %s), (0, 2, 50000, 3, %s)",
            (entry_id(4, 0, 0), entry_id(2, 0, 0)),
        )
    return ledger


def found(ledger: Ledger) -> Liability:
    with ledger.connect() as connection:
        return liability(
            connection,
            zone="Asia/Shanghai",
            today=TODAY,
            expiring_until=date(2017, 7, 30),
            dormant_since=date(2016, 6, 30),
        )


def wanted(ledger: Ledger, default: str = "40", **policies: str) -> list[Reserve]:
    with ledger.connect() as connection:
        named = {code.replace("_", "-"): policy for code, policy in policies.items()}
        return reserves(found(ledger), folded.parties(connection), default, named)


def test_what_is_outstanding_is_told_by_issuer_custodian_and_age(owing: Ledger):
    """Ages are days in the coalition's zone: 16:00 UTC is the next day there, so the lot of 1 April is 90 days old."""
    rows = [
        (row.issuer_id, row.custodian_id, row.age, row.principal_minor, row.bonus_minor)
        for row in found(owing).outstanding
    ]

    assert [(3, 2, 3, 50000, 0), (3, 3, 0, 100001, 19999), (4, 4, 0, 500, 100)] == rows


def test_only_bonus_that_expires_soon_is_listed_and_only_wallets_at_rest(owing: Ledger):
    now = found(owing)

    assert [(3, date(2017, 7, 10), 1, 19999)] == [
        (row.issuer_id, row.expiry, row.lots, row.bonus_minor) for row in now.expiring
    ]
    assert [(3, 1, 50000)] == [(row.issuer_id, row.wallets, row.principal_minor) for row in now.dormant]
    assert 4 == now.last_number


def test_a_reserve_is_a_part_of_the_principal_rounded_up_and_custody_covers_it(owing: Ledger):
    assert [("store-a", 60001, 50000, 10001), ("cafe-c", 200, 0, 200)] == [
        (each.issuer.code, each.required_minor, each.custody_minor, each.missing_minor) for each in wanted(owing)
    ]
    assert [30001, 500] == [each.required_minor for each in wanted(owing, "20", cafe_c="full")]
    assert [0, 100] == [each.missing_minor for each in wanted(owing, "20")]


@pytest.mark.parametrize(
    ("default", "policies", "words"),
    [("50", {}, "policies are 20, 30, 40, full"), ("20", {"x": "20"}, "no participant")],
)
def test_a_policy_that_does_not_exist_is_refused(owing: Ledger, default, policies, words):
    with pytest.raises(NeedsHuman, match=words):
        wanted(owing, default, **policies)


def test_the_command_prints_the_sums_and_writes_the_tables(owing: Ledger, tmp_path: Path, capsys):
    database = ["--database-url", owing.dsn()]

    assert 0 == cli.main(
        ["reserve", "--policy", "20", "--policy", "cafe-c=full", "--out", str(tmp_path), "--json", *database]
    )
    facts = json.loads(capsys.readouterr().out)
    with (tmp_path / "reserve.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (150501, 20099, 30501) == (facts["principal_minor"], facts["bonus_minor"], facts["required_minor"])
    assert [("store-a", "20", "300.01"), ("cafe-c", "full", "5.00")] == [
        (row["issuer"], row["policy"], row["required"]) for row in rows
    ]
    tables = ["debts", "dormant", "expiring", "outstanding", "passes", "points", "reserve"]
    assert [f"{table}.csv" for table in tables] == sorted(each.name for each in tmp_path.iterdir())


def test_what_was_paid_for_passes_is_owed_and_reserved_as_principal_of_lots_is(owing: Ledger):
    """Store A owes eleven visits of two passes, one in custody; a pass that was paid out is owed to nobody."""
    with owing.connect("coalition") as owner:
        for number, custodian, visits, principal, is_over in ((5, 3, 4, 4000, 0), (6, 2, 7, 7001, 0), (7, 3, 0, 0, 1)):
            owner.execute(
                "INSERT INTO passes (lane, pass_id, wallet_id, issuer_id, custodian_id, seller_id, terms_id,"
                " terms_version, visits_sold, price_minor, visits, principal, is_over, is_open)"
                " VALUES (0, %s, 1, 3, %s, 3, 1, 1, 10, 10000, %s, %s, %s, %s)",
                (entry_id(number, 0, 0), custodian, visits, principal, bool(is_over), not is_over),
            )
    told = [
        (row.issuer_id, row.custodian_id, row.passes, row.visits, row.principal_minor) for row in found(owing).passes
    ]
    assert [(3, 2, 1, 7, 7001), (3, 3, 1, 4, 4000)] == told
    store = wanted(owing)[0]
    assert (161002, 57001, 64401) == (store.principal_minor, store.custody_minor, store.required_minor)


def test_points_are_told_by_debtor_at_what_they_are_worth_today(owing: Ledger, tmp_path: Path, capsys):
    """300 points of two wallets are worth 150 fen; what a third owes because it spent too many is not set off."""
    content = {"debtor": "cafe-c", "value": "1/2"}
    with owing.connect("coalition") as owner:
        owner.execute(
            "INSERT INTO agreements (agreement_id, code, kind, create_time) VALUES (90, 'stars', 'POINTS', now())"
        )
        owner.execute(
            "INSERT INTO agreement_versions (agreement_id, version, effective_from, content, create_time, unit)"
            " VALUES (90, 1, '2017-01-01', %s, now(), 100)",
            (json.dumps(content),),
        )
        for wallet, balance in ((1, 299), (2, 1), (3, -40), (4, 0)):
            owner.execute("INSERT INTO points VALUES (0, %s, 90, %s)", (wallet, balance))
    assert 0 == cli.main(["reserve", "--out", str(tmp_path), "--json", "--database-url", owing.dsn()])
    told = [{"debtor": "cafe-c", "programme": "stars", "points": 300, "worth_minor": 150}]
    assert told == json.loads(capsys.readouterr().out)["points"]
    header, line = (tmp_path / "points.csv").read_text().splitlines()
    assert "debtor,programme,wallets,points,owed_by_members,value_minor,worth_minor,worth" == header
    assert "cafe-c,stars,2,300,40,1/2,150,1.50" == line
