"""`python -m keys`: a newcomer gets a ring, an authority and a certificate; a refusal says what to do and exits 1."""

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from typer.testing import CliRunner, Result

from keys import KeyPurpose, KeyRing
from keys.cli import app

ROOT = Path(__file__).parents[2]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "120"})


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
    refused = run(*arguments)
    assert refused.exit_code == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith("refused: ")
    assert sentence in refused.stderr


@pytest.mark.parametrize("arguments", [
    ["certificate", "authority"], ["nonsense"], ["add", "love", "keys"], ["init"],
    ["certificate", "a", "spiffe://a/server", "--days", "0"],
])  # fmt: skip
def test_a_wrong_command_line_exits_2(arguments: list[str]):
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize(
    "command", ["init", "add pin", "authority", "certificate", "renew", "revoke", "issued", "list", "export-public"]
)
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
