"""An auditor's look at rights and windows in the tables: what else than an act of the office changes them."""

import json
from types import SimpleNamespace
from typing import Any

from coalition.audit.checks.acts import TELLING
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Report
from coalition.audit.checks.rights import RightsChecks
from coalition.audit.checks.told import Tables, told_by
from coalition.audit.leaf import Payload
from coalition.domain.kinds import FIRST_ACT, Kind

JANUARY = {"calendar": "monthly", "label": "2017-01"}
POSITIONS = [[3, 1, -5], [4, 1, 5]]


def entry(kind: Kind, number: int, answer: dict[str, Any]) -> Opened:
    assert kind >= FIRST_ACT or kind in TELLING, "the log's checks hand it on"
    told: dict[str, Any] = {
        "answer": json.dumps({"answer": answer}).encode(),
        "entry_id": number << 22,
        "kind": int(kind),
    }
    nothing: dict[str, Any] = dict.fromkeys(Payload._fields, 0)
    payload = Payload(**nothing | told)
    return Opened(number, None, payload, None)  # type: ignore[arg-type]  # these checks do not look at the leaf


def breaches(entries: list[Opened], rights: list[Any], windows: list[Any], read_at: int = 99) -> list[str]:
    """What V16 and V17 say of a log and of tables that were read when it was over."""
    rows = {"rights": rights, "windows": windows, "agreements": []}
    bundle: Any = SimpleNamespace(start_size=0, last_number=read_at, state_numbers=(read_at, read_at), state=rows.get)
    report = Report()
    checks = RightsChecks(bundle, report, Tables(bundle))
    for each in entries:
        told = told_by(each)
        assert told is not None
        checks.act(each, told)
    checks.finish()
    return [each.sentence for name in ("V16", "V17") for each in report.checks[name].findings]


def test_who_has_handed_over_is_suspended_by_that_entry() -> None:
    joined = entry(
        Kind.PARTICIPANT_CREATED, 1, {"participant": "cafe", "state": "ACTIVE", "role": "STORE", "chain": None}
    )
    handed_over = entry(Kind.SUCCESSION, 2, {"participant": "cafe", "successor": "bar"})
    suspended = [["participant", "cafe", "SUSPENDED", "STORE", None]]

    assert [] == breaches([joined, handed_over], suspended, [])
    assert 1 == len(breaches([joined], suspended, []))
    assert 1 == len(breaches([joined, handed_over], [["participant", "cafe", "ACTIVE", "STORE", None]], []))


def test_a_window_whose_netting_was_reversed_is_closed_again_and_may_be_netted_anew() -> None:
    closed = entry(Kind.WINDOW_CLOSED, 1, {**JANUARY, "cut_number": 1})
    netted = entry(Kind.NETTING, 2, {**JANUARY, "positions": POSITIONS})
    reversed_ = entry(Kind.NETTING_REVERSAL, 3, {**JANUARY, "netting_entry_id": 2 << 22})
    again = entry(Kind.NETTING, 4, {**JANUARY, "positions": POSITIONS})
    closed_row = ["monthly", "2017-01", "CLOSED", 1, 2 << 22, POSITIONS]

    assert [] == breaches([closed, netted, reversed_], [], [closed_row])
    assert 1 == len(breaches([closed, netted], [], [closed_row]))
    assert [] == breaches(
        [closed, netted, reversed_, again], [], [["monthly", "2017-01", "NETTED", 1, 4 << 22, POSITIONS]]
    )
    assert 1 == len(breaches([closed, netted, reversed_, again], [], [closed_row]))
