"""Collateral, a default and what is recovered of it, worked by hand, on a real ledger."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from coalition.audit.checks.defaults import KINDS, Claims, DefaultChecks
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Check
from coalition.audit.leaf import Payload
from coalition.domain.kinds import Kind
from coalition.storage import approvals
from coalition.storage.exposures import EXPOSURES_FOLD, exposures
from coalition.storage.programme import load
from settlement import cli, default_commands
from settlement.errors import BooksDiffer, NeedsHuman, NothingToDo
from tests.ledger_fixtures import NOTARY, Ledger, new_ledger
from tests.postgres import SharedPostgres
from tests.settlement.default_month import (
    CAFE,
    GARAGE,
    HQ,
    STORE,
    TRUST,
    declare,
    done,
    held,
    move,
    posted,
    recover,
)
from tests.settlement.runs_month import (
    abort,
    approve,
    bank_says,
    confirm,
    decide,
    dues,
    export,
    furnish,
    net,
    parties,
    prepare,
    state,
    trade_and_net,
    withhold,
)

BROKEN = [(STORE, CAFE, 60_000), (CAFE, STORE, 20_000), (STORE, GARAGE, 30_000), (STORE, TRUST, 7_000)]
"""store-a owes 770.00: net 400.00 to cafe-c, 300.00 to garage-d, 70.00 to the custody pool."""


@pytest.fixture
def month(postgres: SharedPostgres) -> Iterator[Ledger]:
    ledger = new_ledger(postgres)
    furnish(ledger)
    yield ledger
    postgres.drop(ledger.database)


def audited(ledger: Ledger, claims: Claims) -> list[str]:
    """What an auditor finds wrong with what was posted, given the claims of 2017-01."""
    check, nothing = Check("V17"), dict[str, Any].fromkeys(Payload._fields, 0)
    with ledger.connect() as connection:
        windows = connection.execute("SELECT netting_entry_id, label FROM windows WHERE state = 'NETTED'")
        named = {entry_id: ("monthly", label) for entry_id, label in windows}
        checks = DefaultChecks(check, {("monthly", "2017-01"): claims}.get, named.get, is_whole=True)
        for entry_id, kind, answer in connection.execute(
            "SELECT entry_id, kind, answer FROM entries WHERE kind BETWEEN 20 AND 39 ORDER BY entry_id"
        ).fetchall():
            legs = connection.execute(
                "SELECT debit, credit, amount_minor, code, window_id, unit FROM transfers WHERE entry_id = %s",
                (entry_id,),
            ).fetchall()
            told = {"entry_id": entry_id, "kind": kind, "answer": bytes(answer), "transfers": tuple(legs)}
            payload = Payload(**nothing | told)
            if kind in KINDS:
                checks.leaf(Opened(0, None, payload, None))  # type: ignore[arg-type]  # it does not look at the leaf
            else:
                checks.keep_dues(payload)
    assert check.looked_at > 0
    return [finding.sentence for finding in check.findings]


def test_a_default_takes_the_collateral_then_the_others_and_recoveries_go_back(month: Ledger):
    """By hand: 770.00 owed, 100.01 collateral, 669.99 shared 4 to 3: 382.85 (.142) and 287.14 (.857, rounded up)."""
    done(month, lambda: move(month, "store-a", 10_001, "K1"))
    assert (10_001, {STORE: 10_001}) == held(month)
    trade_and_net(month, BROKEN)

    result = done(month, lambda: declare(month))

    assert [[CAFE, 38_285], [GARAGE, 28_714]] == result.body["shares"]
    assert [
        [
            ("COLLATERAL", STORE, "DUE", STORE, 10_001),
            ("DUE", CAFE, "DUE", STORE, 38_285),
            ("DUE", GARAGE, "DUE", STORE, 28_714),
        ]
    ] == posted(month, Kind.DEFAULT)
    assert {TRUST: 7_000, CAFE: 1_715, GARAGE: 1_286} == dues(month)
    assert (10_001, {}) == held(month)
    with month.connect() as connection:
        assert not load(connection).participants[STORE].is_active
    with pytest.raises(NothingToDo, match="owes nothing"):
        declare(month)

    done(month, lambda: recover(month, 1_000, "K2"))
    assert {TRUST: 7_000, CAFE: 2_286, GARAGE: 1_715} == dues(month)
    assert (11_001, {}) == held(month)
    with pytest.raises(NothingToDo, match="line K2 of the bank is in the books"):
        recover(month, 1_000, "K2")
    with pytest.raises(NeedsHuman, match=r"still bear of store-a, 659\.99"):
        recover(month, 66_000, "K3")
    done(month, lambda: recover(month, 65_999, "K3"))
    assert {TRUST: 7_000, CAFE: 40_000, GARAGE: 30_000} == dues(month)
    with pytest.raises(NothingToDo, match="nobody bears"):
        recover(month, 1, "K4")
    assert [] == audited(month, BROKEN)
    assert ["the shares of a default do not follow from the claims of its windows"] == audited(month, BROKEN[2:])


def test_what_becomes_due_to_a_defaulter_is_handed_on(month: Ledger):
    """Next month cafe-c owes store-a 70.00: it goes to those who bore the loss, and nothing more than that."""
    trade_and_net(month, [(STORE, CAFE, 400), (STORE, GARAGE, 300)])
    done(month, lambda: declare(month))
    assert {} == dues(month)
    trade_and_net(month, [(HQ, STORE, 70)], "2017-02")
    assert {HQ: -70, STORE: 70} == dues(month)
    with pytest.raises(NeedsHuman, match=r"more than is due to store-a, 0\.70"):
        recover(month, 71, None)

    done(month, lambda: recover(month, 70, None))

    assert {HQ: -70, CAFE: 40, GARAGE: 30} == dues(month)
    assert [("DUE", STORE, "DUE", CAFE, 40), ("DUE", STORE, "DUE", GARAGE, 30)] == posted(month, Kind.DEFAULT)[1]


def test_a_run_pays_a_defaulter_only_what_others_do_not_bear_of_it(month: Ledger):
    """Of 7.00 that cafe-c and garage-d bear, all is held back of the 10.00 the operator owes it now; 3.00 are paid.
    What was held is handed on, and paid to those who bore it by the next run.
    """
    trade_and_net(month, [(STORE, CAFE, 400), (STORE, GARAGE, 300)])
    done(month, lambda: declare(month))
    trade_and_net(month, [(HQ, STORE, 1_000)], "2017-02")
    prepared = prepare(month)
    first = parties(month)
    assert (1_000, 300, -1_000) == (first[STORE].due_minor, first[STORE].instructed_minor, first[HQ].instructed_minor)
    with month.connect() as connection:
        waiting = approvals.inbox(connection, None, 0, 10)
    assert [True] == [
        each.summary.endswith("held back for those who bear its default: 7.00 of store-a") for each in waiting
    ]
    approve(month)
    export(month)
    confirm(month, bank_says(("B1", first[HQ], "BOOKED")))
    export(month)
    confirm(month, bank_says(("B2", first[STORE], "BOOKED")))
    assert ("DONE", {STORE: 700}) == (state(month), dues(month))
    with pytest.raises(NothingToDo, match="held back"):
        prepare(month)

    done(month, lambda: recover(month, 700, None))
    prepare(month)

    assert {CAFE: 400, GARAGE: 300} == {
        each: row.instructed_minor for each, row in parties(month, 2).items() if row.instructed_minor
    }
    assert prepared.answer["run_id"] == 1


def test_who_bears_a_default_and_defaults_itself_is_told_apart(month: Ledger):
    """cafe-c bore 440.00 of store-a and cannot pay 40.00 of that: nobody's claim made it, the operator bears it."""
    trade_and_net(month, BROKEN)
    done(month, lambda: declare(month))
    done(month, lambda: declare(month, "cafe-c"))
    assert {HQ: -4_000, TRUST: 7_000, GARAGE: -3_000} == dues(month)

    done(month, lambda: recover(month, 4_000, "K1", "cafe-c"))
    done(month, lambda: recover(month, 700, "K2"))

    assert {TRUST: 7_000, CAFE: 400, GARAGE: -2_700} == dues(month)
    assert [] == audited(month, BROKEN)


