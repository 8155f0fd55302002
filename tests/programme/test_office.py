"""HQ's office on a real database: exactly once, told apart, listed in pages, seen by desks."""

from datetime import date
from functools import partial
from uuid import uuid4

import psycopg
import pytest

from coalition.domain.acts import ActAnswer
from coalition.domain.errors import Refused
from coalition.domain.kinds import Kind
from coalition.domain.programme import Programme
from coalition.domain.reasons import Reason
from coalition.programme.office import Office
from coalition.programme.store import ProgrammeStore as Store
from coalition.storage.programme import load
from coalition.storage.programme_reads import ProgrammeReads
from coalition.storage.programme_store import ProgrammeStore
from tests.offices import NOON, House, at_once, reason_of


@pytest.fixture
def office(house: House) -> Office:
    store: Store = ProgrammeStore(house.lease(), house.acts())
    return Office(store, lambda: NOON)


def join(house: House, office: Office, code: str, role: str = "STORE", chain: str | None = None) -> ActAnswer:
    act = house.act(Kind.PARTICIPANT_CREATED, code=code, role=role, chain_code=chain)
    return office.create_participant(act, code, code.title(), role, chain)


def loaded(house: House) -> Programme:
    with house.lease()() as connection:
        return load(connection)


def test_what_is_created_is_in_the_programme_of_the_next_desk(house: House, office: Office):
    """A terminal that HQ registered can be used at once; a suspended one cannot."""
    join(house, office, "cafe", "ALLIANCE", "blue")
    office.create_store(house.act(Kind.STORE_CREATED), "cafe", "main", "Main street")
    office.create_terminal(house.act(Kind.TERMINAL_CREATED), "cafe", "main", "till-1")

    programme = loaded(house)
    cafe = programme.participant_by_code["cafe"]
    store = programme.store_by_code[cafe.participant_id, "main"]
    till = programme.terminal_by_code[store.store_id, "till-1"]
    assert ("cafe", "chain:blue") == cafe.parties
    assert programme.may_operate(cafe.participant_id, till.terminal_id)

    office.set_terminal_state(house.act(Kind.TERMINAL_STATE_CHANGED), "cafe", "main", "till-1", "SUSPENDED")
    assert not loaded(house).may_operate(cafe.participant_id, till.terminal_id)

    office.set_terminal_state(house.act(Kind.TERMINAL_STATE_CHANGED), "cafe", "main", "till-1", "ACTIVE")
    office.set_participant_state(house.act(Kind.PARTICIPANT_STATE_CHANGED), "cafe", "SUSPENDED")
    assert not loaded(house).may_operate(cafe.participant_id, till.terminal_id)


def test_the_same_request_is_answered_the_same_and_done_once(house: House, office: Office):
    """A reply may be lost on its way: the client asks again."""
    act = house.act(Kind.PARTICIPANT_CREATED, code="cafe")
    first = office.create_participant(act, "cafe", "Cafe", "ALLIANCE")
    again = office.create_participant(act, "cafe", "Cafe", "ALLIANCE")

    assert not first.replayed
    assert again.replayed
    assert (first.entry_id, first.time, first.answer) == (again.entry_id, again.time, again.answer)
    told = {"participant": "cafe", "state": "ACTIVE", "role": "ALLIANCE", "chain": None}
    assert told == first.answer


def test_a_request_id_with_another_body_is_refused(house: House, office: Office):
    request_id = uuid4()
    office.create_participant(house.act(Kind.PARTICIPANT_CREATED, request_id, code="a"), "a", "A", "STORE")

    other = house.act(Kind.PARTICIPANT_CREATED, request_id, code="b")
    assert Reason.REQUEST_ID_REUSED == reason_of(lambda: office.create_participant(other, "b", "B", "STORE"))
    assert [] == house.query("SELECT 1 FROM participants WHERE code = 'b'")


def test_a_request_sent_by_sixteen_at_once_is_done_once(house: House, office: Office):
    act = house.act(Kind.PARTICIPANT_CREATED, code="cafe")
    answers = at_once([lambda: office.create_participant(act, "cafe", "Cafe", "STORE")] * 16)

    assert 1 == len({answer.entry_id for answer in answers})
    assert 15 == sum(answer.replayed for answer in answers)


def test_a_decline_is_kept_even_when_its_cause_is_gone(house: House, office: Office):
    """An answer is for ever: a client that repeats an old request must not be surprised by a late success."""
    act = house.act(Kind.STORE_CREATED, participant="cafe")
    assert Reason.PARTICIPANT_UNKNOWN == reason_of(lambda: office.create_store(act, "cafe", "main", "Main"))

    join(house, office, "cafe")
    assert Reason.PARTICIPANT_UNKNOWN == reason_of(lambda: office.create_store(act, "cafe", "main", "Main"))
    assert [] == house.query("SELECT 1 FROM stores")


def test_only_an_accepted_act_raises_the_epoch(house: House, office: Office):
    """Desks reload when the epoch moves: a decline or a repeat must not make them."""
    act = house.act(Kind.PARTICIPANT_CREATED, code="cafe")
    before = house.epoch()
    office.create_participant(act, "cafe", "Cafe", "STORE")
    assert before + 1 == house.epoch()

    office.create_participant(act, "cafe", "Cafe", "STORE")
    assert Reason.PARTICIPANT_EXISTS == reason_of(lambda: join(house, office, "cafe"))
    assert before + 1 == house.epoch()


