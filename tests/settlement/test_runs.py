"""A settlement run from netted windows to money in the bank: every step, every way it can go, on a real ledger."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from coalition.domain.approvals import Decision
from coalition.domain.errors import Refused
from coalition.storage import approvals
from settlement import exporting
from settlement.errors import BooksDiffer, NeedsHuman, NothingToDo
from tests.ledger_fixtures import Ledger, new_ledger, write_batch
from tests.postgres import SharedPostgres
from tests.settlement.bank_reports import report, said
from tests.settlement.runs_month import (
    WORKED,
    abort,
    approve,
    bank_says,
    close_and_net,
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
    windows,
    withhold,
)

HQ, TRUST, STORE_A, CAFE_C, GARAGE_D = 1, 2, 3, 4, 5
OWED = {HQ: 180, STORE_A: -29_700, CAFE_C: 29_520}


@pytest.fixture
def month(postgres: SharedPostgres) -> Iterator[Ledger]:
    """The worked month, netted; accounts and approvers are known."""
    ledger = new_ledger(postgres)
    furnish(ledger)
    trade_and_net(ledger, WORKED)
    yield ledger
    postgres.drop(ledger.database)


def settle(ledger: Ledger, run_id: int = 1) -> None:
    """Approve, hand out and let the bank do as it was told: collections first."""
    approve(ledger)
    export(ledger, run_id)
    given = parties(ledger, run_id)
    collected = [(f"{run_id}-i{party}", given[party], "BOOKED") for party in given if given[party].instructed_minor < 0]
    paid = [(f"{run_id}-o{party}", given[party], "BOOKED") for party in given if given[party].instructed_minor > 0]
    if collected:
        confirm(ledger, bank_says(*collected))
    export(ledger, run_id)
    if paid:
        confirm(ledger, bank_says(*paid))


def test_a_month_is_paid_and_settled_and_every_account_is_zero(month: Ledger):
    assert dues(month) == OWED
    answer = prepare(month).answer
    assert (answer["collected_minor"], answer["paid_minor"]) == (29_700, 29_700)
    assert ("PREPARED", "NETTED") == (state(month), windows(month)["2017-01"])
    approve(month)
    assert "APPROVED" == state(month)
    first = export(month)
    assert (["collections.csv", "collections.xml"], 29_700) == (list(first.files), first.uncovered_minor)
    assert "SETTLING" == state(month)
    given = parties(month)
    confirm(month, bank_says(("b1", given[STORE_A], "BOOKED")))
    assert {HQ: 180, CAFE_C: 29_520} == dues(month)
    second = export(month)
    assert 0 == second.uncovered_minor
    assert ["collections.csv", "collections.xml", "payments.csv", "payments.xml"] == list(second.files)
    done = confirm(month, bank_says(("b2", given[CAFE_C], "BOOKED"), ("b3", given[HQ], "BOOKED")))

    assert ((1,), 2) == (done.finished, done.posted)
    assert {} == dues(month)
    assert ("DONE", "SETTLED") == (state(month), windows(month)["2017-01"])
    with month.connect() as connection:
        kinds = connection.execute("SELECT kind FROM entries WHERE kind >= 20 AND kind <> 120 ORDER BY entry_id")
        assert [20, 130, 131, 133, 134, 22, 133, 134, 22, 22] == [kind for (kind,) in kinds]


def test_an_empty_month_is_settled_by_one_approval(month: Ledger):
    """Nothing is instructed, and still a window is SETTLED only by a run that somebody looked at."""
    settle_first(month)
    trade_and_net(month, [], "2017-02")
    prepare(month)
    assert ("PREPARED", "NETTED") == (state(month, 2), windows(month)["2017-02"])
    decide(month, "/ap/liu")

    assert ("DONE", "SETTLED") == (state(month, 2), windows(month)["2017-02"])


def settle_first(month: Ledger) -> None:
    prepare(month)
    settle(month)


def test_only_what_everybody_agreed_to_is_handed_out(month: Ledger):
    """297.00 yuan need one checker; not the maker, not somebody without the office, and a refusal ends it."""
    prepare(month)
    with pytest.raises(NeedsHuman, match="not approved yet"):
        export(month)
    for checker, reason in (("/ap/settlement", "APPROVER_NOT_ANOTHER"), ("/ap/zhao", "OFFICE_NOT_HELD")):
        with pytest.raises(Refused) as refused:
            decide(month, checker)
        assert reason == refused.value.reason.name
    decide(month, "/ap/liu", decision=Decision.REFUSED)
    with pytest.raises(NeedsHuman, match="not approved yet"):
        export(month)
    abort(month)

    assert ({}, "CLOSED") == (dues(month), windows(month)["2017-01"])


def test_a_run_that_was_changed_after_its_approval_is_not_handed_out(month: Ledger):
    """Whoever changes the account of a payee in the database changes the hash, and nothing leaves the house."""
    prepare(month)
    approve(month)
    with month.connect("coalition") as owner:
        owner.execute("UPDATE runs SET content = convert_to(replace(convert_from(content, 'UTF8'), "
                      "'6217000000000004', '6217000000000009'), 'UTF8')")  # fmt: skip
    with pytest.raises(Exception, match="is not what was approved"):
        export(month)

    with month.connect() as connection:
        assert [(0,)] == connection.execute("SELECT count(*) FROM run_files").fetchall()


def test_files_are_the_same_bytes_on_every_export_and_private(month: Ledger, tmp_path: Path):
    prepare(month)
    approve(month)
    first = export(month)
    paths = exporting.write(first, tmp_path)
    again = export(month)

    assert first.files == again.files
    assert [path.read_bytes() for path in paths] == list(again.files.values())
    assert {0o600} == {path.stat().st_mode & 0o777 for path in paths}


def test_a_file_that_would_be_another_one_is_not_handed_out(month: Ledger):
    """Two different files of one run may both be paid: better none."""
    prepare(month)
    approve(month)
    export(month)
    with month.connect("coalition") as owner:
        owner.execute("UPDATE run_files SET sha256 = decode(repeat('00', 32), 'hex') WHERE name = 'collections.csv'")
    with pytest.raises(BooksDiffer, match=r"collections\.csv"):
        export(month)


def test_aborting_takes_the_netting_back_and_the_month_is_netted_anew(month: Ledger):
    """Abort only before anything was handed out; afterwards the window stands as before its netting."""
    prepare(month)
    assert ["monthly/2017-01"] == abort(month)
    assert ("ABORTED", "CLOSED", {}) == (state(month), windows(month)["2017-01"], dues(month))
    with pytest.raises(NothingToDo, match="already ABORTED"):
        abort(month)
    net(month, "2017-01")
    assert OWED == dues(month)
    assert 2 == prepare(month).answer["run_id"]
    settle(month, 2)

    assert ({}, "DONE") == (dues(month), state(month, 2))


def test_what_was_handed_out_is_not_aborted(month: Ledger):
    prepare(month)
    approve(month)
    export(month)
    with pytest.raises(NeedsHuman, match="its instructions are out"):
        abort(month)


def test_an_older_window_is_settled_first(month: Ledger):
    """January was aborted and not netted again: February waits."""
    prepare(month)
    abort(month)
    with month.connect("coalition_app") as connection:
        write_batch(connection, [(5, 3, 700)])
    close_and_net_ignoring_order(month)
    with pytest.raises(NeedsHuman, match="2017-01 of calendar monthly is older and not netted"):
        prepare(month)


def close_and_net_ignoring_order(ledger: Ledger) -> None:
    """February netted while January is CLOSED, as an abort after February's netting leaves it."""
    net(ledger, "2017-01")
    close_and_net(ledger, "2017-02")
    with ledger.connect("coalition") as owner:
        owner.execute("UPDATE windows SET state = 'CLOSED' WHERE label = '2017-01'")


