"""Agreements: versions follow each other, nobody is named who is not there, no question has two answers."""

from datetime import date
from functools import partial
from typing import Any

import pytest

from coalition.domain.acts import ActAnswer
from coalition.domain.agreements import Acquiring
from coalition.domain.approvals import Decision, decide_step
from coalition.domain.approvals import Office as Office_
from coalition.domain.errors import Refused
from coalition.domain.kinds import Kind
from coalition.domain.programme import Programme
from coalition.domain.rates import Rate
from coalition.domain.reasons import Reason
from coalition.programme.office import Office
from coalition.storage import approvals
from coalition.storage.connect import connect
from coalition.storage.programme import load
from coalition.storage.programme_reads import ProgrammeReads
from coalition.storage.programme_store import ProgrammeStore
from tests.offices import NOON, House, at_once, reason_of

JANUARY, FEBRUARY, MARCH, APRIL = (date(2017, month, 1) for month in range(1, 5))
FEES = {"acquirer": "cafe", "operator_fee": "6/1000"}


@pytest.fixture
def office(house: House) -> Office:
    """The chain store A of chain blue, and the cafe."""
    office = Office(ProgrammeStore(house.lease(), house.acts()), lambda: NOON)
    for code, role, chain in (("a", "STORE", "blue"), ("cafe", "ALLIANCE", None)):
        office.create_participant(house.act(Kind.PARTICIPANT_CREATED, code=code), code, code, role, chain)
    return office


def create(house: House, office: Office, code: str, kind: str, content: dict[str, Any], *period: Any) -> ActAnswer:
    act = house.act(Kind.AGREEMENT_CREATED, code=code)
    return office.create_agreement(act, code, kind, content, *(period or (JANUARY,)))


def revise(house: House, office: Office, code: str, expected: int, content: dict[str, Any], *period: Any) -> ActAnswer:
    act = house.act(Kind.AGREEMENT_REVISED, code=code, expected=expected)
    return office.revise_agreement(act, code, expected, content, *(period or (JANUARY,)))


def loaded(house: House) -> Programme:
    with house.lease()() as connection:
        return load(connection)


def test_a_new_version_holds_from_its_day_and_the_old_one_before(house: House, office: Office):
    """What was agreed for January stays so, whatever is agreed later."""
    create(house, office, "fees", "ACQUIRING", FEES)
    answer = revise(house, office, "fees", 1, {**FEES, "operator_fee": "1/100"}, MARCH)

    programme = loaded(house)
    cafe = programme.participant_by_code["cafe"].participant_id
    days = (date(2016, 12, 31), JANUARY, date(2017, 2, 28), MARCH)
    fees = [programme.acquiring(cafe, day) for day in days]
    assert ("fees", 2, 64) == (
        answer.answer["agreement"],
        answer.answer["version"],
        len(str(answer.answer["content_sha256"])),
    )
    assert [None, 1, 1, 2] == [version and version.version for version in fees]
    assert [Rate.of(6, 1000), Rate.of(1, 100)] == [
        version.content.operator_fee
        for version in (fees[1], fees[3])
        if version and isinstance(version.content, Acquiring)
    ]


def test_every_version_can_be_read(house: House, office: Office):
    create(house, office, "fees", "ACQUIRING", FEES, JANUARY, APRIL)
    revise(house, office, "fees", 1, {**FEES, "operator_fee": "0"}, FEBRUARY)

    reads = ProgrammeReads(house.lease())
    first, latest = reads.agreement("fees", 1, None), reads.agreement("fees", None, None)
    assert first is not None
    assert latest is not None
    assert (1, JANUARY, APRIL, FEES) == (first.version, first.effective_from, first.effective_until, first.content)
    assert (2, FEBRUARY, None, "0") == (
        latest.version,
        latest.effective_from,
        latest.effective_until,
        latest.content["operator_fee"],
    )
    assert [2] == [row.version for row in reads.list_agreements(None, 9, None)]
    assert reads.agreement("fees", 3, None) is None


