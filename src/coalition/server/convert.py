"""Outcomes to receipts, lines of a wallet to messages, times. Decides nothing."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from coalition.domain.journal import NO_FACTS, Outcome
from coalition.domain.programme import Programme
from coalition.domain.reasons import Reason
from coalition.domain.wallet_lines import WalletLine
from coalition.server.convert_details import item_messages, tender_messages
from coalition.server.convert_passes import write_pass
from coalition.server.convert_points import write_points
from coalition.v1 import operations_pb2


def write_receipt(receipt: operations_pb2.Receipt, request_id: str, outcome: Outcome, currency_code: str) -> None:
    """Write the receipt of an accepted operation into the answer it is part of; apart and copied it costs twice."""
    receipt.request_id = request_id
    receipt.entry_id = outcome.entry_id
    write_time(receipt.post_time, outcome.post_time)
    receipt.kind = outcome.kind.value  # type: ignore[assignment]  # EntryKind has the numbers of Kind; a test holds them equal
    receipt.amount_minor = outcome.amount_minor
    receipt.principal_minor = outcome.principal_minor
    receipt.bonus_minor = outcome.bonus_minor
    receipt.balance_minor = outcome.balance_minor
    receipt.balance_here_minor = outcome.balance_here_minor
    receipt.currency_code = currency_code
    receipt.card_last_four = outcome.last_four
    receipt.replayed = outcome.replayed
    receipt.window_labels.extend(outcome.window_labels)
    if outcome.hold_expire_time is not None:
        write_time(receipt.hold_expire_time, outcome.hold_expire_time)
    if outcome.facts:
        receipt.shortfall_minor = shortfall_minor(outcome)
        receipt.shortfall_bearer = outcome.facts.get("shortfall_bearer", "")
        receipt.shortfall_reason = outcome.facts.get("shortfall_reason", "")
        receipt.wallet_closed = outcome.facts.get("wallet_state") == "CLOSED"
        if "pass" in outcome.facts:
            write_pass(receipt, outcome.facts)
        if "points" in outcome.facts:
            write_points(receipt, outcome.facts)


def shortfall_minor(outcome: Outcome) -> int:
    """What the answer says of a shortfall, minor units."""
    return int(outcome.facts.get("shortfall_minor", 0))


def wallet_entry_of(line: WalletLine, programme: Programme) -> operations_pb2.WalletEntry:
    """A line of a wallet with the codes of where it was made."""
    outcome = line.outcome
    moved = outcome.facts if outcome.reason is Reason.ACCEPTED else NO_FACTS
    participant = programme.participants.get(line.participant_id)
    store = programme.stores.get(line.store_id) if line.store_id is not None else None
    terminal = programme.terminals.get(line.terminal_id) if line.terminal_id is not None else None
    return operations_pb2.WalletEntry(
        entry_id=line.entry_id,
        kind=outcome.kind.value,  # type: ignore[arg-type]  # as in write_receipt
        reason=outcome.reason.name,
        request_id=str(line.request_id),
        post_time=timestamp_of(outcome.post_time),
        occurred_time=timestamp_of(line.occurred_time) if line.occurred_time else None,
        business_date=line.business_date.isoformat(),
        participant=participant.code if participant else "",
        store=store.code if store else "",
        terminal=terminal.code if terminal else "",
        amount_minor=outcome.amount_minor,
        balance_change_minor=line.balance_change_minor,
        balance_minor=outcome.balance_minor,
        currency_code=programme.scheme.currency_code,
        original_entry_id=line.original_entry_id or 0,
        card_last_four=outcome.last_four,
        sale_reference=line.sale_reference or "",
        items=item_messages(line.details),
        tenders=tender_messages(line.details),
        sequence_number=line.details.sequence_number,
        shortfall_minor=shortfall_minor(outcome),
        points=int(moved.get("points", 0)),
        points_balance=int(moved.get("points_balance", 0)),
        points_programme=moved.get("points_programme", ""),
    )


def timestamp_of(moment: datetime) -> Timestamp:
    """An aware time, to the microsecond."""
    timestamp = Timestamp()
    write_time(timestamp, moment)
    return timestamp


def write_time(timestamp: Timestamp, moment: datetime) -> None:
    """Write an aware time, to the microsecond."""
    timestamp.seconds = int(moment.timestamp() // 1)
    timestamp.nanos = moment.microsecond * 1000
