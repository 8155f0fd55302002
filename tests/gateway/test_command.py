"""`coalition gateway` as an operator meets it: refusals before it starts, TLS, certificates of tills."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from coalition.bootstrap.identities import certificate
from coalition.cli import main
from coalition.gateway.errors import GatewayError, ListenerRefused
from coalition.gateway.listener import TlsFiles
from tests.gateway.gateways import MAPPING, GatewayProcess, gateway, gateway_to, plan
from tests.gateway.pos import Pos, said
from tests.gateway.service import Service
from tests.house import House

Funded = Callable[[], str]
CARD = "123456789012345"


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """A command sets up the log of its process: here that is the tests', and its stderr is gone after the test."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    file = tmp_path / "tills.csv"
    file.write_text(MAPPING, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--map", "nowhere.csv", "--as", "ts/cafe/gateway"], "cannot be read"),
        (["--map", "MAPPING", "--as", "op/admin"], "--as is ts/"),
        (["--map", "MAPPING", "--as", "ts/cafe/gateway", "--listen", "here"], "--listen is HOST:PORT"),
        (["--map", "MAPPING", "--as", "ts/cafe/gateway", "--tls-key", "k.pem"], "TLS needs"),
        (
            ["--map", "MAPPING", "--as", "ts/cafe/gateway", "--tls-key", "MAPPING", "--tls-certificate", "MAPPING"],
            "PEM",
        ),
    ],
)
def test_a_wrong_command_line_is_refused_with_the_cure(
    arguments: list[str], sentence: str, mapping: Path, house: House, capsys: pytest.CaptureFixture[str]
):
    said = [str(mapping) if each == "MAPPING" else each for each in arguments]

    assert 2 == main(["gateway", *said, "--var", str(house.settings.var)])
    assert sentence in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_an_address_that_is_taken_is_refused(state: Path, tmp_path: Path):
    with (
        gateway_to(Service, plan("", state)) as address,
        pytest.raises(ListenerRefused, match="choose another --listen"),
        gateway_to(Service, plan("", tmp_path / "other", listen=address)),
    ):
        pass


def test_a_currency_without_a_number_is_refused(state: Path):
    with pytest.raises(GatewayError, match="are not served"), gateway_to(Service, plan("", state, currency_code="XTS")):
        pass


def test_the_process_serves_packed_messages_and_ends_well(house: House, server: str, funded: Funded, tmp_path: Path):
    process = GatewayProcess(house, server, tmp_path)
    try:
        with Pos(process.address) as pos:
            answer = pos.ask(said("0200", card := funded(), 30_000))
    finally:
        code = process.stop()

    assert ("00", 0) == (answer["39"], code)
    assert card not in process.log()


def clients(house: House, path: str) -> ssl.SSLContext:
    """A till that shows the certificate of an identity."""
    files = certificate(house.settings, path)
    context = ssl.create_default_context(cafile=str(files.chain))
    context.load_cert_chain(files.cert, files.key)
    return context


@pytest.fixture
def tls(house: House) -> TlsFiles:
    own = certificate(house.settings, "/server")
    return TlsFiles(own.cert, own.key, own.chain)


def test_with_tls_a_till_is_taken_for_the_terminal_of_its_certificate_only(
    house: House, server: str, funded: Funded, state: Path, tls: TlsFiles
):
    card = funded()
    with gateway(house, plan(server, state, tls=tls)) as address:
        codes = {}
        for path in ("t/cafe/main/till-1", "t/cafe/main/till-2", "ts/cafe/gateway", "t/garage/main/till-1"):
            with Pos(address, clients(house, path)) as pos:
                codes[path] = pos.ask(said("0200", card, 100))["39"]

    assert {
        "t/cafe/main/till-1": "00",
        "t/cafe/main/till-2": "58",
        "ts/cafe/gateway": "00",
        "t/garage/main/till-1": "58",
    } == codes


def test_with_tls_nobody_without_a_certificate_is_served(house: House, state: Path, tls: TlsFiles):
    stranger = ssl.create_default_context(cafile=str(certificate(house.settings, "/server").chain))
    service = Service()
    with gateway_to(lambda: service, plan("", state, tls=tls)) as address:
        with pytest.raises(OSError), Pos(address, stranger) as pos:
            pos.ask(said("0200", CARD, 100))
        with Pos(address) as plain:
            plain.send(said("0200", CARD, 100))
            assert b"" == plain.socket.recv(4096) or plain.is_closed()

    assert [] == service.received
