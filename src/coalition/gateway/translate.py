"""A message's details, and what they become: a request of the protos, and the fields of an answer. No I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from coalition.gateway.errors import Malformed
from coalition.gateway.fields import Field
from coalition.gateway.message import Message
from coalition.gateway.tills import Till
from coalition.gateway.traces import Noted, Trace
from coalition.v1 import operations_pb2, terminal_pb2

BASE: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
APPROVAL_CHARACTERS: Final = 6
AMOUNT_MAX: Final = 10**12 - 1
LANE_BITS: Final = 10  # the last bits of an entry_id say where it lies, not which it is


class Act(Enum):
    """What a message does; the value is the RPC it becomes."""

    TOP_UP = "TopUp"
    PURCHASE = "Purchase"
    REFUND = "Refund"
    AUTHORIZE = "Authorize"
    CAPTURE = "Capture"
    VOID = "Void"
    UPLOAD = "Upload"
    REVERSE = "Reverse"
    BALANCE = "GetBalance"


FINANCIAL: Final[Mapping[str, Act]] = {
    "00": Act.PURCHASE,
    "20": Act.REFUND,
    "21": Act.TOP_UP,
    "31": Act.BALANCE,
}
"""What a 0200 does, by the first two digits of its processing code (DE3); the account types behind them say nothing."""
AUTHORIZATION: Final[Mapping[str, Act]] = {"00": Act.AUTHORIZE, "31": Act.BALANCE}
ADVICE: Final[Mapping[str, Act]] = {"00": Act.CAPTURE}


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a message comes from, and in what money."""

    till: Till
    currency_code: str
    currency_number: str


@dataclass(frozen=True, slots=True)
class Original:
    """What a message refers to: an entry of our journal (DE62) or a message of the same terminal (DE90)."""

    entry_id: int = 0
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class Details:
    """What a request of the protos is made of. No repr of the card number."""

    request_id: str
    occurred_s: int
    amount_minor: int = 0
    card_number: str = field(default="", repr=False)
    reference: str = ""
    original_request_id: str = ""
    original_entry_id: int = 0
    sequence_number: int = 0


def trace_of(message: Message) -> Trace:
    """How the terminal counts this message. Raises Malformed."""
    return Trace(
        message.text(Field.MERCHANT_ID).rstrip(),
        message.text(Field.TERMINAL_ID).rstrip(),
        message.text(Field.STAN),
        message.text(Field.RETRIEVAL_REFERENCE),
        message.text(Field.LOCAL_DATE) + message.text(Field.LOCAL_TIME),
        message.optional(Field.SENT_TIME) or message.text(Field.LOCAL_DATE) + message.text(Field.LOCAL_TIME),
    )


def original_of(message: Message, trace: Trace) -> Original | None:
    """What this message refers to, or None when it does not say. Raises Malformed."""
    if entry_id := message.optional(Field.ENTRY_ID):
        return Original(entry_id=int(entry_id))
    if elements := message.optional(Field.ORIGINAL):
        # Type 4, STAN 6, time 10 of the original; the institutions behind them are not ours.
        stan, time = elements[4:10], elements[10:20]
        return Original(trace=Trace(trace.merchant_id, trace.terminal_id, stan, "", time, time))
    return None


def reversed_by(message: Message, trace: Trace) -> Trace:
    """The original of a reversal: by DE90, or else the message with the reversal's own trace. Raises Malformed."""
    if elements := message.optional(Field.ORIGINAL):
        stan, time = elements[4:10], elements[10:20]
        return Trace(trace.merchant_id, trace.terminal_id, stan, "", time, time)
    return Trace(trace.merchant_id, trace.terminal_id, trace.stan, "", trace.local_time, trace.sent_time)


def card_of(message: Message) -> str:
    """The card number, typed (DE2) or swiped (DE35). Raises Malformed."""
    typed = message.optional(Field.CARD_NUMBER)
    track = message.optional(Field.TRACK_TWO)
    swiped = track.replace("D", "=").partition("=")[0]
    if typed and swiped and typed != swiped:
        raise Malformed(Field.TRACK_TWO)
    if not typed and not swiped:
        raise Malformed(Field.CARD_NUMBER)
    return typed or swiped


