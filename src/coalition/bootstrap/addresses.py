"""Where the servers of a house answer: a file below var for each, for commands and tests beside them.

A server writes it once its port is open and takes it away at its orderly end; a killed one leaves it behind, and the
next start replaces it. What is written is read only where the settings leave the port open.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from coalition.config import Settings

SERVER: Final = "server.json"
SETTLEMENT: Final = "settlement.json"
VERSION: Final = 1


@contextmanager
def announced(settings: Settings, name: str, address: str) -> Iterator[None]:
    """The file below var says `address` until the block ends; then it is gone, unless another server replaced it."""
    file = settings.var / name
    settings.var.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{name}.{os.getpid()}")
    said = json.dumps({"version": VERSION, "address": address, "pid": os.getpid()}) + "\n"
    draft.write_text(said, encoding="utf-8")
    draft.replace(file)
    try:
        yield
    finally:
        if file.exists() and file.read_text(encoding="utf-8") == said:
            file.unlink(missing_ok=True)


def has_open_port(listen: str) -> bool:
    """Whether this address takes a free port, so that nobody knows it before the server is up."""
    return listen.endswith(":0")


def address_of(settings: Settings, name: str, listen: str) -> str:
    """Where to reach the server whose setting is `listen`: there, or with port 0 where its file says."""
    if not has_open_port(listen):
        return listen
    try:
        return str(json.loads((settings.var / name).read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError):
        return listen
