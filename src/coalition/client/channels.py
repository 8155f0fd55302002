"""How channels are made: mTLS, bounds and keep-alive, the same for threads and for event loops."""

from typing import Final

# The server's own bounds: a request of 1 MiB (a batch of 1,000 operations is below 400 KiB), an answer of 4 MiB.
REQUEST_BYTES_MAX: Final = 1024 * 1024
RESPONSE_BYTES_MAX: Final = 4 * REQUEST_BYTES_MAX


def channel_options(*, own_transport: bool) -> list[tuple[str, int]]:
    """Options of a channel. `own_transport`: a TCP connection of its own, for load that one connection cannot carry."""
    return [
        ("grpc.max_send_message_length", REQUEST_BYTES_MAX),
        ("grpc.max_receive_message_length", RESPONSE_BYTES_MAX),
        # A server that restarts is found again in a fraction of a second; gRPC's default is 1 s, growing to 120 s.
        ("grpc.initial_reconnect_backoff_ms", 100),
        # What gRPC calls so is how long one attempt to connect may take: three round trips of a slow line, and a second
        # attempt within a call's deadline where the first was swallowed. Its default is 20 s.
        ("grpc.min_reconnect_backoff_ms", 3_000),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        # The service retries nothing of its own accord: the retry policy does, where it can be read.
        ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", int(own_transport)),
    ]
