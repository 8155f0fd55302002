"""A member's wallet as a message; its lines are converted where terminals' are."""

from coalition.domain.wallet_records import LotRecord, WalletRecord
from coalition.server.convert import timestamp_of
from coalition.v1 import portal_pb2


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
        lots=[_lot(lot, currency_code) for lot in wallet.lots],
        read_time=timestamp_of(wallet.read_time),
    )


def _lot(lot: LotRecord, currency_code: str) -> portal_pb2.Lot:
    return portal_pb2.Lot(
        lot_id=lot.lot_id,
        issuer=lot.issuer,
        face_minor=lot.face,
        principal_minor=lot.principal,
        bonus_minor=lot.face - lot.principal,
        currency_code=currency_code,
        bonus_expiry_date=lot.bonus_expiry.isoformat() if lot.bonus_expiry else "",
    )
