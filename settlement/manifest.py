"""The manifest of a report: every file with its size and SHA-256, so that one digest stands for all of them."""

import json
from pathlib import Path
from typing import Final

from settlement.cells import file_digest
from settlement.errors import NeedsHuman

MANIFEST: Final = "manifest.json"
NOTE: Final = "manifest.note"
OUTSIDE: Final = frozenset({MANIFEST, NOTE})
"""What a manifest cannot list: itself, and the signature over it."""


def manifest_of(directory: Path, window: str) -> dict[str, object]:
    """What is listed of a directory's files, in order of their names; `window` is such as monthly/2017-01."""
    return {
        "files": [
            {"bytes": path.stat().st_size, "name": name, "sha256": file_digest(path)}
            for name, path in sorted((path.relative_to(directory).as_posix(), path) for path in directory.rglob("*"))
            if path.is_file() and name not in OUTSIDE
        ],
        "window": window,
    }


def check_files(directory: Path) -> dict[str, object]:
    """The manifest, if the directory holds exactly the files it lists. Raises NeedsHuman, naming each that differs."""
    path = directory / MANIFEST
    try:
        listed = json.loads(path.read_bytes())
        window = str(listed["window"])
        stated = {entry["name"]: entry["sha256"] for entry in listed["files"]}
    except OSError as error:
        raise NeedsHuman(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise NeedsHuman(f"{path} is no manifest of a report") from error
    found = {
        file.relative_to(directory).as_posix(): file_digest(file)
        for file in directory.rglob("*")
        if file.is_file() and file.relative_to(directory).as_posix() not in OUTSIDE
    }
    wrong = [
        f"{name}: {'missing' if name not in found else 'not listed' if name not in stated else 'changed'}"
        for name in sorted(found.keys() | stated.keys())
        if found.get(name) != stated.get(name)
    ]
    if wrong:
        raise NeedsHuman("\n".join([f"{directory} is not the report of {window} as it was made:", *wrong]))
    return {"files": len(stated), "window": window}