def test_only_the_windows_that_it_did_not_pay_share_a_default(month: Ledger):
    """January, owed to cafe-c, was paid; February, owed to garage-d, was refused: garage-d bears it."""
    trade_and_net(month, [(STORE, CAFE, 500)])
    prepare(month)
    approve(month)
    export(month)
    confirm(month, bank_says(("b1", parties(month)[STORE], "BOOKED")))
    export(month)
    confirm(month, bank_says(("b2", parties(month)[CAFE], "BOOKED")))
    assert "DONE" == state(month)
    trade_and_net(month, [(STORE, GARAGE, 300)], "2017-02")

    result = done(month, lambda: declare(month))

    assert ([["monthly", "2017-02"]], [[GARAGE, 300]]) == (result.body["windows"], result.body["shares"])
    assert {} == dues(month)


def test_no_default_while_a_run_is_under_way(month: Ledger):
    """An instruction that waits may still be paid; one to a creditor stands on what was due before."""
    trade_and_net(month, BROKEN)
    prepare(month)
    with pytest.raises(NeedsHuman, match=r"run 1 is PREPARED and holds an instruction of store-a .* abort 1`"):
        declare(month)
    approve(month)
    export(month)
    with pytest.raises(NeedsHuman, match=r"run 1 is SETTLING and holds an instruction of store-a .* abort 1 --rest`"):
        declare(month)
    confirm(month, bank_says(("b1", parties(month)[STORE], "REJECTED")))
    with pytest.raises(NeedsHuman, match=r"run 1 is SETTLING and instructs what is due .* abort 1 --rest`"):
        declare(month)
    withhold(month)
    done(month, lambda: declare(month))
    assert {TRUST: 7_000, CAFE: -4_000, GARAGE: -3_000} == dues(month)  # 440.00 and 330.00 of 770.00


