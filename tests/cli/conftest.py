"""The command line in this process, against a real server over mutual TLS on the module's house."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import structlog

from coalition.cli import main
from tests.house import House


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def address(house: House) -> Iterator[str]:
    # The server runs in this process: its log must not be taken for what a command says.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with house.server() as (_, address):
        yield address
    structlog.reset_defaults()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command without a house; `typed` is its standard input."""

    def run(*arguments: str, typed: str = "") -> Ran:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        code = main(arguments)
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run


@pytest.fixture
def coalition(run: Run, house: House, address: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in the house."""
    monkeypatch.setenv("COALITION_VAR", str(house.settings.var))
    monkeypatch.setenv("COALITION_LISTEN", address)
    return run
