"""100,000 mutated ISO 8583 messages: no crash, nothing malformed reaches the service, no card number stays behind."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from coalition.gateway.fields import SPECS
from tests.gateway import fuzz
from tests.gateway.gateways import bytes_of, gateway_to, plan
from tests.gateway.service import Service

FRAMES = 100_000
pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("encoding", sorted(SPECS))
def test_a_hundred_thousand_mutated_messages_break_nothing(encoding: str, tmp_path: Path):
    service = Service()
    with capture_logs() as lines, gateway_to(lambda: service, plan("", tmp_path, encoding=encoding)) as address:
        heard = fuzz.attack(address, FRAMES, 20_261_122, SPECS[encoding])

    assert [] == [line for line in lines if "broke" in line["event"]]
    assert 0 == heard.silent
    assert heard.answers > FRAMES / 20
    assert not [secret for secret in fuzz.SECRETS if secret.encode() in bytes_of(tmp_path)]
