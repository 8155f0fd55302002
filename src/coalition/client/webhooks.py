"""Events handed on to somebody's HTTP door, signed as Standard Webhooks asks (standardwebhooks.com, 1.0.0).

One after the other, in the order they are told: an event is handed on again until it is taken, and the next one waits.
Runs at whoever is told the events, so the house itself calls nobody. The library of that name brings an HTTP client and
a validator for a signature of ten lines; receivers use it, in their own language.
"""

import base64
import binascii
import hashlib
import hmac
import http.client
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the beginning of every secret is none
SECRET_BYTES_MIN: Final = 24  # of the specification, to 64
SECRET_BYTES_MAX: Final = 64
TIMEOUT_SECONDS: Final = 15.0  # the specification: 15 to 30
TAKEN: Final = range(200, 300)
PAUSES: Final = (1.0, 5.0, 30.0, 120.0, 300.0)
"""Seconds before each next attempt; the last one again and again, for who waits for ever."""


class SecretMalformed(ValueError):
    """Not "whsec_" and base64 of 24 to 64 bytes. Never repeats it."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where events are handed on to, and what signs them."""

    url: str
    key: bytes

    def headers(self, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """What proves to the receiver who says this, when and what."""
        signed = f"{event_id}.{timestamp}.".encode() + body
        signature = base64.b64encode(hmac.digest(self.key, signed, hashlib.sha256)).decode()
        return {
            "content-type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": f"v1,{signature}",
        }


Post = Callable[[str, bytes, dict[str, str]], int]
"""(URL, body, headers) to the status answered. Raises OSError, http.client.HTTPException."""


def read_key(secret: str) -> bytes:
    """The key in a secret as receivers are given it. Raises SecretMalformed."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise SecretMalformed(
            f"a secret is {SECRET_PREFIX} and base64 of {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes"
        )
    return key


def hand_on(
    door: Door,
    event_id: str,
    body: bytes,
    *,
    attempts_max: int | None,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    post: Post,
    failed: Callable[[str], None],
) -> bool:
    """Whether it was taken, within `attempts_max` (None: as often as it needs). `failed` hears why each one was not."""
    attempt = 0
    while True:
        try:
            status = post(door.url, body, door.headers(event_id, int(clock()), body))
            if status in TAKEN:
                return True
            failed(f"answered {status}")
        except (OSError, http.client.HTTPException) as error:
            failed(type(error).__name__)
        attempt += 1
        if attempt == attempts_max:
            return False
        sleep(PAUSES[min(attempt, len(PAUSES)) - 1])


def posted(url: str, body: bytes, headers: dict[str, str]) -> int:
    """Send it to an http or https URL, whose certificate is checked; the status. Redirects are not followed."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()
