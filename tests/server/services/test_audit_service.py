"""AuditService: the whole journal, in order, exactly once, by names; for auditors and the operator."""

import hashlib
import json

import pytest

from coalition.audit.merkle import root_hash
from coalition.domain.acts import canonical
from coalition.storage import audit_reads
from coalition.v1 import audit_pb2, operations_pb2
from coalition.v1.audit_pb2 import ListBatchesRequest, ListJournalRequest, ListStateRequest
from coalition.v1.member_pb2 import EnrolMemberRequest, IssueCardRequest, LinkCardRequest, Profile
from tests.server.services.house import Doors, new_id, pay, refused, top_up, trading, walk

AUDITOR = "/aud/firm"


@pytest.fixture(scope="module")
def purchase(doors: Doors) -> operations_pb2.Receipt:
    """A purchase of 12.00 at the museum with value of the library."""
    trading(doors, "library", "museum")
    counter = doors.visitor("/hq/library").member
    profile = Profile(name="Otto", phone="+8613700000101")
    member = counter.EnrolMember(EnrolMemberRequest(request_id=new_id(), profile=profile))
    number = counter.IssueCard(IssueCardRequest(request_id=new_id())).card_number
    counter.LinkCard(LinkCardRequest(request_id=new_id(), card_number=number, member_id=member.member_id))
    top_up(doors, "library", number, 10_000)
    assert refused(lambda: pay(doors, "museum", number, 1_000_000)).reason == "INSUFFICIENT_FUNDS"
    return pay(doors, "museum", number, 1_200)


def test_the_journal_is_told_whole_in_order_each_entry_exactly_once(
    doors: Doors, purchase: operations_pb2.Receipt
) -> None:
    stub = doors.visitor(AUDITOR).audit
    stored = [row[0] for row in doors.house.query("SELECT entry_id FROM entries ORDER BY entry_id")]
    entries = walk(stub.ListJournal, ListJournalRequest(), "entries", 7)
    assert [entry.entry_id for entry in entries] == stored
    assert walk(stub.ListJournal, ListJournalRequest(), "entries", 1000) == entries
    legs = [row[0] for row in doors.house.query("SELECT count(*) FROM transfers")]
    assert [sum(len(entry.transfers) for entry in entries)] == legs
    assert {entry.reason for entry in entries} >= {"ACCEPTED", "INSUFFICIENT_FUNDS"}
    batches = walk(stub.ListBatches, ListBatchesRequest(), "batches", 5)
    assert [batch.number for batch in batches] == sorted({entry.number for entry in entries})
    assert sum(batch.count for batch in batches) == len(entries)


