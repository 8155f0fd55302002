"""ProgrammeService: HQ writes exactly once; each reads what is its own, in pages."""

from typing import Any

import pytest

from coalition.v1 import operations_pb2, programme_pb2
from coalition.v1.programme_pb2 import (
    Acceptance,
    Acquiring,
    Caps,
    CardRules,
    CreateAgreementRequest,
    CreateParticipantRequest,
    CreateStoreRequest,
    CreateTerminalRequest,
    FeeBand,
    GetAgreementRequest,
    ListAgreementsRequest,
    ListParticipantsRequest,
    ListStoresRequest,
    ListTerminalsRequest,
    Rate,
    ReviseAgreementRequest,
    SetParticipantStateRequest,
    SetStoreStateRequest,
    SetTerminalStateRequest,
    Terms,
    Tier,
    WindowFees,
)
from tests.server.services.house import Doors, agree, founded, new_id, refused, told_again, walk

STORE = programme_pb2.PARTICIPANT_ROLE_STORE
ACTIVE = programme_pb2.OPERATING_STATE_ACTIVE
SUSPENDED = programme_pb2.OPERATING_STATE_SUSPENDED
READERS = ("/op/admin", "/aud/firm")


@pytest.fixture(scope="module", autouse=True)
def _programme(doors: Doors) -> None:
    founded(doors, "north", "south", "east")
    founded(doors, "chain-1", "chain-2", chain_code="links")
    hq = doors.visitor().programme
    for code in ("second", "third"):
        store = CreateStoreRequest(request_id=new_id(), participant="north", code=code, display_name=code)
        hq.CreateStore(store)
    for code in ("till-2", "till-3"):
        hq.CreateTerminal(CreateTerminalRequest(request_id=new_id(), participant="north", store="main", code=code))
    agree(hq, "north-terms", terms=Terms(issuer="north", sellers=["north", "south"]))
    agree(hq, "links-at-east", acceptance=Acceptance(issuer="chain:links", acquirer="east"))
    agree(hq, "east-pays", acquiring=Acquiring(acquirer="east", commission_to="south"))


def test_every_write_is_done_once_and_told_again_and_another_body_is_refused(doors: Doors) -> None:
    hq = doors.visitor().programme
    join = CreateParticipantRequest(
        request_id=new_id(), code="once", display_name="Once", role=programme_pb2.PARTICIPANT_ROLE_ALLIANCE
    )
    made = told_again(hq.CreateParticipant, join, display_name="Twice")
    assert (made.participant.code, made.participant.state) == ("once", programme_pb2.OPERATING_STATE_ACTIVE)
    assert made.participant.create_time.seconds > 0
    assert made.receipt.entry_id > 0

    shop = CreateStoreRequest(request_id=new_id(), participant="once", code="shop", display_name="Shop")
    assert told_again(hq.CreateStore, shop, display_name="Stall").store.code == "shop"
    shut = SetStoreStateRequest(request_id=new_id(), participant="once", store="shop", state=SUSPENDED)
    assert told_again(hq.SetStoreState, shut, state=ACTIVE).store.state == SUSPENDED
    till = CreateTerminalRequest(request_id=new_id(), participant="once", store="shop", code="till")
    assert told_again(hq.CreateTerminal, till, code="till-2").terminal.store == "shop"
    place = operations_pb2.TerminalRef(participant="once", store="shop", terminal="till")
    suspend = SetTerminalStateRequest(request_id=new_id(), terminal=place, state=SUSPENDED)
    assert told_again(hq.SetTerminalState, suspend, state=ACTIVE).terminal.state == SUSPENDED
    halt = SetParticipantStateRequest(request_id=new_id(), participant="once", state=SUSPENDED)
    assert told_again(hq.SetParticipantState, halt, state=ACTIVE).participant.state == SUSPENDED

    create = CreateAgreementRequest(
        request_id=new_id(), code="once-pays", effective_from="2017-01-01", acquiring=Acquiring(acquirer="once")
    )
    assert told_again(hq.CreateAgreement, create, effective_from="2018-01-01").agreement.version == 1
    revise = ReviseAgreementRequest(
        request_id=new_id(),
        code="once-pays",
        expected_version=1,
        effective_from="2017-02-01",
        acquiring=Acquiring(acquirer="once", operator_fee=Rate(numerator=6, denominator=1000)),
    )
    assert told_again(hq.ReviseAgreement, revise, effective_from="2017-03-01").agreement.version == 2


def test_a_repetition_answers_what_was_so_then_not_what_is_now(doors: Doors) -> None:
    hq = doors.visitor().programme
    join = CreateParticipantRequest(request_id=new_id(), code="then", display_name="Then", role=STORE)
    first = hq.CreateParticipant(join)
    hq.SetParticipantState(SetParticipantStateRequest(request_id=new_id(), participant="then", state=SUSPENDED))
    assert hq.CreateParticipant(join).participant == first.participant


