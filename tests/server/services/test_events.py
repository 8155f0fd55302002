"""EventService: each is told its own, in order, at least once, under the same names however often it is made again."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from coalition.bootstrap.clock import business_date_in, utc_now
from coalition.followers import folds
from coalition.followers.follower import Follower
from coalition.storage.connect import connect
from coalition.storage.embedded import SUPERUSER
from coalition.storage.settlement_events import SETTLEMENT_EVENTS
from coalition.v1 import events_pb2
from coalition.v1.events_pb2 import Event, GetEventsRequest
from coalition.v1.member_pb2 import (
    EnrolMemberRequest,
    FreezeCardRequest,
    IssueCardRequest,
    LinkCardRequest,
    Profile,
    UnfreezeCardRequest,
)
from coalition.v1.operations_pb2 import (
    ENTRY_KIND_CARD_FROZEN,
    ENTRY_KIND_PURCHASE,
    ENTRY_KIND_TOP_UP,
    SpendPointsRequest,
)
from coalition.v1.programme_pb2 import CreateAgreementRequest, EarnStep, Points, Rate
from coalition.v1.settlement_pb2 import (
    CloseWindowRequest,
    HandOverRequest,
    ListWindowsRequest,
    NetWindowRequest,
    ProposeHandOverRequest,
)
from settlement import defaulting
from tests.ledger_fixtures import NOTARY
from tests.postgres import SharedPostgres
from tests.server.services.house import Doors, new_id, open_doors, pay, refused, top_up, trading
from tests.server.services.test_disputes import approve

GATEWAY = "/mg/portal"
SOON = events_pb2.EVENT_KIND_BONUS_ENDS_SOON
ENTRY = events_pb2.EVENT_KIND_WALLET_ENTRY
HANDED_OVER = events_pb2.EVENT_KIND_LOT_HANDED_OVER


class Holder(NamedTuple):
    member_id: str
    number: str


@pytest.fixture(scope="module")
def doors(postgres: SharedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    with open_doors(postgres, tmp_path_factory.mktemp("events")) as doors:
        trading(doors, "a", "b", "c")
        doors.known("c")
        yield doors


def holder(doors: Doors, phone: str) -> Holder:
    counter = doors.visitor("/hq/a").member
    profile = Profile(name="Wilhelmina", phone=phone)
    member_id = counter.EnrolMember(EnrolMemberRequest(request_id=new_id(), profile=profile)).member_id
    number = str(counter.IssueCard(IssueCardRequest(request_id=new_id())).card_number)
    counter.LinkCard(LinkCardRequest(request_id=new_id(), card_number=number, member_id=member_id))
    return Holder(member_id, number)


def follow(doors: Doors) -> None:
    """Let every fold come to the journal's end."""
    dsn = doors.house.postgres.dsn("coalition_app", doors.house.ledger)
    for fold in folds():
        Follower(fold, lambda: connect(dsn), utc_now, time.sleep).catch_up()


def told(doors: Doors, path: str, after: str = "", page_size: int = 1000) -> tuple[list[Event], str]:
    """Everything behind a cursor, page by page, and where it ends."""
    stub: Any = doors.visitor(path).events
    found: list[Event] = []
    while True:
        page = stub.GetEvents(GetEventsRequest(after=after, page_size=page_size))
        assert len(page.events) <= page_size
        found += page.events
        if page.next_after == after:
            return found, after
        after = page.next_after


def test_a_member_gateway_is_told_what_happened_in_wallets_and_nothing_personal(doors: Doors) -> None:
    holder_ = holder(doors, "+8613700000401")
    follow(doors)
    _, start = told(doors, GATEWAY)
    top_up(doors, "a", holder_.number, 10_000)
    receipt = pay(doors, "c", holder_.number, 3_000)
    counter = doors.visitor("/hq/a").member
    counter.FreezeCard(FreezeCardRequest(request_id=new_id(), card_number=holder_.number))
    assert [] == told(doors, GATEWAY, start)[0]  # nothing is told before it is followed
    follow(doors)
    events, end = told(doors, GATEWAY, start)

    assert [ENTRY_KIND_TOP_UP, ENTRY_KIND_PURCHASE, ENTRY_KIND_CARD_FROZEN] == [
        event.wallet_entry.kind for event in events
    ]
    assert {(ENTRY, holder_.member_id)} == {(event.kind, event.member_id) for event in events}
    assert (f"{receipt.entry_id}-0", -3_000) == (events[1].event_id, events[1].wallet_entry.balance_change_minor)
    assert [] == told(doors, GATEWAY, end)[0]
    for page_size in (1, 2):
        assert events == told(doors, GATEWAY, start, page_size)[0]
    assert events[1:] == told(doors, GATEWAY, events[0].event_id)[0]
    for secret in ("Wilhelmina", "13700000401", holder_.number):
        assert secret not in str(events)
    counter.UnfreezeCard(UnfreezeCardRequest(request_id=new_id(), card_number=holder_.number))


