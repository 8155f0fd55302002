"""An auditor's look at collateral and defaults: posted as answered, and shared by the claims that the log holds."""

import json
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Report, Verdict
from coalition.audit.checks.rules import RuleChecks
from coalition.audit.leaf import Payload
from coalition.domain.accounts import BANK, TransferCode, clearing_account, due_account
from coalition.domain.default import collateral_payment, cover_default, hand_on
from coalition.domain.journal import Transfer
from coalition.domain.kinds import Kind
from coalition.domain.write_off import write_off

H, T, A, B, C = range(1, 6)
CLAIMS = [(A, B, 60_000), (B, A, 20_000), (A, C, 30_000), (A, T, 7_000)]
NETS = {H: 0, T: 7_000, A: -77_000, B: 40_000, C: 30_000}
JANUARY = {"calendar": "monthly", "label": "2017-01"}
WINDOW = 5


def entry(kind: Kind, number: int, answer: dict[str, Any], transfers: Iterable[Transfer] = ()) -> Opened:
    nothing: dict[str, Any] = dict.fromkeys(Payload._fields, 0) | {"allocations": (), "reference": b"", "details": b""}
    legs = tuple(
        (leg.debit, leg.credit, leg.amount_minor, int(leg.code), leg.window_id or 0, int(leg.unit)) for leg in transfers
    )
    told = {"answer": json.dumps({"answer": answer}).encode(), "entry_id": number << 22, "kind": int(kind)}
    payload = Payload(**nothing | told | {"transfers": legs})
    return Opened(number, None, payload, None)  # type: ignore[arg-type]  # these checks do not look at the leaf


def netted() -> list[Opened]:
    """Three who joined, a month of claims, its close and its netting."""
    trade = [
        Transfer(clearing_account(debtor), clearing_account(creditor), amount, TransferCode.PRINCIPAL, WINDOW)
        for debtor, creditor, amount in CLAIMS
    ]
    dues = [
        Transfer(*pair, abs(net), TransferCode.NETTING, WINDOW)
        for party, net in NETS.items()
        for pair in [
            (clearing_account(party), due_account(party)) if net > 0 else (due_account(party), clearing_account(party))
        ]
        if net
    ]
    return [
        *(entry(Kind.PARTICIPANT_CREATED, number, {}) for number in (1, 2, 3)),
        entry(Kind.PURCHASE, 4, {}, trade),
        entry(Kind.WINDOW_CLOSED, 5, {**JANUARY, "cut_number": 4}),
        entry(Kind.NETTING, 6, {**JANUARY, "positions": [[party, 1, net] for party, net in NETS.items()]}, dues),
    ]


def paid_in(amount: int, number: int = 7, *, back: bool = False, **told: Any) -> Opened:
    answer = {"participant_id": A, "amount_minor": amount, "back": back, **told}
    return entry(Kind.COLLATERAL_MOVED, number, answer, [collateral_payment(A, amount, back=back)])


def written_off(amount: int, number: int = 8, **told: Any) -> Opened:
    answer = {"participant_id": A, "written_off_minor": amount, "bearer_id": H, **told}
    return entry(Kind.WRITE_OFF, number, answer, [write_off(A, H, amount)])


def defaulted(
    number: int = 8,
    *,
    claims: list[tuple[int, int, int]] = CLAIMS,
    collateral: int = 10_001,
    owed: int = 77_000,
    **told: Any,
) -> Opened:
    """What settlement posts; `claims`, `collateral` as a forger would have them, legs and answer alike."""
    default = cover_default(A, owed, collateral, claims, exempt={T}, operator_id=H)
    answer = {
        "participant_id": A,
        "owed_minor": owed,
        "collateral_minor": default.collateral_minor,
        "windows": [["monthly", "2017-01"]],
        "weights": [[other, weight] for other, weight in default.weights.items()],
        "shares": [[other, share] for other, share in default.shares.items()],
        **told,
    }
    return entry(Kind.DEFAULT, number, answer, default.transfers)


def recovered(amount: int, losses: dict[int, int], number: int = 9) -> Opened:
    legs = hand_on(A, amount, losses)
    shares = [[leg.credit >> 24 & 0xFFFFFF, leg.amount_minor] for leg in legs]
    answer = {"participant_id": A, "recovered_minor": amount, "weights": [*losses.items()], "shares": shares}
    return entry(Kind.DEFAULT, number, answer, legs)


def judged(*entries: Opened, start_size: int = 0) -> tuple[Verdict, list[str]]:
    """V17's verdict, and what it found."""
    report = Report()
    bundle: Any = SimpleNamespace(agreements={}, participants={}, start_size=start_size, settlement_reports=lambda: ())
    checks = RuleChecks(bundle, report)
    for each in entries:
        checks.leaf(each)
    checks.finish()
    check = report.checks["V17"]
    return check.verdict, [finding.sentence for finding in check.findings]


LOST = {B: 38_285, C: 28_714}


def test_a_default_with_its_collateral_and_recoveries_is_no_breach() -> None:
    again = recovered(65_999, {B: 37_714, C: 28_285}, 10)
    payment = Transfer(BANK, due_account(A), 1_000, TransferCode.SETTLEMENT_PAYMENT)
    bank = entry(Kind.SETTLEMENT_PAYMENT, 9, {}, [payment])

    assert (Verdict.OK, []) == judged(
        *netted(), paid_in(20_001), paid_in(10_000, back=True), defaulted(), bank, recovered(1_000, LOST), again
    )


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        # B's claim is told larger, and the shares follow from that.
        ([paid_in(10_001), defaulted(claims=[(A, B, 99_000), *CLAIMS[1:]])], "do not follow from the claims"),
        # B is left out: its loss falls on C.
        ([paid_in(10_001), defaulted(claims=CLAIMS[2:])], "do not follow from the claims"),
        # The operator bears all of it, as if nobody had been owed anything.
        ([paid_in(10_001), defaulted(claims=[])], "do not follow from the claims"),
        ([paid_in(10_001), defaulted(shares=[[B, 38_286], [C, 28_713]])], "posts is not what it answers"),
        ([paid_in(10_001), defaulted(windows=[["monthly", "2016-12"]])], "a window that was not netted"),
        ([paid_in(10_001), defaulted(windows=[])], "other windows than were not paid"),
        ([paid_in(10_001), defaulted(owed=80_000)], "another amount than was due"),
        ([paid_in(10_001), defaulted(collateral=0)], "does not take the collateral first"),
        ([defaulted()], "does not take the collateral first"),
        ([paid_in(5), paid_in(6, back=True)], "more collateral left than had come in"),
        ([written_off(77_001)], "more is written off than was owed"),
        ([paid_in(76_999), written_off(2)], "more is written off than was owed"),
        ([written_off(5, written_off_minor=6)], "posts is not what it answers"),
        ([paid_in(5, amount_minor=6)], "posts is not what it answers"),
        ([paid_in(10_001), defaulted(), recovered(1_000, {B: 1, C: 2_000})], "other figures than the loss was borne"),
        ([paid_in(10_001), defaulted(weights="much")], "cannot be read"),
    ],
)
def test_what_a_forger_makes_of_a_default_is_found(entries: list[Opened], found: str) -> None:
    verdict, findings = judged(*netted(), *entries)

    assert Verdict.BREACH is verdict
    assert any(found in sentence for sentence in findings), findings


def test_what_lies_before_the_bundles_start_is_not_decided() -> None:
    """A bundle that begins later has neither the claims nor the collateral: that is said, and is no breach."""
    assert (Verdict.UNDECIDED, []) == judged(defaulted(), recovered(1_000, LOST), start_size=7)
