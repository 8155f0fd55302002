"""What a demo stands on: the environment of its servers, and everybody's way into them, each with a certificate."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date
from pathlib import Path
from typing import Final, Self
from zoneinfo import ZoneInfo

from coalition.client import ClientCertificate, Connection
from coalition.replay.founding import Enrolled
from coalition.replay.headquarters import OFFICES, OPERATOR, Headquarters
from coalition.replay.tills import Tills, till_opener
from coalition.replay.trade import Trade
from coalition.v1 import settlement_pb2

AUDITOR: Final = "/aud/second-hand"
READY_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Premises:
    """What the caller puts at the demo's disposal: the server's environment, and where an identity's certificate is."""

    environment: Mapping[str, str] = field(repr=False)
    certificates: Callable[[str], Path]


Furnish = Callable[[Mapping[str, str]], Premises]


class House:
    """Everybody's way into the two servers: operator, auditor, tills, headquarters."""

    def __init__(self, trade: Trade, premises: Premises, addresses: Sequence[str]) -> None:
        self.environment = premises.environment
        self._zone = ZoneInfo(trade.zone)
        self._address, self._settlement_address = addresses
        self.till_servers = {merchant.code: merchant.till_server for merchant in trade.merchants}
        # Issued before the first worker asks: the development authority is a directory, not a service.
        who = [OPERATOR, AUDITOR, *OFFICES, *sorted(set(self.till_servers.values()))]
        self._identities = {
            identity: ClientCertificate.load_folder(premises.certificates(identity)) for identity in who
        }
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.operator = self._stack.enter_context(Connection(self._address, self._identities[OPERATOR]))
        self.auditor = self._stack.enter_context(Connection(self._address, self._identities[AUDITOR]))
        self.operator.wait_until_ready(READY_SECONDS)
        self.headquarters = self._stack.enter_context(
            Headquarters(self._settlement_address, self._identities.__getitem__, self._business_date)
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def tills(self, trade: Trade, enrolled: Enrolled) -> Tills:
        """The till servers of all merchants."""
        opener = till_opener(self._address, self._identities.__getitem__)
        return Tills(opener, self.till_servers, enrolled.cards, trade.currency_code, may_be_capped=bool(trade.capped))

    def _business_date(self, window: settlement_pb2.Window) -> date:
        return window.close_time.ToDatetime(tzinfo=UTC).astimezone(self._zone).date()