def test_a_declined_operation_is_no_event(doors: Doors) -> None:
    holder_ = holder(doors, "+8613700000402")
    follow(doors)
    _, start = told(doors, GATEWAY)
    assert "INSUFFICIENT_FUNDS" == refused(lambda: pay(doors, "a", holder_.number, 1)).reason
    follow(doors)

    assert [] == told(doors, GATEWAY, start)[0]


def test_a_bonus_that_ends_soon_is_told_once_with_the_first_batch_of_the_day(doors: Doors) -> None:
    """Two weeks before its last day, what is left of it; a bonus that is spent by then is not told."""
    holders = [holder(doors, f"+861370000041{place}") for place in range(3)]
    lots = [top_up(doors, "a", each.number, 10_000).entry_id for each in holders]
    pay(doors, "a", holders[2].number, 12_000)
    follow(doors)
    _, start = told(doors, GATEWAY)
    today = business_date_in("Asia/Shanghai")(utc_now())
    with connect(doors.house.postgres.dsn(SUPERUSER, doors.house.ledger)) as owner:
        owner.execute("UPDATE batches SET time = time - interval '2 days'")
        for lot, days in zip(lots, (14, 15, 14), strict=True):
            owner.execute("UPDATE lots SET bonus_expiry = %s WHERE lot_id = %s", (today + timedelta(days), lot))
    pay(doors, "a", holders[0].number, 600)
    follow(doors)
    events, _ = told(doors, GATEWAY, start)

    assert [SOON, ENTRY] == [event.kind for event in events]
    assert (holders[0].member_id, lots[0], "a", 11_400, 1_900, (today + timedelta(14)).isoformat()) == (
        events[0].member_id,
        events[0].lot.lot_id,
        events[0].lot.issuer,
        events[0].lot.face_minor,
        events[0].lot.bonus_minor,
        events[0].lot.bonus_expiry_date,
    )
    assert events == told(doors, GATEWAY, start, 1)[0]
    pay(doors, "a", holders[0].number, 600)
    follow(doors)
    assert [ENTRY] == [event.kind for event in told(doors, GATEWAY, events[-1].event_id)[0]]


def test_points_that_end_soon_are_told_once_with_the_first_batch_of_the_day(doors: Doors) -> None:
    """As bonuses are: two weeks before, what is left of them; not what was spent by then."""
    step = EarnStep(from_minor=100, rate=Rate(numerator=1, denominator=100))
    agreed = CreateAgreementRequest(
        request_id=new_id(),
        code="stars",
        effective_from="2017-01-01",
        points=Points(debtor="a", steps=[step], months=12),
    )
    doors.visitor().programme.CreateAgreement(agreed)
    member, spender = holder(doors, "+8613700000520"), holder(doors, "+8613700000521")
    till = doors.visitor("/t/a/main/till-1").terminal
    for each in (member, spender):
        top_up(doors, "a", each.number, 10_000)
        pay(doors, "a", each.number, 3_000)
    for each, points in ((member, 5), (spender, 30)):
        till.SpendPoints(SpendPointsRequest(request_id=new_id(), card_number=each.number, points=points))
    follow(doors)
    _, start = told(doors, GATEWAY)
    today = business_date_in("Asia/Shanghai")(utc_now())
    with connect(doors.house.postgres.dsn(SUPERUSER, doors.house.ledger)) as owner:
        owner.execute("UPDATE batches SET time = time - interval '2 days'")
        owner.execute("UPDATE points_moves SET last_day = %s WHERE last_day IS NOT NULL", (today + timedelta(14),))
    pay(doors, "a", member.number, 50)
    follow(doors)
    events, _ = told(doors, GATEWAY, start)

    ((of, ending),) = [
        (event.member_id, event.points) for event in events if event.kind == events_pb2.EVENT_KIND_POINTS_END_SOON
    ]
    assert (member.member_id, "stars", 25, (today + timedelta(14)).isoformat()) == (
        *(of, ending.programme, ending.points, ending.last_day),
    )
    assert events == told(doors, GATEWAY, start, 1)[0]


def test_headquarters_are_told_of_their_own_settlement_and_the_operator_of_all(doors: Doors) -> None:
    holder_ = holder(doors, "+8613700000404")
    top_up(doors, "a", holder_.number, 100_000)
    pay(doors, "c", holder_.number, 30_000)
    stub = doors.visitor().settlement
    follow(doors)
    _, start = told(doors, "/op/admin")
    stub.CloseWindow(CloseWindowRequest(request_id=new_id(), label="2017-01"))
    netted = stub.NetWindow(NetWindowRequest(request_id=new_id(), label="2017-01"))
    follow(doors)
    everything = told(doors, "/op/admin", start)[0]
    own = {path: told(doors, f"/hq/{path}", start)[0] for path in "abc"}

    assert events_pb2.EVENT_KIND_WINDOW_CLOSED == everything[0].kind
    assert {"monthly/2017-01"} == {event.window for event in everything}
    assert 0 == sum(event.amount_minor for event in everything)
    for path, events in own.items():
        assert everything[0] == events[0]
        assert {"", path} >= {event.participant for event in events}
        assert [event for event in everything if event.participant in {"", path}] == events
    assert f"{netted.receipt.entry_id}-1" in {event.event_id for event in everything}
    assert everything == told(doors, "/aud/firm", start)[0] == told(doors, "/op/admin", start, 1)[0]
    assert [] == [event for event in everything if event.member_id]


