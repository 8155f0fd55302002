"""Asks a server of coalition, over mutual TLS and as /server itself, whether it takes calls; exit code 0 if it does.

For container health checks: `python healthcheck.py HOST:PORT`. Reads the certificate that the server presents, from
COALITION_CERTIFICATES, and nothing else; opens no database.
"""

import os
import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

TIMEOUT_SECONDS = 5


def is_serving(address: str, folder: Path) -> bool:
    """Whether the server says SERVING; False also while it drains. Raises grpc.RpcError when it does not answer."""
    credentials = grpc.ssl_channel_credentials(
        (folder / "authority.pem").read_bytes(),
        (folder / "private.key").read_bytes(),
        (folder / "certificate.pem").read_bytes(),
    )
    with grpc.secure_channel(address, credentials) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_SECONDS)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def main() -> int:
    """Check the address named, by default the terminals' port of this container."""
    address = sys.argv[1] if len(sys.argv) > 1 else "localhost:7443"
    folder = Path(os.environ.get("COALITION_CERTIFICATES", "/etc/coalition/certificates")) / "server"
    try:
        return 0 if is_serving(address, folder) else 1
    except grpc.RpcError as error:
        print(f"{address} does not answer: {error.code().name}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