def test_what_was_approved_and_nothing_else_is_carried_out(month: Ledger):
    """The hash holds the shares: a netting between approval and execution asks anew, and nothing is posted before."""
    trade_and_net(month, BROKEN)
    first = declare(month)
    with pytest.raises(NothingToDo, match=f"approval {first.approval_id} waits for FINANCE"):
        declare(month)
    before = dues(month)
    approve(month)
    trade_and_net(month, [(STORE, CAFE, 5)], "2017-02")
    second = declare(month)
    assert second.approval_id not in {None, first.approval_id}
    assert before[STORE] - 5 == dues(month)[STORE]
    with month.connect() as connection:
        assert load(connection).participants[STORE].is_active
        waiting = approvals.inbox(connection, None, 0, 10)
    assert [(second.approval_id, 77_005)] == [(each.approval_id, each.amount_minor) for each in waiting]
    assert "default of store-a: it owes 770.05" in waiting[0].summary


def test_a_default_that_two_carry_out_at_once_is_posted_once(month: Ledger):
    trade_and_net(month, BROKEN)
    declare(month)
    approve(month)

    def attempt(_: int) -> str:
        try:
            declare(month)
        except NothingToDo as nothing:
            return str(nothing)
        return "posted"

    with ThreadPoolExecutor(4) as pool:
        told = sorted(pool.map(attempt, range(4)))

    assert ["posted", *["store-a owes nothing that is due"] * 3] == told
    assert 1 == len(posted(month, Kind.DEFAULT))
    dues(month)


def test_collateral_is_paid_back_only_where_nothing_is_owed(month: Ledger):
    done(month, lambda: move(month, "store-a", 900, "K1"))
    with pytest.raises(NothingToDo, match="line K1 of the bank is in the books"):
        move(month, "store-a", 900, "K1")
    with pytest.raises(NeedsHuman, match=r"more than the collateral of store-a, 9\.00"):
        move(month, "store-a", 901, "K2", back=True)
    done(month, lambda: move(month, "store-a", 400, "K2", back=True))
    assert (500, {STORE: 500}) == held(month)
    assert [[("BANK", 0, "COLLATERAL", STORE, 900)], [("COLLATERAL", STORE, "BANK", 0, 400)]] == posted(
        month, Kind.COLLATERAL_MOVED
    )
    trade_and_net(month, [(STORE, CAFE, 5)])
    with pytest.raises(NeedsHuman, match=r"store-a owes 0\.05"):
        move(month, "store-a", 100, "K3", back=True)