def test_every_unknown_or_taken_code_has_its_own_reason(house: House, office: Office):
    join(house, office, "cafe")
    office.create_store(house.act(Kind.STORE_CREATED), "cafe", "main", "Main")
    office.create_terminal(house.act(Kind.TERMINAL_CREATED), "cafe", "main", "till-1")
    new = partial(house.act, Kind.TERMINAL_CREATED)

    assert Reason.STORE_EXISTS == reason_of(lambda: office.create_store(new(), "cafe", "main", "Main"))
    assert Reason.TERMINAL_EXISTS == reason_of(lambda: office.create_terminal(new(), "cafe", "main", "till-1"))
    assert Reason.PARTICIPANT_UNKNOWN == reason_of(lambda: office.create_terminal(new(), "bar", "main", "till-1"))
    assert Reason.STORE_UNKNOWN == reason_of(lambda: office.create_terminal(new(), "cafe", "side", "till-1"))
    assert Reason.TERMINAL_UNKNOWN == reason_of(
        lambda: office.set_terminal_state(new(), "cafe", "main", "till-2", "SUSPENDED")
    )
    assert Reason.PARTICIPANT_UNKNOWN == reason_of(lambda: office.set_participant_state(new(), "bar", "ACTIVE"))
    assert Reason.STORE_UNKNOWN == reason_of(lambda: office.set_store_state(new(), "cafe", "side", "ACTIVE"))


@pytest.mark.parametrize(
    ("field", "code", "name", "role", "chain"),
    [
        ("code", "Cafe", "Cafe", "STORE", None),
        ("code", "", "Cafe", "STORE", None),
        ("code", "-a", "Cafe", "STORE", None),
        ("code", "a" * 64, "Cafe", "STORE", None),
        ("code", "cafe\n", "Cafe", "STORE", None),
        ("display_name", "cafe", " ", "STORE", None),
        ("display_name", "cafe", "x" * 201, "STORE", None),
        ("display_name", "cafe", "two\nlines", "STORE", None),
        ("role", "cafe", "Cafe", "OPERATOR", None),
        ("role", "cafe", "Cafe", "", None),
        ("chain_code", "cafe", "Cafe", "STORE", "chain:x"),
    ],
)
def test_a_malformed_field_is_named_and_nothing_is_stored(house: House, office: Office, field, code, name, role, chain):
    with pytest.raises(Refused) as caught:
        office.create_participant(house.act(Kind.PARTICIPANT_CREATED), code, name, role, chain)

    assert (Reason.FIELD_INVALID, field) == (caught.value.reason, caught.value.field)
    assert [] == house.query("SELECT 1 FROM requests")


def test_the_operator_and_the_custody_are_never_suspended(house: House, office: Office):
    """Nothing settles without them."""
    for code in ("hq", "trust"):
        act = house.act(Kind.PARTICIPANT_STATE_CHANGED, code=code)
        assert Reason.FIELD_INVALID == reason_of(partial(office.set_participant_state, act, code, "SUSPENDED"))


def test_a_list_goes_on_behind_the_last_row_seen_while_rows_are_added(house: House, office: Office):
    """By key, not by offset: a row that joins before the page's end shifts nothing."""
    reads = ProgrammeReads(house.lease())
    for number in range(0, 10, 2):
        join(house, office, f"store-{number}")
    first = [row.code for row in reads.list_participants(None, 4, None)]
    join(house, office, "aaa")
    join(house, office, "store-5")
    rest = [row.code for row in reads.list_participants(first[-1], 9, None)]

    assert ["hq", "store-0", "store-2", "store-4"] == first
    assert ["store-5", "store-6", "store-8", "trust"] == rest


def test_lists_tell_state_and_place(house: House, office: Office):
    join(house, office, "cafe", "ALLIANCE", "blue")
    office.create_store(house.act(Kind.STORE_CREATED), "cafe", "main", " Main street ")
    office.create_terminal(house.act(Kind.TERMINAL_CREATED), "cafe", "main", "till-1")
    office.set_terminal_state(house.act(Kind.TERMINAL_STATE_CHANGED), "cafe", "main", "till-1", "SUSPENDED")

    reads = ProgrammeReads(house.lease())
    participant = reads.list_participants(None, 1, None)[0]
    store = reads.list_stores("cafe", None, 1, None)[0]
    terminal = reads.list_terminals("cafe", "main", None, 1, None)[0]
    assert ("cafe", "ALLIANCE", "blue", "ACTIVE", NOON) == (
        participant.code,
        participant.role,
        participant.chain_code,
        participant.state,
        participant.create_time,
    )
    assert ("cafe", "main", "Main street") == (store.participant, store.code, store.display_name)
    assert ("cafe", "main", "till-1", "SUSPENDED") == (
        terminal.participant,
        terminal.store,
        terminal.code,
        terminal.state,
    )


def test_the_server_may_not_edit_an_agreement(house: House, office: Office):
    """Entries keep the version they were made under, so no version ever changes."""
    act = house.act(Kind.AGREEMENT_CREATED)
    office.create_agreement(act, "fees", "ACQUIRING", {"acquirer": "hq"}, date(2017, 1, 1))

    with house.lease()() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("UPDATE agreement_versions SET content = '{}'")
