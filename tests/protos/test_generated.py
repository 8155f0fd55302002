"""The committed Python of the protos is what `make proto` writes, and it runs on the oldest runtime we allow."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from google.protobuf import descriptor_pool

from coalition.domain.accounts import TransferCode, Unit
from coalition.domain.kinds import Kind
from coalition.v1 import operations_pb2

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "src" / "coalition" / "v1"


def generate(folder: Path) -> dict[str, bytes]:
    """Run the command of `make proto` into `folder`; the files it wrote, by name."""
    command = [sys.executable, str(ROOT / "protos" / "generate.py"), "--output", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_committed_code_is_what_the_protos_generate(tmp_path):
    """An edited proto without `make proto`, or an edited generated file, would make server and manual disagree."""
    committed = {path.name: path.read_bytes() for path in COMMITTED.iterdir() if path.suffix in {".py", ".pyi"}}

    assert generate(tmp_path / "once") == committed


def test_generating_again_removes_what_no_proto_makes_any_more(tmp_path):
    """A message module left behind would still be importable after its proto is gone."""
    (tmp_path / "gone_pb2.py").write_text("")
    (tmp_path / "keep.txt").write_text("not ours")

    assert {*(path.name for path in COMMITTED.glob("*.py*")), "keep.txt"} == set(generate(tmp_path))


def test_generated_code_imports_nothing_but_coalition_google_and_grpc():
    """A top-level package named buf, or a bare sibling module, would not be there once we are installed."""
    allowed = {
        "coalition",
        "google",
        "grpc",
        "collections",
        "builtins",
        "sys",
        "typing",
        "typing_extensions",
        "abc",
        "warnings",
    }
    for path in sorted(COMMITTED.glob("*.py*")):
        modules = re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), flags=re.MULTILINE)

        assert set(modules) - allowed == set(), path.name


def test_the_rules_keep_their_descriptor_name():
    """Validators find a field's rules by the name of the file and the extension, not by our Python module."""
    file = descriptor_pool.Default().FindFileByName("buf/validate/validate.proto")

    assert file.extensions_by_name["field"].full_name == "buf.validate.field"


@pytest.mark.parametrize(
    ("package", "pattern"),
    [
        ("protobuf", r"Protobuf Python Version: ([\d.]+)"),
        ("grpcio", r"GRPC_GENERATED_VERSION = '([\d.]+)'"),
    ],
)
def test_oldest_allowed_runtime_is_not_older_than_the_generated_code(package, pattern):
    """Generated code refuses to be imported by a runtime older than its generator."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    floor = re.search(rf"^{package}>=([\d.]+)", "\n".join(project["dependencies"]), flags=re.MULTILINE)
    made_by = {version for path in COMMITTED.glob("*.py") for version in re.findall(pattern, path.read_text())}

    assert floor
    assert len(made_by) == 1
    assert [int(part) for part in floor[1].split(".")] >= [int(part) for part in made_by.pop().split(".")]


@pytest.mark.parametrize(
    ("wire", "prefix", "stored"),
    [
        (operations_pb2.EntryKind, "ENTRY_KIND_", Kind),
        (operations_pb2.TransferCode, "TRANSFER_CODE_", TransferCode),
        (operations_pb2.Unit, "UNIT_", Unit),
    ],
)
def test_numbers_on_the_wire_are_the_numbers_in_the_journal(wire, prefix, stored):
    """Both are for ever, so no table translates between them."""
    told = {name.removeprefix(prefix): number for name, number in wire.items() if number}

    assert {each.name: each.value for each in stored} == told
