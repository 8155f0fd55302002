"""What an entry of the journal can be. The numbers are stored for ever."""

from enum import IntEnum, unique
from typing import Final

FIRST_ACT: Final = 100


@unique
class Kind(IntEnum):
    """Operations that move value (below 100) and acts that change who and what the coalition knows (from 100)."""

    TOP_UP = 1
    PURCHASE = 2
    REFUND = 3
    TOP_UP_REVERSAL = 4
    BONUS_EXPIRY = 5
    CASH_OUT = 6
    HOLD = 7
    CAPTURE = 8
    VOID = 9
    HOLD_EXPIRY = 10
    REVERSAL = 11
    TOMBSTONE = 12
    UPLOAD = 13
    TOP_UP_RETURN = 14
    NETTING = 20
    ASSESS = 21
    SETTLEMENT_PAYMENT = 22
    SETTLEMENT_RETURN = 23
    NETTING_REVERSAL = 24
    ADJUSTMENT = 25
    COLLATERAL_MOVED = 26
    DEFAULT = 27
    SUCCESSION = 28
    VALUATION = 29
    MERGE_OUT = 30
    MERGE_IN = 31
    OPENING = 32
    PASS_SALE = 33
    PASS_VISIT = 34
    VISIT_RETURN = 35
    PASS_RETURN = 36
    POINTS_SPEND = 37
    POINTS_RETURN = 38
    WRITE_OFF = 39
    POINTS_CONVERSION = 40
    POINTS_EXPIRY = 41
    POINTS_REPAYMENT = 42
    DEBT_REPAID = 46

    PARTICIPANT_CREATED = 101
    STORE_CREATED = 102
    TERMINAL_CREATED = 103
    TERMINAL_STATE_CHANGED = 104
    AGREEMENT_CREATED = 105
    AGREEMENT_REVISED = 106
    PARTICIPANT_STATE_CHANGED = 107
    STORE_STATE_CHANGED = 108
    MEMBER_ENROLLED = 110
    CARD_ISSUED = 111
    CARD_LINKED = 112
    CARD_FROZEN = 113
    CARD_UNFROZEN = 114
    CARD_REPLACED = 115
    CARD_LIMITS_SET = 116
    PIN_SET = 117
    DEVICE_ENROLLED = 118
    CREDENTIAL_ADDED = 119
    WINDOW_CLOSED = 120
    TERMINAL_DAY_CLOSED = 121
    CREDENTIAL_REMOVED = 122
    MEMBER_VERIFIED = 123
    KEYS_CHANGED = 124
    KEYS_REWRAPPED = 125
    INDEXES_REMADE = 126
    RUN_PREPARED = 130
    APPROVAL_DECIDED = 131
    RUN_ABORTED = 132
    INSTRUCTIONS_EXPORTED = 133
    BANK_RESULT_IMPORTED = 134
    BANK_ACCOUNTS_SET = 135
    OFFICES_SET = 136
    REPORT_SEALED = 137

    DISPUTE_OPENED = 140
    DISPUTE_PROPOSED = 141
    DISPUTE_WITHDRAWN = 142
    HAND_OVER_PROPOSED = 143
    CALENDAR_OPENED = 144
    AGREEMENT_SIGNED = 145
    AGREEMENT_APPROVAL_REQUIRED = 146

    DISCLOSED = 150
    CONSENT_SET = 151
    MEMBER_STATE_CHANGED = 152
    MEMBER_ERASED = 153
    DISCLOSURE_REQUESTED = 154
    DISCLOSURE_APPROVED = 155
    MEMBER_REVISED = 156
    MEMBERS_IMPORTED = 157
    MEMBERS_MERGED = 158
    EXPORT_REQUESTED = 159
    EXPORT_APPROVED = 160
    MEMBERS_EXPORTED = 161
    ERASURE_REQUESTED = 170

    WRITE_OFF_PROPOSED = 190
    DEBT_WRITE_OFF_PROPOSED = 191
    DEBT_WRITTEN_OFF = 192


SETTLEMENT: Final = frozenset(
    {
        Kind.NETTING,
        Kind.ASSESS,
        Kind.SETTLEMENT_PAYMENT,
        Kind.SETTLEMENT_RETURN,
        Kind.NETTING_REVERSAL,
        Kind.ADJUSTMENT,
        Kind.COLLATERAL_MOVED,
        Kind.DEFAULT,
        Kind.SUCCESSION,
        Kind.VALUATION,
        Kind.WRITE_OFF,
        Kind.DEBT_REPAID,
    }
)
"""What settlement posts: legs between participants' accounts and the bank; no wallet, no lot, no outcome of a till."""
OF_PASSES: Final = frozenset({Kind.PASS_SALE, Kind.PASS_VISIT, Kind.VISIT_RETURN, Kind.PASS_RETURN})
"""What moves passes, and the money in them: no lot, no balance of a wallet."""
OF_POINTS: Final = frozenset(
    {Kind.POINTS_SPEND, Kind.POINTS_RETURN, Kind.POINTS_CONVERSION, Kind.POINTS_EXPIRY, Kind.POINTS_REPAYMENT}
)
"""What moves points by itself; sales earn them, and refunds take them back, in entries of their own kinds."""
OPENS_LOT: Final = frozenset({Kind.TOP_UP, Kind.MERGE_IN, Kind.OPENING, Kind.POINTS_CONVERSION})
"""What opens a lot, whose id is the entry's."""
