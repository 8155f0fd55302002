"""A witness at its HTTP address: POST add-checkpoint, and nothing else."""

import threading
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import structlog

from coalition.audit.checkpoint import Checkpoint
from coalition.audit.errors import EvidenceMalformed
from coalition.audit.note import NoteKey, Signature, Verify, cosign
from coalition.audit.witnessing import BAD_REQUEST, CONFLICT, REQUEST_BYTES_MAX, AddCheckpoint, WitnessRefused, judge
from coalition.domain.errors import CoalitionError
from coalition.domain.journal import Sign
from coalition.witness.memory import Memory

PATH: Final = "/add-checkpoint"
TEXT: Final = "text/plain; charset=utf-8"
SIZE_TYPE: Final = "text/x.tlog.size"
IDLE_SECONDS: Final = 15.0  # a connection that sends nothing is closed
CONNECTIONS_MAX: Final = 64

log = structlog.get_logger(__name__)


class Witness:
    """Judges and cosigns. `clock` tells seconds since 1970; `logs` are the keys trusted for each origin."""

    def __init__(
        self,
        key: NoteKey,
        sign: Sign,
        verify: Verify,
        logs: Mapping[str, Sequence[NoteKey]],
        memory: Memory,
        clock: Callable[[], int],
    ) -> None:
        self.key = key
        self._sign = sign
        self._verify = verify
        self._logs = logs
        self._memory = memory
        self._clock = clock

    def add_checkpoint(self, body: bytes) -> Signature:
        """The cosignature of a request's checkpoint, remembered before it is told. Raises WitnessRefused."""
        request = AddCheckpoint.parse(body)
        try:
            origin = Checkpoint.parse(request.note.text).origin
        except EvidenceMalformed as error:
            raise WitnessRefused(BAD_REQUEST, str(error)) from error
        if origin not in self._logs:  # no file is made for a log nobody here has heard of
            judge(request, None, self._logs, self._verify)
        with self._memory.locked(origin):
            known = self._memory.recall(origin)
            remembered = None if known is None else Checkpoint.parse(known.text)
            judge(request, remembered, self._logs, self._verify)
            signature = cosign(request.note.text, self.key, self._sign, self._clock())
            self._memory.remember(origin, request.note.with_signatures([signature]))
        return signature


class WitnessServer:
    """The HTTP server of one witness, on threads of its own."""

    def __init__(self, witness: Witness, host: str, port: int) -> None:
        self._server = _Server((host, port), witness)
        self._thread = threading.Thread(target=self._server.serve_forever, name="witness", daemon=True)

    @property
    def address(self) -> str:
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Answer no more; what is being answered ends first."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = CONNECTIONS_MAX

    def __init__(self, address: tuple[str, int], witness: Witness) -> None:
        self.witness = witness
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "coalition-witness"
    sys_version = ""
    timeout = IDLE_SECONDS
    server: _Server

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.path != PATH:
            return self._answer(HTTPStatus.NOT_FOUND, f"checkpoints are sent to {PATH}\n")
        if not (length.isascii() and length.isdigit() and int(length[:9]) <= REQUEST_BYTES_MAX):
            self.close_connection = True
            return self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "a request has a length of at most 64 KiB\n")
        body = self.rfile.read(int(length))
        try:
            signature = self.server.witness.add_checkpoint(body)
        except WitnessRefused as refused:
            log.info("checkpoint_refused", status=refused.status, cause=str(refused))
            if refused.status == CONFLICT and refused.size is not None:
                return self._answer(refused.status, f"{refused.size}\n", SIZE_TYPE)
            return self._answer(refused.status, f"{refused}\n")
        except CoalitionError as error:
            log.exception("witness_broken", cause=str(error))
            return self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, "the witness cannot read its memory\n")
        return self._answer(HTTPStatus.OK, str(signature))

    def _answer(self, status: int, text: str, kind: str = TEXT) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name it has in the library
        """Nothing: what matters is logged where it is decided."""
