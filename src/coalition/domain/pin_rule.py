"""Whether a spend needs the member's PIN, and whether the one that came with it will do. Decides; compares nothing."""

from coalition.domain.books import Books, Card, Wallet
from coalition.domain.commands import Paying
from coalition.domain.errors import PinChanged, Refused
from coalition.domain.pins import PinEvidence, PinFinding
from coalition.domain.reasons import Reason


def check_pin(command: Paying, card: Card, wallet: Wallet, books: Books, amount: int | None = None) -> None:
    """Let a spend pass that needs no PIN or came with the right one; a PIN that is given is checked in any case.

    Asked before anything is told of the balance; `amount` is what leaves where the command does not say it. Raises
    Refused: PIN_REQUIRED, PIN_NOT_SET, PIN_LOCKED, PIN_WRONG with the tries that are left. Raises PinChanged where the
    PIN was compared with what is not this wallet's PIN any more.
    """
    pin = command.pin
    if pin is None:
        if _needs_pin(card, books, command.amount_minor if amount is None else amount):
            raise Refused(Reason.PIN_REQUIRED)
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


def _needs_pin(card: Card, books: Books, amount: int) -> bool:
    """Above the no-PIN limit of the card rules in force; by phone always, because anybody may know the number."""
    if card.kind == "PHONE":
        return True
    rules = books.programme.card_rules(books.business_date)
    return rules is not None and rules.no_pin_limit_minor is not None and amount > rules.no_pin_limit_minor
