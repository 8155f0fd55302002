"""An auditor's look at fees of a window: asked once, of a closed window, under versions that were made, as posted."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Report, Verdict
from coalition.audit.checks.rules import RuleChecks
from coalition.audit.leaf import Payload
from coalition.domain.accounts import TransferCode, clearing_account
from coalition.domain.kinds import Kind

A, C, H = 3, 4, 1
FEE = {"agreement_id": 7, "version": 1, "payer_id": C, "payee_id": H, "fee_minor": 450}
LEG = (clearing_account(C), clearing_account(H), 450, int(TransferCode.WINDOW_FEE), 5, 1)


def entry(kind: Kind, number: int, answer: dict[str, Any], *transfers: tuple[int, ...]) -> Opened:
    told = json.dumps({"answer": answer}).encode()
    nothing: dict[str, Any] = dict.fromkeys(Payload._fields, 0) | {"allocations": (), "reference": b"", "details": b""}
    payload = Payload(**nothing | {"answer": told, "entry_id": number << 22, "kind": kind, "transfers": transfers})
    return Opened(number, None, payload, None)  # type: ignore[arg-type]  # these checks do not look at the leaf


def verdicts(*entries: Opened) -> tuple[Verdict, Verdict]:
    """Of V16 and V17."""
    report = Report()
    bundle: Any = SimpleNamespace(
        agreements={7: "cafe-fees"}, participants={}, start_size=0, settlement_reports=lambda: ()
    )
    checks = RuleChecks(bundle, report)
    for each in entries:
        checks.leaf(each)
    checks.finish()
    return report.checks["V16"].verdict, report.checks["V17"].verdict


MADE = entry(Kind.AGREEMENT_CREATED, 1, {"agreement": "cafe-fees", "version": 1})
CLOSED = entry(Kind.WINDOW_CLOSED, 2, {"calendar": "monthly", "label": "2017-01", "cut_number": 1})
NAMED = {"calendar": "monthly", "label": "2017-01"}
ASSESSED = entry(Kind.ASSESS, 3, {**NAMED, "fees": [FEE]}, LEG)
NETTED = entry(
    Kind.NETTING,
    4,
    {**NAMED, "positions": [[H, 1, 450], [C, 1, -450]]},
    (clearing_account(H), 5 << 48 | H << 24, 450, 20, 5, 1),
    (5 << 48 | C << 24, clearing_account(C), 450, 20, 5, 1),
)


def test_fees_behind_the_cut_are_part_of_what_is_netted() -> None:
    assert (Verdict.OK, Verdict.OK) == verdicts(MADE, CLOSED, ASSESSED, NETTED)


@pytest.mark.parametrize(
    ("entries", "broken"),
    [
        ((CLOSED, ASSESSED, NETTED), 0),  # a version that nobody made
        ((MADE, ASSESSED), 1),  # a window that is still open
        ((MADE, CLOSED, ASSESSED, entry(Kind.ASSESS, 4, {**NAMED, "fees": [FEE]}, LEG)), 1),  # asked twice
        ((MADE, CLOSED, entry(Kind.ASSESS, 3, {**NAMED, "fees": [FEE | {"fee_minor": 451}]}, LEG)), 1),
        ((MADE, CLOSED, entry(Kind.ASSESS, 3, {**NAMED, "fees": []}, LEG)), 1),
        ((MADE, CLOSED, entry(Kind.ASSESS, 3, {**NAMED, "fees": [FEE]}, (*LEG[:3], 1, 5, 1))), 1),  # another code
        ((MADE, CLOSED, entry(Kind.ASSESS, 3, {"fees": 3}, LEG)), 1),
        ((MADE, CLOSED, entry(Kind.PURCHASE, 3, {}, LEG), NETTED), 1),  # no fee, yet behind the cut
    ],
)
def test_what_does_not_follow_is_a_breach(entries: tuple[Opened, ...], broken: int) -> None:
    assert Verdict.BREACH is verdicts(*entries)[broken]
