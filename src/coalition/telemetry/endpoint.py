"""The page that Prometheus reads, over plain HTTP on an address of its own: loopback or a network that is yours.

One thread, one request at a time: whoever holds it up holds up other scrapes and no call. Answers GET /metrics and
nothing else; reads no body and takes no header into anything.
"""

import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from coalition.domain.errors import CoalitionError

PATH: Final = "/metrics"
REQUEST_SECONDS: Final = 5.0


class MetricsAddressTaken(CoalitionError):
    """The address for the metrics could not be bound."""


class MetricsEndpoint:
    """Serves a registry from the moment it is made until `close`. `listen` is host:port. Raises MetricsAddressTaken."""

    def __init__(self, listen: str, registry: CollectorRegistry) -> None:
        host, _, port = listen.rpartition(":")
        try:
            self._server = _server(host.strip("[]"), int(port), registry)
        except OSError as error:
            raise MetricsAddressTaken(
                f"{listen} cannot be bound for metrics ({error.strerror}); is another server running there? Choose "
                "another address by COALITION_METRICS_LISTEN, one for each server"
            ) from error
        self.address = f"{host}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _server(host: str, port: int, registry: CollectorRegistry) -> HTTPServer:
    class Page(BaseHTTPRequestHandler):
        timeout = REQUEST_SECONDS
        server_version = "coalition"
        sys_version = ""

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != PATH:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            encode, content_type = choose_encoder(self.headers.get("Accept") or "")
            body = encode(registry)
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
            """Say nothing: a scrape every few seconds is no news, and its address is a stranger's text."""

    class Server(HTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: a scraper that went away in the middle asks again."""

    return Server((host, port), Page)
