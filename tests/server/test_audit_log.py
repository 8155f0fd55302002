"""The audit log over AuditService: what it answers is checked here as an outsider would, from hashes and keys alone."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace

import grpc
import pytest

from coalition.audit.checkpoint import open_checkpoint
from coalition.audit.errors import EvidenceBroken
from coalition.audit.leaf import LeafData, Payload
from coalition.audit.merkle import leaf_hash, root_hash
from coalition.audit.notary import batch_message
from coalition.audit.note import SignedNote
from coalition.audit.proofs import verify_consistency, verify_inclusion
from coalition.audit.receipt import Receipt, check_receipt
from coalition.audit.tiles import split_hashes
from coalition.audit.trust import Trust
from coalition.bootstrap.bundling import sealed_receipt
from coalition.bootstrap.trusting import trust_file
from coalition.client import Connection
from coalition.domain.audit_records import CheckpointRecord
from coalition.domain.ids import number_of
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason
from coalition.server.convert_log import leaf_message
from coalition.storage.audit_leaves import AuditTreeReads
from coalition.storage.connect import connect
from coalition.v1 import audit_pb2
from keys import verify
from tests.audit_day import Day, close_month, sign_log, signer_of, trade
from tests.house import LANES, House, new_id, refusal_of

pytestmark = pytest.mark.xdist_group("serial")


@dataclass(frozen=True)
class Log:
    """A day of trade, signed twice on the way, and an auditor's and a till's connection."""

    day: Day
    first: CheckpointRecord
    newest: CheckpointRecord
    auditor: Connection
    till: Connection

    @property
    def house(self) -> House:
        return self.day.house


@pytest.fixture(scope="module")
def log(house: House) -> Iterator[Log]:
    with house.server() as (_, address):
        first = sign_log(house)
        day = trade(house, address)
        label = house.query("SELECT label FROM windows WHERE state = 'OPEN'")[0][0]
        close_month(house, label)
        newest = sign_log(house)
        with (
            Connection(address, house.certificate("aud/firm")) as auditor,
            Connection(address, house.certificate("t/cafe/main/till-1")) as till,
        ):
            yield Log(day, first, newest, auditor, till)


def all_leaves(log: Log, count: int) -> list[audit_pb2.Leaf]:
    found: list[audit_pb2.Leaf] = []
    while True:
        request = audit_pb2.GetLeavesRequest(first_index=len(found), count=count)
        page = list(log.auditor.audit.GetLeaves(request).leaves)
        if not page:
            return found
        found += page


def test_the_newest_checkpoint_is_signed_and_covers_every_entry(log: Log) -> None:
    answer = log.till.audit.GetCheckpoint(audit_pb2.GetCheckpointRequest())
    checkpoint = open_checkpoint(SignedNote.parse(answer.note), signer_of(log.house).key, verify)

    leaves = [leaf for (leaf,) in log.house.query("SELECT leaf FROM entries ORDER BY entry_id")]
    assert (len(leaves), root_hash(leaves)) == (checkpoint.size, checkpoint.root)
    assert (checkpoint.size, checkpoint.root) == (answer.size, answer.root)
    assert answer.number == log.house.query("SELECT max(number) FROM batches")[0][0]


def test_every_leaf_can_be_rebuilt_from_what_is_told(log: Log) -> None:
    """Its data hashes to the leaf that was stored, and what the data names by hash is told beside it."""
    stored = log.house.query("SELECT entry_id, leaf FROM entries ORDER BY entry_id")
    leaves = all_leaves(log, 7)

    assert [(leaf.entry_id, leaf_hash(leaf.data)) for leaf in leaves] == stored
    assert [leaf.index for leaf in leaves] == list(range(len(stored)))
    kinds = set()
    for leaf in leaves:
        data, payload = LeafData.parse(leaf.data), Payload.parse(leaf.payload)
        assert hashlib.sha256(leaf.payload).digest() == data.payload_hash
        assert hashlib.sha256(leaf.actor.encode()).digest() == data.actor_hash
        assert payload.entry_id == leaf.entry_id
        kinds.add(payload.kind)
    assert {
        Kind.TOP_UP, Kind.PURCHASE, Kind.REFUND, Kind.HOLD, Kind.CAPTURE, Kind.VOID, Kind.REVERSAL, Kind.TOMBSTONE,
        Kind.NETTING, Kind.PARTICIPANT_CREATED, Kind.AGREEMENT_CREATED, Kind.MEMBER_ENROLLED, Kind.CARD_LINKED,
        Kind.WINDOW_CLOSED,
    } <= kinds  # fmt: skip


def test_every_column_of_the_journal_is_bound_by_the_leaf(log: Log) -> None:
    """One column after the other is changed as superuser: each time the entry's rebuilt leaf is another one."""
    entry = log.day.purchase.entry_id
    request, leaf = log.house.query("SELECT request_id, leaf FROM entries WHERE entry_id = %s", entry)[0]
    keys = {
        "entries": ("entry_id", entry),
        "transfers": ("entry_id", entry),
        "allocations": ("entry_id", entry),
        "batches": ("number", number_of(entry)),
        "requests": ("request_id", request),
    }
    # A row's lane, and the ids by which the five tables find each other, are in entry_id and request_id. `leg` is an
    # order. The leaf and the seal are what the others are held against.
    apart = {"lane", "entry_id", "number", "leg", "leaf", "root", "signature", "count"}
    changes = {
        "uuid": "gen_random_uuid()",
        "text": "'x'",
        "bytea": "'x'",
        "date": "{} + 1",
        "timestamp with time zone": "coalesce({}, now()) + interval '1 microsecond'",
    }
    tried = 0
    with connect(log.house.dsn("owner")) as connection:
        reads = AuditTreeReads(lambda: nullcontext(connection), LANES)
        index = reads.index_of(entry)
        assert index is not None
        for table, (key, value) in keys.items():
            columns = log.house.query(
                "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s", table
            )
            for column, kind in columns:
                if column in apart:
                    continue
                changed = changes.get(kind, "coalesce({0}, 0) + CASE WHEN {0} > 1 THEN -1 ELSE 1 END").format(column)
                with connection.transaction(force_rollback=True):
                    statement = f"UPDATE {table} SET {column} = {changed} WHERE {key} = %s"
                    assert connection.execute(statement, (value,)).rowcount > 0, f"{table}.{column}"
                    shown = leaf_message(index, reads.leaves(index, 1, log.newest.size)[0])
                assert leaf_hash(shown.data) != leaf or not payload_fits(shown), f"{table}.{column} is not in the leaf"
                tried += 1
        shown = leaf_message(index, reads.leaves(index, 1, log.newest.size)[0])
    assert leaf_hash(shown.data) == leaf
    assert payload_fits(shown)
    assert tried > 25