def test_one_run_is_under_way_at_a_time(month: Ledger):
    prepare(month)
    with pytest.raises(NothingToDo, match="run 1 is PREPARED"):
        prepare(month)
    settle(month)
    with pytest.raises(NothingToDo, match="no netted window waits"):
        prepare(month)


def test_a_missing_bank_account_is_named(postgres: SharedPostgres):
    ledger = new_ledger(postgres)
    furnish(ledger, without=[CAFE_C])
    trade_and_net(ledger, WORKED)
    with pytest.raises(NeedsHuman, match="no bank account is known of cafe-c: set them"):
        prepare(ledger)
    postgres.drop(ledger.database)


def test_what_is_carried_forward_joins_the_next_run(month: Ledger):
    """1.80 of the operator is below the minimum: it stays due, and is instructed with February's."""
    prepare(month, minimum=1_000)
    assert "CARRIED" == parties(month)[HQ].state
    settle(month)
    assert ({HQ: 180}, "SETTLED") == (dues(month), windows(month)["2017-01"])
    trade_and_net(month, [(5, 1, 1_000)], "2017-02")
    prepare(month, minimum=1_000)
    assert (1_180, 1_180, "WAITING") == (
        parties(month, 2)[HQ].due_minor,
        parties(month, 2)[HQ].instructed_minor,
        parties(month, 2)[HQ].state,
    )