def reference_of(trace: Trace) -> str:
    """The sale's reference. STANs begin anew and so may retrieval references: only with the time they name one sale."""
    return f"{trace.reference.strip()}/{trace.stan}/{trace.local_time}"


def is_offline_sale(message: Message) -> bool:
    """Whether an advice tells a sale by card that no authorization went before. Raises Malformed."""
    names_original = message.optional(Field.ENTRY_ID) or message.optional(Field.ORIGINAL)
    return not names_original and bool(message.optional(Field.CARD_NUMBER) or message.optional(Field.TRACK_TWO))


def details_of(message: Message, act: Act, noted: Noted, reference: str) -> Details:
    """The details of an operation, but for the original it refers to. Raises Malformed."""
    has_card = act in {Act.PURCHASE, Act.TOP_UP, Act.AUTHORIZE, Act.UPLOAD}
    stan = int(message.text(Field.STAN))
    if act is Act.UPLOAD and not stan:
        raise Malformed(Field.STAN)
    return Details(
        noted.request_id,
        noted.occurred_s,
        amount_minor=int(message.text(Field.AMOUNT)),
        card_number=card_of(message) if has_card else "",
        reference=reference,
        sequence_number=stan if act is Act.UPLOAD else 0,
    )


def request_of(act: Act, details: Details, seat: Seat) -> Any:
    """The request of an operation. Sending the same details again makes the same bytes."""
    said: dict[str, Any] = {"request_id": details.request_id, "terminal": seat.till.ref}
    if details.occurred_s:
        said["occurred_time"] = Timestamp(seconds=details.occurred_s)
    if act is Act.REVERSE:
        return operations_pb2.ReverseRequest(original_request_id=details.original_request_id, **said)
    if act is Act.VOID:
        return operations_pb2.VoidRequest(**_named("hold", details), **said)
    said |= {"amount_minor": details.amount_minor, "currency_code": seat.currency_code}
    if act is Act.REFUND:
        return operations_pb2.RefundRequest(**_named("original", details), **said)
    said["sale_reference"] = details.reference
    if act is Act.CAPTURE:
        return operations_pb2.CaptureRequest(**_named("hold", details), **said)
    said["card_number"] = details.card_number
    if act is Act.TOP_UP:
        return operations_pb2.TopUpRequest(**said)
    if act is Act.AUTHORIZE:
        return operations_pb2.AuthorizeRequest(**said)
    if act is Act.UPLOAD:
        return operations_pb2.UploadRequest(sequence_number=details.sequence_number, **said)
    return operations_pb2.PurchaseRequest(**said)


def balance_request(message: Message, seat: Seat) -> terminal_pb2.GetBalanceRequest:
    """The question for the balance of a card. Raises Malformed."""
    return terminal_pb2.GetBalanceRequest(terminal=seat.till.ref, card_number=card_of(message))


def receipt_fields(receipt: operations_pb2.Receipt, seat: Seat) -> dict[str, str]:
    """What an approved operation answers: approval code, entry and balances."""
    fields = {
        Field.APPROVAL_CODE: approval_code(receipt.entry_id),
        Field.ENTRY_ID: str(receipt.entry_id),
        **balance_fields(receipt.balance_minor, receipt.balance_here_minor, seat),
    }
    return {str(number): value for number, value in fields.items()}


def balance_fields(balance_minor: int, balance_here_minor: int, seat: Seat) -> dict[str, str]:
    """DE54: the ledger balance (01) is all of the wallet, the available one (02) what this merchant accepts."""
    if max(balance_minor, balance_here_minor) > AMOUNT_MAX:
        return {}
    amounts = (("01", balance_minor), ("02", balance_here_minor))
    text = "".join(f"00{kind}{seat.currency_number}C{amount_minor:012d}" for kind, amount_minor in amounts)
    return {str(Field.AMOUNTS): text}


def approval_code(entry_id: int) -> str:
    """Six characters for the slip, the same for the same entry; for people, never a key."""
    number = entry_id >> LANE_BITS
    code = ""
    for _ in range(APPROVAL_CHARACTERS):
        number, digit = divmod(number, len(BASE))
        code = BASE[digit] + code
    return code


def _named(kind: str, details: Details) -> dict[str, Any]:
    if details.original_entry_id:
        return {f"{kind}_entry_id": details.original_entry_id}
    return {f"{kind}_request_id": details.original_request_id}
