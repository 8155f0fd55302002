"""A TCP proxy whose faults come on command, not by chance: cut, refuse, swallow answers, swallow everything, delay.

Runs on threads of its own, two a connection; sees bytes only, so TLS stays between the ends.
"""

import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

CHUNK = 64 * 1024


class Proxy:
    """Listens on `address` and passes to `target` ("host:port"); faults are attributes, true from now on."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.is_cut = False
        """New connections are closed at once."""
        self.swallows_answers = False
        """What the server sends never arrives; what the client sends does."""
        self.swallows_requests = False
        """What the client sends never arrives."""
        self.delay_s = 0.0
        """Each piece of an answer comes so much later."""
        self.connections = 0
        self.request_bytes = 0
        self._stranded: set[socket.socket] = set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections and take no new ones."""
        self.is_cut = True
        self.break_connections()

    def break_connections(self) -> None:
        """End all connections; new ones are taken."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def strand(self) -> None:
        """Connections that stand now never bring an answer again; new ones do: a cable was pulled and put back."""
        self._stranded.update(server for _, server in self._pairs)

    def heal(self) -> None:
        """No faults from now on; what was swallowed stays lost, so its connections end."""
        self.is_cut = self.swallows_answers = self.swallows_requests = False
        self.delay_s = 0.0
        self.break_connections()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                if self.is_cut:
                    client.close()
                    continue
                host, _, port = self.target.rpartition(":")
                try:
                    server = socket.create_connection((host, int(port)), timeout=20)
                except OSError:
                    client.close()
                    continue
                server.settimeout(None)
                self._pairs.append((client, server))
                threading.Thread(target=self._requests, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answers, args=(server, client), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while piece := client.recv(CHUNK):
                self.request_bytes += len(piece)
                if not self.swallows_requests:
                    server.sendall(piece)
        for end in (client, server):
            end.close()

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while piece := server.recv(CHUNK):
                if self.delay_s:
                    time.sleep(self.delay_s)
                if not self.swallows_answers and server not in self._stranded:
                    client.sendall(piece)
        for end in (client, server):
            end.close()
