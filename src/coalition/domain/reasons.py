"""Every answer the house can give, with the cure a client should apply.

A reason's number is stored in the journal and its name is on the wire (ErrorInfo.reason): both are for ever.
`cure` is the canonical gRPC status name, chosen by what the caller must do next: send again (UNAVAILABLE), start over
(ABORTED), change something first (FAILED_PRECONDITION), never (INVALID_ARGUMENT).
"""

from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Final


@unique
class Reason(IntEnum):
    """Stored with an operation: ACCEPTED, or why it was declined. 1..99 are stored, 100.. never are."""

    ACCEPTED = 0

    CARD_UNKNOWN = 1
    CARD_NOT_LINKED = 2
    CARD_FROZEN = 3
    CARD_REPLACED = 4
    WALLET_CLOSED = 5
    INSUFFICIENT_FUNDS = 6
    NOT_ACCEPTED_HERE = 7
    ORIGINAL_UNKNOWN = 8
    ORIGINAL_NOT_REFUNDABLE = 9
    ORIGINAL_OF_OTHER_PARTICIPANT = 10
    REFUND_EXCEEDS_ORIGINAL = 11
    TERMS_UNKNOWN = 12
    TERMS_NOT_SOLD_HERE = 13
    TOP_UP_BELOW_MINIMUM = 14
    BALANCE_ABOVE_LIMIT = 15
    WALLET_HAS_HOLDS = 16
    HOLD_UNKNOWN = 17
    HOLD_RESOLVED = 18
    CAPTURE_EXCEEDS_HOLD = 19
    LOT_NOT_OPEN = 20
    CURRENCY_OF_WALLET_DIFFERS = 21
    NO_ACQUIRING_AGREEMENT = 22
    SUSPENDED = 23
    KILLED = 24
    ORIGINAL_NOT_REVERSIBLE = 25
    DAY_LIMIT_REACHED = 35
    SALE_REFERENCE_USED = 39
    PAYMENT_CODE_WRONG = 26
    PAYMENT_CODE_USED = 27
    PIN_REQUIRED = 28
    PIN_WRONG = 29
    PIN_LOCKED = 30
    PIN_NOT_SET = 31
    CARD_LIMIT_EXCEEDED = 32
    WALLET_LIMIT_EXCEEDED = 33
    VELOCITY_EXCEEDED = 34
    CREDENTIAL_LIMIT_EXCEEDED = 36
    REAL_NAME_REQUIRED = 37
    FUNDING_NOT_ALLOWED = 38

    CARD_ALREADY_LINKED = 40
    CARD_NUMBER_TAKEN = 41
    CARD_STATE_CONFLICT = 42
    MEMBER_UNKNOWN = 43
    MEMBER_EXISTS = 44
    PARTICIPANT_UNKNOWN = 45
    PARTICIPANT_EXISTS = 46
    STORE_UNKNOWN = 47
    STORE_EXISTS = 48
    TERMINAL_EXISTS = 49
    AGREEMENT_UNKNOWN = 50
    AGREEMENT_VERSION_CONFLICT = 51
    AGREEMENT_INVALID = 52
    WINDOW_UNKNOWN = 53
    WINDOW_STATE_CONFLICT = 54
    AGREEMENT_EXISTS = 55
    CREDENTIAL_TAKEN = 59
    CREDENTIAL_UNKNOWN = 60
    PIN_WEAK = 63
    RETURN_TOO_LATE = 56
    LOT_TOUCHED = 57
    RUN_UNKNOWN = 65
    RUN_STATE_CONFLICT = 66
    APPROVAL_STATE_CONFLICT = 67
    CONTENT_CHANGED = 68
    OFFICE_NOT_HELD = 69
    BANK_RESULT_MISMATCH = 70
    BANK_RESULT_KNOWN = 71
    PARTICIPANT_CAPPED = 76
    DISPUTE_UNKNOWN = 77
    DISPUTE_EXISTS = 78
    DISPUTE_STATE_CONFLICT = 79
    DISPUTE_TOO_LATE = 80
    DISPUTE_EXCEEDS_LINE = 81
    LICENCE_MISSING = 82
    PASS_UNKNOWN = 83
    PASS_EXPIRED = 84
    VISITS_TOO_FEW = 85
    PASS_PRICE_DIFFERS = 86
    WALLET_HAS_PASSES = 87
    POINTS_TOO_FEW = 88
    POINTS_PROGRAMME_UNKNOWN = 89
    WALLET_HAS_POINTS = 96
    MEMBER_LOCKED = 90
    MEMBER_ERASED = 91
    MEMBER_HAS_VALUE = 92
    CONSENT_MISSING = 93
    APPROVAL_MISSING = 94
    MERGE_CONFLICT = 95
    MEMBER_HAS_DISPUTE = 97
    POINTS_NOT_CONVERTIBLE = 98
    POINTS_NOT_REPAYABLE = 99

    FIELD_INVALID = 100
    REQUEST_ID_MALFORMED = 101
    REQUEST_ID_TOO_OLD = 102
    REQUEST_ID_REUSED = 103
    AMOUNT_NOT_POSITIVE = 104
    AMOUNT_TOO_LARGE = 105
    CURRENCY_UNKNOWN = 106
    MESSAGE_TOO_LARGE = 107
    NO_CERTIFICATE = 108
    IDENTITY_MALFORMED = 109
    PERMISSION_DENIED = 110
    TERMINAL_UNKNOWN = 111
    TERMINAL_SUSPENDED = 112
    TERMINAL_OF_OTHER_STORE = 113
    NO_OPEN_WINDOW = 114
    QUEUE_FULL = 115
    DEADLINE_PASSED = 116
    SERVER_DRAINING = 117
    DATABASE_UNAVAILABLE = 118
    INTERNAL = 119
    ENTRY_UNKNOWN = 120
    PAGE_TOKEN_INVALID = 121
    RATE_EXCEEDED = 122
    CALLS_EXCEEDED = 123
    STREAM_IDLE = 124
    STREAM_STALLED = 125
    MESSAGE_MALFORMED = 126
    CERTIFICATE_REVOKED = 127
    DAY_CLOSE_OUT_OF_ORDER = 155
    DAY_CLOSE_CHAIN_BROKEN = 156
    SIGNATURE_INVALID = 157
    PIN_UNREADABLE = 140
    CREDENTIALS_LOCKED = 141
    PIN_KEY_MISSING = 145
    CHECKPOINT_UNKNOWN = 158
    APPROVAL_UNKNOWN = 160
    DEBT_UNKNOWN = 146
    DEBT_EXCEEDED = 147
    RETENTION_NOT_OVER = 180
    DISCLOSURE_UNKNOWN = 181
    APPROVER_NOT_ANOTHER = 182
    EXPORT_UNKNOWN = 185
    EXPORT_KEY_DIFFERS = 186
    ERASURE_NOT_REQUESTED = 190