def payload_fits(leaf: audit_pb2.Leaf) -> bool:
    data = LeafData.parse(leaf.data)
    hashes = hashlib.sha256(leaf.payload).digest(), hashlib.sha256(leaf.actor.encode()).digest()
    return hashes == (data.payload_hash, data.actor_hash)


def test_leaves_are_told_with_the_seals_of_their_batches(log: Log) -> None:
    page = log.auditor.audit.GetLeaves(audit_pb2.GetLeavesRequest(count=1000))

    by_number: dict[int, list[bytes]] = {}
    for leaf in page.leaves:
        by_number.setdefault(number_of(leaf.entry_id), []).append(leaf_hash(leaf.data))
    assert [batch.number for batch in page.batches] == list(by_number)
    key = log.house.ring.batch_public_key()
    for batch in page.batches:
        assert (batch.count, batch.root) == (len(by_number[batch.number]), root_hash(by_number[batch.number]))
        assert verify(key, batch.signature, batch_message(batch.number, batch.count, batch.root))


def test_a_till_proves_that_its_sale_is_in_the_log(log: Log) -> None:
    request = audit_pb2.GetInclusionProofRequest(entry_id=log.day.purchase.entry_id)
    answer = log.till.audit.GetInclusionProof(request)

    stored = log.house.query("SELECT leaf FROM entries WHERE entry_id = %s", log.day.purchase.entry_id)[0][0]
    assert stored == answer.leaf
    verify_inclusion(answer.index, answer.checkpoint.size, answer.leaf, answer.proof, answer.checkpoint.root)


