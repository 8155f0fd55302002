"""Signed notes, checkpoints and cosignatures: the published note, C2SP's example, and what must not pass."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from coalition.audit.checkpoint import Checkpoint, open_checkpoint
from coalition.audit.errors import EvidenceBroken, EvidenceMalformed
from coalition.audit.note import KeyKind, NoteKey, SignedNote, cosign, parse_signatures, sign_note
from keys import verify
from tests.audit.conftest import signer

LOG = signer("coalition.example/log")
WITNESS = signer("witness.example", KeyKind.COSIGNATURE)
CHECKPOINT = Checkpoint(LOG.key.name, 20_852_163, bytes(range(32)))
NOTE = sign_note(CHECKPOINT.to_text(), LOG.key, LOG.sign)
# From the specification of tlog-cosignature; its keys are not published, so only the form is read.
C2SP_EXAMPLE = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""  # noqa: E501 - as it is published


def test_the_published_note_verifies_and_is_written_as_published(vector_file: Callable[[str], Path]) -> None:
    """The note of Go's own tests (golang.org/x/mod/sumdb/note)."""
    published = json.loads(vector_file("signed_note_basic.json").read_text())
    key = NoteKey.parse(published["verifier_key"])
    note = SignedNote.parse(f"{published['text']}\n{published['signature_line']}\n".encode())

    assert published["verifier_key"] == str(key)
    assert published["text"] == note.text
    assert [key] == note.signers([key], verify)
    assert f"{published['text']}\n{published['signature_line']}\n" == str(note)
    other = SignedNote(note.text.replace("answer", "Answer"), note.signatures)
    with pytest.raises(EvidenceBroken, match="PeterNeumann and is not"):
        other.signers([key], verify)


def test_the_example_of_the_specification_is_read_and_written_back() -> None:
    note = SignedNote.parse(C2SP_EXAMPLE.encode())
    checkpoint = Checkpoint.parse(note.text)

    assert ("example.com/behind-the-sofa", 20_852_163) == (checkpoint.origin, checkpoint.size)
    assert checkpoint.to_text() == note.text
    assert C2SP_EXAMPLE == str(note)
    # 0x641850cb: the time of the cosignature, as the specification's signed message says it.
    assert 1_679_315_147 == int.from_bytes(note.signatures[1].signature[:8], "big")


def test_a_log_signs_and_a_witness_cosigns() -> None:
    witnessed = NOTE.with_signatures([cosign(NOTE.text, WITNESS.key, WITNESS.sign, 1_700_000_000)])
    read = SignedNote.parse(str(witnessed).encode())

    assert CHECKPOINT == open_checkpoint(read, LOG.key, verify)
    assert [WITNESS.key] == read.signers([WITNESS.key], verify)
    assert [1_700_000_000] == read.cosigned_times(WITNESS.key)
    assert read == witnessed.with_signatures(witnessed.signatures)


def test_goldens_of_the_same_key_on_every_machine() -> None:
    """Ed25519 is deterministic: a log that signs a size twice writes the same bytes, and these never change."""
    assert "coalition.example/log+582cf8be" == str(LOG.key).rpartition("+")[0]
    assert str(NOTE) == str(sign_note(CHECKPOINT.to_text(), LOG.key, LOG.sign))


def test_a_time_that_was_changed_breaks_a_cosignature() -> None:
    line = cosign(NOTE.text, WITNESS.key, WITNESS.sign, 1_700_000_000)
    later = type(line)(line.name, line.key_id, (1_700_000_001).to_bytes(8, "big") + line.signature[8:])

    with pytest.raises(EvidenceBroken, match=r"witness\.example"):
        NOTE.with_signatures([later]).signers([WITNESS.key], verify)


def test_a_signature_of_a_stranger_is_not_judged() -> None:
    stranger = signer("stranger.example")
    rubbish = parse_signatures(f"\u2014 {stranger.key.name} AAAAAAAA\n")

    assert [LOG.key] == NOTE.with_signatures(rubbish).signers([LOG.key, WITNESS.key], verify)


def test_a_checkpoint_of_another_log_or_key_is_not_ours() -> None:
    other = signer("coalition.example/other")
    renewed = NoteKey(LOG.key.name, KeyKind.NOTE, other.key.public_key)

    with pytest.raises(EvidenceBroken, match=r"is of coalition\.example/log, not of"):
        open_checkpoint(NOTE, other.key, verify)
    with pytest.raises(EvidenceBroken, match="is not signed by"):
        open_checkpoint(NOTE, renewed, verify)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("\n\n", "\n"), "an empty line"),
        (lambda text: text.replace("\u2014 ", "- "), "signature line"),
        (lambda text: text + "\n", "empty line, and signature lines"),
        (lambda text: text.rstrip("\n"), "empty line, and signature lines"),
        (lambda text: text.replace("\n\n", "\r\n\r\n"), "control characters"),
        (lambda text: text.replace("log ", "log  "), "no base64"),
        (lambda text: text[:-4] + "\n", "no base64"),
        (lambda text: "x" * 70_000 + text, "at most"),
        (lambda text: text + "\u2014 a+b AAAAAAAA\n", "name is not empty"),
        (lambda text: text + "\u2014 ab AAAA\n", "too short"),
        (lambda text: text + "\u2014 ab AAAAAAB=\n", "as it is written"),
        (lambda text: text + "\u2014 ab AAAAAAAA\n" * 64, "at most 64 signatures"),
    ],
)
def test_what_is_not_a_note_is_said_to_be_none(change: Callable[[str], str], said: str) -> None:
    with pytest.raises(EvidenceMalformed, match=said):
        SignedNote.parse(change(str(NOTE)).encode())


def test_bytes_that_are_no_text_are_no_note() -> None:
    with pytest.raises(EvidenceMalformed, match="UTF-8"):
        SignedNote.parse(b"\xff" + str(NOTE).encode())


@pytest.mark.parametrize(
    "text",
    [
        "log\n5\n",
        "log\n5\nAA==\n",
        "log\n05\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "log\n-5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "log\n\u0665\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "log\n9223372036854775808\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "log\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nextension\n",
        "log\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    ],
)
def test_what_is_not_a_checkpoint_is_said_to_be_none(text: str) -> None:
    with pytest.raises(EvidenceMalformed):
        Checkpoint.parse(text)


@pytest.mark.parametrize("text", ["", "a+b", "a+zzzzzzzz+AAAA", "log+00000000+AQ==", str(LOG.key).replace("log", "lo")])
def test_what_is_not_a_key_is_said_to_be_none(text: str) -> None:
    with pytest.raises(EvidenceMalformed):
        NoteKey.parse(text)


def test_a_key_of_a_scheme_that_is_not_read_here_is_refused() -> None:
    with pytest.raises(EvidenceMalformed, match="only Ed25519"):
        NoteKey.parse("log+00000000+Ag==")