def test_reading_in_bulk_tells_the_same_as_page_by_page(
    doors: Doors, purchase: operations_pb2.Receipt, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = doors.visitor(AUDITOR).audit
    one_by_one = walk(stub.ListJournal, ListJournalRequest(), "entries", 7)
    monkeypatch.setattr(audit_reads, "BULK", 2)
    monkeypatch.setattr(audit_reads, "AHEAD", 30)
    assert walk(stub.ListJournal, ListJournalRequest(), "entries", 7) == one_by_one
    assert sum(len(entry.transfers) for entry in one_by_one) > 0


def test_leaves_lead_to_the_root_of_their_batch(doors: Doors, purchase: operations_pb2.Receipt) -> None:
    stub = doors.visitor(AUDITOR).audit
    entries = walk(stub.ListJournal, ListJournalRequest(), "entries", 100)
    for batch in walk(stub.ListBatches, ListBatchesRequest(), "batches", 100):
        own = [entry for entry in entries if entry.number == batch.number]
        assert [entry.place for entry in own] == list(range(batch.count))
        assert root_hash([entry.leaf for entry in own]) == batch.root
        assert {entry.post_time.ToNanoseconds() for entry in own} == {batch.time.ToNanoseconds()}


def test_an_entry_is_told_by_codes_and_its_legs_by_named_accounts(
    doors: Doors, purchase: operations_pb2.Receipt
) -> None:
    stub = doors.visitor("/op/admin").audit
    number = purchase.entry_id >> 22
    found = walk(stub.ListJournal, ListJournalRequest(first_number=number, last_number=number), "entries")
    entry = next(each for each in found if each.entry_id == purchase.entry_id)
    assert (entry.kind, entry.reason) == (operations_pb2.ENTRY_KIND_PURCHASE, "ACCEPTED")
    assert (entry.participant, entry.store, entry.terminal) == ("museum", "main", "till-1")
    assert (entry.amount_minor, entry.currency_code) == (1_200, "CNY")
    assert entry.actor == "/t/museum/main/till-1"
    assert entry.agreement == "museum-acquiring"
    assert entry.request_id == purchase.request_id
    legs = {(leg.debit_account, leg.credit_account): leg for leg in entry.transfers}
    assert legs["WALLET", "FLOAT(library,library)"].amount_minor == 1_000
    assert legs["WALLET", "BONUS(library)"].amount_minor == 200
    claims = [leg for leg in entry.transfers if leg.window_label]
    assert {leg.window_label for leg in claims} == {"monthly/2017-01"}
    assert ("CLEARING(library)", "CLEARING(museum)") in legs
    assert legs["CLEARING(museum)", "CLEARING(hq)"].code == operations_pb2.TRANSFER_CODE_OPERATOR_FEE
    told = json.loads(entry.answer)
    assert json.dumps(told, separators=(",", ":")).encode() in {entry.answer, canonical(told)}
    assert len(entry.leaf) == hashlib.sha256().digest_size


def test_a_range_of_numbers_holds_the_batches_asked_for(doors: Doors, purchase: operations_pb2.Receipt) -> None:
    stub = doors.visitor(AUDITOR).audit
    numbers = [batch.number for batch in walk(stub.ListBatches, ListBatchesRequest(), "batches", 100)]
    first, last = numbers[3], numbers[8]
    request = ListBatchesRequest(first_number=first, last_number=last)
    assert [batch.number for batch in walk(stub.ListBatches, request, "batches")] == numbers[3:9]
    journal = ListJournalRequest(first_number=first, last_number=last)
    assert {entry.number for entry in walk(stub.ListJournal, journal, "entries")} == set(numbers[3:9])
    beyond = ListJournalRequest(first_number=numbers[-1] + 1_000_000)
    assert list(stub.ListJournal(beyond).entries) == []
    answer = refused(lambda: stub.ListJournal(ListJournalRequest(first_number=2**62)))
    assert (answer.reason, answer.fields) == ("FIELD_INVALID", ("first_number",))


def test_a_token_of_another_range_is_refused(doors: Doors, purchase: operations_pb2.Receipt) -> None:
    stub = doors.visitor(AUDITOR).audit
    token = stub.ListJournal(ListJournalRequest(page_size=1)).next_page_token
    request = ListJournalRequest(first_number=2, page_token=token)
    assert refused(lambda: stub.ListJournal(request)).reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize("path", ["/hq/library", "/ts/library/1", "/t/library/main/till-1", "/mg/portal"])
def test_only_auditors_and_the_operator_read_the_journal(
    doors: Doors, purchase: operations_pb2.Receipt, path: str
) -> None:
    stub = doors.visitor(path).audit
    assert refused(lambda: stub.ListJournal(ListJournalRequest())).reason == "PERMISSION_DENIED"
    assert refused(lambda: stub.ListBatches(ListBatchesRequest())).reason == "PERMISSION_DENIED"


def test_the_journal_tells_no_person_and_no_card_number(doors: Doors, purchase: operations_pb2.Receipt) -> None:
    entries = walk(doors.visitor(AUDITOR).audit.ListJournal, ListJournalRequest(), "entries", 1000)
    told = b"".join(entry.SerializeToString() for entry in entries)
    for canary in (b"Otto", b"13700000101"):
        assert canary not in told


SECTIONS = [value for name, value in audit_pb2.StateSection.items() if value]


def test_the_tables_are_told_section_by_section_whole(doors: Doors, purchase: operations_pb2.Receipt) -> None:
    """As many rows as the tables have, page by page as at once, each a JSON array with nothing personal in it."""
    stub = doors.visitor(AUDITOR).audit
    told = {}
    for section in SECTIONS:
        request = ListStateRequest(section=section)
        rows = [json.loads(row) for row in walk(stub.ListState, request, "rows", 1000)]
        assert rows == [json.loads(row) for row in walk(stub.ListState, request, "rows", 2)]
        told[audit_pb2.StateSection.Name(section)] = rows
    tables = {
        "AGREEMENTS": "agreement_versions",
        "WINDOWS": "windows",
        "RECORDS": "member_records",
        "SEEDS": "device_seeds",
        "WALLETS": "wallets",
        "DAY_CLOSES": "day_closes",
        "DISCLOSURES": "disclosures",
        "MEMBERS": "members",
        "CARDS": "cards",
        "HOLDS": "holds WHERE is_open",
    }
    for name, table in tables.items():
        count = doors.house.query(f"SELECT count(*) FROM {table}")[0][0]
        assert (name, count) == (name, len(told[f"STATE_SECTION_{name}"]))
    assert ["key-encryption", 1, "ENABLED", True] in [row[:4] for row in told["STATE_SECTION_KEYS"]]
    assert ["participant", "museum", "ACTIVE"] in [row[:3] for row in told["STATE_SECTION_RIGHTS"]]
    balances = doors.house.query("SELECT balance_minor FROM wallets WHERE balance_minor > 0")
    assert sorted(row[2] for row in told["STATE_SECTION_WALLETS"] if row[2]) == sorted(row[0] for row in balances)
    assert "Otto" not in json.dumps(told)
    newest = doors.house.query("SELECT max(number) FROM batches")[0][0]
    assert newest == stub.ListState(ListStateRequest(section=audit_pb2.STATE_SECTION_RIGHTS)).number


def test_a_state_page_token_is_of_its_section_alone(doors: Doors) -> None:
    stub = doors.visitor(AUDITOR).audit
    first = stub.ListState(ListStateRequest(section=audit_pb2.STATE_SECTION_RIGHTS, page_size=1))
    foreign = ListStateRequest(section=audit_pb2.STATE_SECTION_WALLETS, page_token=first.next_page_token)
    assert "PAGE_TOKEN_INVALID" == refused(lambda: stub.ListState(foreign)).reason
    assert "FIELD_INVALID" == refused(lambda: stub.ListState(ListStateRequest())).reason
    assert "PERMISSION_DENIED" == refused(lambda: doors.visitor("/hq/library").audit.ListState(foreign)).reason
