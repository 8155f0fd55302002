"""What a witness cosigns, by the clauses of C2SP tlog-witness: one checkpoint a log is remembered, and only grows."""

from dataclasses import replace

import pytest

from coalition.audit.checkpoint import Checkpoint
from coalition.audit.merkle import leaf_hash, root_hash
from coalition.audit.note import NoteKey, SignedNote, sign_note
from coalition.audit.proofs import consistency_proof
from coalition.audit.witnessing import AddCheckpoint, WitnessRefused, judge
from keys import verify
from tests.audit.conftest import signer

LOG, OTHER = signer("coalition.example/log"), signer("coalition.example/other")
LEAVES = [leaf_hash(bytes([number])) for number in range(40)]
KNOWN: dict[str, list[NoteKey]] = {LOG.key.name: [OTHER.key, LOG.key]}


def nodes(level: int, index: int) -> bytes:
    return root_hash(LEAVES[index << level : (index + 1) << level])


def checkpoint(size: int, leaves: list[bytes] = LEAVES) -> Checkpoint:
    return Checkpoint(LOG.key.name, size, root_hash(leaves[:size]))


def request(old_size: int, size: int, **change: object) -> AddCheckpoint:
    note = sign_note(checkpoint(size).to_text(), LOG.key, LOG.sign)
    made = {"old_size": old_size, "proof": tuple(consistency_proof(old_size, size, nodes)), "note": note, **change}
    return AddCheckpoint(**made)  # type: ignore[arg-type]


def status(asked: AddCheckpoint, remembered: Checkpoint | None) -> tuple[int, int | None]:
    with pytest.raises(WitnessRefused) as caught:
        judge(asked, remembered, KNOWN, verify)
    return caught.value.status, caught.value.size


def test_a_log_that_has_only_grown_is_cosigned() -> None:
    assert checkpoint(7) == judge(request(0, 7), None, KNOWN, verify)
    assert checkpoint(30) == judge(request(7, 30), checkpoint(7), KNOWN, verify)
    assert checkpoint(30) == judge(request(30, 30), checkpoint(30), KNOWN, verify)


def test_the_remembered_size_is_told_to_whoever_believes_another() -> None:
    assert (409, 7) == status(request(0, 30), checkpoint(7))
    assert (409, 7) == status(request(6, 30), checkpoint(7))
    assert (409, 0) == status(request(7, 30), None)
    assert (409, 30) == status(request(7, 30), checkpoint(30))


def test_a_smaller_tree_is_never_cosigned_again() -> None:
    assert (400, None) == status(replace(request(5, 5), old_size=30), checkpoint(30))
    assert (409, 30) == status(request(5, 5), checkpoint(30))


def test_two_roots_of_one_size_are_a_conflict() -> None:
    forked = Checkpoint(LOG.key.name, 7, root_hash(LEAVES[1:8]))

    assert (409, 7) == status(request(7, 7), forked)


def test_a_proof_that_does_not_hold_is_unprocessable() -> None:
    asked = request(7, 30)
    forked = Checkpoint(LOG.key.name, 7, root_hash(LEAVES[1:8]))

    assert (422, None) == status(request(7, 30, proof=asked.proof[1:]), checkpoint(7))
    assert (422, None) == status(request(7, 30, proof=asked.proof[::-1]), checkpoint(7))
    assert (422, None) == status(request(7, 30, proof=()), checkpoint(7))
    assert (422, None) == status(request(0, 30, proof=asked.proof), None)
    assert (422, None) == status(asked, forked)


def test_an_unknown_log_is_not_found_and_an_unsigned_one_forbidden() -> None:
    stranger = signer("stranger.example")
    foreign = sign_note(Checkpoint("stranger.example", 7, LEAVES[0]).to_text(), stranger.key, stranger.sign)
    forged = SignedNote(request(0, 8).note.text, request(0, 7).note.signatures)

    assert (404, None) == status(request(0, 7, note=foreign), None)
    assert (403, None) == status(request(0, 7, note=forged), None)
    by_stranger = sign_note(checkpoint(7).to_text(), stranger.key, stranger.sign)
    assert (403, None) == status(request(0, 7, note=by_stranger), None)


def test_a_request_is_written_and_read_as_specified() -> None:
    asked = request(7, 30)
    lines = asked.to_bytes().decode().split("\n")

    assert "old 7" == lines[0]
    assert "" == lines[len(asked.proof) + 1]
    assert [LOG.key.name, "30"] == lines[len(asked.proof) + 2 : len(asked.proof) + 4]
    assert asked == AddCheckpoint.parse(asked.to_bytes())
    assert request(0, 7) == AddCheckpoint.parse(request(0, 7).to_bytes())


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.replace(b"old 7", b"old 07"),
        lambda body: body.replace(b"old 7", b"new 7"),
        lambda body: body.replace(b"old 7", b"old"),
        lambda body: body.replace(b"old 7\n", b"old 7\nAAAA\n"),
        lambda body: body.replace(b"old 7\n", b"old 7\n" + (b"A" * 43 + b"=\n") * 64),
        lambda body: body.replace(b"\n\n", b"\n"),
        lambda body: b"\xff" + body,
        lambda body: b"",
        lambda body: body.replace(b"\n30\n", b"\n30\n\n"),
    ],
)
def test_what_is_no_request_is_bad(change) -> None:
    with pytest.raises(WitnessRefused) as caught:
        judge(AddCheckpoint.parse(change(request(7, 30).to_bytes())), checkpoint(7), KNOWN, verify)

    assert 400 == caught.value.status