def test_a_revision_of_what_has_changed_meanwhile_starts_over(house: House, office: Office):
    """Two people of HQ edit at once: the second must see the first one's version before replacing it."""
    create(house, office, "fees", "ACQUIRING", FEES)
    revise(house, office, "fees", 1, FEES)

    with pytest.raises(Refused) as caught:
        revise(house, office, "fees", 1, FEES)
    assert (Reason.AGREEMENT_VERSION_CONFLICT, "expected_version", "2") == (
        caught.value.reason,
        caught.value.field,
        caught.value.metadata["latest_version"],
    )


def test_of_eight_revisions_of_one_version_one_wins(house: House, office: Office):
    create(house, office, "fees", "ACQUIRING", FEES)
    attempts = [partial(revise, house, office, "fees", 1, {**FEES, "operator_fee": f"{n}/1000"}) for n in range(8)]
    reasons = at_once([partial(reason_of, attempt) for attempt in attempts])

    assert [Reason.ACCEPTED] + [Reason.AGREEMENT_VERSION_CONFLICT] * 7 == sorted(reasons)
    assert [(1,), (2,)] == house.query("SELECT version FROM agreement_versions ORDER BY version")


def test_of_eight_agreements_for_one_question_one_wins(house: House, office: Office):
    """Rules that look across rows hold under concurrency, because acts of HQ run one after the other."""
    attempts = [partial(create, house, office, f"fees-{n}", "ACQUIRING", FEES) for n in range(8)]
    reasons = at_once([partial(reason_of, attempt) for attempt in attempts])

    assert [Reason.ACCEPTED] + [Reason.AGREEMENT_INVALID] * 7 == sorted(reasons)
    assert [(1,)] == house.query("SELECT count(*) FROM agreements")


@pytest.mark.parametrize(
    ("kind", "content", "field"),
    [
        ("TERMS", {"issuer": "bar"}, "content.issuer"),
        ("TERMS", {"issuer": "chain:red"}, "content.issuer"),
        ("TERMS", {"issuer": "a", "sellers": ["a", "bar"]}, "content.sellers[1]"),
        ("TERMS", {"issuer": "a", "sponsor": "bar", "sponsor_share": "1/2"}, "content.sponsor"),
        ("TERMS", {"issuer": "a", "sponsor": "chain:blue", "sponsor_share": "1/2"}, "content.sponsor"),
        ("TERMS", {"issuer": "a", "sponsor_share": "1/2"}, "content.sponsor"),
        ("TERMS", {"issuer": "a", "seller_commission": "3/2"}, "content.seller_commission"),
        ("TERMS", {"issuer": "a", "calendar": "yearly"}, "content.calendar"),
        (
            "TERMS",
            {"issuer": "a", "tiers": [{"from_minor": 2, "bonus": "0"}, {"from_minor": 1, "bonus": "0"}]},
            "content.tiers[1].from_minor",
        ),
        ("ACCEPTANCE", {"issuer": "a"}, "content.acquirer"),
        ("ACCEPTANCE", {"issuer": "a", "acquirer": "bar"}, "content.acquirer"),
        ("ACCEPTANCE", {"issuer": "a", "acquirer": "cafe", "issuer_bonus_share": "2"}, "content.issuer_bonus_share"),
        ("ACQUIRING", {"acquirer": "cafe", "operator_fee": "6%"}, "content.operator_fee"),
        ("ACQUIRING", {"acquirer": "cafe", "commission_to": "bar"}, "content.commission_to"),
        ("ACQUIRING", {"acquirer": "cafe", "surprise": 1}, "content.surprise"),
        ("BARTER", {}, "kind"),
    ],
)
def test_the_wrong_field_of_an_agreement_is_named(house: House, office: Office, kind, content, field):
    with pytest.raises(Refused) as caught:
        create(house, office, "wrong", kind, content)

    assert (Reason.AGREEMENT_INVALID, field) == (caught.value.reason, caught.value.field)
    assert caught.value.metadata["expected"]
    assert [] == house.query("SELECT 1 FROM agreements")