def test_the_operator_alone_writes(doors: Doors) -> None:
    place = operations_pb2.TerminalRef(participant="north", store="main", terminal="till-1")
    for path in ("/hq/north", "/ts/north/1", "/t/north/main/till-1", "/aud/firm", "/mg/portal"):
        stub = doors.visitor(path).programme
        writes: list[tuple[Any, Any]] = [
            (
                stub.CreateParticipant,
                CreateParticipantRequest(request_id=new_id(), code="x", display_name="X", role=STORE),
            ),
            (
                stub.SetParticipantState,
                SetParticipantStateRequest(request_id=new_id(), participant="north", state=SUSPENDED),
            ),
            (
                stub.CreateStore,
                CreateStoreRequest(request_id=new_id(), participant="north", code="x", display_name="X"),
            ),
            (
                stub.CreateTerminal,
                CreateTerminalRequest(request_id=new_id(), participant="north", store="main", code="x"),
            ),
            (
                stub.SetStoreState,
                SetStoreStateRequest(request_id=new_id(), participant="north", store="main", state=SUSPENDED),
            ),
            (stub.SetTerminalState, SetTerminalStateRequest(request_id=new_id(), terminal=place, state=SUSPENDED)),
        ]
        for method, request in writes:
            assert refused(method, request).reason == "PERMISSION_DENIED"


def test_pages_walk_everything_exactly_once(doors: Doors) -> None:
    hq = doors.visitor().programme
    codes = [row.code for row in walk(hq.ListParticipants, ListParticipantsRequest(), "participants")]
    assert {"hq", "trust", "north", "south", "east", "chain-1", "chain-2"} <= set(codes)
    assert len(codes) == len(set(codes)) == doors.house.query("SELECT count(*) FROM participants")[0][0]
    stores = [(row.participant, row.code) for row in walk(hq.ListStores, ListStoresRequest(), "stores")]
    assert len(stores) == len(set(stores)) == doors.house.query("SELECT count(*) FROM stores")[0][0]
    tills = [
        (row.participant, row.store, row.code) for row in walk(hq.ListTerminals, ListTerminalsRequest(), "terminals", 1)
    ]
    assert len(tills) == len(set(tills)) == doors.house.query("SELECT count(*) FROM terminals")[0][0]
    agreements = [row.code for row in walk(hq.ListAgreements, ListAgreementsRequest(), "agreements", 1)]
    assert agreements == sorted(set(agreements))
    assert len(agreements) == doors.house.query("SELECT count(*) FROM agreements")[0][0]
    own = [row.code for row in walk(hq.ListStores, ListStoresRequest(participant="north"), "stores", 1)]
    assert own == ["main", "second", "third"]
    request = ListTerminalsRequest(participant="north", store="main")
    assert [row.code for row in walk(hq.ListTerminals, request, "terminals", 1)] == ["till-1", "till-2", "till-3"]


def test_a_headquarters_reads_its_own_and_nothing_else(doors: Doors) -> None:
    north = doors.visitor("/hq/north").programme
    participants = walk(north.ListParticipants, ListParticipantsRequest(), "participants")
    assert [row.code for row in participants] == ["north"]
    assert {row.participant for row in walk(north.ListStores, ListStoresRequest(), "stores")} == {"north"}
    assert {row.participant for row in walk(north.ListTerminals, ListTerminalsRequest(), "terminals")} == {"north"}
    assert [row.code for row in walk(north.ListAgreements, ListAgreementsRequest(), "agreements")] == ["north-terms"]


def test_an_agreement_is_told_to_whom_it_names_by_code_or_chain(doors: Doors) -> None:
    def agreements_of(path: str) -> list[str]:
        stub = doors.visitor(path).programme
        return [row.code for row in walk(stub.ListAgreements, ListAgreementsRequest(), "agreements")]

    assert agreements_of("/hq/south") == ["east-pays", "north-terms"]
    assert agreements_of("/hq/chain-1") == ["links-at-east"]
    assert agreements_of("/ts/links/1") == ["links-at-east"]
    request = GetAgreementRequest(code="north-terms")
    assert doors.visitor("/hq/south").programme.GetAgreement(request).agreement.terms.issuer == "north"


def test_a_chain_s_till_server_reads_the_chain(doors: Doors) -> None:
    stub = doors.visitor("/ts/links/1").programme
    rows = walk(stub.ListParticipants, ListParticipantsRequest(), "participants", 1)
    assert [row.code for row in rows] == ["chain-1", "chain-2"]


