"""The forge kit: an honest bundle passes every check, and each way of tampering is found, by the check that names it.

Superuser without keys: rows are changed in place. Superuser with the keys: everything is signed anew, and only what
others hold tells. docs/audit-log.md has the same list for people.
"""

import hashlib
import json
import shutil
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from coalition.audit.bundle_format import MANIFEST, STATE_SECTIONS
from coalition.audit.checks.report import Verdict
from coalition.audit.policy import Policy
from coalition.audit.trust import BatchKey, Trust
from coalition.bootstrap.statements import day_signer
from coalition.domain.accounts import (
    BANK,
    WALLET,
    AccountKind,
    TransferCode,
    Unit,
    clearing_account,
    due_account,
    float_account,
    kind_of,
    parties_of,
)
from coalition.domain.acts import JSON, canonical
from coalition.domain.audit_records import LeafRecord
from coalition.domain.default import cover_default, net_claims_on
from coalition.domain.ids import entry_id, number_of
from coalition.domain.journal import AllocationRow, Entry, Outcome, Transfer
from coalition.domain.kinds import Kind
from coalition.domain.lots import SHORTFALL_LOT
from coalition.domain.reasons import Reason
from coalition.storage.connect import connect
from keys import create_authority, issue
from settlement.cells import write_json
from settlement.manifest import manifest_of
from tests.audit.conftest import signer
from tests.audit.forge import WITNESS, Desk, Forge, breached, mutate_and_judge, new_forge, remanifested, sentences
from tests.audit.tampered_tables import BESIDE_THE_LOG
from tests.audit.tampering import WITHOUT_KEYS
from tests.house import House

pytestmark = pytest.mark.xdist_group("serial")

TAMPERINGS = WITHOUT_KEYS | BESIDE_THE_LOG
TRUST = 2  # the custody pool, laid with the scheme
OLD = signer("coalition.example/old-batches")


@pytest.fixture(scope="module")
def forge(house: House, tmp_path_factory: pytest.TempPathFactory) -> Forge:
    return new_forge(house, tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="module")
def honest(forge: Forge) -> Path:
    return forge.bundle()


def test_the_honest_log_passes_every_check_that_has_a_subject(forge: Forge, honest: Path) -> None:
    report = forge.judged(honest)

    assert Verdict.OK is report.verdict, sentences(report)
    decided = {name for name, check in report.checks.items() if check.verdict is Verdict.OK}
    assert {f"V{n}" for n in range(1, 23)} == decided
    assert 0 == report.exit_code
    assert 1 == report.to_json()["erased_members"]


def test_the_log_made_anew_by_its_own_keys_is_the_same_log(forge: Forge) -> None:
    """The forge itself changes nothing: what the tests below find is their own change."""
    report = forge.judged(forge.resealed(forge.rows()))

    assert Verdict.OK is report.verdict, sentences(report)


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_superuser_without_the_keys_is_found(forge: Forge, name: str) -> None:
    statements, expected = TAMPERINGS[name]
    with forge.tampered(*statements) as connection:
        report = forge.judged(forge.bundle(connection))

    assert Verdict.BREACH is report.verdict, sentences(report)
    assert 1 == report.exit_code
    assert expected in breached(report), sentences(report)


def of_day(rows: list[LeafRecord], kind: Kind, place: int = 0) -> Entry:
    return [row.entry for row in rows if row.entry.kind == kind and row.entry.reason == 0][place]


def edited(target: Entry, **change: Any) -> Callable[[Entry], Entry]:
    return lambda entry: replace(entry, **change) if entry.entry_id == target.entry_id else entry


def told(entry: Entry, **change: Any) -> bytes:
    return Outcome.from_answer(entry.answer)._replace(**change).to_answer()