def test_what_is_made_again_is_the_same_under_the_same_names(doors: Doors) -> None:
    follow(doors)
    before = told(doors, "/op/admin")[0]
    dsn = doors.house.postgres.dsn("coalition_app", doors.house.ledger)
    follower = Follower(SETTLEMENT_EVENTS, lambda: connect(dsn), utc_now, time.sleep, numbers_max=3)
    digest = follower.digest()
    assert follower.rebuild().equal
    follower.forget()
    follower.catch_up()

    assert digest == follower.digest()
    assert before == told(doors, "/op/admin")[0] != []


def test_members_are_told_when_their_value_is_owed_by_another(doors: Doors) -> None:
    """Each open lot of who left once, page by page, and everybody in settlement that it left."""
    holders = [holder(doors, f"+861370000042{place}") for place in range(3)]
    lots = [top_up(doors, "b", each.number, 10_000).entry_id for each in holders]
    top_up(doors, "c", holders[0].number, 10_000)
    operator = doors.visitor().settlement
    wish: dict[str, Any] = {"participant": "b", "successor": "c", "bonus_price_minor": 0}
    approve(doors, operator.ProposeHandOver(ProposeHandOverRequest(request_id=new_id(), **wish)).approval_id)
    follow(doors)
    (_, start), (_, settled) = told(doors, GATEWAY), told(doors, "/hq/a")
    done = operator.HandOver(HandOverRequest(request_id=new_id(), **wish))
    after_it = top_up(doors, "a", holders[0].number, 10_000).entry_id
    follow(doors)
    events, _ = told(doors, GATEWAY, start)

    assert [*((HANDED_OVER, lot, "b", "c") for lot in lots), (ENTRY, 0, "", "")] == [
        (event.kind, event.lot.lot_id, event.lot.issuer, event.successor) for event in events
    ]
    assert [holder_.member_id for holder_ in [*holders, holders[0]]] == [event.member_id for event in events]
    assert f"{after_it}-0" == events[-1].event_id
    assert events == told(doors, GATEWAY, start, 1)[0] == told(doors, GATEWAY, start, 2)[0]
    heard = told(doors, "/hq/a", settled)[0]
    assert (events_pb2.EVENT_KIND_HANDED_OVER, "b", "c", f"{done.receipt.entry_id}-0") == (
        heard[0].kind,
        heard[0].about,
        heard[0].successor,
        heard[0].event_id,
    )


def test_members_are_told_when_an_issuer_does_not_pay(doors: Doors) -> None:
    """Its default, not what is recovered of it; each open lot once, page by page."""
    holders = [holder(doors, f"+861370000043{place}") for place in range(3)]
    lots = {top_up(doors, "a", each.number, 10_000).entry_id for each in holders}
    pay(doors, "c", holders[0].number, 1_000)
    stub = doors.visitor().settlement
    follow(doors)
    label = stub.ListWindows(ListWindowsRequest(page_size=1)).windows[0].label
    stub.CloseWindow(CloseWindowRequest(request_id=new_id(), label=label))
    stub.NetWindow(NetWindowRequest(request_id=new_id(), label=label))
    follow(doors)
    (_, start), (_, settled) = told(doors, GATEWAY), told(doors, "/hq/c")
    with connect(doors.house.postgres.dsn("coalition_settlement", doors.house.ledger)) as connection:
        asked = defaulting.declare(connection, "a", notary=NOTARY)
        assert asked.approval_id is not None
        approve(doors, asked.approval_id)
        assert defaulting.declare(connection, "a", notary=NOTARY).approval_id is None
    follow(doors)
    events, _ = told(doors, GATEWAY, start)

    assert {events_pb2.EVENT_KIND_ISSUER_DEFAULTED} == {event.kind for event in events}
    assert lots <= {event.lot.lot_id for event in events}
    assert {"a"} == {event.lot.issuer for event in events}
    assert len(events) == len({event.event_id for event in events})
    assert events == told(doors, GATEWAY, start, 1)[0]
    heard = told(doors, "/hq/c", settled)[0]
    assert [events_pb2.EVENT_KIND_DEFAULT_SHARED, events_pb2.EVENT_KIND_PARTICIPANT_STATE_CHANGED] == [
        event.kind for event in heard
    ]
    assert ("a", "SUSPENDED") == (heard[1].about, heard[1].state)


@pytest.mark.parametrize("path", ["/t/c/main/till-1", "/ts/c/1", "/ap/liu"])
def test_others_are_told_nothing(doors: Doors, path: str) -> None:
    assert "PERMISSION_DENIED" == refused(doors.visitor(path).events.GetEvents, GetEventsRequest()).reason


def test_a_cursor_that_is_none_names_its_field(doors: Doors) -> None:
    answer = refused(doors.visitor(GATEWAY).events.GetEvents, GetEventsRequest(after="yesterday"))

    assert ("FIELD_INVALID", ("after",)) == (answer.reason, answer.fields)