def test_what_is_foreign_and_what_does_not_exist_are_refused_alike(doors: Doors) -> None:
    north = doors.visitor("/hq/north").programme
    for code in ("south", "nobody"):
        assert refused(north.ListStores, ListStoresRequest(participant=code)).reason == "PERMISSION_DENIED"
        assert refused(north.ListTerminals, ListTerminalsRequest(participant=code)).reason == "PERMISSION_DENIED"
    for code in ("links-at-east", "no-such"):
        request = GetAgreementRequest(code=code)
        assert refused(north.GetAgreement, request).reason == "PERMISSION_DENIED"


@pytest.mark.parametrize("path", READERS)
def test_operator_and_auditor_learn_what_does_not_exist(doors: Doors, path: str) -> None:
    stub = doors.visitor(path).programme
    assert refused(lambda: stub.ListStores(ListStoresRequest(participant="nobody"))).reason == "PARTICIPANT_UNKNOWN"
    request = ListTerminalsRequest(participant="north", store="nowhere")
    assert refused(lambda: stub.ListTerminals(request)).reason == "STORE_UNKNOWN"
    assert refused(lambda: stub.GetAgreement(GetAgreementRequest(code="no-such"))).reason == "AGREEMENT_UNKNOWN"


def test_an_agreement_comes_back_as_it_was_said_with_its_defaults_spelt_out(doors: Doors) -> None:
    hq = doors.visitor().programme
    terms = Terms(
        issuer="south",
        custody=programme_pb2.CUSTODY_OPERATOR_HELD,
        tiers=[Tier(from_minor=100, bonus=Rate(numerator=2, denominator=10)), Tier(from_minor=500)],
        bonus_months=12,
        sponsor="east",
        sponsor_share=Rate(numerator=1, denominator=2),
        balance_limit_minor=500_000,
    )
    made = agree(hq, "south-terms", terms=terms).agreement.terms
    assert [(tier.from_minor, tier.bonus.numerator, tier.bonus.denominator) for tier in made.tiers] == [
        (100, 1, 5),
        (500, 0, 1),
    ]
    assert (made.sellers, made.minimum_minor, made.calendar) == (["south"], 1, "monthly")
    assert made.top_up_loss == programme_pb2.LOSS_BEARER_SELLER
    assert (made.bonus_months, made.sponsor, made.balance_limit_minor) == (12, "east", 500_000)
    read = hq.GetAgreement(GetAgreementRequest(code="links-at-east")).agreement.acceptance
    assert (read.accepted, read.fees_return, read.interchange_base) == (True, True, programme_pb2.FEE_BASE_GROSS)
    assert (read.issuer_bonus_share.numerator, read.interchange.numerator) == (1, 0)


def test_what_was_read_and_sent_back_as_a_revision_says_the_same(doors: Doors) -> None:
    """HQ's tools read, change one field and write: no field may fall back to its default on the way."""
    hq = doors.visitor().programme
    told = {
        "terms": Terms(
            issuer="east",
            custody=programme_pb2.CUSTODY_OPERATOR_HELD,
            sellers=["east", "south"],
            tiers=[Tier(from_minor=7, bonus=Rate(numerator=1, denominator=9))],
            minimum_minor=5,
            bonus_months=3,
            sponsor="south",
            sponsor_share=Rate(numerator=1, denominator=3),
            sponsor_limit_minor=700_000,
            when_used_up=programme_pb2.WHEN_USED_UP_ISSUER,
            seller_commission=Rate(numerator=1, denominator=100),
            balance_limit_minor=9_000,
            calendar="monthly",
            top_up_loss=programme_pb2.LOSS_BEARER_ISSUER,
        ),
        "acceptance": Acceptance(
            issuer="south",
            acquirer="north",
            accepted=False,
            issuer_bonus_share=Rate(numerator=1, denominator=2),
            interchange=Rate(numerator=1, denominator=200),
            interchange_base=programme_pb2.FEE_BASE_PRINCIPAL,
            fees_return=False,
            offline_limit_minor=20_000,
            shortfall_bearer=programme_pb2.SHORTFALL_BEARER_ISSUER,
            calendar="monthly",
        ),
        "acquiring": Acquiring(
            acquirer="north",
            operator_fee=Rate(numerator=3, denominator=500),
            commission=Rate(numerator=1, denominator=100),
            commission_to="south",
            fee_base=programme_pb2.FEE_BASE_PRINCIPAL,
            fees_return=False,
            calendar="monthly",
            returns_at=["south", "chain:links"],
        ),
        "fees": WindowFees(
            payer="north",
            payee="south",
            base=programme_pb2.WINDOW_BASE_ACTIVATED_MEMBERS,
            bands=[FeeBand(from_volume=10, rate=Rate(numerator=500, denominator=1))],
            banding=programme_pb2.BANDING_WHOLE,
            flat_minor=100,
            minimum_minor=200,
            maximum_minor=9_000,
            calendar="monthly",
            measured=programme_pb2.MEASURED_PAYEE,
        ),
        "caps": Caps(participant="north", net_debit_minor=1_000, warning_percent=70, collateral_counts=False),
        "card_rules": CardRules(
            named_balance_limit_minor=500_000,
            bearer_balance_limit_minor=100_000,
            real_name_top_up_from_minor=1_000_000,
            transfer_top_up_from_minor=500_000,
            credit_funding_allowed=False,
            bearer_bonus_months_min=36,
            no_pin_limit_minor=30_000,
            number_day_limit_minor=50_000,
            code_day_limit_minor=100_000,
            code_pin_day_limit_minor=500_000,
            wallet_day_limit_minor=600_000,
            wallet_day_count=50,
            card_hour_count=10,
            return_days=7,
            issuer_held_across_groups_allowed=False,
        ),
    }
    for kind, content in told.items():
        assert {field.name for field, _ in content.ListFields()} == set(content.DESCRIPTOR.fields_by_name)
        code = f"round-{kind}".replace("_", "-")
        agree(hq, code, **{kind: content})
        read = getattr(hq.GetAgreement(GetAgreementRequest(code=code)).agreement, kind)
        again = ReviseAgreementRequest(
            request_id=new_id(), code=code, expected_version=1, effective_from="2020-01-01", **{kind: read}
        )
        assert getattr(hq.ReviseAgreement(again).agreement, kind) == content


