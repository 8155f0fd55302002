"""PortalService: a member's own wallet and lines, for member gateways only."""

from typing import Any

import pytest

from coalition.bootstrap.clock import business_date_in, utc_now
from coalition.domain.calendars import months_later
from coalition.v1 import operations_pb2, portal_pb2
from coalition.v1.member_pb2 import (
    EnrolMemberRequest,
    FreezeCardRequest,
    IssueCardRequest,
    LinkCardRequest,
    Profile,
    ReplaceCardRequest,
)
from coalition.v1.operations_pb2 import SellPassRequest, VisitPassRequest
from coalition.v1.portal_pb2 import GetWalletRequest, ListWalletEntriesRequest
from coalition.v1.programme_pb2 import CreateAgreementRequest, EarnStep, Passes, Points, Rate
from coalition.v1.terminal_pb2 import ListEntriesRequest
from tests.server.services.house import Doors, new_id, pay, refused, top_up, trading, walk

GATEWAY = "/mg/portal"


@pytest.fixture(scope="module")
def member_id(doors: Doors) -> str:
    """A member who bought 100.00 (+20.00) at the grocer and 50.00 (+10.00) at the cinema, and spent 30.00 there."""
    trading(doors, "grocer", "cinema")
    counter = doors.visitor("/hq/grocer").member
    profile = Profile(name="Mina", phone="+8613700000001")
    member = counter.EnrolMember(EnrolMemberRequest(request_id=new_id(), profile=profile))
    number = counter.IssueCard(IssueCardRequest(request_id=new_id())).card_number
    counter.LinkCard(LinkCardRequest(request_id=new_id(), card_number=number, member_id=member.member_id))
    top_up(doors, "grocer", number, 10_000)
    top_up(doors, "cinema", number, 5_000)
    pay(doors, "cinema", number, 3_000)
    return member.member_id


def test_a_wallet_is_the_sum_of_its_lots_principal_and_bonus_apart(doors: Doors, member_id: str) -> None:
    wallet = doors.visitor(GATEWAY).portal.GetWallet(GetWalletRequest(member_id=member_id)).wallet
    assert wallet.balance_minor == 15_000
    assert wallet.balance_minor == sum(lot.face_minor for lot in wallet.lots)
    assert wallet.principal_minor == sum(lot.principal_minor for lot in wallet.lots) == 12_500
    assert wallet.bonus_minor == sum(lot.bonus_minor for lot in wallet.lots) == 2_500
    assert (wallet.state, wallet.currency_code) == (portal_pb2.WALLET_STATE_OPEN, "CNY")
    assert sorted(lot.issuer for lot in wallet.lots) == ["cinema", "grocer"]
    assert [lot.lot_id for lot in wallet.lots] == sorted(lot.lot_id for lot in wallet.lots)


def test_lines_are_told_newest_first_each_exactly_once_with_their_balance(doors: Doors, member_id: str) -> None:
    stub = doors.visitor(GATEWAY).portal
    lines = walk(stub.ListWalletEntries, ListWalletEntriesRequest(member_id=member_id), "entries", 1)
    assert [(line.reason, line.balance_change_minor, line.balance_minor) for line in lines] == [
        ("ACCEPTED", -3_000, 15_000),
        ("ACCEPTED", 6_000, 18_000),
        ("ACCEPTED", 12_000, 12_000),
        ("ACCEPTED", 0, 0),
    ]
    assert [line.kind for line in lines] == [
        operations_pb2.ENTRY_KIND_PURCHASE,
        operations_pb2.ENTRY_KIND_TOP_UP,
        operations_pb2.ENTRY_KIND_TOP_UP,
        operations_pb2.ENTRY_KIND_CARD_LINKED,
    ]
    assert [line.participant for line in lines] == ["cinema", "cinema", "grocer", "grocer"]
    assert [line.store for line in lines] == ["main", "main", "main", ""]


