"""Members who move in: each line ends by itself, the whole exactly once, and nothing of a line is kept in clear."""

from dataclasses import replace

from coalition.domain.acts import Act
from coalition.domain.kinds import Kind
from coalition.domain.members import Reader
from coalition.domain.reasons import Reason
from coalition.membership.intake import Arrival, Arrived
from coalition.membership.profile import Profile
from tests.membership.desk import PHONE, Desk
from tests.offices import at_once, dump, reason_of

CARD, OTHER_CARD = "4111111111111111", "5500000000000004"


def arrival(phone: str, card: str | None = None, name: str = "张三") -> Arrival:
    return Arrival(Profile(name, phone, 5), card)


def take(desk: Desk, *arrivals: Arrival, act: Act | None = None, recruiter: str = "hq") -> list[Arrived]:
    return desk.reception.intake.take(act or desk.house.act(Kind.MEMBERS_IMPORTED), recruiter, arrivals)[1]


def count(desk: Desk, table: str) -> int:
    return int(desk.house.query(f"SELECT count(*) FROM {table}")[0][0])


def keys(desk: Desk) -> int:
    return int(desk.house.query("SELECT count(*) FROM member_keys", database=desk.house.keydb)[0][0])


def test_each_line_ends_by_itself_and_a_wrong_one_keeps_none_out(desk: Desk):
    desk.enrol()
    desk.issue(OTHER_CARD)
    lines = take(
        desk,
        arrival("13900000001", CARD),
        arrival(PHONE),
        arrival("13900000002", OTHER_CARD),
        arrival("13900000001"),
        arrival("13900000003", CARD),
        arrival("139"),
        arrival("13900000004", name=""),
        arrival("13900000005", "4111111111111112"),
        arrival("13900000006"),
    )
    assert [
        (Reason.ACCEPTED, ""),
        (Reason.MEMBER_EXISTS, "phone"),
        (Reason.CARD_NUMBER_TAKEN, "card_number"),
        (Reason.MEMBER_EXISTS, "phone"),
        (Reason.CARD_NUMBER_TAKEN, "card_number"),
        (Reason.FIELD_INVALID, "phone"),
        (Reason.FIELD_INVALID, "name"),
        (Reason.FIELD_INVALID, "card_number"),
        (Reason.ACCEPTED, ""),
    ] == [(line.reason, line.field) for line in lines]
    assert [0, 8] == [place for place, line in enumerate(lines) if line.member_id]
    assert 3 == keys(desk) == count(desk, "members"), "no key is left of a line that was refused"


def test_who_moved_in_is_found_by_phone_and_pays_with_the_card_in_hand(desk: Desk):
    (line,) = take(desk, arrival("13900000001", CARD))
    view = desk.reception.reading.by_phone(Reader(1, "/hq/a"), "13900000001", "DISPUTE")
    assert (line.member_id, "张*") == (view.member_id, view.masked_name)
    card = desk.reception.get_card(CARD)
    assert ("ACTIVE", line.member_id, view.wallet_id) == (card.state, card.member_id, card.wallet_id)


def test_the_same_lines_again_are_told_the_same_and_nobody_is_made_twice(desk: Desk):
    act = desk.house.act(Kind.MEMBERS_IMPORTED)
    arrivals = [arrival(f"1390000000{number}") for number in range(5)]
    first = take(desk, *arrivals, act=act)
    assert first == take(desk, *arrivals, act=act)
    assert 5 == count(desk, "members") == keys(desk)
    assert Reason.REQUEST_ID_REUSED == reason_of(lambda: take(desk, act=replace(act, body_hash=bytes(32))))


def test_two_imports_at_once_make_each_person_one_member(desk: Desk):
    arrivals = [arrival(f"139000000{number:02}") for number in range(40)]
    ended = at_once([lambda: take(desk, *arrivals), lambda: take(desk, *reversed(arrivals))])
    assert 40 == sum(line.member_id is not None for lines in ended for line in lines)
    assert 40 == count(desk, "members") == keys(desk)


def test_an_import_for_an_unknown_participant_makes_nobody_and_leaves_no_key(desk: Desk):
    assert Reason.PARTICIPANT_UNKNOWN == reason_of(lambda: take(desk, arrival(PHONE), recruiter="nobody"))
    assert 0 == count(desk, "members") == keys(desk)


def test_nothing_of_a_line_is_stored_in_clear(desk: Desk):
    take(desk, arrival("13900000001", CARD, "欧阳卡纳里"), arrival("139"))
    stored = dump(desk.house.postgres, desk.house.ledger) + dump(desk.house.postgres, desk.house.keydb)
    assert [] == [canary for canary in ("13900000001", CARD, "欧阳卡纳里") if canary.encode() in stored]


def test_no_record_and_no_index_is_without_its_member(desk: Desk):
    """No foreign key sees to it: what an act writes of a member is written whole or not at all."""
    take(desk, arrival("13900000001", CARD), arrival("13900000002", CARD))
    desk.enrol()
    for table in ("member_records", "member_indexes"):
        assert 2 == len(desk.house.query(f"SELECT DISTINCT member_id FROM {table}"))
        assert [] == desk.house.query(f"SELECT member_id FROM {table} EXCEPT SELECT member_id FROM members")
