"""Witnesses of the log: real ones at HTTP addresses; what they saw decides whether this house may go on writing."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coalition.audit.checkpoint import Checkpoint, open_checkpoint
from coalition.audit.merkle import leaf_hash, root_hash
from coalition.audit.note import KeyKind, SignedNote, sign_note
from coalition.audit.policy import Policy
from coalition.audit.witnessing import AddCheckpoint
from coalition.followers.witnesses import LogForked, Witnesses, post_http
from coalition.storage.connect import connect
from coalition.witness.memory import Memory, MemoryBroken
from coalition.witness.service import Witness, WitnessServer
from keys import verify
from tests.audit.conftest import Signer, signer
from tests.followers.test_audit_tree import LOG, fill, follower, tampered
from tests.house import House, new_house
from tests.postgres import SharedPostgres

pytestmark = pytest.mark.xdist_group("serial")

W1, W2 = (signer(name, KeyKind.COSIGNATURE) for name in ("w1.example", "w2.example"))


def witness(key: Signer, directory: Path) -> Witness:
    logs = {LOG.key.name: [LOG.key]}
    return Witness(key.key, key.sign, verify, logs, Memory(directory), lambda: 1_700_000_000)


@pytest.fixture
def house(postgres: SharedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with new_house(postgres, tmp_path_factory.mktemp("var")) as house:
        yield house


class Town:
    """Two witnesses that run, a policy that names both, and the house's side of it."""

    def __init__(self, house: House, directory: Path, closing: ExitStack) -> None:
        self.house, self.directory = house, directory
        self.servers: dict[str, WitnessServer] = {}
        for name, key in (("w1", W1), ("w2", W2)):
            self.servers[name] = server = WitnessServer(witness(key, directory / name), "127.0.0.1", 0)
            server.open()
            closing.callback(server.close)

    def witnesses(self, quorum: str = "all") -> Witnesses:
        lines = [
            f"witness {name} {key.key} http://{self.servers[name].address}" for name, key in (("w1", W1), ("w2", W2))
        ]
        policy = Policy.parse("\n".join([*lines, f"group both {quorum} w1 w2", "quorum both"]))
        opening = lambda: connect(self.house.dsn())  # noqa: E731
        return Witnesses(opening, policy, LOG.key, verify, self.directory / "witnessed", lambda: datetime.now(UTC))

    def round(self) -> None:
        with connect(self.house.dsn()) as connection:
            self.witnesses().round(connection)


@pytest.fixture
def town(house: House, tmp_path: Path) -> Iterator[Town]:
    with ExitStack() as closing:
        yield Town(house, tmp_path, closing)


def test_checkpoints_are_cosigned_as_the_log_grows_and_the_last_is_kept_beside_the_database(town: Town) -> None:
    newest = None
    for _ in range(3):
        fill(town.house, 70)
        newest = follower(town.house).catch_up()
        town.round()

    assert newest is not None
    kept = SignedNote.parse((town.directory / "witnessed").read_bytes())
    assert newest.size == open_checkpoint(kept, LOG.key, verify).size
    assert [W1.key, W2.key] == kept.signers([W1.key, W2.key], verify)
    assert 6 == town.house.query("SELECT count(*) FROM cosignatures")[0][0]
    assert newest.size == open_checkpoint(SignedNote.parse(newest.note.encode()), LOG.key, verify).size
    town.witnesses().check()


def test_a_lost_answer_is_asked_for_again(town: Town) -> None:
    """The witness remembers, we do not: it tells its size, and cosigns the same checkpoint once more."""
    fill(town.house, 5)
    follower(town.house).catch_up()
    town.round()
    tampered(town.house, "DELETE FROM cosignatures")
    town.round()

    assert 2 == town.house.query("SELECT count(*) FROM cosignatures")[0][0]


def test_an_old_copy_of_the_database_is_not_written_to(town: Town) -> None:
    """The file beside it, or without that the witnesses themselves, have seen more than is there."""
    fill(town.house, 30)
    follower(town.house).catch_up()
    old_tiles = town.house.query("SELECT level, number, hashes, first_entry_id FROM audit_tiles")
    old_size = town.house.query("SELECT max(size) FROM checkpoints")[0][0]
    fill(town.house, 30)
    follower(town.house).catch_up()
    town.round()
    with connect(town.house.dsn("owner")) as connection:  # what a restored backup would hold
        connection.execute("DELETE FROM cosignatures")
        connection.execute("DELETE FROM checkpoints WHERE size > %s", (old_size,))
        for row in old_tiles:
            connection.execute(
                "UPDATE audit_tiles SET hashes = %s WHERE level = %s AND number = %s", (row[2], row[0], row[1])
            )

    with pytest.raises(LogForked, match="this database is an old copy"):
        town.witnesses().check()
    (town.directory / "witnessed").unlink()
    with pytest.raises(LogForked, match=r"witness w1 has seen \d+ entries of this log"):
        town.witnesses().check()


def test_a_tree_that_was_changed_below_a_witnessed_checkpoint_is_not_written_to(town: Town) -> None:
    fill(town.house, 30)
    follower(town.house).catch_up()
    town.round()
    tampered(town.house, "UPDATE audit_tiles SET hashes = decode(repeat('11', 32), 'hex') || substr(hashes, 33)")

    with pytest.raises(LogForked, match="has another root for the first"):
        town.witnesses().check()


