"""What `coalition witness` runs: a witness with a key ring of its own, until SIGTERM or SIGINT. No house is needed."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from coalition.audit.note import KeyKind, NoteKey, check_name
from coalition.audit.policy import Policy
from coalition.bootstrap.clock import unix_milliseconds
from coalition.bootstrap.strongroom import ring_in
from coalition.config import SettingInvalid
from coalition.log import set_up_log
from coalition.witness.memory import Memory
from coalition.witness.service import Witness, WitnessServer
from keys import KeyRing, verify

KEYS: Final = "keys"
MEMORY: Final = "memory"

log = structlog.get_logger(__name__)


def witness_key(name: str, ring: KeyRing) -> NoteKey:
    """The key others verify this witness's cosignatures with."""
    check_name(name)
    return NoteKey(name, KeyKind.COSIGNATURE, ring.batch_public_key())


def witness_of(directory: Path, name: str, policy: Policy) -> Witness:
    """A witness whose keys and memory are below `directory`; made when missing. Raises StrongroomRefused."""
    ring = ring_in(directory / KEYS)
    logs = {origin: [key] for origin, key in policy.logs.items()}
    memory = Memory(directory / MEMORY)
    return Witness(witness_key(name, ring), ring.sign_batch, verify, logs, memory, lambda: unix_milliseconds() // 1000)


def run(directory: Path, name: str, policy: Policy, listen: str, level: str, say: Callable[[str], None]) -> int:
    """Serve until a signal; the process's exit code. Raises CoalitionError when it cannot start."""
    set_up_log(level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if not policy.logs:
        raise SettingInvalid("the policy names no log: add a line `log KEY` for each log to witness")
    witness = witness_of(directory, name, policy)
    host, _, port = listen.rpartition(":")
    try:
        server = WitnessServer(witness, host, int(port))
    except OSError as error:
        raise SettingInvalid(f"{listen} cannot be bound ({error.strerror}); choose another address") from error
    server.open()
    say(f"witness {name} answers at http://{server.address}/add-checkpoint")
    say(f"its key, for policies: {witness.key}")
    log.info("witness_started", address=server.address, logs=sorted(policy.logs))
    stop.wait()
    server.close()
    log.info("witness_stopped")
    return 0