def test_collateral_is_no_money_of_a_run_and_adds_to_the_cap(month: Ledger):
    """Payments wait for 770.00 although 900.00 lie in the bank; the fold that minds caps sees the collateral."""
    done(month, lambda: move(month, "garage-d", 90_000, "K1"))
    trade_and_net(month, BROKEN)
    prepare(month)
    approve(month)
    assert 77_000 == export(month).uncovered_minor
    with month.connect() as connection:
        month.follower().beside(EXPOSURES_FOLD).catch_up()
        assert 90_000 == exposures(connection, [GARAGE])[GARAGE].collateral_minor


@pytest.mark.parametrize("code", ["hq", "trust", "nobody"])
def test_operator_and_custody_give_no_collateral_and_do_not_default(month: Ledger, code: str):
    for step in (lambda: move(month, code, 1, "K1"), lambda: declare(month, code)):
        with pytest.raises(NeedsHuman, match=code):
            step()


@pytest.mark.parametrize(("amount", "reference"), [(0, "K1"), (-5, "K1"), (5, " "), (5, "K" * 141)])
def test_a_line_that_no_bank_has_is_named(month: Ledger, amount: int, reference: str):
    with pytest.raises(NeedsHuman, match=r"--amount|--reference"):
        move(month, "store-a", amount, reference)


def test_claims_that_are_not_what_was_netted_stop_a_default(month: Ledger):
    trade_and_net(month, BROKEN)
    with month.connect() as connection:
        connection.execute("UPDATE window_claims SET amount_minor = 1 WHERE creditor_id = %s", (GARAGE,))
    with pytest.raises(BooksDiffer, match="store-a has -47001 by its claims, -77000 was netted"):
        declare(month)


def test_a_run_that_is_aborted_after_a_default_leaves_books_that_add_up(month: Ledger):
    """The window is netted anew: what it made due comes back, and the loss stays where it was put."""
    trade_and_net(month, BROKEN)
    done(month, lambda: declare(month))
    after = dues(month)
    prepare(month)
    abort(month)
    assert 77_000 == dues(month)[STORE]
    net(month, "2017-01")
    assert after == dues(month)


def test_a_treasurer_types_it(month: Ledger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """The commands, their exit codes, and what they print for programs."""
    monkeypatch.setattr(default_commands, "notary", lambda: NOTARY)

    def run(*arguments: str) -> tuple[int, str]:
        code = cli.main([*arguments, "--database-url", month.dsn()])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    paid_in = ("collateral", "store-a", "--amount", "100.01", "--reference", "K1")
    code, said = run(*paid_in)
    assert (0, True) == (code, "It waits for approval 1; approved, run the same command again" in said)
    assert (2, True) == ((again := run(*paid_in))[0], "approval 1 waits for FINANCE" in again[1])
    approve(month)
    assert (0, "collateral of store-a paid in: 100.01, line K1 of the bank: posted\n") == run(*paid_in)
    assert 2 == run(*paid_in)[0]
    trade_and_net(month, BROKEN)
    assert 0 == run("default", "store-a")[0]
    approve(month)
    code, said = run("default", "store-a", "--json")
    assert (0, None, [[4, 38_285], [5, 28_714]]) == (code, (told := json.loads(said))["approval_id"], told["shares"])
    assert 2 == run("default", "store-a")[0]
    assert (1, True) == ((wrong := run("default", "store-a", "--recovery", "ten"))[0], "--recovery" in wrong[1])
    assert 1 == run("default", "store-a", "--reference", "K2")[0]
    recovery = ("default", "store-a", "--recovery", "10.00", "--reference", "K2")
    assert 0 == run(*recovery)[0]
    decide(month, "/ap/liu")
    assert (0, True) == ((last := run(*recovery))[0], last[1].endswith("that 2 bear goes back to them: posted\n"))
    assert {TRUST: 7_000, CAFE: 2_286, GARAGE: 1_715} == dues(month)