def appended(rows: list[LeafRecord], like: Entry, **change: Any) -> list[LeafRecord]:
    """The log with one more batch: an entry like another, under a new id."""
    number = number_of(rows[-1].entry.entry_id) + 1
    time = rows[-1].time + timedelta(seconds=1)
    new = entry_id(number, 0, like.lane)
    outcome = Outcome.from_answer(like.answer)._replace(entry_id=new, post_time=time, **change.pop("outcome", {}))
    entry = replace(like, entry_id=new, answer=outcome.to_answer(), **{"request_id": UUID(int=number), **change})
    return [*rows, LeafRecord(entry, time, b"")]


def drop_a_sale(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return [row for row in rows if row.entry.entry_id != forge.day.purchase.entry_id]


def change_a_receipt(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    target = next(row.entry for row in rows if row.entry.entry_id == forge.day.purchase.entry_id)
    return forge.changed(edited(target, sale_reference="S-9"), rows)


def truncate(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return rows[:20]


def rewrite_history(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return forge.changed(edited(of_day(rows, Kind.TOP_UP), actor="/t/store-b/main/till-1"), rows)


def tell_another_balance(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    target = of_day(rows, Kind.CAPTURE)
    return forge.changed(edited(target, answer=told(target, balance_minor=1)), rows)


def overdraw_a_lot(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    target = of_day(rows, Kind.CAPTURE)
    (draw,) = target.allocations
    return forge.changed(
        edited(target, allocations=[draw._replace(lot_id=of_day(rows, Kind.TOP_UP).entry_id + 1)]), rows
    )


def owe_for_a_purchase(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    """A purchase whose wallet gave less than its amount, as only a sale told late may."""
    target = of_day(rows, Kind.PURCHASE)
    draw, *more = target.allocations
    owed = [draw._replace(lot_id=SHORTFALL_LOT, principal=0), *more]
    return forge.changed(edited(target, allocations=owed), rows)


def refund_twice(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    target = of_day(rows, Kind.REFUND, 1)
    return appended(rows, target)


def capture_twice(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return appended(rows, of_day(rows, Kind.CAPTURE))


def use_a_request_twice(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    declined = next(row.entry for row in rows if row.entry.reason == Reason.INSUFFICIENT_FUNDS)
    return appended(rows, declined, request_id=declined.request_id)


def claim_in_a_closed_window(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    target = next(row.entry for row in rows if row.entry.entry_id == forge.day.purchase.entry_id)
    return appended(rows, target)


def net_other_figures(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    target = of_day(rows, Kind.NETTING)
    answer = json.loads(target.answer)
    for position in answer["answer"]["positions"]:
        position[2] = {3: position[2] - 100, 5: position[2] + 100}.get(position[0], position[2])
    moved = [
        leg._replace(amount_minor=leg.amount_minor + 100) if leg.amount_minor > 1000 else leg
        for leg in target.transfers
    ]
    return forge.changed(edited(target, answer=json.dumps(answer).encode(), transfers=moved), rows)


def net_what_does_not_add_up(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    target = of_day(rows, Kind.NETTING)
    answer = json.loads(target.answer)
    answer["answer"]["positions"][0][2] += 1
    return forge.changed(edited(target, answer=json.dumps(answer).encode()), rows)


def leave_a_participant_out(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    target = of_day(rows, Kind.NETTING)
    answer = json.loads(target.answer)
    answer["answer"]["positions"] = [each for each in answer["answer"]["positions"] if each[0] != 6]
    return forge.changed(edited(target, answer=json.dumps(answer).encode()), rows)


def settled(rows: list[LeafRecord], kind: Kind, **change: Any) -> list[LeafRecord]:
    """The log with one more batch: what settlement posts after its netting, by default the mirror of that."""
    netting = of_day(rows, Kind.NETTING)
    number = number_of(rows[-1].entry.entry_id) + 1
    mirror = [leg._replace(debit=leg.credit, credit=leg.debit) for leg in netting.transfers]
    entry = replace(
        netting,
        **{
            "kind": kind,
            "entry_id": entry_id(number, 0, netting.lane),
            "request_id": UUID(int=number),
            "original_entry_id": netting.entry_id,
            "transfers": mirror,
            **change,
        },
    )
    return [*rows, LeafRecord(entry, rows[-1].time + timedelta(seconds=1), b"")]


def reverse_a_netting_by_other_legs(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    legs = of_day(rows, Kind.NETTING).transfers[1:]
    return settled(
        rows,
        Kind.NETTING_REVERSAL,
        transfers=[leg._replace(debit=leg.credit, credit=leg.debit) for leg in legs],
    )


def reverse_a_netting_twice(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return settled(settled(rows, Kind.NETTING_REVERSAL), Kind.NETTING_REVERSAL)


def pay_from_what_was_not_due(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    leg = Transfer(BANK, clearing_account(3), 5, TransferCode.SETTLEMENT_PAYMENT)
    return settled(rows, Kind.SETTLEMENT_PAYMENT, transfers=[leg])


def defaulted(rows: list[LeafRecord], *, spared: int | None = None) -> list[LeafRecord]:
    """The day's largest debtor does not pay: shared as it has to be, or as if it had owed nothing to one of them."""
    netting = of_day(rows, Kind.NETTING)
    told = json.loads(netting.answer)["answer"]["positions"]
    positions = {party: net for party, unit, net in told if unit == Unit.MONEY}
    party = min(positions, key=lambda each: positions[each])
    windows = {leg.window_id for leg in netting.transfers}
    claims = [
        (parties_of(leg.debit)[0], parties_of(leg.credit)[0], leg.amount_minor)
        for row in rows
        for leg in row.entry.transfers
        if leg.window_id in windows and {kind_of(leg.debit), kind_of(leg.credit)} == {AccountKind.CLEARING}
        if leg.unit == Unit.MONEY
    ]
    if spared is not None:
        largest = max(net_claims_on(party, claims).items(), key=lambda each: each[1])[0]
        claims = [(debtor, creditor, amount + spared * (creditor == largest)) for debtor, creditor, amount in claims]
    default = cover_default(party, -positions[party], 0, claims, exempt={TRUST}, operator_id=1)
    answer: dict[str, JSON] = {
        "participant_id": party,
        "owed_minor": -positions[party],
        "collateral_minor": 0,
        "windows": [["monthly", json.loads(netting.answer)["answer"]["label"]]],
        "weights": [[other, weight] for other, weight in default.weights.items()],
        "shares": [[other, share] for other, share in default.shares.items()],
    }
    return settled(
        rows,
        Kind.DEFAULT,
        original_entry_id=None,
        answer=canonical({"answer": answer, "time": ""}),
        transfers=default.transfers,
    )


def share_a_loss_otherwise(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return defaulted(rows, spared=100)


def keep_money_of_a_sale(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    """The wallet pays more than the till was told."""
    target = of_day(rows, Kind.PURCHASE)
    legs = [leg._replace(amount_minor=leg.amount_minor + 7) if leg.debit == WALLET else leg for leg in target.transfers]
    return forge.changed(edited(target, transfers=legs), rows)


def move_value_by_a_decline(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    target = next(row.entry for row in rows if row.entry.reason == Reason.INSUFFICIENT_FUNDS)
    leg = Transfer(clearing_account(3), clearing_account(5), 5, TransferCode.PRINCIPAL, 1)
    return forge.changed(edited(target, transfers=[leg]), rows)


def give_back_to_another_lot(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    target = of_day(rows, Kind.REFUND)
    back = [AllocationRow(row.lot_id, row.place + 5, *row[2:]) for row in target.allocations]
    return forge.changed(edited(target, allocations=back), rows)


def go_back_in_time(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    target = forge.day.purchase.entry_id
    return [
        row._replace(
            time=row.time - timedelta(hours=1),
            entry=replace(row.entry, answer=told(row.entry, post_time=row.time - timedelta(hours=1))),
        )
        if row.entry.entry_id == target
        else row
        for row in rows
    ]


def post_to_itself(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    target = of_day(rows, Kind.TOP_UP)
    account = float_account(3, 3)
    return forge.changed(
        edited(target, transfers=[*target.transfers, Transfer(account, account, 5, TransferCode.BONUS)]), rows
    )


def drop(rows: list[LeafRecord], kind: Kind, place: int = 0) -> list[LeafRecord]:
    target = of_day(rows, kind, place).entry_id
    return [row for row in rows if row.entry.entry_id != target]


def answering(forge: Forge, rows: list[LeafRecord], target: Entry, **change: Any) -> list[LeafRecord]:
    """The log where an act answers something else."""
    answer = json.loads(target.answer)
    answer["answer"] |= change
    return forge.changed(edited(target, answer=canonical(answer)), rows)


def delete_a_key_event(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return drop(rows, Kind.KEYS_CHANGED, 1)


def delete_the_first_key_event(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return drop(rows, Kind.KEYS_CHANGED)


def say_that_a_destroyed_key_lives(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    target = of_day(rows, Kind.KEYS_CHANGED)
    versions = json.loads(target.answer)["answer"]["versions"]
    gone = [[purpose, version, "DESTROYED", *rest] for purpose, version, _, *rest in versions]
    return answering(forge, rows, target, versions=gone)


def hide_a_revision(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return drop(rows, Kind.MEMBER_REVISED)


def see_without_approval(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return drop(rows, Kind.DISCLOSURE_APPROVED)


def approve_for_oneself(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return forge.changed(edited(of_day(rows, Kind.DISCLOSURE_APPROVED), actor="/op/eve"), rows)


def erase_what_nobody_asked_to_erase(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return drop(rows, Kind.ERASURE_REQUESTED)


def erase_alone(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    target = of_day(rows, Kind.MEMBER_ERASED)
    rows = answering(forge, rows, target, approver="/op/admin")
    return forge.changed(edited(of_day(rows, Kind.MEMBER_ERASED), actor="/op/admin"), rows)


def let_merged_value_arrive_elsewhere(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    other = of_day(rows, Kind.TOP_UP).wallet_id
    return forge.changed(edited(of_day(rows, Kind.MERGE_IN), wallet_id=other), rows)


def drop_a_merge(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return drop(rows, Kind.MEMBERS_MERGED)


def drop_what_a_merge_sent(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return drop(rows, Kind.MERGE_OUT)


def drop_what_arrived_of_a_merge(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return drop(rows, Kind.MERGE_IN)


def hide_a_freeze(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return drop(rows, Kind.CARD_FROZEN)


def hide_a_lock(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return drop(rows, Kind.MEMBER_STATE_CHANGED)


def see_somebody_else(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return answering(forge, rows, of_day(rows, Kind.DISCLOSED), member_ids=[str(UUID(int=1))])


def seal_to_somebody_else(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    seen = next(row.entry for row in rows if row.entry.kind == Kind.DISCLOSED and b"disclosure_id" in row.entry.answer)
    return answering(forge, rows, seen, recipient_key_sha256="00" * 32)


def drop_the_seal_of_a_report(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return drop(rows, Kind.REPORT_SEALED)


def seal_another_report(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return answering(forge, rows, of_day(rows, Kind.REPORT_SEALED), manifest_sha256="00" * 32)


def call_a_differing_day_agreed(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return answering(forge, rows, of_day(rows, Kind.TERMINAL_DAY_CLOSED, 1), difference_count=0, differences=[])


def drop_a_day_close(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return drop(rows, Kind.TERMINAL_DAY_CLOSED)


def make_an_agreement_otherwise(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return answering(forge, rows, of_day(rows, Kind.AGREEMENT_CREATED), content_sha256="00" * 32)


def hide_a_suspension(forge: Forge, rows: list[LeafRecord]) -> list[LeafRecord]:
    return drop(rows, Kind.TERMINAL_STATE_CHANGED)


# What a superuser with every key of the house does, and a check that must name it.
WITH_KEYS: dict[Callable[[Forge, list[LeafRecord]], list[LeafRecord]], str] = {
    drop_a_sale: "V19",
    change_a_receipt: "V19",
    truncate: "V4",
    rewrite_history: "V3",
    tell_another_balance: "V9",
    overdraw_a_lot: "V9",
    owe_for_a_purchase: "V8",
    refund_twice: "V11",
    capture_twice: "V10",
    use_a_request_twice: "V12",
    claim_in_a_closed_window: "V17",
    net_other_figures: "V17",
    net_what_does_not_add_up: "V17",
    leave_a_participant_out: "V17",
    reverse_a_netting_by_other_legs: "V17",
    reverse_a_netting_twice: "V17",
    pay_from_what_was_not_due: "V17",
    share_a_loss_otherwise: "V17",
    keep_money_of_a_sale: "V8",
    move_value_by_a_decline: "V8",
    give_back_to_another_lot: "V11",
    go_back_in_time: "V7",
    post_to_itself: "V8",
    delete_a_key_event: "V14",
    delete_the_first_key_event: "V14",
    say_that_a_destroyed_key_lives: "V14",
    hide_a_revision: "V13",
    see_without_approval: "V15",
    approve_for_oneself: "V15",
    let_merged_value_arrive_elsewhere: "V9",
    drop_a_merge: "V9",
    drop_what_a_merge_sent: "V9",
    drop_what_arrived_of_a_merge: "V20",
    hide_a_freeze: "V20",
    hide_a_lock: "V20",
    drop_the_seal_of_a_report: "V17",
    seal_another_report: "V17",
    see_somebody_else: "V15",
    seal_to_somebody_else: "V15",
    erase_what_nobody_asked_to_erase: "V15",
    erase_alone: "V15",
    call_a_differing_day_agreed: "V18",
    drop_a_day_close: "V18",
    make_an_agreement_otherwise: "V16",
    hide_a_suspension: "V16",
}


@pytest.mark.parametrize("forgery", WITH_KEYS, ids=lambda forgery: forgery.__name__)
def test_a_superuser_with_all_keys_is_found(forge: Forge, forgery: Callable[..., list[LeafRecord]]) -> None:
    report = forge.judged(forge.resealed(forgery(forge, forge.rows())))

    assert Verdict.BREACH is report.verdict, sentences(report)
    assert WITH_KEYS[forgery] in breached(report), sentences(report)


def test_a_reversed_netting_and_a_payment_are_no_breach(forge: Forge) -> None:
    """An aborted run, and money that the bank moved, are what a ledger may do."""
    leg = Transfer(BANK, due_account(3), 5, TransferCode.SETTLEMENT_PAYMENT)
    rows = settled(settled(forge.rows(), Kind.NETTING_REVERSAL), Kind.SETTLEMENT_PAYMENT, transfers=[leg])
    report = forge.judged(forge.resealed(rows))

    assert "V17" not in breached(report), sentences(report)
    assert "V8" not in breached(report), sentences(report)


def test_a_default_that_is_shared_by_the_claims_is_no_breach(forge: Forge) -> None:
    report = forge.judged(forge.resealed(defaulted(forge.rows())))

    assert not breached(report) & {"V8", "V17"}, sentences(report)


@pytest.mark.parametrize(
    ("kind", "fact", "check"),
    [
        (Kind.MEMBERS_IMPORTED, "cards_sha256", "V20"),
        (Kind.MEMBERS_MERGED, "wallets_sha256", "V9"),
        (Kind.MEMBER_ERASED, "requester", "V15"),
    ],
)
def test_what_a_release_before_did_not_tell_is_not_decided(forge: Forge, kind: Kind, fact: str, check: str) -> None:
    """Nor called a breach: the acts of then say less."""
    rows = forge.rows()
    target = of_day(rows, kind)
    answer = json.loads(target.answer)
    del answer["answer"][fact]
    report = forge.judged(forge.resealed(forge.changed(edited(target, answer=canonical(answer)), rows)), previous=())

    assert set() == breached(report), sentences(report)
    assert Verdict.UNDECIDED is report.checks[check].verdict


def test_a_batch_sealed_with_a_retired_key_is_found(forge: Forge) -> None:
    """Its key was good until batch 10: the trust file says so, and a later batch sealed with it is a forgery."""
    ours = forge.trust.batch_keys[0].key
    trust = replace(forge.trust, batch_keys=[BatchKey(OLD.key, 1, 10), BatchKey(ours, 11)])
    with_old = forge.resealed(forge.rows(), sign=OLD.sign)
    report = forge.judged(with_old, trust=trust)

    assert {"V21"} == breached(report) - {"V19"}, sentences(report)
    assert report.checks["V21"].breaches == report.checks["V21"].looked_at - 10


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("t/cafe/main/till-1", "a certificate of no authority"),
        ("t/garage/main/till-2", "of /t/garage/main/till-2, and"),
    ],
)
def test_a_day_signed_with_a_certificate_of_another_authority_or_terminal_is_found(
    forge: Forge, honest: Path, tmp_path: Path, path: str, said: str
) -> None:
    """Whoever holds every key of the house has no terminal's, but can make an authority, and certificates of it."""
    authority, is_ours = tmp_path / "authority", path != "t/cafe/main/till-1"
    create_authority(authority, "coalition.example")
    files = (
        forge.house.certificate_files(path)
        if is_ours
        else issue(authority, f"spiffe://coalition.example/{path}", days=1)
    )
    certificate, close = files.cert.read_text(), of_day(forge.rows(), Kind.TERMINAL_DAY_CLOSED)
    rows = answering(forge, forge.rows(), close, certificate_sha256=hashlib.sha256(certificate.encode()).hexdigest())
    directory = forge.resealed(rows)
    section = directory / "state" / "day_closes"
    first, *more = [json.loads(line) for line in section.read_text().splitlines()]
    first[4:] = b64encode(day_signer(files.key)(first[3].encode())).decode(), certificate
    section.write_text("".join(json.dumps(row) + "\n" for row in (first, *more)))
    remanifested(directory)
    report = forge.judged(directory)

    assert "V18" in breached(report), sentences(report)
    assert said in sentences(report)


def test_a_trust_file_without_an_authority_decides_nothing_of_days(forge: Forge, honest: Path) -> None:
    report = forge.judged(honest, trust=replace(forge.trust, authorities=[]))

    assert (set(), Verdict.UNDECIDED) == (breached(report), report.checks["V18"].verdict)


def test_a_log_of_another_deployment_is_not_ours(forge: Forge, honest: Path) -> None:
    other = signer("coalition.example/other/1")
    policy = Policy(quorum="none")
    policy.logs[other.key.name] = other.key
    report = forge.judged(honest, trust=replace(forge.trust, policy=policy), previous=())

    assert "V1" in breached(report)


def witnessed_trust(forge: Forge) -> Trust:
    lines = [f"log {forge.signer.key}", f"witness w {WITNESS.key}", "quorum w"]
    return replace(forge.trust, policy=Policy.parse("\n".join(lines)))


def test_a_checkpoint_without_its_quorum_is_not_decided(forge: Forge, honest: Path) -> None:
    report = forge.judged(honest, trust=witnessed_trust(forge))

    assert Verdict.UNDECIDED is report.verdict
    assert 2 == report.exit_code
    cosigned = forge.resealed(forge.rows(), cosigned_at=forge.closed + 1)
    assert Verdict.OK is forge.judged(cosigned, trust=witnessed_trust(forge)).verdict


def test_entries_dated_behind_their_witness_and_cosignatures_of_the_future_are_found(forge: Forge) -> None:
    trust = witnessed_trust(forge)
    before = forge.judged(forge.resealed(forge.rows(), cosigned_at=forge.closed - 86_400), trust=trust)
    future = forge.judged(forge.resealed(forge.rows(), cosigned_at=forge.closed + 86_400), trust=trust)

    assert {"V7"} == breached(before), sentences(before)
    assert {"V2"} == breached(future), sentences(future)


@pytest.mark.parametrize(("file", "old", "new"), [
    ("positions.csv", ",22721,", ",22722,"), ("bilateral.csv", "PRINCIPAL", "BONUS"),
    ("summary.json", "22859", "22860"),
])  # fmt: skip
def test_a_settlement_file_that_was_replaced_is_found(
    forge: Forge, honest: Path, file: str, old: str, new: str
) -> None:
    directory = forge.new_directory()
    shutil.copytree(honest, directory)
    path = directory / "settlement" / "001" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    remanifested(directory)
    report = forge.judged(directory)

    assert {"V17"} == breached(report), sentences(report)


def report_of(forge: Forge, honest: Path) -> tuple[Path, Path]:
    """A copy of the honest bundle, and the settlement report in it."""
    directory = forge.new_directory()
    shutil.copytree(honest, directory)
    return directory, directory / "settlement" / "001"


def test_a_sealed_report_that_lost_gained_or_changed_a_file_is_found(forge: Forge, honest: Path) -> None:
    """Also one that no figure of the log is compared with, such as a merchant's statement."""
    for change, what in (
        (lambda paper: (paper / "statements" / "cafe.pdf").unlink(), "statements/cafe.pdf of the report"),
        (lambda paper: (paper / "statements" / "cafe.csv").write_text("nothing"), "statements/cafe.csv of the report"),
        (lambda paper: (paper / "letter.txt").write_text("pay to another account"), "letter.txt of the report"),
    ):
        directory, paper = report_of(forge, honest)
        change(paper)
        remanifested(directory)
        report = forge.judged(directory)

        assert {"V17"} == breached(report), sentences(report)
        assert what in sentences(report)


def test_a_report_that_was_replaced_with_its_manifest_is_found(forge: Forge, honest: Path) -> None:
    """Nothing in the directory is wrong in itself; the journal names another."""
    directory, paper = report_of(forge, honest)
    (paper / "report.svg").write_text("<svg/>")
    write_json(paper / "manifest.json", manifest_of(paper, json.loads((paper / "manifest.json").read_text())["window"]))
    remanifested(directory)
    report = forge.judged(directory)

    assert {"V17"} == breached(report), sentences(report)
    assert "another report" in sentences(report)


def test_a_sealed_report_that_is_not_there_is_not_decided(forge: Forge, honest: Path) -> None:
    for gone in ("manifest.json", "manifest.note", ""):
        directory, paper = report_of(forge, honest)
        if gone:
            (paper / gone).unlink()
        else:
            shutil.rmtree(paper)
        remanifested(directory)
        report = forge.judged(directory)

        assert set() == breached(report), sentences(report)
        assert (2, Verdict.UNDECIDED) == (report.exit_code, report.checks["V17"].verdict)


def test_a_bundle_that_starts_later_decides_what_it_can(forge: Forge) -> None:
    """From a signed size on: the log has grown from there; what refers to before it is not guessed at."""
    start = forge.house.query("SELECT min(size) FROM checkpoints")[0][0]
    report = forge.judged(forge.bundle(start_size=start))

    assert set() == breached(report), sentences(report)
    assert Verdict.UNDECIDED is report.verdict
    for name in ("V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8", "V21", "V22"):
        assert Verdict.OK is report.checks[name].verdict, sentences(report)


def test_a_bundle_from_behind_the_previous_look_is_not_decided(forge: Forge) -> None:
    start = forge.house.query("SELECT max(size) FROM checkpoints")[0][0]
    rows = forge.rows()
    assert len(rows) == start
    first = forge.house.query("SELECT note FROM checkpoints WHERE size < %s ORDER BY size LIMIT 1", start)[0][0]
    middle = forge.resealed(rows)
    facts = json.loads((middle / MANIFEST).read_text())
    assert facts["start_size"] == 0
    with connect(forge.house.dsn("owner")) as connection, connection.transaction(force_rollback=True):
        connection.execute("DELETE FROM checkpoints WHERE size = %s", (start,))
        report = forge.judged(forge.bundle(connection), previous=[first.encode()])
    assert Verdict.OK is report.checks["V4"].verdict


@pytest.mark.parametrize(
    "missing", ["leaves", "payloads", "batches", "checkpoint", "actors.json", "names.json", "edge", MANIFEST]
)
def test_what_is_missing_is_never_ok(forge: Forge, honest: Path, missing: str) -> None:
    directory = forge.new_directory()
    shutil.copytree(honest, directory)
    (directory / missing).unlink()
    if missing != MANIFEST:
        assert 2 == forge.judged(directory).exit_code
        remanifested(directory)

    report = forge.judged(directory)
    assert 2 == report.exit_code, sentences(report)
    assert report.damaged


def test_a_file_that_was_damaged_on_the_way_is_not_called_a_breach(forge: Forge, honest: Path) -> None:
    directory = forge.new_directory()
    shutil.copytree(honest, directory)
    path = directory / "leaves"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    report = forge.judged(directory)

    assert (2, "leaves is not what was written: get the bundle again") == (report.exit_code, report.damaged)


def test_a_list_that_names_an_actor_twice_is_not_read(forge: Forge, honest: Path) -> None:
    """It changes nothing that is checked, and is no bundle as the document has it: never ok."""
    directory = forge.new_directory()
    shutil.copytree(honest, directory)
    path = directory / "actors.json"
    actors = json.loads(path.read_text())
    path.write_text(json.dumps([*actors, actors[0]]))
    remanifested(directory)
    report = forge.judged(directory)

    assert (2, "actors.json is a list that names every actor once") == (report.exit_code, report.damaged)


def test_a_name_that_is_in_no_leaf_is_not_called_ok(forge: Forge, honest: Path) -> None:
    directory = forge.new_directory()
    shutil.copytree(honest, directory)
    path = directory / "actors.json"
    path.write_text(json.dumps([*json.loads(path.read_text()), "/op/nobody"]))
    remanifested(directory)

    assert 2 == forge.judged(directory).exit_code


def test_a_mutated_bundle_is_never_ok(forge: Forge, honest: Path) -> None:
    mutate_and_judge(forge, honest, range(150))


def test_a_bundle_of_an_earlier_checkpoint_has_no_tables_and_says_so(forge: Forge) -> None:
    """What the tables say is of now: beside a log that ends earlier it would prove nothing."""
    end = forge.house.query("SELECT min(size) FROM checkpoints")[0][0]
    report = forge.judged(forge.bundle(end_size=end), previous=())

    assert 2 == report.exit_code
    assert Verdict.UNDECIDED is report.checks["V20"].verdict
    assert set() == breached(report), sentences(report)


def test_tables_newer_than_the_last_checkpoint_are_not_called_a_breach(forge: Forge) -> None:
    """The house goes on while a bundle is made: what the bundle's end does not cover is looked at in the next one."""
    with connect(forge.house.dsn("owner")) as connection, connection.transaction(force_rollback=True):
        newest = forge.house.query("SELECT max(size) FROM checkpoints")[0][0]
        connection.execute("DELETE FROM checkpoints WHERE size = %s", (newest,))
        report = forge.judged(forge.bundle(connection), receipts=())

    assert set() == breached(report), sentences(report)
    assert 2 == report.exit_code


def test_a_server_with_the_ring_of_before_a_rotation_is_not_called_a_breach(
    forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is started again one day; until then its word about keys is old, and nothing is wrong with the log."""
    monkeypatch.setattr(Desk, "keys", forge.keys_before)
    report = forge.judged(forge.bundle())

    assert set() == breached(report), sentences(report)
    assert Verdict.UNDECIDED is report.checks["V14"].verdict


@pytest.mark.parametrize("section", STATE_SECTIONS)
@pytest.mark.parametrize("line", [b"{}\n", b"[]\n", b"nothing\n", b'[[], {}, null, "x", 1, "y"]\n'])
def test_rows_of_another_shape_are_never_ok(forge: Forge, honest: Path, section: str, line: bytes) -> None:
    directory = forge.new_directory()
    shutil.copytree(honest, directory)
    with (directory / "state" / section).open("ab") as file:
        file.write(line)
    remanifested(directory)

    assert forge.judged(directory).exit_code in {1, 2}
