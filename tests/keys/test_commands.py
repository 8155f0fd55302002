"""`python -m keys`: a newcomer gets a ring, an authority and a certificate; a refusal says what to do and exits 1."""

import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from typer.testing import CliRunner, Result

from keys import KeyPurpose, KeyRing
from keys import passphrase as stretching
from keys.cli import app

ROOT = Path(__file__).parents[2]


def run(*arguments: object, input: str | None = None) -> Result:  # noqa: A002 - click's own name for it
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "120"}, input=input)


def private(path: Path | str, text: str) -> None:
    Path(path).write_text(text + "\n")
    Path(path).chmod(0o600)


def test_a_ring_is_made_listed_and_its_public_key_exported(tmp_path: Path):
    directory = tmp_path / "keys"
    made = run("init", directory)
    assert (made.exit_code, "Back it up" in made.stdout) == (0, True)
    ring = KeyRing.load(directory)
    listed = run("list", directory)
    assert listed.exit_code == 0
    assert str(ring.deployment_id) in listed.stdout
    assert listed.stdout.count("ENABLED, primary") == len(KeyPurpose)
    pem = run("export-public", directory).stdout
    assert load_pem_public_key(pem.encode()).public_bytes(Encoding.Raw, PublicFormat.Raw) == ring.batch_public_key()
    assert run("export-public", directory, "--hex").stdout == ring.batch_public_key().hex() + "\n"


def test_an_authority_is_made_and_issues_certificates(tmp_path: Path):
    directory = tmp_path / "authority"
    assert run("authority", directory, "--trust-domain", "chain.example").exit_code == 0
    for identity in ("server", "t/chain/7/3"):
        issued = run("certificate", directory, f"spiffe://chain.example/{identity}")
        assert issued.exit_code == 0, issued.output
        for line in issued.stdout.splitlines():
            assert Path(line.rsplit(" ", 1)[1]).is_file()
    named = run("certificate", directory, "spiffe://chain.example/server", "--hostname", "a.example", "--days", 1)
    assert named.exit_code == 0


def test_nothing_secret_is_ever_printed(tmp_path: Path):
    directory = tmp_path / "keys"
    output = "".join(run(command, directory).output for command in ("init", "list", "export-public"))
    for path in directory.glob("*.key"):
        assert path.read_bytes().hex() not in output


def test_a_key_is_rotated_and_its_first_version_destroyed_by_two_operators(tmp_path: Path):
    """The whole ceremony, as the operators type it."""
    keys, authority = tmp_path / "keys", tmp_path / "authority"
    run("init", keys)
    run("authority", authority)
    first = KeyRing.load(keys).batch_public_key().hex()
    assert "version 2 made" in run("rotate", "batch-signing", keys).stdout
    assert 2 == run("export-public", keys, "--hex", "--all").stdout.count("\n")
    assert first == run("export-public", keys, "--hex", "--all").stdout.splitlines()[0]
    assert first != run("export-public", keys, "--hex").stdout.strip()
    assert "may be destroyed from" in run("schedule-destroy", "batch-signing", "1", keys, "--days", "0").stdout
    for name, words in (("alice", "1 of 2"), ("bob", "python -m keys destroy batch-signing 1")):
        run("certificate", authority, f"spiffe://coalition.example/op/{name}")
        files = authority / "op" / name
        mine = ["--certificate", files / "certificate.pem", "--private-key", files / "private.key"]
        signed = run("confirm-destroy", "batch-signing", "1", keys, "--authority", authority, *mine)
        assert (0, True) == (signed.exit_code, words in signed.stdout), signed.output
    gone = run("destroy", "batch-signing", "1", keys, "--authority", authority)
    assert (0, True) == (gone.exit_code, "is DESTROYED" in gone.stdout), gone.output
    assert not (keys / "batch-signing-1.key").exists()
    assert "DESTROYED" in run("list", keys).stdout
    assert first == run("export-public", keys, "--hex", "--all").stdout.splitlines()[0], "old signatures stay checked"


def test_a_version_is_disabled_enabled_and_made_primary_again(tmp_path: Path):
    keys = tmp_path / "keys"
    run("init", keys)
    run("rotate", "pin", keys)
    for command, words in (("disable", "is DISABLED"), ("enable", "is ENABLED"), ("set-primary", "is primary")):
        done = run(command, "pin", "1", keys)
        assert (0, True) == (done.exit_code, words in done.stdout), done.output
    assert 1 == KeyRing.load(keys).primary(KeyPurpose.PIN)


def test_a_locked_ring_is_made_listed_rotated_and_given_another_passphrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stretching, "MEMORY_KIB", 64)
    keys, old, new = tmp_path / "keys", tmp_path / "old", tmp_path / "new"
    private(old, "correct horse battery staple")
    private(new, "wrong zebra capacitor paperclip")
    assert 0 == run("init", keys, "--passphrase-file", old).exit_code
    assert ", passphrase" in run("list", keys, "--passphrase-file", old).stdout
    assert 0 == run("rotate", "pin", keys, "--passphrase-file", old).exit_code
    assert 0 == run("passphrase", keys, "--passphrase-file", old, "--new-file", new).exit_code
    refused = run("list", keys, "--passphrase-file", old)
    assert (1, "") == (refused.exit_code, refused.stdout)
    assert "does not open this ring" in refused.stderr
    assert 0 == run("list", keys, "--passphrase-file", new).exit_code


