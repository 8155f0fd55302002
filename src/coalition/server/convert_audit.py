"""The journal's rows as messages. Made by the ten thousand for an export, so each field is set once, by keyword."""

from coalition.domain.ids import lane_of_entry, number_of, place_of
from coalition.domain.journal_records import BatchRecord, JournalRecord, TransferRecord
from coalition.domain.reasons import Reason
from coalition.server.convert import timestamp_of
from coalition.v1 import audit_pb2, operations_pb2

REASON_NAMES = {int(reason): reason.name for reason in Reason}


def batch_message(batch: BatchRecord) -> audit_pb2.Batch:
    """What one transaction wrote."""
    return audit_pb2.Batch(
        number=batch.number,
        time=timestamp_of(batch.time),
        count=batch.entry_count,
        root=batch.root,
        signature=batch.signature,
    )


def entry_message(entry: JournalRecord, currency_code: str) -> audit_pb2.JournalEntry:
    """An entry with its legs."""
    return audit_pb2.JournalEntry(
        entry_id=entry.entry_id,
        number=number_of(entry.entry_id),
        place=place_of(entry.entry_id),
        lane=lane_of_entry(entry.entry_id),
        kind=operations_pb2.EntryKind.ValueType(entry.kind),
        reason=REASON_NAMES[entry.reason],
        participant=entry.participant,
        store=entry.store,
        terminal=entry.terminal,
        request_id=entry.request_id,
        wallet_id=entry.wallet_id or 0,
        card_id=entry.card_id or 0,
        amount_minor=entry.amount_minor,
        currency_code=currency_code,
        original_entry_id=entry.original_entry_id or 0,
        agreement=entry.agreement,
        agreement_version=entry.agreement_version or 0,
        business_date=entry.business_date.isoformat(),
        post_time=timestamp_of(entry.post_time),
        occurred_time=timestamp_of(entry.occurred_time) if entry.occurred_time else None,
        actor=entry.actor,
        sale_reference=entry.sale_reference,
        answer=entry.answer,
        leaf=entry.leaf,
        transfers=[_transfer(transfer) for transfer in entry.transfers],
        details=entry.details,
    )


def _transfer(transfer: TransferRecord) -> audit_pb2.Transfer:
    return audit_pb2.Transfer(
        leg=transfer.leg,
        debit_account=transfer.debit,
        credit_account=transfer.credit,
        amount_minor=transfer.amount_minor,
        code=operations_pb2.TransferCode.ValueType(transfer.code),
        unit=operations_pb2.Unit.ValueType(transfer.unit),
        window_label=transfer.window_label,
    )