def test_an_agreement_may_name_a_chain_that_has_participants(house: House, office: Office):
    create(house, office, "all-blue", "ACCEPTANCE", {"issuer": "chain:blue", "acquirer": "cafe"})

    programme = loaded(house)
    a, cafe = (programme.participant_by_code[code].participant_id for code in ("a", "cafe"))
    assert programme.acceptance(a, cafe, JANUARY) is not None
    assert programme.acceptance(cafe, a, JANUARY) is None


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ((JANUARY, MARCH), (MARCH, None), Reason.ACCEPTED),
        ((MARCH, None), (JANUARY, MARCH), Reason.ACCEPTED),
        ((JANUARY, MARCH), (FEBRUARY, APRIL), Reason.AGREEMENT_INVALID),
        ((JANUARY, None), (APRIL, None), Reason.AGREEMENT_INVALID),
        ((FEBRUARY, MARCH), (JANUARY, APRIL), Reason.AGREEMENT_INVALID),
    ],
)
def test_two_agreements_never_answer_one_question_on_one_day(house: House, office: Office, first, second, reason):
    create(house, office, "one", "ACQUIRING", FEES, *first)

    assert reason == reason_of(lambda: create(house, office, "two", "ACQUIRING", FEES, *second))


def test_a_revision_with_an_end_ends_an_agreement_without_one(house: House, office: Office):
    """HQ terminates by a last version; from its end on the parties may agree anew."""
    create(house, office, "one", "ACQUIRING", FEES)
    revise(house, office, "one", 1, FEES, JANUARY, MARCH)
    assert Reason.AGREEMENT_INVALID == reason_of(lambda: create(house, office, "two", "ACQUIRING", FEES, FEBRUARY))
    create(house, office, "two", "ACQUIRING", FEES, APRIL)

    programme = loaded(house)
    cafe = programme.participant_by_code["cafe"].participant_id
    held = [programme.acquiring(cafe, day) for day in (FEBRUARY, MARCH, APRIL)]
    assert [("one", 2), None, ("two", 1)] == [version and (version.code, version.version) for version in held]


def test_what_comes_after_a_sponsors_limit_is_the_same_in_every_version(house: House, office: Office):
    """What was granted under an earlier version counts: if nobody held it, the limit could not be kept."""
    bonus = {"issuer": "a", "tiers": [{"from_minor": 1, "bonus": "1/5"}]}
    limited = {**bonus, "sponsor": "cafe", "sponsor_share": "1/2", "sponsor_limit_minor": 500}
    create(house, office, "sold", "TERMS", bonus)
    revise(house, office, "sold", 1, {**limited, "when_used_up": "ISSUER"})
    revise(house, office, "sold", 2, bonus)
    for content in (limited, {**bonus, "sponsor": "cafe", "sponsor_share": "1/2"}):
        with pytest.raises(Refused) as refused:
            revise(house, office, "sold", 3, content)
        assert (Reason.AGREEMENT_INVALID, "content.when_used_up") == (refused.value.reason, refused.value.field)
    revise(house, office, "sold", 3, {**limited, "sponsor_limit_minor": 900, "when_used_up": "ISSUER"})


def test_an_issuer_may_sell_under_several_terms(house: House, office: Office):
    """A top-up names the terms it buys under."""
    create(house, office, "plain", "TERMS", {"issuer": "a"})
    create(house, office, "gift", "TERMS", {"issuer": "a", "bonus_months": 3})

    programme = loaded(house)
    a = programme.participant_by_code["a"].participant_id
    assert programme.terms_of(a, "gift", JANUARY) is not None
    assert programme.terms_of(a, None, JANUARY) is None