def test_a_passphrase_is_asked_for_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stretching, "MEMORY_KIB", 64)
    words = "correct horse battery staple"
    made = run("init", tmp_path / "keys", "--passphrase", input=f"{words}\n{words}\n")
    assert (0, False) == (made.exit_code, "horse" in made.output), made.output
    listed = run("list", tmp_path / "keys", input=f"{words}\n")
    assert (0, False) == (listed.exit_code, "horse" in listed.output), listed.output


def test_records_are_sealed_as_the_ring_says_and_all_are_opened(tmp_path: Path):
    keys, member = tmp_path / "keys", UUID(int=1)
    assert 0 == run("init", keys, "--records", "sm4").exit_code
    chinese = KeyRing.load(keys)
    wrapped = chinese.new_member(member)[0]
    sealed = chinese.sealer(member, wrapped).seal("identity", member, 1, b"text")
    assert 0 == run("records", keys, "aes").exit_code
    western = KeyRing.load(keys).sealer(member, wrapped)
    assert b"text" == western.open("identity", member, 1, sealed)
    assert [2, 1] == [sealed[4], western.seal("identity", member, 1, b"text")[4]]


def test_a_certificate_is_renewed_then_the_old_one_revoked_by_what_the_record_shows(tmp_path: Path):
    directory, identity = str(tmp_path / "authority"), "spiffe://coalition.example/t/cafe/main/till-1"
    for command in (["authority", directory], ["certificate", directory, identity], ["renew", directory, identity]):
        assert run(*command).exit_code == 0
    old, new = (line.split()[3] for line in run("issued", directory).stdout.splitlines())

    assert old.lstrip("0") in run("revoke", directory, identity, "--serial", old).stdout
    states = {line.split()[3]: line.split()[0] for line in run("issued", directory).stdout.splitlines()}
    assert {old: "revoked", new: "good"} == states


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["init", "keys"], "never overwritten"),
    (["list", "nowhere"], "python -m keys init"),
    (["add", "pin", "keys"], "python -m keys rotate pin"),
    (["add", "pin", "nowhere"], "python -m keys init"),
    (["rotate", "card-token", "keys"], "card numbers are not stored"),
    (["rotate", "pin", "nowhere"], "python -m keys init"),
    (["rotate", "pin", "keys", "--custody", "vault:x"], "this build serves file:, pkcs11: and awskms:"),
    (["disable", "pin", "1", "keys"], "python -m keys rotate"),
    (["enable", "pin", "7", "keys"], "python -m keys list"),
    (["set-primary", "pin", "7", "keys"], "python -m keys list"),
    (["schedule-destroy", "pin", "1", "keys"], "python -m keys rotate"),
    (["destroy", "pin", "1", "keys", "--authority", "authority"], "python -m keys schedule-destroy"),
    (["records", "nowhere", "sm4"], "python -m keys init"),
    (["passphrase", "keys", "--new-file", "short"], "at least 15 characters"),
    (["init", "fresh", "--passphrase-file", "nowhere"], "write the passphrase into it"),
    (["export-public", "open"], "chmod 700"),
    (["certificate", "nowhere", "spiffe://coalition.example/server"], "python -m keys authority"),
    (["certificate", "authority", "spiffe://coalition.example/boss"], "/op/<name>"),
    (["certificate", "authority", "spiffe://coalition.example/op/a", "--hostname", "a.example"], "hostnames"),
    (["renew", "authority", "spiffe://coalition.example/op/a"], "python -m keys certificate"),
    (["revoke", "authority", "spiffe://coalition.example/op/a"], "python -m keys issued"),
    (["revoke", "authority", "spiffe://coalition.example/op/a", "--serial", "xyz"], "hexadecimal"),
    (["revoke", "nowhere", "spiffe://coalition.example/op/a"], "python -m keys authority"),
    (["issued", "nowhere"], "python -m keys authority"),
    (["authority", "fresh", "--trust-domain", "A B"], "trust_domain"),
    (["init", "keys/ring.json"], "not a directory"),
    (["init", "keys/ring.json/deeper"], "ring.json"),
])  # fmt: skip
def test_a_refusal_exits_1_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
):
    monkeypatch.chdir(tmp_path)
    run("init", "keys")
    run("authority", "authority")
    Path("open").mkdir(mode=0o755)
    private("short", "too short")
    refused = run(*arguments)
    assert refused.exit_code == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith("refused: ")
    assert sentence in refused.stderr


@pytest.mark.parametrize("arguments", [
    ["certificate", "authority"], ["nonsense"], ["add", "love", "keys"], ["init"],
    ["certificate", "a", "spiffe://a/server", "--days", "0"], ["rotate", "pin"], ["disable", "pin", "0", "keys"],
    ["records", "keys", "des"], ["export-public", "keys", "--purpose", "pin"], ["destroy", "pin", "1", "keys"],
])  # fmt: skip
def test_a_wrong_command_line_exits_2(arguments: list[str]):
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize(
    "command",
    [
        "init", "add pin", "authority", "certificate", "renew", "revoke", "issued", "list", "export-public",
        "passphrase", "records", "rotate key-encryption", "enable key-encryption 1", "disable key-encryption 1",
        "set-primary blind-index 2", "schedule-destroy key-encryption 1", "confirm-destroy key-encryption 1",
        "destroy key-encryption 1",
    ],
)  # fmt: skip
def test_every_command_teaches_with_an_example(command: str):
    taught = run(command.split(maxsplit=1)[0], "--help")
    assert taught.exit_code == 0
    assert f"python -m keys {command} var/" in taught.stdout


def test_the_module_runs_as_a_program():
    finished = subprocess.run(
        [sys.executable, "-m", "keys", "--help"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert finished.returncode == 0
    assert "python -m keys init var/keys" in finished.stdout
