"""An auditor's look at sponsors' limits: what each lot's sponsor takes on follows from the lots before it."""

from types import SimpleNamespace
from typing import Any

import pytest

from coalition.audit.checks.report import Report, Verdict
from coalition.audit.checks.sponsorships import SponsorChecks
from tests.audit.test_checks_of_passes import Seen, seen
from tests.domain.house import House
from tests.domain.test_points_conversion import VOUCHER
from tests.domain.test_points_conversion import opened as with_points
from tests.domain.test_sponsorship import TERMS

CONTENT = {"issuer": "a", "tiers": [{"from_minor": 1, "bonus": "1/5"}], **TERMS}


def day() -> list[Seen]:
    """Three lots with a bonus of 200.00: 100.00, 50.00 and nothing of it the sponsor's."""
    house = House()
    house.terms("a", **TERMS)
    for _ in range(3):
        house.top_up("a", 100_000)
    told = [seen(done) for done in house.journal]
    return [
        (opened._replace(entry=opened.entry._replace(agreement_id=1, agreement_version=1)), answer)
        for opened, answer in told
    ]


def test_a_voucher_for_points_is_looked_at_by_the_terms_it_names() -> None:
    """B's terms are the third agreement; of two vouchers of 400 and 300 fen half is the sponsor's, 250 at most."""
    house = with_points(VOUCHER)
    house.terms("b", "0", **TERMS | {"sponsor_limit_minor": 250})
    house.convert_points("c", 400)
    house.convert_points("c", 300)
    entries = [seen(done) for done in house.journal[-2:]]
    agreement, version = str(entries[0][1][10]["terms"]).split("/")
    content = {"issuer": "b", "tiers": [{"from_minor": 1, "bonus": "0"}], **TERMS, "sponsor_limit_minor": 250}

    def judged() -> Verdict:
        return verdict(entries, content, names={int(agreement): "terms-a"}, version=int(version))

    assert Verdict.BREACH is not judged()
    opened_second, answer = entries[1]
    entries[1] = opened_second, [*answer[:10], answer[10] | {"sponsored_minor": "51"}]
    assert Verdict.BREACH is judged()


def verdict(
    entries: list[Seen],
    content: dict[str, Any] = CONTENT,
    *,
    start_size: int = 0,
    names: dict[int, str] | None = None,
    version: int = 1,
) -> Verdict:
    report = Report()
    row = ["terms-a", version, "TERMS", "2026-01-01", None, content]
    bundle: Any = SimpleNamespace(
        start_size=start_size, state_numbers=(1, 1), agreements=names or {1: "terms-a"}, state=lambda _: iter([row])
    )
    checks = SponsorChecks(bundle, report)
    for opened, answer in entries:
        checks.leaf(opened, answer)
    return report.checks["V8"].verdict


def test_the_houses_own_rules_pass() -> None:
    assert Verdict.BREACH is not verdict(day())


@pytest.mark.parametrize(
    ("place", "said"),
    [(0, "9999"), (1, "5001"), (1, "4999"), (1, None), (2, "1"), (2, None), (2, "x")],
)
def test_another_part_than_the_limit_leaves_is_a_breach(place: int, said: str | None) -> None:
    entries = day()
    opened, answer = entries[place]
    facts = {} if said is None else {"sponsored_minor": said}
    entries[place] = opened, [*answer[:10], facts]

    assert Verdict.BREACH is verdict(entries)


def test_terms_that_end_their_bonus_have_no_part_of_a_lots_own() -> None:
    assert Verdict.BREACH is verdict(day(), {**CONTENT, "when_used_up": "END"})


def test_what_was_taken_on_before_the_bundle_is_not_guessed() -> None:
    assert Verdict.UNDECIDED is verdict(day()[2:], start_size=2)
