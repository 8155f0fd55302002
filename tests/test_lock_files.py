"""What `make dev` installs: exact versions, each with its hashes, from whichever index the machine is set up to use."""

import json
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINS = (ROOT / "requirements.lock").read_text(encoding="utf-8")
NODE_PACKAGES = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]


def normal(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_python_lock_holds_no_address():
    """An address in the lock would send every clone to the index of whoever resolved it."""
    assert "://" not in PINS
    assert "index-url" not in PINS


def test_every_python_pin_is_exact_and_hashed():
    """Pip refuses the whole file if one pin lacks a hash; this names the pin."""
    pins = [pin for pin in PINS.replace("\\\n", " ").splitlines() if pin and not pin.startswith("#")]

    assert pins
    assert [] == [pin for pin in pins if not re.match(r"[A-Za-z0-9._-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", pin)]


def test_every_declared_dependency_is_pinned():
    """A dependency added without `make lock` would be missing from a fresh environment."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    declared = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["demo"],
        *project["dependency-groups"]["dev"],
    ]
    names = {normal(re.split(r"[^A-Za-z0-9._-]", requirement)[0]) for requirement in declared}
    pinned = {normal(line.partition("==")[0]) for line in PINS.splitlines() if "==" in line}

    assert set() == names - pinned, "run `make lock`"


def test_the_node_lock_holds_hashes_and_no_address():
    """.npmrc leaves the addresses out; the hashes alone say what may be installed."""
    packages = {path: entry for path, entry in NODE_PACKAGES.items() if path}

    assert packages
    assert [] == [path for path, entry in packages.items() if "resolved" in entry]
    assert [] == [path for path, entry in packages.items() if not entry.get("integrity", "").startswith("sha512-")]