@pytest.mark.parametrize(
    ("content", "period", "field"),
    [
        ({**FEES, "acquirer": "a"}, (MARCH,), "content.acquirer"),
        (FEES, (JANUARY,), "effective_from"),
        (FEES, (MARCH, MARCH), "effective_until"),
        (FEES, (MARCH, FEBRUARY), "effective_until"),
        ({**FEES, "operator_fee": "-1"}, (MARCH,), "content.operator_fee"),
    ],
)
def test_a_revision_keeps_the_parties_and_goes_forward(house: House, office: Office, content, period, field):
    """Else an entry of yesterday could have been made under a version that did not exist yesterday."""
    create(house, office, "fees", "ACQUIRING", FEES, FEBRUARY)

    with pytest.raises(Refused) as caught:
        revise(house, office, "fees", 1, content, *period)
    assert (Reason.AGREEMENT_INVALID, field) == (caught.value.reason, caught.value.field)


def test_the_party_of_an_acceptance_that_changed_is_named(house: House, office: Office):
    create(house, office, "take", "ACCEPTANCE", {"issuer": "a", "acquirer": "cafe"})
    wrong = {"issuer": {"issuer": "hq", "acquirer": "cafe"}, "acquirer": {"issuer": "a", "acquirer": "hq"}}
    fields = {}
    for name, content in wrong.items():
        with pytest.raises(Refused) as caught:
            revise(house, office, "take", 1, content)
        fields[name] = caught.value.field

    assert {"issuer": "content.issuer", "acquirer": "content.acquirer"} == fields


def test_a_taken_code_and_an_unknown_one_are_told_apart(house: House, office: Office):
    create(house, office, "fees", "ACQUIRING", FEES)

    assert Reason.AGREEMENT_EXISTS == reason_of(lambda: create(house, office, "fees", "TERMS", {"issuer": "a"}))
    assert Reason.AGREEMENT_UNKNOWN == reason_of(lambda: revise(house, office, "none", 1, FEES))


def test_an_agreement_sent_again_is_made_once(house: House, office: Office):
    act = house.act(Kind.AGREEMENT_CREATED, code="fees")
    first, again = (office.create_agreement(act, "fees", "ACQUIRING", FEES, JANUARY) for _ in range(2))

    assert (False, True) == (first.replayed, again.replayed)
    assert first.answer == again.answer
    assert [(1,)] == house.query("SELECT count(*) FROM agreement_versions")


def test_an_agreement_of_any_size_is_not_taken(house: House, office: Office):
    content = {"issuer": "a", "sellers": ["a"] * 20_000}

    with pytest.raises(Refused) as caught:
        create(house, office, "big", "TERMS", content)
    assert (Reason.AGREEMENT_INVALID, "content") == (caught.value.reason, caught.value.field)


def test_the_scheme_has_one_set_of_card_rules_a_day(house: House, office: Office):
    """Two sets would be two answers to what a card may do."""
    create(house, office, "rules", "CARD_RULES", {"number_day_limit_minor": 50_000}, JANUARY, MARCH)
    assert Reason.AGREEMENT_INVALID == reason_of(lambda: create(house, office, "more", "CARD_RULES", {}, FEBRUARY))
    create(house, office, "later", "CARD_RULES", {"number_day_limit_minor": 40_000}, MARCH)
    revise(house, office, "later", 1, {"number_day_limit_minor": 30_000}, APRIL)

    programme = loaded(house)
    held = [programme.card_rules(day) for day in (JANUARY, FEBRUARY, MARCH, APRIL)]
    assert [50_000, 50_000, 40_000, 30_000] == [rules and rules.number_day_limit_minor for rules in held]


def test_the_card_rules_of_the_scheme_are_told_to_everybody(house: House, office: Office):
    """They bind every merchant's till; what others agreed between themselves does not."""
    create(house, office, "rules", "CARD_RULES", {"return_days": 7})
    create(house, office, "fees", "ACQUIRING", FEES)

    assert ["rules"] == [row.code for row in ProgrammeReads(house.lease()).list_agreements(None, 9, {"a"})]


