"""Whether a spend needs the member's PIN, and whether the one that came with it will do. Decides; compares nothing."""

from coalition.domain.books import Books, Wallet
from coalition.domain.commands import Hold, Purchase
from coalition.domain.errors import PinChanged, Refused
from coalition.domain.pins import PinEvidence, PinFinding
from coalition.domain.reasons import Reason


def check_pin(command: Purchase | Hold, wallet: Wallet, books: Books) -> None:
    """Let a spend pass that needs no PIN or came with the right one; a PIN that is given is checked in any case.

    Asked before anything is told of the balance. Raises Refused: PIN_REQUIRED, PIN_NOT_SET, PIN_LOCKED, PIN_WRONG with
    the tries that are left. Raises PinChanged where the PIN was compared with what is not this wallet's PIN any more.
    """
    pin = command.pin
    if pin is None:
        return
    held = books.pins.get(wallet.wallet_id)
    if (
        not isinstance(pin, PinEvidence)
        or pin.wallet_id != wallet.wallet_id
        or pin.revision != (0 if held is None else held.revision)
    ):
        raise PinChanged(command.request_id)
    match pin.finding:
        case PinFinding.NOT_SET:
            raise Refused(Reason.PIN_NOT_SET)
        case PinFinding.LOCKED:
            raise Refused(Reason.PIN_LOCKED)
        case PinFinding.WRONG:
            raise Refused(Reason.PIN_WRONG, metadata={"tries_left": str(pin.tries_left)})
