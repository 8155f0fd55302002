"""A log as large as one likes, made without a database: wallets that top up and buy, sealed, signed, with its tables.

Every leaf is written by the house's own code: `coalition audit verify` finds the bundle in order.
"""

import hashlib
import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from coalition.audit.bundle_format import STATE_SECTIONS, BatchSeal
from coalition.audit.bundle_writer import BundleWriter
from coalition.audit.leaf import leaf_data, payload
from coalition.audit.log_signer import LogSigner
from coalition.audit.notary import BatchNotary
from coalition.audit.note import KeyKind, NoteKey
from coalition.audit.policy import Policy
from coalition.audit.tiles import Edge
from coalition.audit.trust import BatchKey, Trust
from coalition.bootstrap.clock import utc_now
from coalition.domain.accounts import WALLET, TransferCode, bonus_account, clearing_account, float_account
from coalition.domain.acts import canonical
from coalition.domain.ids import entry_id, lane_of_wallet
from coalition.domain.journal import AllocationRow, Entry, Outcome, Transfer, micros_of
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason
from keys import create_ring

BATCH: Final = 1024
LANES: Final = 64
WALLETS: Final = 5_000
"""As many in a small log as in a large one: verify keeps a wallet in memory, and no entry."""
ORIGIN: Final = "coalition.example/bench/1"
NOON: Final = datetime(2017, 1, 5, 4, tzinfo=UTC)
TOP_UP, BONUS, PURCHASE = 10_000_000, 2_000_000, 600
PRINCIPAL: Final = PURCHASE * 5 // 6
TERMS: Final = ["terms", 1, "TERMS", "2017-01-01", None, {}]
CONTENT: Final = canonical({"content": {}, "from": "2017-01-01", "kind": "TERMS", "until": None})
Balance = list[int]
"""A wallet's balance, its lot, the principal left in it, its last entry."""


@dataclass(frozen=True, slots=True)
class MadeBundle:
    """A bundle of purchases on disk, and the trust file that fits it."""

    directory: Path
    trust: Trust
    leaves: int


def make_bundle(directory: Path, leaves: int) -> MadeBundle:
    """A log of top-ups and purchases as a desk writes them, every check's subject but members'; sealed and signed."""
    ring = create_ring(directory / "keys", random=os.urandom, create_time=utc_now())
    key = NoteKey(ORIGIN, KeyKind.NOTE, ring.batch_public_key())
    sealing, signer = BatchNotary(ring.sign_batch), LogSigner(key, ring.sign_batch)
    made = directory / "bundle"
    writer, edge = BundleWriter(made, ORIGIN, 0, "now"), Edge()
    trade = made_trade(leaves)
    number, balances = 0, dict[int, Balance]()
    while True:
        number += 1
        moment = NOON + timedelta(milliseconds=number)
        entries = []
        for place in range(BATCH):
            entry = next(trade, None)
            if entry is None:
                break
            entries.append(placed(entry, number, place, moment, balances))
        if not entries:
            break
        seal = sealing.seal(number, moment, entries)
        writer.add_batches([BatchSeal(number, micros_of(moment), len(entries), seal.root, seal.signature())])
        opened = [payload(entry) for entry in entries]
        data = [leaf_data(micros_of(moment), e, own) for e, own in zip(entries, opened, strict=True)]
        writer.add_leaves(zip(data, opened, (entry.actor for entry in entries), strict=True))
        edge.append(seal.leaves)
    writer.ends_at(edge.size)
    writer.add_checkpoints(None, Edge(), [], str(signer.signed(edge.size, edge.root())).encode())
    writer.add_names({1: "operator", 2: "custody", 3: "store", 4: "cafe"}, {1: "terms"})
    tables = {"wallets": wallet_rows(balances), "agreements": iter([json.dumps(TERMS).encode()])}
    for section in STATE_SECTIONS:
        writer.add_state(section, tables.get(section, ()))
    writer.state_read(number, number)
    writer.close()
    policy = Policy(quorum="none")
    policy.logs[ORIGIN] = key
    batches = NoteKey("coalition.example/bench/batches", KeyKind.NOTE, ring.batch_public_key())
    return MadeBundle(made, Trust(policy, [BatchKey(batches)]), edge.size)


