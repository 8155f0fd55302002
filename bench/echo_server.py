"""The bare baseline: a server built like the real one, whose purchase answers at once from what it was sent.

Same event loop, TLS, gate (identity, permission, field rules) and message sizes; no command, no desk, no database.
Run as `python -m bench.echo_server PORT_FILE`, with the environment of the real server.
"""

import sys
import time
from pathlib import Path
from typing import Any

from coalition.bootstrap.databases import databases
from coalition.bootstrap.house import house
from coalition.bootstrap.identities import path_parser, server_credentials
from coalition.bootstrap.interpreter import tune_interpreter
from coalition.bootstrap.signals import stop_on_signals
from coalition.bootstrap.strongroom import key_ring
from coalition.config import load_settings
from coalition.server.front_door import FrontDoor
from coalition.server.identity import Identities
from coalition.v1 import operations_pb2, terminal_pb2, terminal_pb2_grpc


class EchoTerminal(terminal_pb2_grpc.TerminalServiceServicer):
    """Purchase with a receipt of the real one's size."""

    async def Purchase(self, request: Any, context: Any) -> terminal_pb2.PurchaseResponse:  # noqa: ARG002
        receipt = operations_pb2.Receipt(
            request_id=request.request_id,
            entry_id=7_000_000_000,
            kind=operations_pb2.ENTRY_KIND_PURCHASE,
            amount_minor=request.amount_minor,
            principal_minor=request.amount_minor,
            bonus_minor=100,
            balance_minor=5_000_000,
            balance_here_minor=5_000_000,
            currency_code=request.currency_code,
            card_last_four="0001",
        )
        receipt.post_time.FromMicroseconds(time.time_ns() // 1000)
        return terminal_pb2.PurchaseResponse(receipt=receipt)


def main(port_file: Path) -> None:
    """Serve until SIGTERM. The gate's programme comes from the same ledger, read only."""
    stop = stop_on_signals()
    tune_interpreter()
    settings = load_settings(listen="127.0.0.1:0")
    with databases(settings, attach=True) as opened:
        real = house(settings, key_ring(settings), opened.dsn(), opened.keydb_dsn())
        identities = Identities(path_parser(settings.trust_domain), real.watch)
        door = FrontDoor(
            lambda: [EchoTerminal()],  # type: ignore[abstract]  # its other calls answer UNIMPLEMENTED
            server_credentials(settings),
            identities,
            settings.listen,
        )
        port_file.write_text(door.open())
        stop.wait()
        door.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
