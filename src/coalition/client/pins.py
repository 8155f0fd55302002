"""A terminal's PIN pad: seals what the member typed for one request, to the key that the service tells.

Imports no cryptography: whoever makes the terminal hands in how to seal. Keeps no PIN, open or sealed; a request that
carries one is in memory only.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from coalition.client.errors import FieldRefused
from coalition.v1.terminal_pb2 import GetPinKeyRequest, GetPinKeyResponse

PinSealer: TypeAlias = Callable[[bytes, str, str, str], bytes]
"""Seals a PIN: (public key of 32 bytes, PIN, request_id, place) to bytes. See docs/pins.md."""
UNREADABLE: Final = "PIN_UNREADABLE"
DIGITS: Final = 6


class PinPad:
    """`ask` sends GetPinKey; `place` is where a till server seals for, None where the service knows it."""

    def __init__(self, sealer: PinSealer | None, ask: Callable[[str, Any], Awaitable[Any]], place: str | None) -> None:
        self._sealer = sealer
        self._ask = ask
        self._place = place
        self._key: GetPinKeyResponse | None = None

    async def ready(self, pin: str, *, anew: bool = False) -> None:
        """Have the key before there is a request; fetched once, or `anew` where it was another one.

        Raises FieldRefused, Declined, and whatever else asking raises.
        """
        if self._sealer is None:
            raise FieldRefused("pin", "make the terminal with a pin_sealer")
        if len(pin) != DIGITS or not (pin.isascii() and pin.isdigit()):
            raise FieldRefused("pin", f"write {DIGITS} digits")
        if self._key is None or anew:
            self._key = await self._ask("GetPinKey", GetPinKeyRequest())

    def seal(self, request: Any, pin: str) -> None:
        """Put the PIN into the request, whose id is known by now."""
        if self._sealer is None or self._key is None:
            raise FieldRefused("pin", "make the terminal with a pin_sealer")
        place = self._place or self._key.place
        request.sealed_pin = self._sealer(self._key.public_key, pin, request.request_id, place)