def test_every_leaf_of_both_checkpoints_has_its_proof(log: Log) -> None:
    for checkpoint in (log.first, log.newest):
        for index in {0, 1, checkpoint.size // 2, checkpoint.size - 1}:
            request = audit_pb2.GetInclusionProofRequest(index=index, size=checkpoint.size)
            answer = log.till.audit.GetInclusionProof(request)
            verify_inclusion(index, checkpoint.size, answer.leaf, answer.proof, checkpoint.root)
            assert answer.checkpoint.root == checkpoint.root


def test_the_log_has_only_grown(log: Log) -> None:
    first, newest = log.first, log.newest
    answer = log.till.audit.GetConsistencyProof(audit_pb2.GetConsistencyProofRequest(old_size=first.size))

    verify_consistency(first.size, newest.size, first.root, newest.root, answer.proof)
    nothing = log.till.audit.GetConsistencyProof(audit_pb2.GetConsistencyProofRequest(old_size=newest.size))
    assert [] == list(nothing.proof)


def test_tiles_are_those_of_the_checkpoint_asked_for(log: Log) -> None:
    for checkpoint in (log.first, log.newest):
        tile = log.till.audit.GetTile(audit_pb2.GetTileRequest(size=checkpoint.size))
        hashes = split_hashes(tile.hashes)
        assert checkpoint.size == len(hashes)
        assert checkpoint.root == root_hash(hashes)


@pytest.mark.parametrize(
    ("method", "request_message", "reason", "field"),
    [
        ("GetCheckpoint", audit_pb2.GetCheckpointRequest(size=3), "CHECKPOINT_UNKNOWN", "size"),
        ("GetCheckpoint", audit_pb2.GetCheckpointRequest(size=2**60), "FIELD_INVALID", "size"),
        ("GetCheckpoint", audit_pb2.GetCheckpointRequest(size=-1), "FIELD_INVALID", "size"),
        ("GetTile", audit_pb2.GetTileRequest(number=7), "ENTRY_UNKNOWN", "number"),
        ("GetTile", audit_pb2.GetTileRequest(level=1), "ENTRY_UNKNOWN", "number"),
        ("GetTile", audit_pb2.GetTileRequest(level=8), "FIELD_INVALID", "level"),
        ("GetInclusionProof", audit_pb2.GetInclusionProofRequest(entry_id=5), "ENTRY_UNKNOWN", "entry_id"),
        ("GetInclusionProof", audit_pb2.GetInclusionProofRequest(entry_id=2**62), "ENTRY_UNKNOWN", "entry_id"),
        ("GetInclusionProof", audit_pb2.GetInclusionProofRequest(index=2**62), "ENTRY_UNKNOWN", "index"),
        ("GetInclusionProof", audit_pb2.GetInclusionProofRequest(), "FIELD_INVALID", "entry"),
        ("GetConsistencyProof", audit_pb2.GetConsistencyProofRequest(old_size=10**9), "FIELD_INVALID", "old_size"),
    ],
)
def test_what_is_not_there_is_refused_with_the_field_that_named_it(
    log: Log, method: str, request_message: object, reason: str, field: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        getattr(log.till.audit, method)(request_message)

    refusal = refusal_of(caught.value)
    assert (reason, (field,)) == (refusal.reason, refusal.fields)


def test_opened_leaves_are_for_auditors(log: Log) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        log.till.audit.GetLeaves(audit_pb2.GetLeavesRequest())

    assert "PERMISSION_DENIED" == refusal_of(caught.value).reason


def sealed(connection: Connection, **asked: object) -> Receipt:
    return sealed_receipt(connection.audit.GetSealedReceipt(audit_pb2.GetSealedReceiptRequest(**asked)))  # type: ignore[arg-type]


def refused(connection: Connection, **asked: object) -> tuple[str, tuple[str, ...]]:
    with pytest.raises(grpc.RpcError) as caught:
        sealed(connection, **asked)
    refusal = refusal_of(caught.value)
    return refusal.reason, refusal.fields


def trust_of(log: Log) -> Trust:
    return Trust.parse(trust_file(log.house.settings))


def test_every_answer_has_a_receipt_that_is_checked_offline(log: Log) -> None:
    """Acceptances, declines, tombstones and acts; by the keys of the trust file and nothing else."""
    entries = log.house.query("SELECT entry_id, leaf FROM entries ORDER BY entry_id")
    for entry, leaf in entries:
        receipt = sealed(log.auditor, entry_id=entry)
        check_receipt(receipt, trust_of(log), verify)
        assert (entry, leaf) == (receipt.entry_id, receipt.leaf_hash)
        assert receipt == Receipt.parse(receipt.to_text().encode())


def test_a_till_has_the_receipts_of_its_own_answers_by_request_too(log: Log) -> None:
    purchase = log.day.purchase
    accepted = sealed(log.till, request_id=purchase.request_id)

    assert sealed(log.till, entry_id=purchase.entry_id) == accepted
    assert Payload.parse(accepted.payload).amount_minor == purchase.amount_minor
    declined = Payload.parse(sealed(log.till, request_id=log.day.declined).payload)
    assert Reason.INSUFFICIENT_FUNDS == declined.reason
    assert accepted == sealed(log.auditor, request_id=purchase.request_id, participant="cafe")


def test_a_till_has_no_receipts_of_others(log: Log) -> None:
    """Another's entry is answered as one that does not exist, another's participant before anything is looked up."""
    foreign = log.house.query("SELECT min(entry_id) FROM entries WHERE kind = 1")[0][0]

    assert ("ENTRY_UNKNOWN", ("entry_id",)) == refused(log.till, entry_id=foreign)
    assert ("ENTRY_UNKNOWN", ("entry_id",)) == refused(log.till, entry_id=foreign + 1)
    assert ("ENTRY_UNKNOWN", ("request_id",)) == refused(log.till, request_id=new_id())
    for code in ("store-a", "nobody"):
        fields = {"request_id": log.day.declined, "participant": code}
        assert ("PERMISSION_DENIED", ("participant",)) == refused(log.till, **fields)
    assert ("FIELD_INVALID", ("participant",)) == refused(log.auditor, request_id=new_id())
    assert ("ENTRY_UNKNOWN", ("participant",)) == refused(log.auditor, request_id=new_id(), participant="nobody")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda receipt: replace(receipt, payload=receipt.payload + b"x"), "not those its leaf names"),
        (lambda receipt: replace(receipt, actor="/t/x"), "actor is not the one"),
        (lambda receipt: replace(receipt, leaf=receipt.leaf[:-1] + b"\x00"), "leads to another root"),
        (lambda receipt: replace(receipt, count=receipt.count + 1), "inclusion proof is shorter"),
        (lambda receipt: replace(receipt, root=bytes(32)), "leads to another root"),
        (lambda receipt: replace(receipt, signature=bytes(64)), "by no key of the trust file"),
        (lambda receipt: replace(receipt, number=receipt.number + 1), "is not of batch"),
    ],
)
def test_a_receipt_that_was_touched_is_not_genuine(log: Log, change: Callable[[Receipt], Receipt], said: str) -> None:
    receipt = sealed(log.till, entry_id=log.day.purchase.entry_id)

    with pytest.raises(EvidenceBroken, match=said):
        check_receipt(change(receipt), trust_of(log), verify)


def test_checkpoints_are_listed_in_pages_and_names_told_to_auditors(log: Log) -> None:
    request = audit_pb2.ListCheckpointsRequest(page_size=1)
    sizes = []
    while True:
        page = log.till.audit.ListCheckpoints(request)
        sizes += [each.size for each in page.checkpoints]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token

    told = log.house.query("SELECT DISTINCT max(size) FROM checkpoints GROUP BY date_trunc('hour', time) ORDER BY 1")
    assert [size for (size,) in told] == sizes
    names = log.auditor.audit.GetNames(audit_pb2.GetNamesRequest())
    assert {"cafe", "store-a", "garage"} <= {each.code for each in names.participants}
    assert "terms-a" in {each.code for each in names.agreements}


def test_leaves_behind_the_checkpoint_are_not_told(log: Log) -> None:
    first = log.first.size
    request = audit_pb2.GetLeavesRequest(first_index=first - 2, count=100, size=first)

    assert [first - 2, first - 1] == [leaf.index for leaf in log.auditor.audit.GetLeaves(request).leaves]
