"""The fees of a closed window: computed once, posted once as its ASSESS entry, before it is netted.

What is measured is the follower's fold of volumes up to the window's cut. A second run finds the entry and changes
nothing. Its claims lie in the window although their batch came after the cut, and are the only ones that may.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from uuid import uuid5
from zoneinfo import ZoneInfo

from coalition.domain.accounts import TransferCode, clearing_account
from coalition.domain.acts import JSON, Act, body_hash
from coalition.domain.errors import LedgerBroken
from coalition.domain.ids import number_of
from coalition.domain.journal import Notary, Transfer
from coalition.domain.kinds import Kind
from coalition.domain.window_fees import AgreedFee, Assessed, WindowBase, assess
from coalition.followers.follower import Follower
from coalition.storage import settlement as store
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection
from coalition.storage.programme import load
from coalition.storage.window_volumes import WINDOW_VOLUMES, member_counts, volumes
from settlement.errors import ChangedMeanwhile
from settlement.labels import period_end


def assess_window(
    connection: Connection, follower: Follower, window: store.Window, cut_number: int, *, notary: Notary
) -> int | None:
    """Post the fees of a closed window if it has any; the number of the batch they are in, None where there are none.

    Needs an autocommit connection; `follower` lends its way to the ledger. Raises ChangedMeanwhile if somebody netted
    the window since it was looked at.
    """
    if window.assess_entry_id is not None:
        return number_of(window.assess_entry_id)
    fees = fees_of(connection, follower, window, cut_number)
    if not fees:
        return None
    known = store.scheme(connection)
    body: dict[str, JSON] = {"calendar": window.calendar, "label": window.label, "fees": [told(each) for each in fees]}

    def apply(connection: Connection) -> dict[str, JSON]:
        if store.lock_window(connection, window.window_id).state != "CLOSED":
            raise ChangedMeanwhile(f"window {window.label} was netted while its fees were computed: run it again")
        return body

    own_id = uuid5(known.deployment_id, f"assess/{window.window_id}")
    act = Act(Kind.ASSESS, known.operator_id, own_id, body_hash(Kind.ASSESS, body), store.ACTOR)
    acts = Acts(known.lane_count, lambda time: time.astimezone(ZoneInfo(known.zone)).date(), notary)
    with connection.transaction():
        entry_id = acts.perform(
            connection, act, apply, transfers=lambda: fee_transfers(fees, window.window_id)
        ).entry_id
        store.note_assessment(connection, window.window_id, entry_id)
    return number_of(entry_id)


def fees_of(connection: Connection, follower: Follower, window: store.Window, cut_number: int) -> list[Assessed]:
    """What every schedule in force asks for the window; none where nobody agreed on any."""
    agreed = load(connection).window_fees(window.calendar, last_day(window, store.scheme(connection).zone))
    return assess(agreed, measured(connection, follower, window, cut_number, agreed))


def measured(
    connection: Connection, follower: Follower, window: store.Window, cut_number: int, agreed: Sequence[AgreedFee]
) -> dict[tuple[int, WindowBase], int]:
    """The volumes of the window that these schedules ask for, up to its cut; nothing is read where there is none."""
    if not agreed:
        return {}
    follower.beside(WINDOW_VOLUMES).catch_up(cut_number)
    found = volumes(connection, window.window_id)
    earlier = (each for each in store.windows(connection, window.calendar) if each.window_id < window.window_id)
    after = max((each.cut_number or 0 for each in earlier), default=window.open_number or 0)
    for base in {each.fees.base for each in agreed if each.fees.base.counts_members}:
        found |= member_counts(connection, base, after, cut_number)
    return found


def last_day(window: store.Window, zone: str) -> date:
    """The last business date of a closed window: the day it was closed, and none behind its period."""
    if window.close_time is None:
        raise LedgerBroken(f"window {window.label} is {window.state} without a time")
    closed = window.close_time.astimezone(ZoneInfo(zone)).date()
    end = period_end(window.cadence, window.label)
    return closed if end is None else min(closed, end - timedelta(days=1))


def fee_transfers(fees: Sequence[Assessed], window_id: int) -> list[Transfer]:
    """`payer => payee`, one for each schedule that asks something of another."""
    return [
        Transfer(
            clearing_account(each.agreed.payer_id),
            clearing_account(each.agreed.payee_id),
            each.fee_minor,
            TransferCode.WINDOW_FEE,
            window_id,
        )
        for each in fees
        if each.fee_minor and each.agreed.payer_id != each.agreed.payee_id
    ]


def told(assessed: Assessed) -> dict[str, JSON]:
    """How a fee came about, for the journal."""
    agreed = assessed.agreed
    return {
        "agreement": agreed.code,
        "agreement_id": agreed.agreement_id,
        "version": agreed.version,
        "payer_id": agreed.payer_id,
        "payee_id": agreed.payee_id,
        "base": agreed.fees.base.value,
        "volume": assessed.volume,
        "fee_minor": assessed.fee_minor,
    }