def test_the_operator_advances_what_small_debts_leave_open_up_to_the_limit(month: Ledger):
    trade_and_net(month, [(5, 4, 500)], "2017-02")  # garage-d owes 5.00, below the minimum
    with pytest.raises(NeedsHuman, match="would have to advance 500 minor units"):
        prepare(month, minimum=600, limit=499)
    assert 500 == prepare(month, minimum=600, limit=500).answer["advance_minor"]
    assert -320 == parties(month)[HQ].instructed_minor  # 1.80 is due to it and stays, 3.20 it pays in
    settle(month)

    assert {HQ: 500, GARAGE_D: -500} == dues(month)


def test_a_refused_collection_holds_the_payments_back_until_it_is_decided(month: Ledger):
    """store-a does not pay: nobody else is paid with money that is not there, custody's least of all."""
    prepare(month)
    approve(month)
    export(month)
    with pytest.raises(NeedsHuman, match="1 instructions are with the bank"):
        withhold(month)
    confirm(month, bank_says(("b1", parties(month)[STORE_A], "REJECTED")))
    assert (29_700, "SETTLING", OWED) == (export(month).uncovered_minor, state(month), dues(month))
    assert ["hq", "cafe-c"] == withhold(month)
    assert ("DONE", OWED) == (state(month), dues(month))
    trade_and_net(month, [], "2017-02")
    prepare(month)
    settle(month, 2)

    assert ({}, "DONE") == (dues(month), state(month, 2))


def test_a_status_report_is_matched_and_moves_no_money(month: Ledger):
    """The bank accepts the collection, then books it; it rejects a payment, which is withheld and stays due."""
    prepare(month)
    approve(month)
    export(month)
    name = parties(month)[STORE_A].instruction_id or ""
    accepted = report(said(name, "ACCP", "297.00"), about="pain.008.001.09")
    assert (1, OWED, "WAITING") == (confirm(month, accepted).posted, dues(month), parties(month)[STORE_A].state)
    with pytest.raises(NothingToDo):
        confirm(month, accepted)
    with pytest.raises(BooksDiffer, match="is 29600, instructed was 29700"):
        confirm(month, report(said(name, "ACSC", "296.00"), about="pain.008.001.09").replace(b">S1<", b">S2<"))
    confirm(month, bank_says(("b1", parties(month)[STORE_A], "BOOKED")))
    export(month)
    confirm(
        month,
        report(said(parties(month)[CAFE_C].instruction_id or "", "RJCT", reason="AC04")).replace(b">S1<", b">S3<"),
    )

    assert ("FAILED", 29_520) == (parties(month)[CAFE_C].state, dues(month)[CAFE_C])
    with month.connect() as connection:
        lines = connection.execute("SELECT result, entry_id FROM bank_lines ORDER BY bank_reference").fetchall()
    assert ["ACCEPTED", "REJECTED", "BOOKED"] == [result for result, _ in lines]
    assert [True, True, False] == [entry is None for _, entry in lines]


def test_within_its_limit_the_operator_pays_for_a_debtor_and_is_owed_it(month: Ledger):
    """BANK->DUE(H), posted with the payments that needed it: the bank's account never stands below zero."""
    prepare(month, limit=40_000)
    approve(month)
    assert 0 == export(month).uncovered_minor  # covered by the limit: everything is handed out at once
    given = parties(month)
    done = confirm(
        month,
        bank_says(("b1", given[STORE_A], "REJECTED"), ("b2", given[CAFE_C], "BOOKED"), ("b3", given[HQ], "BOOKED")),
    )

    assert (29_700, "DONE") == (done.advanced_minor, state(month))
    assert {HQ: 29_700, STORE_A: -29_700} == dues(month)


