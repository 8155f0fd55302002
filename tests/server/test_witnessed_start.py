"""The whole process: a server signs its log, has it witnessed, and does not start on an old copy of its database."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coalition.audit.note import KeyKind
from coalition.bootstrap.following import audit_tree_follower
from coalition.storage.connect import connect
from coalition.witness.memory import Memory
from coalition.witness.service import Witness, WitnessServer
from keys import verify
from tests.audit.conftest import signer
from tests.audit_day import signer_of
from tests.house import House

pytestmark = pytest.mark.xdist_group("serial")

W = signer("w.example", KeyKind.COSIGNATURE)
PATIENCE_SECONDS = 60


@contextmanager
def serving(house: House, **said: str) -> Iterator["subprocess.Popen[str]"]:
    """`coalition serve --attach` on the house, as production runs it."""
    environment = {
        **os.environ,
        "COALITION_VAR": str(house.settings.var),
        "COALITION_LISTEN": "127.0.0.1:0",
        "COALITION_DATABASE_URL": house.dsn(),
        "COALITION_KEYDB_URL": house.keydb_dsn(),
        "COALITION_LANE_COUNT": str(house.settings.lane_count),
        "COALITION_DESK_WORKERS": "1",
        **said,
    }
    command = (sys.executable, "-m", "coalition", "serve", "--attach", "--no-settlement")
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_SECONDS)


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, "this should have come true"
        time.sleep(0.1)


def test_a_server_is_witnessed_and_does_not_start_on_an_old_copy(house: House, tmp_path: Path) -> None:
    key = signer_of(house).key
    house.certificate("server")
    memory = Memory(tmp_path / "memory")
    server = WitnessServer(Witness(W.key, W.sign, verify, {key.name: [key]}, memory, lambda: 1), "127.0.0.1", 0)
    server.open()
    policy = tmp_path / "policy"
    policy.write_text(f"witness w {W.key} http://{server.address}\nquorum w\n")
    said = {"COALITION_WITNESS_POLICY": str(policy)}
    file = house.settings.var / "audit" / "witnessed"
    house.new_card()
    audit_tree_follower(house.dsn(), signer_of(house)).catch_up()

    with serving(house, **said):
        eventually(file.exists)
    assert [("w",)] == house.query("SELECT DISTINCT witness FROM cosignatures")
    with connect(house.dsn("owner")) as connection:
        connection.execute("DELETE FROM cosignatures")
        connection.execute("DELETE FROM checkpoints")
        connection.execute("UPDATE audit_tiles SET hashes = substr(hashes, 1, octet_length(hashes) - 32)")
    with serving(house, **said) as process:
        assert 2 == process.wait(PATIENCE_SECONDS)
        assert process.stdout is not None
        text = process.stdout.read()
        assert "this database is an old copy" in text
    file.unlink()
    with connect(house.dsn("owner")) as connection:
        connection.execute("DELETE FROM audit_tiles")
        connection.execute("DELETE FROM followers WHERE name = 'audit_tree'")
    audit_tree_follower(house.dsn(), signer_of(house)).catch_up()
    with serving(house, **said):  # the same journal, tiles made again: nothing was lost, and it says so itself
        eventually(file.exists)
    server.close()


def test_a_witness_policy_that_cannot_be_read_is_refused_at_the_start(house: House, tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    policy.write_text("witness w nonsense\n")
    house.certificate("server")

    with serving(house, COALITION_WITNESS_POLICY=str(policy)) as process:
        assert 2 == process.wait(PATIENCE_SECONDS)
        assert process.stdout is not None
        assert "line 1: a verifier key is written name+id+key" in process.stdout.read()


def test_the_command_runs_a_witness_that_cosigns(tmp_path: Path) -> None:
    """`coalition witness`: it says its address and key, and remembers between two starts."""
    from coalition.audit.checkpoint import Checkpoint
    from coalition.audit.note import NoteKey, SignedNote, parse_signatures, sign_note
    from coalition.audit.witnessing import AddCheckpoint
    from coalition.followers.witnesses import post_http

    log = signer("coalition.example/log")
    policy = tmp_path / "logs.policy"
    policy.write_text(f"log {log.key}\nquorum none\n")
    command = [sys.executable, "-m", "coalition", "witness", "--name", "w.example", "--policy", str(policy),
               "--directory", str(tmp_path / "witness"), "--listen", "127.0.0.1:0"]  # fmt: skip
    note = sign_note(Checkpoint(log.key.name, 1, bytes(32)).to_text(), log.key, log.sign)
    statuses = []
    for old_size in (0, 1, 0):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
        assert process.stdout is not None
        address = process.stdout.readline().split(" at ")[1].strip()
        key = NoteKey.parse(process.stdout.readline().split(": ")[1].strip())
        status, body = post_http(address, AddCheckpoint(old_size, (), note).to_bytes())
        statuses.append(status)
        if status == 200:
            assert [key] == SignedNote(note.text, parse_signatures(body.decode())).signers([key], verify)
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(20)

    assert [200, 200, 409] == statuses