def test_a_member_sees_passes_and_points_beside_the_balance(doors: Doors) -> None:
    """Of a pass what is left of it, and what of the price would be paid out; no part of the balance."""
    trading(doors, "spa")
    counter, programme = doors.visitor("/hq/spa").member, doors.visitor().programme
    profile = Profile(name="Olga", phone="+8613700000003")
    member = counter.EnrolMember(EnrolMemberRequest(request_id=new_id(), profile=profile))
    number = counter.IssueCard(IssueCardRequest(request_id=new_id())).card_number
    counter.LinkCard(LinkCardRequest(request_id=new_id(), card_number=number, member_id=member.member_id))
    step = EarnStep(from_minor=100, rate=Rate(numerator=1, denominator=100))
    contents: dict[str, dict[str, Any]] = {
        "bath": {"passes": Passes(issuer="spa", price_minor=10_000, visits=3)},
        "stars": {"points": Points(debtor="spa", steps=[step], months=12)},
    }
    for code, content in contents.items():
        agreed = CreateAgreementRequest(request_id=new_id(), code=code, effective_from="2017-01-01", **content)
        programme.CreateAgreement(agreed)
    till = doors.visitor("/t/spa/main/till-1").terminal
    sold = till.SellPass(
        SellPassRequest(request_id=new_id(), card_number=number, amount_minor=10_000, currency_code="CNY")
    ).receipt
    till.VisitPass(VisitPassRequest(request_id=new_id(), card_number=number))
    top_up(doors, "spa", number, 10_000)
    pay(doors, "spa", number, 5_000)

    wallet = doors.visitor(GATEWAY).portal.GetWallet(GetWalletRequest(member_id=member.member_id)).wallet
    assert 7_000 == wallet.balance_minor
    assert [("stars", 50)] == [(each.programme, each.points) for each in wallet.points]
    ((ending,),) = [each.ending for each in wallet.points]
    last_day = months_later(business_date_in("Asia/Shanghai")(utc_now()), 12)
    assert ("stars", 50, last_day.isoformat()) == (ending.programme, ending.points, ending.last_day)
    (held,) = wallet.passes
    assert (sold.entry_id, "spa", "bath", 2, 3, 6_667, "CNY", "") == (
        *(held.pass_entry_id, held.issuer, held.pass_code, held.visits_left, held.visits_sold),
        *(held.principal_minor, held.currency_code, held.last_day),
    )


def test_the_member_sees_what_was_done_to_the_cards_and_a_till_only_what_was_paid_there(doors: Doors) -> None:
    """A freeze the member did not ask for must show; a till has no business with it."""
    trading(doors, "kiosk")
    counter = doors.visitor("/hq/kiosk").member
    profile = Profile(name="Nora", phone="+8613700000002")
    member = counter.EnrolMember(EnrolMemberRequest(request_id=new_id(), profile=profile))
    number = counter.IssueCard(IssueCardRequest(request_id=new_id())).card_number
    counter.LinkCard(LinkCardRequest(request_id=new_id(), card_number=number, member_id=member.member_id))
    top_up(doors, "kiosk", number, 1_000)
    freeze = FreezeCardRequest(request_id=new_id(), card_number=number)
    frozen = counter.FreezeCard(freeze)
    replaced = counter.ReplaceCard(ReplaceCardRequest(request_id=new_id(), card_number=number))

    stub = doors.visitor(GATEWAY).portal
    lines = walk(stub.ListWalletEntries, ListWalletEntriesRequest(member_id=member.member_id), "entries")
    assert [(line.kind, line.card_last_four) for line in lines] == [
        (operations_pb2.ENTRY_KIND_CARD_REPLACED, replaced.card.last_four),
        (operations_pb2.ENTRY_KIND_CARD_FROZEN, number[-4:]),
        (operations_pb2.ENTRY_KIND_TOP_UP, number[-4:]),
        (operations_pb2.ENTRY_KIND_CARD_LINKED, number[-4:]),
    ]
    assert (lines[1].entry_id, lines[1].request_id) == (frozen.receipt.entry_id, freeze.request_id)
    assert (lines[1].post_time, lines[1].reason) == (frozen.receipt.post_time, "ACCEPTED")
    till = doors.visitor("/t/kiosk/main/till-1").terminal
    seen = till.ListEntries(ListEntriesRequest(card_number=replaced.card_number)).entries
    assert [line.kind for line in seen] == [operations_pb2.ENTRY_KIND_TOP_UP]


def test_an_unknown_member_is_unknown_and_a_foreign_token_is_refused(doors: Doors, member_id: str) -> None:
    stub = doors.visitor(GATEWAY).portal
    unknown = "00000000-0000-4000-8000-000000000000"
    assert refused(lambda: stub.GetWallet(GetWalletRequest(member_id=unknown))).reason == "MEMBER_UNKNOWN"
    request = ListWalletEntriesRequest(member_id=member_id, page_token="AAAA")
    assert refused(lambda: stub.ListWalletEntries(request)).reason == "PAGE_TOKEN_INVALID"
    assert refused(lambda: stub.GetWallet(GetWalletRequest(member_id="nobody"))).fields == ("member_id",)


@pytest.mark.parametrize("path", ["/op/admin", "/hq/grocer", "/t/grocer/main/till-1", "/aud/firm"])
def test_only_a_member_gateway_reads_members_wallets(doors: Doors, member_id: str, path: str) -> None:
    stub = doors.visitor(path).portal
    for known in (member_id, "00000000-0000-4000-8000-000000000000"):
        request = GetWalletRequest(member_id=known)
        assert refused(stub.GetWallet, request).reason == "PERMISSION_DENIED"