def test_issuer_held_value_is_taken_across_groups_by_licence_only(house: House, office: Office):
    """Whichever of the two agreements would complete it is refused, until custody holds it or the licence is there."""
    office.create_participant(house.act(Kind.PARTICIPANT_CREATED, code="b"), "b", "b", "STORE", "blue")
    create(house, office, "law", "CARD_RULES", {"issuer_held_across_groups_allowed": False})
    across = {"issuer": "chain:blue", "acquirer": "cafe"}
    held, custody = {"issuer": "a"}, {"issuer": "a", "custody": "OPERATOR_HELD"}
    create(house, office, "a-terms", "TERMS", held)

    assert Reason.LICENCE_MISSING is reason_of(lambda: create(house, office, "a-at-cafe", "ACCEPTANCE", across))
    create(house, office, "at-home", "ACCEPTANCE", {"issuer": "a", "acquirer": "b"})
    create(house, office, "not-there", "ACCEPTANCE", {**across, "accepted": False})
    revise(house, office, "a-terms", 1, custody, FEBRUARY)
    revise(house, office, "not-there", 1, across, FEBRUARY)
    back = partial(revise, house, office, "a-terms", 2, held, MARCH)
    assert Reason.LICENCE_MISSING is reason_of(back)
    revise(house, office, "law", 1, {"issuer_held_across_groups_allowed": True})
    assert 3 == revise(house, office, "a-terms", 2, held, APRIL).answer["version"]


def approve(house: House, answer: ActAnswer, decision: Decision = Decision.APPROVED) -> None:
    """As an approver's own call does (settlement/approving), under settlement's role."""
    with connect(house.postgres.dsn("coalition_settlement", house.ledger)) as connection, connection.transaction():
        approval = approvals.lock(connection, int(str(answer.answer["approval"])))
        assert approval is not None
        said = decide_step(approval, "/ap/liu", [Office_.FINANCE], approval.content_hash, decision, NOON)
        approvals.write_step(connection, said)


def test_where_two_hands_are_needed_a_version_holds_once_another_has_approved_it(house: House, office: Office):
    """Until then the one before holds, and nobody sees the new one; what was made before the rule stays."""
    create(house, office, "fees", "ACQUIRING", FEES)
    office.require_approval(house.act(Kind.AGREEMENT_APPROVAL_REQUIRED))
    revised = revise(house, office, "fees", 1, {**FEES, "operator_fee": "1/100"}, FEBRUARY)
    cafe = loaded(house).participant_by_code["cafe"].participant_id

    def in_force() -> int | None:
        version = loaded(house).acquiring(cafe, FEBRUARY)
        return version.version if version else None

    def sign(version: int = 2) -> ActAnswer:
        act = house.act(Kind.AGREEMENT_SIGNED, code="fees", version=version)
        return office.sign_agreement(act, "fees", version)

    assert 1 == in_force()
    assert Reason.APPROVAL_MISSING is reason_of(sign)
    approve(house, revised)
    assert 1 == in_force()
    assert {"agreement": "fees", "version": 2} == sign().answer
    assert 2 == in_force()
    assert Reason.AGREEMENT_UNKNOWN is reason_of(lambda: sign(9))
    third = revise(house, office, "fees", 2, FEES, MARCH)
    approve(house, third, Decision.REFUSED)
    assert Reason.APPROVAL_MISSING is reason_of(lambda: sign(3))
    assert [(1, True), (2, True), (3, False)] == sorted(
        house.query("SELECT version, is_signed FROM agreement_versions")
    )


def test_a_cap_is_approved_as_a_cap_by_its_amount(house: House, office: Office):
    office.require_approval(house.act(Kind.AGREEMENT_APPROVAL_REQUIRED))
    made = create(house, office, "cap", "CAPS", {"participant": "cafe", "net_debit_minor": 60_000_000})

    asked = house.query("SELECT approval_id, subject, name, amount_minor, cardinality(offices) FROM approvals")
    assert [(made.answer["approval"], "CAP", "cap/1", 60_000_000, 3)] == asked
    assert loaded(house).caps(loaded(house).participant_by_code["cafe"].participant_id, JANUARY) is None
