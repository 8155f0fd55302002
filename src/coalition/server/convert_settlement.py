"""Windows, positions and claims as messages."""

from coalition.domain.month_records import ClaimRecord, PositionRecord, WindowRecord
from coalition.server.convert import timestamp_of
from coalition.v1 import operations_pb2, settlement_pb2


def window_message(window: WindowRecord) -> settlement_pb2.Window:
    """A window; what has not happened is absent or 0."""
    return settlement_pb2.Window(
        calendar=window.calendar,
        label=window.label,
        state=settlement_pb2.WindowState.Value(f"WINDOW_STATE_{window.state}"),
        open_time=timestamp_of(window.open_time),
        close_time=timestamp_of(window.close_time) if window.close_time else None,
        cut_number=window.cut_number or 0,
        net_time=timestamp_of(window.net_time) if window.net_time else None,
        netting_entry_id=window.netting_entry_id or 0,
    )


def position_message(position: PositionRecord, currency_code: str) -> settlement_pb2.Position:
    """A participant's position; the net one is received minus sent."""
    return settlement_pb2.Position(
        participant=position.participant,
        unit=operations_pb2.Unit.ValueType(position.unit),
        received_minor=position.received_minor,
        sent_minor=position.sent_minor,
        net_position_minor=position.net_position_minor,
        currency_code=currency_code,
    )


def claim_message(claim: ClaimRecord, currency_code: str) -> settlement_pb2.Claim:
    """What one participant owes another for one reason."""
    return settlement_pb2.Claim(
        debtor=claim.debtor,
        creditor=claim.creditor,
        code=operations_pb2.TransferCode.ValueType(claim.code),
        unit=operations_pb2.Unit.ValueType(claim.unit),
        amount_minor=claim.amount_minor,
        currency_code=currency_code,
        transfer_count=claim.transfer_count,
    )
