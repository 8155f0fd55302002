"""What a batch's seal proves: RFC 6962's tree, leaves that cover every field, a signature over number, count, root."""

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.audit.leaf import leaves
from coalition.audit.merkle import EMPTY_ROOT, leaf_hash, node_hash, root_hash
from coalition.audit.notary import BatchNotary, batch_message
from coalition.domain.accounts import WALLET, TransferCode, float_account
from coalition.domain.journal import AllocationRow, Entry, Transfer
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason

TIME = datetime(2017, 1, 15, 3, 4, 5, 678901, tzinfo=UTC)
ENTRY = Entry(
    lane=3,
    entry_id=5 << 22 | 3,
    kind=Kind.PURCHASE,
    reason=Reason.ACCEPTED,
    participant_id=7,
    request_id=UUID("01890a5d-ac96-774b-bcce-b302099a8057"),
    body_hash=b"\x11" * 32,
    actor="/t/cafe/main/till",
    amount_minor=30_000,
    business_date=date(2017, 1, 15),
    answer=b"[0]",
    wallet_id=99,
    transfers=[Transfer(WALLET, float_account(1, 1), 25_000, TransferCode.PRINCIPAL)],
    allocations=[AllocationRow(4, 0, 30_000, 25_000, None, None)],
)


def rfc_root(hashes: list[bytes]) -> bytes:
    """Section 2.1 as the RFC writes it: split at the largest power of two below n."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return hashlib.sha256(b"\x01" + rfc_root(hashes[:split]) + rfc_root(hashes[split:])).digest()


@given(st.lists(st.binary(max_size=8), max_size=70))
def test_the_root_is_the_one_of_rfc_6962(data: list[bytes]) -> None:
    hashes = [leaf_hash(each) for each in data]

    assert rfc_root(hashes) == root_hash(hashes)


def test_published_roots_of_the_rfc_tree_are_reached() -> None:
    """The empty root and the two-leaf root that every implementation of Certificate Transparency tests with."""
    assert "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" == EMPTY_ROOT.hex()
    assert "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" == leaf_hash(b"").hex()
    assert (
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
        == node_hash(leaf_hash(b""), leaf_hash(b"\x00")).hex()
    )


@pytest.mark.parametrize(
    "change",
    [
        {"entry_id": 5 << 22 | 4},
        {"kind": Kind.REFUND},
        {"reason": Reason.INSUFFICIENT_FUNDS},
        {"participant_id": 8},
        {"request_id": UUID("01890a5d-ac96-774b-bcce-b302099a8058")},
        {"body_hash": b"\x12" * 32},
        {"actor": "/t/cafe/main/other"},
        {"amount_minor": 30_001},
        {"business_date": date(2017, 1, 16)},
        {"answer": b"[1]"},
        {"wallet_id": 98},
        {"store_id": 1},
        {"terminal_id": 1},
        {"card_id": 1},
        {"original_entry_id": 1},
        {"agreement_id": 1},
        {"agreement_version": 1},
        {"occurred_time": TIME},
        {"sale_reference": "S-1"},
        {"details": b"S-1"},
        {"allocations": [AllocationRow(4, 0, 30_000, 25_000, None, None, 9)]},
        {"transfers": [Transfer(WALLET, float_account(1, 1), 25_001, TransferCode.PRINCIPAL)]},
        {"transfers": []},
        {"allocations": [AllocationRow(4, 0, 30_000, 24_999, None, None)]},
    ],
)
def test_any_change_of_an_entry_changes_its_leaf(change: dict[str, Any]) -> None:
    assert leaves(TIME, [ENTRY]) != leaves(TIME, [replace(ENTRY, **change)])


def test_the_time_of_the_batch_is_in_the_leaf() -> None:
    assert leaves(TIME, [ENTRY]) != leaves(TIME.replace(microsecond=678902), [ENTRY])


def test_the_signature_covers_number_count_and_root() -> None:
    seal = BatchNotary(lambda message: hashlib.sha256(message).digest()).seal(5, TIME, [ENTRY, ENTRY])

    assert hashlib.sha256(batch_message(5, 2, seal.root)).digest() == seal.signature()
    assert root_hash(seal.leaves) == seal.root
    assert 3 == len({batch_message(5, 2, seal.root), batch_message(6, 2, seal.root), batch_message(5, 3, seal.root)})