def made_trade(leaves: int) -> Iterator[tuple[Kind, int]]:
    """An act that makes the terms, a top-up of each wallet, then purchases of one wallet after the other."""
    yield Kind.AGREEMENT_CREATED, 0
    for place in range(leaves - 1):
        yield (Kind.PURCHASE if place >= WALLETS else Kind.TOP_UP), place % WALLETS + 1


def placed(what: tuple[Kind, int], number: int, place: int, moment: datetime, balances: dict[int, Balance]) -> Entry:
    """The entry with its legs and answer, at its place in the journal."""
    kind, wallet = what
    lane = lane_of_wallet(wallet, LANES) if wallet else 0
    own = entry_id(number, place, lane)
    body = hashlib.sha256(struct.pack(">q", own)).digest()
    request = UUID(bytes=body[:16])
    common: dict[str, Any] = {
        "lane": lane,
        "entry_id": own,
        "kind": kind,
        "reason": Reason.ACCEPTED,
        "participant_id": 4,
        "request_id": request,
        "body_hash": body,
        "actor": f"/t/cafe/main/till-{own % 50}",
        "business_date": date(2017, 1, 5),
    }
    if kind is Kind.AGREEMENT_CREATED:
        told = canonical(
            {
                "answer": {"agreement": "terms", "version": 1, "content_sha256": hashlib.sha256(CONTENT).hexdigest()},
                "time": "now",
            }
        )
        return Entry(**common, amount_minor=0, answer=told)
    if kind is Kind.TOP_UP:
        balances[wallet] = [TOP_UP + BONUS, own, TOP_UP, own]
        outcome = Outcome(Reason.ACCEPTED, own, moment, kind, TOP_UP, TOP_UP, BONUS, TOP_UP + BONUS)
        legs = [
            Transfer(float_account(3, 3), WALLET, TOP_UP, TransferCode.PRINCIPAL),
            Transfer(bonus_account(3), WALLET, BONUS, TransferCode.BONUS),
        ]
        draws: list[AllocationRow] = []
        amount = TOP_UP
    else:
        balance = balances[wallet]
        balance[0] -= PURCHASE
        balance[2] -= PRINCIPAL
        balance[3] = own
        outcome = Outcome(
            Reason.ACCEPTED,
            own,
            moment,
            kind,
            PURCHASE,
            PRINCIPAL,
            PURCHASE - PRINCIPAL,
            balance[0],
            balance[0],
            "0005",
        )
        legs = [
            Transfer(WALLET, float_account(3, 3), PRINCIPAL, TransferCode.PRINCIPAL),
            Transfer(WALLET, bonus_account(3), PURCHASE - PRINCIPAL, TransferCode.BONUS),
            Transfer(clearing_account(3), clearing_account(4), PRINCIPAL, TransferCode.PRINCIPAL, 1),
            Transfer(clearing_account(3), clearing_account(4), PURCHASE - PRINCIPAL, TransferCode.BONUS, 1),
            Transfer(clearing_account(4), clearing_account(1), 4, TransferCode.OPERATOR_FEE, 1),
            Transfer(clearing_account(4), clearing_account(3), 6, TransferCode.COMMISSION, 1),
        ]
        draws = [AllocationRow(balance[1], 0, PURCHASE, PRINCIPAL, 1, 1)]
        amount = PURCHASE
    return Entry(
        **common,
        amount_minor=amount,
        answer=outcome.to_answer(),
        store_id=4,
        terminal_id=own % 50 + 1,
        wallet_id=wallet,
        card_id=wallet,
        agreement_id=1,
        agreement_version=1,
        sale_reference=f"S-{own}",
        transfers=legs,
        allocations=draws,
    )


def wallet_rows(balances: dict[int, Balance]) -> Iterator[bytes]:
    """The rows of the tables, as `ListState` tells them."""
    for wallet, (balance, lot, principal, last) in balances.items():
        yield json.dumps([wallet, last, balance, [[lot, balance, principal, 0]], None, [], []]).encode()
