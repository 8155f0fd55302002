"""A participant leaves while its members go on paying: approved, exact to the fen, nobody notices at a till."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from coalition.storage.connect import connect
from coalition.v1.member_pb2 import EnrolMemberRequest, IssueCardRequest, LinkCardRequest, Profile
from coalition.v1.operations_pb2 import PurchaseRequest, SellPassRequest
from coalition.v1.programme_pb2 import CreateAgreementRequest, EarnStep, Passes, Points, Rate
from coalition.v1.settlement_pb2 import HandOverRequest, ProposeHandOverRequest
from tests.postgres import SharedPostgres
from tests.server.services.house import Doors, new_id, open_doors, pay, refused, told_again, top_up, trading
from tests.server.services.test_disputes import approve


@pytest.fixture(scope="module")
def doors(postgres: SharedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    with open_doors(postgres, tmp_path_factory.mktemp("succession")) as doors:
        trading(doors, "a", "b", "c")
        doors.known("c")
        yield doors


def card(doors: Doors, place: int) -> str:
    """1200.00 of A's value."""
    counter = doors.visitor("/hq/a").member
    profile = Profile(name="Zoe", phone=f"+861370000{place:04}")
    member = counter.EnrolMember(EnrolMemberRequest(request_id=new_id(), profile=profile))
    number = str(counter.IssueCard(IssueCardRequest(request_id=new_id())).card_number)
    counter.LinkCard(LinkCardRequest(request_id=new_id(), card_number=number, member_id=member.member_id))
    top_up(doors, "a", number, 100_000)
    return number


def accounts(doors: Doors) -> dict[str, int]:
    """What stands on each FLOAT, BONUS, PASS and POINTS account, by the letters of its participants; not zeros."""
    rows = doors.house.query(
        """
        WITH legs AS (SELECT debit AS account, amount_minor AS amount FROM transfers
                      UNION ALL SELECT credit, -amount_minor FROM transfers)
        SELECT split_part(account_name(account), '(', 1) || ' ' || p.code, sum(amount)::bigint
        FROM legs JOIN participants p ON p.participant_id = account >> 24 & 16777215
        WHERE account >> 48 IN (2, 3, 9, 10) GROUP BY 1 HAVING sum(amount) <> 0 ORDER BY 1
        """
    )
    return dict(rows)


def promises(doors: Doors, number: str) -> None:
    """Besides, A owes three visits of a pass, and points to whoever buys at C."""
    programme, passes = doors.visitor().programme, Passes(issuer="a", price_minor=9_000, visits=3)
    step = EarnStep(from_minor=100, rate=Rate(numerator=1, denominator=100))
    points = Points(debtor="a", earned_at=["c"], steps=[step], value=Rate(numerator=1, denominator=2))
    for code, content in (("bath", {"passes": passes}), ("stars", {"points": points})):
        agreed = CreateAgreementRequest(request_id=new_id(), code=code, effective_from="2017-01-01", **content)
        programme.CreateAgreement(agreed)
    sale = SellPassRequest(request_id=new_id(), card_number=number, amount_minor=9_000, currency_code="CNY")
    doors.visitor("/t/a/main/till-1").terminal.SellPass(sale)
    pay(doors, "c", number, 30_000)


def wish(**said: Any) -> dict[str, Any]:
    return {"request_id": new_id(), "participant": "a", "successor": "b", "bonus_price_minor": 5_000, **said}


def test_it_is_approved_first_and_then_hands_everything_over_under_load(doors: Doors) -> None:
    """Tills at C spend A's value meanwhile: each purchase is posted for A or for B, never for both or none."""
    cards = [card(doors, place) for place in range(4)]
    promises(doors, cards[0])
    operator = doors.visitor().settlement
    assert "FIELD_INVALID" == refused(operator.ProposeHandOver, ProposeHandOverRequest(**wish(successor="a"))).reason
    assert "PARTICIPANT_UNKNOWN" == refused(operator.HandOver, HandOverRequest(**wish(successor="x"))).reason
    assert "APPROVAL_MISSING" == refused(operator.HandOver, HandOverRequest(**wish())).reason
    asked = told_again(operator.ProposeHandOver, ProposeHandOverRequest(**wish()), successor="c")
    assert (384_000, 75_000) == (asked.principal_minor, asked.bonus_minor)  # of lots, and 90.00 of the pass
    approve(doors, asked.approval_id)
    assert "APPROVAL_MISSING" == refused(operator.HandOver, HandOverRequest(**wish(bonus_price_minor=5_001))).reason
    till, stop, trouble = doors.visitor("/t/c/main/till-1").terminal, threading.Event(), []

    def sell(number: str) -> None:
        while not stop.is_set():
            request = PurchaseRequest(request_id=new_id(), card_number=number, amount_minor=100, currency_code="CNY")
            try:
                till.Purchase(request)
            except grpc.RpcError as error:
                trouble.append(error)

    threads = [threading.Thread(target=sell, args=(number,)) for number in cards]
    for thread in threads:
        thread.start()
    done = told_again(operator.HandOver, HandOverRequest(**wish()), successor="c")
    for number in cards:
        pay(doors, "c", number, 100)
    stop.set()
    for thread in threads:
        thread.join()

    assert [] == trouble
    left = doors.house.query("SELECT sum(principal)::bigint, sum(face - principal)::bigint FROM lots")[0]
    points = doors.house.query("SELECT sum(balance)::bigint FROM points")[0][0]
    assert {"FLOAT b": left[0] + 9_000, "BONUS b": left[1], "PASS b": 3, "POINTS b": points} == accounts(doors)
    claims = doors.house.query(
        "SELECT unit, amount_minor FROM transfers WHERE entry_id = %s AND debit >> 48 = 4 ORDER BY unit",
        done.receipt.entry_id,
    )
    assert (1, done.principal_minor + 5_000) == claims[0]
    assert 100 == claims[1][0]
    assert 300 <= claims[1][1] <= points
    assert [("SUSPENDED",)] == doors.house.query("SELECT state FROM participants WHERE code = 'a'")
    assert 30_000 == pay(doors, "b", cards[1], 30_000).amount_minor
    assert "FIELD_INVALID" == refused(operator.HandOver, HandOverRequest(**wish(successor="c"))).reason


def test_what_was_handed_over_is_taken_back_by_no_role_of_a_server(doors: Doors) -> None:
    dsn = doors.house.postgres.dsn("coalition_app", doors.house.ledger)
    with connect(dsn) as connection, pytest.raises(Exception, match="permission denied"):
        connection.execute("UPDATE participants SET successor_id = NULL")
