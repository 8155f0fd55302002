"""A member's wallet as a message; its lines are converted where terminals' are."""

import json
from collections.abc import Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict

from coalition.domain.members import Access, MemberRow
from coalition.domain.reasons import Reason
from coalition.domain.wallet_records import DebtRecord, EndingPoints, LotRecord, PassRecord, WalletRecord
from coalition.membership.card_views import CardView
from coalition.membership.field_groups import Opened
from coalition.server.convert import timestamp_of
from coalition.v1 import operations_pb2, portal_pb2


def wallet_message(wallet: WalletRecord, currency_code: str) -> portal_pb2.Wallet:
    """The wallet and its open lots; bonus is what is not principal."""
    principal_minor = sum(lot.principal for lot in wallet.lots)
    return portal_pb2.Wallet(
        wallet_id=wallet.wallet_id,
        balance_minor=wallet.balance_minor,
        principal_minor=principal_minor,
        bonus_minor=wallet.balance_minor - principal_minor,
        currency_code=currency_code,
        state=portal_pb2.WalletState.Value(f"WALLET_STATE_{wallet.state}"),
        lots=[lot_message(lot, currency_code) for lot in wallet.lots],
        read_time=timestamp_of(wallet.read_time),
        passes=[pass_message(each, currency_code) for each in wallet.passes],
        points=[
            portal_pb2.HeldPoints(
                programme=held.programme, points=held.points, ending=[ending_message(each) for each in held.ending]
            )
            for held in wallet.points
        ],
        debts=[debt_message(each, currency_code) for each in wallet.debts],
    )


def ending_message(ending: EndingPoints) -> portal_pb2.EndingPoints:
    """Points that end, as their member sees them."""
    return portal_pb2.EndingPoints(
        programme=ending.programme, points=ending.points, last_day=ending.last_day.isoformat()
    )


def access_message(access: Access) -> portal_pb2.Access:
    """Something done with a member's data, as far as the journal tells."""
    declined = access.told.get("metadata")
    purpose = access.told.get("purpose") or (declined.get("purpose") if isinstance(declined, dict) else "")
    groups = access.told.get("field_groups") or [record[0] for record in _rows(access.told.get("records"))]
    return portal_pb2.Access(
        entry_id=access.entry_id,
        time=timestamp_of(access.time),
        kind=operations_pb2.EntryKind.ValueType(access.kind),
        actor=access.actor,
        participant=access.participant,
        purpose=str(purpose or ""),
        reason=Reason(access.reason).name if access.reason else "",
        field_groups=[str(group) for group in _rows(groups)],
    )


def export_json(row: MemberRow, opened: Opened, cards: Sequence[CardView], wallet: portal_pb2.Wallet) -> bytes:
    """Everything that is known of a member, for the member: one JSON object with sorted keys."""
    member = {
        "create_time": row.create_time.isoformat(),
        "member_id": str(row.member_id),
        "real_name_verified": row.is_named,
        "recruiter": row.recruiter,
        "state": row.state,
    }
    told = {
        **{group: dict(content) for group, content in opened.items()},
        "cards": [
            {"issuer": card.issuer, "kind": card.kind, "last_four": card.last_four, "state": card.state}
            for card in cards
        ],
        "member": member,
        "wallet": MessageToDict(wallet, preserving_proto_field_name=True),
    }
    return json.dumps(told, ensure_ascii=False, indent=2, sort_keys=True).encode()


def _rows(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def pass_message(held: PassRecord, currency_code: str) -> portal_pb2.HeldPass:
    """A pass as its member sees it."""
    return portal_pb2.HeldPass(
        pass_entry_id=held.pass_id,
        issuer=held.issuer,
        pass_code=held.code,
        visits_left=held.visits,
        visits_sold=held.visits_sold,
        principal_minor=held.principal,
        last_day=held.last_day.isoformat() if held.last_day else "",
        currency_code=currency_code,
    )


def debt_message(debt: DebtRecord, currency_code: str) -> portal_pb2.OwnDebt:
    """A debt as its member sees it."""
    return portal_pb2.OwnDebt(
        entry_id=debt.entry_id,
        acquirer=debt.acquirer,
        business_date=debt.business_date.isoformat(),
        owed_minor=debt.owed_minor,
        credit_minor=debt.credit_minor,
        currency_code=currency_code,
    )


def lot_message(lot: LotRecord, currency_code: str) -> portal_pb2.Lot:
    """A lot as its member sees it."""
    return portal_pb2.Lot(
        lot_id=lot.lot_id,
        issuer=lot.issuer,
        face_minor=lot.face,
        principal_minor=lot.principal,
        bonus_minor=lot.face - lot.principal,
        currency_code=currency_code,
        bonus_expiry_date=lot.bonus_expiry.isoformat() if lot.bonus_expiry else "",
    )