def test_a_returned_payment_reopens_what_was_due(month: Ledger):
    """cafe-c's bank sends the money back after the run was done: it is due again and joins the next run."""
    settle_first(month)
    confirm(month, bank_says(("r1", parties(month)[CAFE_C], "RETURNED")))
    assert ("DONE", "RETURNED", {CAFE_C: 29_520}) == (state(month), parties(month)[CAFE_C].state, dues(month))
    prepare(month)
    assert [(CAFE_C, 29_520)] == [
        (each.participant_id, each.instructed_minor) for each in parties(month, 2).values() if each.instructed_minor
    ]
    settle(month, 2)

    assert {} == dues(month)


def test_the_same_result_is_posted_once(month: Ledger):
    """A file twice is nothing to do; a line again in the next file is skipped; money moves once."""
    prepare(month, limit=30_000)
    approve(month)
    export(month)
    given = parties(month)
    file = bank_says(("b1", given[STORE_A], "BOOKED"))
    confirm(month, file)
    with pytest.raises(NothingToDo, match="taken into the books before"):
        confirm(month, file)
    done = confirm(month, bank_says(("b1", given[STORE_A], "BOOKED"), ("b2", given[CAFE_C], "BOOKED")))

    assert (1, 1) == (done.known_before, done.posted)
    assert {HQ: 180} == dues(month)


def test_a_mismatch_is_fatal_until_an_adjustment_is_approved(month: Ledger):
    """The bank collected 7.00 less: nothing of the file is posted, nobody overrides it, two persons may let it pass."""
    prepare(month)
    approve(month)
    export(month)
    file = bank_says(("b1", parties(month)[STORE_A], "BOOKED"), amounts={"b1": 29_000})
    for _ in range(2):
        with pytest.raises(BooksDiffer, match="is 29000, instructed was 29700"):
            confirm(month, file)
    assert OWED == dues(month)
    with month.connect() as connection:
        waiting = approvals.inbox(connection, None, 0, 10)
    assert [("ADJUSTMENT", 700)] == [(each.subject.value, each.amount_minor) for each in waiting]
    assert "is 29000, instructed was 29700" in waiting[0].summary
    decide(month, "/ap/liu")
    done = confirm(month, file)

    assert (1, 1) == (done.posted, len(done.adjusted))
    assert {HQ: 180, STORE_A: -700, CAFE_C: 29_520} == dues(month)
    assert "PAID" == parties(month)[STORE_A].state


def test_a_result_that_names_nothing_of_ours_posts_nothing(month: Ledger):
    """An instruction that was never handed out, or of an aborted run, is a stranger."""
    prepare(month)
    approve(month)
    with pytest.raises(BooksDiffer, match="no run under way or done instructed"):
        confirm(month, bank_says(("b1", parties(month)[STORE_A], "BOOKED")))

    assert OWED == dues(month)


def test_what_is_due_must_be_what_the_journal_says(month: Ledger):
    with month.connect("coalition") as owner:
        owner.execute("UPDATE due_lines SET amount_minor = amount_minor + 1 WHERE participant_id = 4")
    with pytest.raises(BooksDiffer, match="participant 4: 29521 in due_lines, 29520 in the journal"):
        prepare(month)


def test_what_an_earlier_release_netted_during_an_upgrade_is_due_too(month: Ledger):
    """The code of the previous release runs on the migrated schema, and keeps no lines of what is due."""
    with month.connect("coalition") as owner:
        owner.execute("DELETE FROM due_lines")
    settle_first(month)

    assert ({}, "DONE") == (dues(month), state(month))


def test_the_journal_tells_a_run_without_bank_accounts(month: Ledger):
    """Acts are read by auditors: hashes, amounts and participants, no account number."""
    settle_first(month)
    with month.connect() as connection:
        answers = [
            bytes(answer).decode()
            for (answer,) in connection.execute("SELECT answer FROM entries WHERE kind IN (22, 130, 131, 133, 134)")
        ]

    assert not any("62170000" in answer or "有限公司" in answer for answer in answers)
    assert [29_700, 29_700, 0] == [
        json.loads(answers[0])["answer"][name] for name in ("collected_minor", "paid_minor", "advance_minor")
    ]