def test_a_fork_that_grew_from_an_old_copy_is_objected_to(town: Town) -> None:
    """Re-signed and all: the witnesses saw other leaves, and no file is needed for it."""
    fill(town.house, 30)
    first = follower(town.house).catch_up()
    town.round()
    (town.directory / "witnessed").unlink()
    tampered(town.house, "UPDATE entries SET leaf = decode(repeat('22', 32), 'hex') WHERE amount_minor = 3")
    for statement in ("DELETE FROM cosignatures", "DELETE FROM checkpoints", "DELETE FROM audit_tiles",
                      "DELETE FROM followers WHERE name = 'audit_tree'"):  # fmt: skip
        tampered(town.house, statement)
    forked = follower(town.house).catch_up()

    assert first is not None
    assert forked is not None
    assert first.size == forked.size
    with pytest.raises(LogForked, match="has seen another root"):
        town.witnesses().check()
    fill(town.house, 3)
    follower(town.house).catch_up()
    with pytest.raises(LogForked, match="has seen a log that this one does not contain"):
        town.witnesses().check()


def test_one_witness_alone_does_not_stop_a_house_whose_policy_needs_it_not(town: Town) -> None:
    """Its word is not signed; a lying witness must not be able to keep a coalition shut."""
    fill(town.house, 3)
    follower(town.house).catch_up()
    liar = sign_note(Checkpoint(LOG.key.name, 10**6, leaf_hash(b"")).to_text(), LOG.key, LOG.sign)
    Memory(town.directory / "w1").remember(LOG.key.name, liar)

    town.witnesses(quorum="any").check()
    with pytest.raises(LogForked, match="witness w1"):
        town.witnesses(quorum="all").check()


def test_a_silent_witness_is_not_waited_for(town: Town) -> None:
    fill(town.house, 3)
    follower(town.house).catch_up()
    town.servers["w2"].close()
    town.witnesses(quorum="any").check()

    assert [("w1",)] == town.house.query("SELECT witness FROM cosignatures")
    town.servers["w2"] = WitnessServer(witness(W2, town.directory / "w2"), "127.0.0.1", 0)
    town.servers["w2"].open()
    town.round()
    assert 2 == town.house.query("SELECT count(*) FROM cosignatures")[0][0]


def test_a_kept_note_that_was_damaged_is_not_taken_for_none(town: Town) -> None:
    (town.directory / "witnessed").write_text("nothing\n")

    with pytest.raises(LogForked, match="should hold the last witnessed checkpoint"):
        town.witnesses().check()


def leaf_list(count: int) -> list[bytes]:
    return [leaf_hash(bytes([number])) for number in range(count)]


def request(size: int, root: bytes, old_size: int = 0, proof: tuple[bytes, ...] = ()) -> bytes:
    note = sign_note(Checkpoint(LOG.key.name, size, root).to_text(), LOG.key, LOG.sign)
    return AddCheckpoint(old_size, proof, note).to_bytes()


def test_a_race_is_won_by_one_and_the_witness_never_goes_back(tmp_path: Path) -> None:
    """Sixteen forks of one size at once: the witness cosigns one of them, and that is what it remembers."""
    watching = witness(W1, tmp_path)
    server = WitnessServer(watching, "127.0.0.1", 0)
    server.open()
    answers: list[tuple[int, bytes]] = []

    def ask(number: int) -> None:
        answers.append(post_http(f"http://{server.address}/add-checkpoint", request(5, leaf_hash(bytes([number])))))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.close()

    assert [200] + [409] * 15 == sorted(status for status, _ in answers)
    assert {b"5\n"} == {body for status, body in answers if status == 409}
    remembered = Memory(tmp_path).recall(LOG.key.name)
    assert remembered is not None
    assert [W1.key] == remembered.signers([W1.key], verify)
    again = witness(W1, tmp_path)
    assert again.add_checkpoint(request(5, Checkpoint.parse(remembered.text).root, 5)) in remembered.signatures


def test_the_http_statuses_and_types_are_those_of_the_specification(tmp_path: Path) -> None:
    server = WitnessServer(witness(W1, tmp_path), "127.0.0.1", 0)
    server.open()
    connection = http.client.HTTPConnection(server.address, timeout=10)

    def ask(path: str, body: bytes, method: str = "POST") -> tuple[int, str | None, bytes]:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type"), response.read()

    leaves = leaf_list(3)
    assert (200, "text/plain; charset=utf-8") == ask("/add-checkpoint", request(3, root_hash(leaves)))[:2]
    assert (409, "text/x.tlog.size", b"3\n") == ask("/add-checkpoint", request(2, root_hash(leaves[:2])))
    assert 400 == ask("/add-checkpoint", b"rubbish")[0]
    assert 422 == ask("/add-checkpoint", request(4, leaves[0], 3, (leaves[1],)))[0]
    assert 404 == ask("/elsewhere", b"")[0]
    stranger = signer("stranger.example")
    foreign = sign_note(Checkpoint("stranger.example", 1, leaves[0]).to_text(), stranger.key, stranger.sign)
    assert 404 == ask("/add-checkpoint", AddCheckpoint(0, (), foreign).to_bytes())[0]
    assert [] == [file.name for file in tmp_path.iterdir() if not file.name.startswith(tuple("0123456789abcdef"))]
    assert 2 == len(list(tmp_path.iterdir())), "a stranger's log leaves no file behind"
    assert 501 == ask("/add-checkpoint", b"", "GET")[0]
    assert 413 == ask("/add-checkpoint", b"x" * 70_000)[0]
    connection.close()
    server.close()


def test_a_memory_that_cannot_be_read_is_not_begun_anew(tmp_path: Path) -> None:
    watching = witness(W1, tmp_path)
    watching.add_checkpoint(request(3, root_hash(leaf_list(3))))
    (file,) = tmp_path.glob("*.note")
    file.write_bytes(b"")

    with pytest.raises(MemoryBroken, match="would make this witness cosign a fork"):
        watching.add_checkpoint(request(2, root_hash(leaf_list(2))))
