"""Certificates that were revoked: known within a second, refused at the next call, on open connections too.

A caller's certificate is looked at only where its identity has a revoked one (reading it costs 5 us, its names 0.4 us).
Reads no file and checks no signature: the list arrives verified.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog

from coalition.domain.errors import CoalitionError, Refused
from coalition.domain.reasons import Reason
from coalition.server.identity import REMEMBERED_MAX

WATCH_SECONDS: Final = 0.5
CERTIFICATE_PROPERTY: Final = "x509_pem_cert"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RevokedCertificates:
    """Serial numbers, and the URI names of those certificates.

    `anybody`: of some the name is not known, so that everybody's certificate is looked at.
    """

    serials: frozenset[int] = frozenset()
    names: frozenset[bytes] = frozenset()
    anybody: bool = False


class Revocations:
    """`load` answers the list, or None while it is as it was; it may block and raise CoalitionError.

    `serial_of` reads a PEM certificate's serial number and raises ValueError for what is none.
    """

    def __init__(self, load: Callable[[], RevokedCertificates | None], serial_of: Callable[[bytes], int]) -> None:
        self._load = load
        self._serial_of = serial_of
        self._serials: dict[bytes, int] = {}
        self._trouble = ""
        self._current = load() or RevokedCertificates()

    @property
    def current(self) -> RevokedCertificates:
        return self._current

    def check(self, name: bytes, context: Any) -> None:
        """Raise Refused(CERTIFICATE_REVOKED) if the caller's certificate was. `name` is the certificate's URI name."""
        current = self._current
        if (name in current.names or current.anybody) and self._serial(context) in current.serials:
            raise Refused(Reason.CERTIFICATE_REVOKED)

    def refresh(self) -> None:
        """Take a list that has changed; one that cannot be used is told, and the one before stays. Blocks."""
        try:
            found = self._load()
        except CoalitionError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                log.error("revocations_not_read", cause=self._trouble)  # noqa: TRY400  the sentence says all there is
            return
        self._trouble = ""
        if found is not None:
            self._current = found
            log.info("revocations_read", revoked=len(found.serials))

    def run(self, stop: threading.Event) -> None:
        """Refresh twice a second until `stop`; the body of a thread."""
        while not stop.wait(WATCH_SECONDS):
            self.refresh()

    def _serial(self, context: Any) -> int | None:
        """The serial number of the certificate at the other end of this connection; None can only be a bad one."""
        pem = context.auth_context().get(CERTIFICATE_PROPERTY, (b"",))[0]
        serial = self._serials.get(pem)
        if serial is None:
            if len(self._serials) >= REMEMBERED_MAX:
                self._serials.clear()
            try:
                serial = self._serials[pem] = self._serial_of(pem)
            except ValueError:
                raise Refused(Reason.IDENTITY_MALFORMED) from None
        return serial