def test_refusals_name_their_reason_and_their_field(doors: Doors) -> None:
    hq = doors.visitor().programme
    taken = CreateParticipantRequest(request_id=new_id(), code="north", display_name="North", role=STORE)
    assert refused(lambda: hq.CreateParticipant(taken)).reason == "PARTICIPANT_EXISTS"
    assert refused(lambda: hq.CreateParticipant(taken)).metadata["replayed"] == "true"
    shop = CreateStoreRequest(request_id=new_id(), participant="north", code="main", display_name="Main")
    assert refused(lambda: hq.CreateStore(shop)).reason == "STORE_EXISTS"
    shop = CreateStoreRequest(request_id=new_id(), participant="nobody", code="main", display_name="Main")
    assert refused(lambda: hq.CreateStore(shop)).reason == "PARTICIPANT_UNKNOWN"
    till = CreateTerminalRequest(request_id=new_id(), participant="north", store="main", code="till-1")
    assert refused(lambda: hq.CreateTerminal(till)).reason == "TERMINAL_EXISTS"
    place = operations_pb2.TerminalRef(participant="north", store="main", terminal="no-till")
    state = SetTerminalStateRequest(request_id=new_id(), terminal=place, state=SUSPENDED)
    assert refused(lambda: hq.SetTerminalState(state)).reason == "TERMINAL_UNKNOWN"
    shut = SetStoreStateRequest(request_id=new_id(), participant="north", store="no-store", state=SUSPENDED)
    assert refused(lambda: hq.SetStoreState(shut)).reason == "STORE_UNKNOWN"

    half = Terms(issuer="north", sponsor_share=Rate(numerator=1, denominator=2))
    answer = refused(lambda: agree(hq, "half", terms=half))
    assert (answer.reason, answer.fields) == ("AGREEMENT_INVALID", ("terms.sponsor",))
    stale = ReviseAgreementRequest(
        request_id=new_id(),
        code="east-pays",
        expected_version=7,
        effective_from="2020-01-01",
        acquiring=Acquiring(acquirer="east"),
    )
    assert refused(lambda: hq.ReviseAgreement(stale)).reason == "AGREEMENT_VERSION_CONFLICT"
    no_date = CreateAgreementRequest(
        request_id=new_id(), code="no-date", effective_from="2017-02-30", acquiring=Acquiring(acquirer="east")
    )
    answer = refused(lambda: hq.CreateAgreement(no_date))
    assert (answer.reason, answer.fields) == ("FIELD_INVALID", ("effective_from",))
    answer = refused(lambda: hq.ListTerminals(ListTerminalsRequest(store="main")))
    assert (answer.reason, answer.fields) == ("FIELD_INVALID", ("participant",))
    token = hq.ListParticipants(ListParticipantsRequest(page_size=1)).next_page_token
    for foreign in (token, "no-token"):
        request = ListStoresRequest(page_token=foreign)
        assert refused(hq.ListStores, request).reason == "PAGE_TOKEN_INVALID"


def test_a_suspended_participant_is_out_as_soon_as_hq_is_answered(doors: Doors) -> None:
    founded(doors, "brief")
    stub = doors.visitor("/hq/brief").programme
    assert stub.ListParticipants(ListParticipantsRequest()).participants[0].code == "brief"
    hq = doors.visitor().programme
    hq.SetParticipantState(SetParticipantStateRequest(request_id=new_id(), participant="brief", state=SUSPENDED))
    assert refused(lambda: stub.ListParticipants(ListParticipantsRequest())).reason == "TERMINAL_SUSPENDED"
