"""Setting a PIN at the counter: weighed, kept as a keyed hash, and nowhere told."""

from uuid import UUID, uuid4

import pytest

from coalition.bootstrap.pins import RingPins, seal_pin
from coalition.domain.acts import ActAnswer
from coalition.domain.errors import Refused
from coalition.domain.kinds import Kind
from coalition.domain.pins import PinRow, SealedPin
from coalition.domain.reasons import Reason
from tests.membership.desk import Desk
from tests.offices import reason_of

PIN, OTHER = "280619", "905127"


def set_pin(desk: Desk, member_id: UUID, pin: str, request_id: UUID | None = None, to: UUID | None = None) -> ActAnswer:
    """As staff does; `to` is the member the PIN was sealed for, the same unless said."""
    act = desk.house.act(Kind.PIN_SET, request_id, member_id=str(member_id))
    sealed = seal_pin(desk.ring.pin_public_key()[1], pin, str(act.request_id), f"member/{to or member_id}")
    return desk.reception.set_pin(act, member_id, sealed)


def rows(desk: Desk) -> list[PinRow]:
    return [
        PinRow(*row)
        for row in desk.house.query(
            "SELECT lane, wallet_id, revision, tries, forgiven, salt, tag, key_version FROM pins"
        )
    ]


def test_a_pin_is_kept_as_a_tag_that_only_its_wallets_pin_matches(desk: Desk):
    member = desk.enrol()
    set_pin(desk, member.member_id, PIN)
    (row,) = rows(desk)
    request = uuid4()

    def matches(pin: str) -> bool:
        sealed = SealedPin(seal_pin(desk.ring.pin_public_key()[1], pin, str(request), "a/b/c"), "a/b/c")
        opened = RingPins(desk.ring).open(request, sealed)
        assert opened is not None
        assert pin not in repr(opened)
        return opened.matches(row)

    assert (member.wallet_id, 1, 0, 0, 1) == (row.wallet_id, row.revision, row.tries, row.forgiven, row.key_version)
    assert (16, 32) == (len(row.salt), len(row.tag))
    assert matches(PIN)
    assert not matches(OTHER)


def test_a_new_pin_ends_a_lock_and_is_a_revision_of_its_own(desk: Desk):
    member = desk.enrol()
    set_pin(desk, member.member_id, PIN)
    desk.house.query("UPDATE pins SET tries = 9, forgiven = 4 RETURNING 1")
    (before,) = rows(desk)
    set_pin(desk, member.member_id, PIN)
    (after,) = rows(desk)

    assert (2, 0, 0) == (after.revision, after.tries, after.forgiven)
    assert before.salt != after.salt  # the same PIN does not show as the same
    assert before.tag != after.tag


@pytest.mark.parametrize("pin", ["000000", "123456", "543210", "900512", "120590", "051290", "199005"])
def test_weak_pins_and_the_members_month_of_birth_are_declined_for_ever(desk: Desk, pin: str):
    """Under that request_id: another PIN needs another, so that two PINs never share one."""
    member, request_id = desk.enrol(month=5), uuid4()

    assert Reason.PIN_WEAK == reason_of(lambda: set_pin(desk, member.member_id, pin, request_id))
    assert Reason.PIN_WEAK == reason_of(lambda: set_pin(desk, member.member_id, PIN, request_id))
    assert [] == rows(desk)


def test_a_repeated_request_sets_nothing_anew(desk: Desk):
    member, request_id = desk.enrol(), uuid4()
    first = set_pin(desk, member.member_id, PIN, request_id)
    (before,) = rows(desk)
    again = set_pin(desk, member.member_id, OTHER, request_id)

    assert (first.entry_id, True) == (again.entry_id, again.replayed)
    assert [before] == rows(desk)


@pytest.mark.parametrize("pin", ["2806", "2806190"])
def test_a_pin_has_six_digits(desk: Desk, pin: str):
    member = desk.enrol()
    with pytest.raises(Refused) as refused:
        set_pin(desk, member.member_id, pin)

    assert (Reason.FIELD_INVALID, "sealed_pin") == (refused.value.reason, refused.value.field)
    assert [] == desk.house.query("SELECT 1 FROM entries WHERE kind = %s", int(Kind.PIN_SET))


def test_a_pin_sealed_for_somebody_else_is_unreadable(desk: Desk):
    member, request_id = desk.enrol(), uuid4()

    assert Reason.PIN_UNREADABLE == reason_of(lambda: set_pin(desk, member.member_id, PIN, request_id, to=uuid4()))
    set_pin(desk, member.member_id, PIN, request_id)  # nothing was stored, so the same request may come again


def test_nobody_else_gets_a_pin(desk: Desk):
    closed = desk.enrol()
    desk.house.query("UPDATE wallets SET state = 'CLOSED' RETURNING 1")

    assert Reason.MEMBER_UNKNOWN == reason_of(lambda: set_pin(desk, uuid4(), PIN))
    assert Reason.WALLET_CLOSED == reason_of(lambda: set_pin(desk, closed.member_id, PIN))
    assert [] == rows(desk)


def test_the_journal_tells_that_a_pin_was_set_and_not_which(desk: Desk):
    member = desk.enrol()
    set_pin(desk, member.member_id, PIN)
    ((wallet_id, answer),) = desk.house.query(
        "SELECT wallet_id, answer FROM entries WHERE kind = %s", int(Kind.PIN_SET)
    )

    assert member.wallet_id == wallet_id
    assert PIN.encode() not in answer
