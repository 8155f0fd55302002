"""The server as a process: it drains on SIGTERM and loses nothing, shares a ledger, refuses bad settings."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from coalition.config import SettingInvalid, environment_of, load_settings
from coalition.v1.terminal_pb2_grpc import TerminalServiceStub
from tests.house import House, refusal_of
from tests.server.messages import CAFE_TILL, STORE_TILL, purchase, top_up

pytestmark = pytest.mark.xdist_group("serial")

SERVE = """
import sys
from coalition.bootstrap.serving import serve
from coalition.config import load_settings
sys.exit(serve(load_settings(), with_settlement=False))
"""
TOLD_WHILE_WAITING = """
import os, signal, sys
from coalition.bootstrap.signals import stop_on_signals
stop = stop_on_signals()
with stop._cond:  # as stop.wait() does at its beginning and at its end, twice a second
    os.kill(os.getpid(), getattr(signal, sys.argv[1]))
sys.exit(0 if stop.wait(20) else 1)
"""
START_SECONDS = 30.0


@contextmanager
def process(house: House, var: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`coalition serve` on this house's databases as servers of our own, and its address."""
    settings = load_settings(
        var=var,
        listen="127.0.0.1:0",
        lane_count=house.settings.lane_count,
        database_url=house.dsn(),
        keydb_url=house.keydb_dsn(),
        keys=house.settings.keys_directory,
        certificates=house.settings.certificates_directory,
    )
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE], env=environment_of(settings), text=True, stdout=subprocess.PIPE
    )
    try:
        file = var / "server.json"
        deadline = time.monotonic() + START_SECONDS
        while not file.exists():
            assert server.poll() is None, "the server ended while starting"
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.05)
        yield server, json.loads(file.read_text())["address"]
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
        server.wait(30)
        assert server.stdout is not None
        server.stdout.close()


def test_a_drained_server_has_answered_all_it_took(house: House, tmp_path: Path):
    """Eight tills pay until they are told to stop; what was acknowledged is in the journal, and nothing else is."""
    card = house.new_card()
    acknowledged: list[int] = []
    reasons: set[str] = set()
    with process(house, tmp_path) as (server, address):
        credentials = house.certificate(CAFE_TILL).credentials()
        with grpc.secure_channel(address, house.certificate(STORE_TILL).credentials()) as channel:
            TerminalServiceStub(channel).TopUp(top_up(card))
        before = house.entry_count()

        def pay() -> None:
            with grpc.secure_channel(address, credentials) as channel:
                stub = TerminalServiceStub(channel)
                while True:
                    try:
                        acknowledged.append(stub.Purchase(purchase(card, 1), timeout=10).receipt.entry_id)
                    except grpc.RpcError as error:
                        failed: Any = error
                        reasons.add(failed.code().name)
                        return

        threads = [threading.Thread(target=pay) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(1.0)
        server.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(30)
        code = server.wait(30)

    assert 0 == code
    assert reasons <= {"UNAVAILABLE", "CANCELLED"}
    stored = {row[0] for row in house.query("SELECT entry_id FROM entries WHERE kind = 2 AND reason = 0")}
    assert len(acknowledged) > 8
    assert set(acknowledged) <= stored
    assert len(acknowledged) == len(set(acknowledged)) == house.entry_count() - before


def test_two_server_processes_share_one_ledger_and_the_last_yuan_is_spent_once(house: House, tmp_path: Path):
    """64 tills at two processes want the same hundred fen: one gets them."""
    card = house.new_card()
    outcomes: list[str] = []
    gate = threading.Barrier(64)
    with process(house, tmp_path / "a") as (_, one), process(house, tmp_path / "b") as (_, other):
        with grpc.secure_channel(one, house.certificate(STORE_TILL).credentials()) as channel:
            TerminalServiceStub(channel).TopUp(top_up(card, 1_000))
        credentials = house.certificate(CAFE_TILL).credentials()
        channels = [grpc.secure_channel(address, credentials) for address in (one, other)]

        def spend(place: int) -> None:
            stub = TerminalServiceStub(channels[place % 2])
            gate.wait()
            try:
                stub.Purchase(purchase(card, 1_000), timeout=30)
                outcomes.append("ACCEPTED")
            except grpc.RpcError as error:
                outcomes.append(refusal_of(error).reason)

        threads = [threading.Thread(target=spend, args=(place,)) for place in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for each in channels:
            each.close()

    assert ["ACCEPTED", *["INSUFFICIENT_FUNDS"] * 63] == sorted(outcomes)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("listen", "7443"),
        ("desk_workers", "0"),
        ("desk_batch_max", "0"),
        ("desk_batch_max", "many"),
        ("zone", "Mars/Olympus"),
        ("currency", "yuan"),
        ("trust_domain", "Not A Domain"),
    ],
)
def test_a_bad_setting_is_named_before_anything_starts(setting: str, value: str):
    with pytest.raises(SettingInvalid, match=f"setting {setting} .COALITION_{setting.upper()}."):
        load_settings(**{setting: value})


def test_a_database_url_with_a_password_is_not_told(monkeypatch):
    """Settings end up in error texts and debuggers."""
    settings = load_settings(database_url="postgresql://app:hunter2@db/coalition")

    assert "hunter2" not in repr(settings)


def test_settings_are_taken_from_command_environment_file_in_this_order(tmp_path: Path, monkeypatch):
    (tmp_path / "coalition.toml").write_text('listen = "127.0.0.1:1"\ncurrency = "EUR"\nzone = "Europe/Berlin"\n')
    monkeypatch.setenv("COALITION_LISTEN", "127.0.0.1:2")
    monkeypatch.setenv("COALITION_CURRENCY", "USD")
    monkeypatch.setenv("COALITION_VAR", str(tmp_path))

    settings = load_settings(listen="127.0.0.1:3")

    assert ("127.0.0.1:3", "USD", "Europe/Berlin") == (settings.listen, settings.currency, settings.zone)
    assert os.fspath(tmp_path) == environment_of(settings)["COALITION_VAR"]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_is_heard_at_whatever_step_the_main_thread_is(name: str):
    """A server that was told to end in that moment waited for itself, and for ever."""
    assert 0 == subprocess.run([sys.executable, "-c", TOLD_WHILE_WAITING, name], check=False, timeout=60).returncode