@dataclass(frozen=True, slots=True)
class Advice:
    """How a reason travels: gRPC status name and one sentence that names the cure."""

    status: str
    sentence: str


ADVICE: Final[dict[Reason, Advice]] = {
    Reason.CARD_UNKNOWN: Advice("NOT_FOUND", "No card has this number; check the number and its last digit."),
    Reason.CARD_NOT_LINKED: Advice("FAILED_PRECONDITION", "The card belongs to no member yet; link it at the counter."),
    Reason.CARD_FROZEN: Advice(
        "FAILED_PRECONDITION", "The card is frozen; the member can have it unfrozen or replaced."
    ),
    Reason.CARD_REPLACED: Advice("FAILED_PRECONDITION", "The card was replaced; use the member's new card."),
    Reason.WALLET_CLOSED: Advice("FAILED_PRECONDITION", "The wallet is closed; enrol the member again."),
    Reason.INSUFFICIENT_FUNDS: Advice(
        "FAILED_PRECONDITION", "The balance is too small; top up or pay the rest otherwise."
    ),
    Reason.NOT_ACCEPTED_HERE: Advice(
        "FAILED_PRECONDITION", "The balance would do, but too little of it is accepted by this merchant; pay otherwise."
    ),
    Reason.ORIGINAL_UNKNOWN: Advice("NOT_FOUND", "The original operation is not known; check its id."),
    Reason.ORIGINAL_NOT_REFUNDABLE: Advice(
        "FAILED_PRECONDITION", "Only an accepted purchase can be refunded; name the purchase itself."
    ),
    Reason.ORIGINAL_OF_OTHER_PARTICIPANT: Advice(
        "PERMISSION_DENIED", "The purchase was made at another participant; refund it there."
    ),
    Reason.REFUND_EXCEEDS_ORIGINAL: Advice(
        "FAILED_PRECONDITION", "Refunds may not exceed the purchase; refund at most what is left."
    ),
    Reason.TERMS_UNKNOWN: Advice("FAILED_PRECONDITION", "The issuer sells no stored value under these terms today."),
    Reason.TERMS_NOT_SOLD_HERE: Advice("FAILED_PRECONDITION", "These terms are not sold by this participant."),
    Reason.TOP_UP_BELOW_MINIMUM: Advice("FAILED_PRECONDITION", "The amount is below the smallest top-up of the terms."),
    Reason.BALANCE_ABOVE_LIMIT: Advice(
        "FAILED_PRECONDITION", "The wallet would pass its highest balance; top up less."
    ),
    Reason.PASS_UNKNOWN: Advice(
        "FAILED_PRECONDITION",
        "The issuer sells no such pass today, or the member has none; sell one that there is.",
    ),
    Reason.PASS_EXPIRED: Advice(
        "FAILED_PRECONDITION", "The pass's last day is over; its seller or issuer pays out what is left of it."
    ),
    Reason.VISITS_TOO_FEW: Advice(
        "FAILED_PRECONDITION", "No pass has so many visits left; take at most what is left, or sell another pass."
    ),
    Reason.PASS_PRICE_DIFFERS: Advice(
        "FAILED_PRECONDITION", "The amount is not the price of the pass; ask the member for its price."
    ),
    Reason.WALLET_HAS_PASSES: Advice(
        "FAILED_PRECONDITION", "Passes that are not used up block this; have them used or paid out first."
    ),
    Reason.POINTS_TOO_FEW: Advice(
        "FAILED_PRECONDITION", "The member has too few points for this; take at most what there are."
    ),
    Reason.POINTS_PROGRAMME_UNKNOWN: Advice(
        "FAILED_PRECONDITION", "No such points programme is honoured by this merchant today; take another payment."
    ),
    Reason.POINTS_NOT_CONVERTIBLE: Advice(
        "FAILED_PRECONDITION",
        "These points do not become value, or not so many: take a multiple of step_points from minimum_points on.",
    ),
    Reason.POINTS_NOT_REPAYABLE: Advice(
        "FAILED_PRECONDITION",
        "Points of the one do not repay the other's, or fewer are owed: repay owed_points at most.",
    ),
    Reason.WALLET_HAS_POINTS: Advice(
        "FAILED_PRECONDITION", "Points stay in the wallet they were earned in; have them used first."
    ),
    Reason.WALLET_HAS_HOLDS: Advice("FAILED_PRECONDITION", "Open holds block this; capture or void them first."),
    Reason.HOLD_UNKNOWN: Advice("NOT_FOUND", "The hold is not known; check its id."),
    Reason.HOLD_RESOLVED: Advice("FAILED_PRECONDITION", "The hold was already captured, voided or has expired."),
    Reason.CAPTURE_EXCEEDS_HOLD: Advice(
        "FAILED_PRECONDITION", "A capture may not exceed its hold; capture at most that."
    ),
    Reason.LOT_NOT_OPEN: Advice("FAILED_PRECONDITION", "The lot is no longer open."),
    Reason.CURRENCY_OF_WALLET_DIFFERS: Advice("FAILED_PRECONDITION", "The wallet holds another currency."),
    Reason.NO_ACQUIRING_AGREEMENT: Advice(
        "FAILED_PRECONDITION", "This participant has no acquiring agreement in force today; HQ must add one."
    ),
    Reason.SUSPENDED: Advice(
        "FAILED_PRECONDITION", "The terminal, its store or its participant was suspended; ask HQ."
    ),
    Reason.KILLED: Advice(
        "FAILED_PRECONDITION", "This request id was undone before it arrived; start over with a new request id."
    ),
    Reason.ORIGINAL_NOT_REVERSIBLE: Advice(
        "FAILED_PRECONDITION", "This operation cannot be undone by a reversal; correct it by a new operation."
    ),
    Reason.DAY_LIMIT_REACHED: Advice(
        "FAILED_PRECONDITION", "The day's limit of this terminal or participant is reached; ask HQ, or go on tomorrow."
    ),
    Reason.SALE_REFERENCE_USED: Advice(
        "ALREADY_EXISTS", "This terminal has sold under this reference already; see that sale before you sell again."
    ),
    Reason.PAYMENT_CODE_WRONG: Advice(
        "FAILED_PRECONDITION", "The payment code is mistyped, or too old by now; scan the one that the phone shows."
    ),
    Reason.PAYMENT_CODE_USED: Advice(
        "FAILED_PRECONDITION", "This payment code cannot be used again; open the payment page anew and scan that code."
    ),
    Reason.PIN_REQUIRED: Advice(
        "FAILED_PRECONDITION", "This needs the member's PIN; ask for it and start over with a new request id."
    ),
    Reason.PIN_WRONG: Advice(
        "FAILED_PRECONDITION", "The PIN is wrong; ask again and start over with a new request id."
    ),
    Reason.PIN_LOCKED: Advice(
        "FAILED_PRECONDITION", "Too many wrong PINs; the member sets a new one at the counter, with an identity check."
    ),
    Reason.PIN_NOT_SET: Advice("FAILED_PRECONDITION", "The member has no PIN yet; it is set at the counter."),
    Reason.CARD_LIMIT_EXCEEDED: Advice(
        "FAILED_PRECONDITION", "The card would pass a limit of its own; pay at most what is left of it."
    ),
    Reason.WALLET_LIMIT_EXCEEDED: Advice(
        "FAILED_PRECONDITION", "The wallet would pass what it may spend a day; pay at most what is left of that."
    ),
    Reason.VELOCITY_EXCEEDED: Advice(
        "FAILED_PRECONDITION",
        "The card or its wallet was used too often; try again in the next hour or on another day.",
    ),
    Reason.CREDENTIAL_LIMIT_EXCEEDED: Advice(
        "FAILED_PRECONDITION",
        "The wallet would pass what it may spend a day this way; use a payment code, or pay the rest otherwise.",
    ),
    Reason.REAL_NAME_REQUIRED: Advice(
        "FAILED_PRECONDITION", "This top-up needs a member whose real name is verified; verify it at the counter first."
    ),
    Reason.FUNDING_NOT_ALLOWED: Advice(
        "FAILED_PRECONDITION", "A top-up may not be paid this way; take a bank transfer or a debit card."
    ),
    Reason.CARD_ALREADY_LINKED: Advice("FAILED_PRECONDITION", "The card is linked to a member already."),
    Reason.CARD_NUMBER_TAKEN: Advice("ALREADY_EXISTS", "A card with this number was issued already."),
    Reason.CARD_STATE_CONFLICT: Advice(
        "FAILED_PRECONDITION", "The card's state does not allow this; read the card first."
    ),
    Reason.MEMBER_UNKNOWN: Advice("NOT_FOUND", "No such member; check the id or find the member by phone."),
    Reason.MEMBER_EXISTS: Advice("ALREADY_EXISTS", "A member with this phone number is enrolled already."),
    Reason.PARTICIPANT_UNKNOWN: Advice("NOT_FOUND", "No participant has this code."),
    Reason.PARTICIPANT_EXISTS: Advice("ALREADY_EXISTS", "A participant with this code exists already."),
    Reason.STORE_UNKNOWN: Advice("NOT_FOUND", "The participant has no store with this code."),
    Reason.STORE_EXISTS: Advice("ALREADY_EXISTS", "The participant has a store with this code already."),
    Reason.TERMINAL_EXISTS: Advice("ALREADY_EXISTS", "The store has a terminal with this code already."),
    Reason.AGREEMENT_UNKNOWN: Advice("NOT_FOUND", "No such agreement."),
    Reason.AGREEMENT_VERSION_CONFLICT: Advice(
        "ABORTED", "The agreement has changed since you read it; read it again and start over."
    ),
    Reason.AGREEMENT_INVALID: Advice(
        "INVALID_ARGUMENT", "The agreement's terms are not consistent; see the field named."
    ),
    Reason.AGREEMENT_EXISTS: Advice("ALREADY_EXISTS", "An agreement with this code exists already; revise that one."),
    Reason.CREDENTIAL_TAKEN: Advice(
        "ALREADY_EXISTS", "This names a member already; remove it there before it is given to another."
    ),
    Reason.CREDENTIAL_UNKNOWN: Advice(
        "NOT_FOUND", "The member has no such device, id or phone to pay by; look the member's credentials up."
    ),
    Reason.PIN_WEAK: Advice(
        "FAILED_PRECONDITION", "This PIN is too easy to guess; the member chooses another, under a new request id."
    ),
    Reason.RETURN_TOO_LATE: Advice(
        "FAILED_PRECONDITION",
        "The days in which this top-up could be returned are over; its value stays in the wallet.",
    ),
    Reason.LOT_TOUCHED: Advice(
        "FAILED_PRECONDITION",
        "Some of this top-up is spent or held; refund the purchases or void the holds first, then return it.",
    ),
    Reason.RUN_UNKNOWN: Advice("NOT_FOUND", "No such settlement run; see `settlement status`."),
    Reason.RUN_STATE_CONFLICT: Advice(
        "FAILED_PRECONDITION", "The settlement run is in another state; see `settlement status`."
    ),
    Reason.APPROVAL_STATE_CONFLICT: Advice(
        "FAILED_PRECONDITION", "This approval waits for nobody any more; look into the inbox again."
    ),
    Reason.CONTENT_CHANGED: Advice(
        "ABORTED", "What is to be approved is not what you saw; read it again and decide on that."
    ),
    Reason.OFFICE_NOT_HELD: Advice(
        "FAILED_PRECONDITION", "This step belongs to an office you do not hold; its holder decides, or comes first."
    ),
    Reason.BANK_RESULT_MISMATCH: Advice(
        "FAILED_PRECONDITION",
        "The bank's result does not fit what was instructed; nothing was posted, and an adjustment waits for approval.",
    ),
    Reason.BANK_RESULT_KNOWN: Advice("ALREADY_EXISTS", "This file of the bank was taken into the books before."),
    Reason.PARTICIPANT_CAPPED: Advice(
        "FAILED_PRECONDITION",
        "A participant owes others as much as it may: pay otherwise, or at that participant itself, until it has paid.",
    ),
    Reason.DISPUTE_UNKNOWN: Advice("NOT_FOUND", "No such dispute; see the list of disputes."),
    Reason.DISPUTE_EXISTS: Advice("ALREADY_EXISTS", "This line is disputed already; wait for its decision."),
    Reason.DISPUTE_STATE_CONFLICT: Advice(
        "FAILED_PRECONDITION", "The dispute is in another state; read it again before you go on."
    ),
    Reason.DISPUTE_TOO_LATE: Advice(
        "FAILED_PRECONDITION", "The days in which this line could be disputed are over; agree with the other directly."
    ),
    Reason.DISPUTE_EXCEEDS_LINE: Advice(
        "FAILED_PRECONDITION",
        "A dispute is about what its entry claims between the two, and asks for no more than that.",
    ),
    Reason.LICENCE_MISSING: Advice(
        "FAILED_PRECONDITION",
        "Value that its issuer holds itself is taken across groups by licence only; let custody hold it.",
    ),
    Reason.MEMBER_LOCKED: Advice(
        "FAILED_PRECONDITION", "The member's data is locked: it is kept and not used; the operator can unlock it."
    ),
    Reason.MEMBER_ERASED: Advice("FAILED_PRECONDITION", "The member was erased; enrol the person again."),
    Reason.MEMBER_HAS_VALUE: Advice(
        "FAILED_PRECONDITION", "The wallet still has value or open holds; spend or pay it out first, then erase."
    ),
    Reason.MEMBER_HAS_DISPUTE: Advice(
        "FAILED_PRECONDITION",
        "A sale of this member's is in dispute; lock the member now and erase when it is settled.",
    ),
    Reason.CONSENT_MISSING: Advice(
        "FAILED_PRECONDITION", "The member has not consented to this purpose; ask the member first."
    ),
    Reason.APPROVAL_MISSING: Advice(
        "FAILED_PRECONDITION", "No approval is in force: an approver approves it first, and it ends after 15 minutes."
    ),
    Reason.MERGE_CONFLICT: Advice(
        "FAILED_PRECONDITION", "One of the two members was merged into another before; see the member and go on there."
    ),
    Reason.WINDOW_UNKNOWN: Advice("NOT_FOUND", "No such window."),
    Reason.WINDOW_STATE_CONFLICT: Advice(
        "FAILED_PRECONDITION", "The window is in another state; see `settlement status`."
    ),
    Reason.FIELD_INVALID: Advice("INVALID_ARGUMENT", "A field is malformed; see the field named."),
    Reason.REQUEST_ID_MALFORMED: Advice("INVALID_ARGUMENT", "request_id must be a version 7 UUID made by the client."),
    Reason.REQUEST_ID_TOO_OLD: Advice(
        "INVALID_ARGUMENT", "request_id was made too long ago or in the future; check the terminal's clock."
    ),
    Reason.REQUEST_ID_REUSED: Advice(
        "ALREADY_EXISTS", "request_id was used for another operation; make a new id for a new operation."
    ),
    Reason.AMOUNT_NOT_POSITIVE: Advice("INVALID_ARGUMENT", "amount_minor must be above zero."),
    Reason.AMOUNT_TOO_LARGE: Advice("INVALID_ARGUMENT", "amount_minor is above the largest amount of one operation."),
    Reason.CURRENCY_UNKNOWN: Advice("INVALID_ARGUMENT", "currency_code is not the currency of this coalition."),
    Reason.MESSAGE_TOO_LARGE: Advice("RESOURCE_EXHAUSTED", "The message is too large; send fewer operations at once."),
    Reason.NO_CERTIFICATE: Advice("UNAUTHENTICATED", "Connect with a client certificate of this coalition."),
    Reason.IDENTITY_MALFORMED: Advice(
        "UNAUTHENTICATED", "The certificate's SPIFFE identity is not one of this coalition."
    ),
    Reason.PERMISSION_DENIED: Advice("PERMISSION_DENIED", "This identity may not do that."),
    Reason.TERMINAL_UNKNOWN: Advice("PERMISSION_DENIED", "The terminal is not registered; register it with HQ."),
    Reason.TERMINAL_SUSPENDED: Advice("PERMISSION_DENIED", "The terminal, its store or its participant is suspended."),
    Reason.TERMINAL_OF_OTHER_STORE: Advice(
        "PERMISSION_DENIED", "The named terminal is not one this identity may speak for."
    ),
    Reason.NO_OPEN_WINDOW: Advice("UNAVAILABLE", "No settlement window is open; send the same request again."),
    Reason.QUEUE_FULL: Advice(
        "RESOURCE_EXHAUSTED", "Too many operations wait; send the same request again a little later."
    ),
    Reason.DEADLINE_PASSED: Advice(
        "DEADLINE_EXCEEDED", "The deadline passed before the operation was taken; send it again."
    ),
    Reason.SERVER_DRAINING: Advice("UNAVAILABLE", "The server is stopping; send the same request again."),
    Reason.DATABASE_UNAVAILABLE: Advice("UNAVAILABLE", "The ledger does not answer; send the same request again."),
    Reason.INTERNAL: Advice(
        "INTERNAL", "The service made a mistake; the outcome is learned by sending the request again."
    ),
    Reason.ENTRY_UNKNOWN: Advice("NOT_FOUND", "No such entry."),
    Reason.PAGE_TOKEN_INVALID: Advice(
        "INVALID_ARGUMENT", "page_token is not one this call gave; start at the first page."
    ),
    Reason.RATE_EXCEEDED: Advice(
        "RESOURCE_EXHAUSTED", "This identity sends more than its share; send the same request again a little later."
    ),
    Reason.CALLS_EXCEEDED: Advice(
        "RESOURCE_EXHAUSTED", "Too many calls are under way; send the same request again when some have their answers."
    ),
    Reason.STREAM_IDLE: Advice("ABORTED", "Nothing was sent for too long; open a new stream when there is something."),
    Reason.STREAM_STALLED: Advice(
        "ABORTED", "Answers were not read for too long; open a new stream and send again what was not answered."
    ),
    Reason.MESSAGE_MALFORMED: Advice(
        "INVALID_ARGUMENT", "The bytes are no message of this call; build it from the published protos."
    ),
    Reason.CERTIFICATE_REVOKED: Advice(
        "UNAUTHENTICATED", "This certificate was revoked; ask the operator of the authority for a new one."
    ),
    Reason.DAY_CLOSE_OUT_OF_ORDER: Advice(
        "FAILED_PRECONDITION", "This is not the number of the terminal's next close; ask for its day totals first."
    ),
    Reason.DAY_CLOSE_CHAIN_BROKEN: Advice(
        "FAILED_PRECONDITION", "previous_hash is not that of the terminal's last close; ask for its day totals first."
    ),
    Reason.SIGNATURE_INVALID: Advice(
        "INVALID_ARGUMENT", "The signature is not one of this certificate's key over this statement; sign it anew."
    ),
    Reason.PIN_UNREADABLE: Advice(
        "FAILED_PRECONDITION",
        "The PIN is not sealed to this server's key; fetch the key, seal again, send under the same request id.",
    ),
    Reason.PIN_KEY_MISSING: Advice(
        "FAILED_PRECONDITION", "This coalition has no keys for PINs yet; its operator adds them to the key ring."
    ),
    Reason.RETENTION_NOT_OVER: Advice(
        "FAILED_PRECONDITION", "The law still wants this member's records kept; lock the member now and erase later."
    ),
    Reason.DISCLOSURE_UNKNOWN: Advice("NOT_FOUND", "No disclosure was requested under this id by whom you are."),
    Reason.APPROVER_NOT_ANOTHER: Advice(
        "PERMISSION_DENIED", "Who asked for it may not approve it; another person in another role does."
    ),
    Reason.ERASURE_NOT_REQUESTED: Advice(
        "FAILED_PRECONDITION",
        "Nobody asks for this member's erasure, or did so more than 30 days ago; an operator asks for it first.",
    ),
    Reason.EXPORT_UNKNOWN: Advice("NOT_FOUND", "No export was requested under this id by whom you are."),
    Reason.EXPORT_KEY_DIFFERS: Advice(
        "FAILED_PRECONDITION", "The export is sealed to another key than you named; ask the recipient for its hash."
    ),
    Reason.CREDENTIALS_LOCKED: Advice(
        "RESOURCE_EXHAUSTED", "Too many wrong codes or phones from this till; take cards until the time given is over."
    ),
    Reason.APPROVAL_UNKNOWN: Advice("NOT_FOUND", "Nothing was asked to be approved under this id."),
    Reason.DEBT_UNKNOWN: Advice("NOT_FOUND", "No sale under this entry left its member owing; see the list of debts."),
    Reason.DEBT_EXCEEDED: Advice(
        "FAILED_PRECONDITION", "That is more than the member owes of this sale, or is to get back; ask for no more."
    ),
    Reason.CHECKPOINT_UNKNOWN: Advice(
        "NOT_FOUND", "No checkpoint was signed over so many entries; ask without a size for the newest."
    ),
}

FIRST_UNSTORED: Final = 100


def is_stored(reason: Reason) -> bool:
    """Whether an operation that ends so is kept under its request_id (accepted, or a decline)."""
    return reason < FIRST_UNSTORED
