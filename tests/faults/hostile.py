"""A hostile client: HTTP/2 frames written by hand over mutual TLS, as no well-behaved library would send them.

Only what the attacks need: a preface, HEADERS with literal fields, DATA, RST_STREAM, PING (RFC 9113 and 7541).
"""

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9
END_STREAM, END_HEADERS = 0x1, 0x4
INITIAL_WINDOW_SIZE = 4
CANCEL = 8
SECONDS = 10.0


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def field(name: str, value: str) -> bytes:
    """A literal header field without indexing and without Huffman coding (RFC 7541, section 6.2.2)."""
    return b"\x00" + _text(name) + _text(value)


def call_headers(path: str) -> bytes:
    """The header block of a unary gRPC call."""
    fields = {
        ":method": "POST",
        ":scheme": "https",
        ":path": path,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    return b"".join(field(name, value) for name, value in fields.items())


def message(content: bytes) -> bytes:
    """A gRPC message, uncompressed."""
    return b"\x00" + struct.pack(">I", len(content)) + content


def call(stream: int, path: str, content: bytes) -> bytes:
    """The frames of a whole unary call."""
    return frame(HEADERS, END_HEADERS, stream, call_headers(path)) + frame(DATA, END_STREAM, stream, message(content))


@contextmanager
def tcp(address: str) -> Iterator[socket.socket]:
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host, int(port)), SECONDS)
    try:
        yield connection
    finally:
        with suppress(OSError):
            connection.close()


@contextmanager
def tls(address: str, folder: Path) -> Iterator[ssl.SSLSocket]:
    """A connection after its handshake, with the certificate in `folder`; nothing of HTTP/2 sent yet."""
    context = ssl.create_default_context(cafile=folder / "authority.pem")
    context.load_cert_chain(folder / "certificate.pem", folder / "private.key")
    context.set_alpn_protocols(["h2"])
    with tcp(address) as plain, context.wrap_socket(plain, server_hostname="localhost") as secured:
        yield secured


@contextmanager
def http2(address: str, folder: Path, settings: bytes = b"") -> Iterator[ssl.SSLSocket]:
    """A connection with preface and settings sent."""
    with tls(address, folder) as secured:
        secured.sendall(PREFACE + frame(SETTINGS, 0, 0, settings))
        yield secured


def is_closed(connection: ssl.SSLSocket, seconds: float = SECONDS) -> bool:
    """Whether the server ends the connection within so long; what it says until then is read away."""
    connection.settimeout(seconds)
    try:
        while connection.recv(65_536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def _text(text: str) -> bytes:
    """A string of HPACK with its length as a 7-bit prefix integer."""
    content, prefix = text.encode("ascii"), 0x7F
    size = len(content)
    if size < prefix:
        return bytes([size]) + content
    encoded, size = bytearray([prefix]), size - prefix
    while size >= 0x80:
        encoded.append(size & 0x7F | 0x80)
        size >>= 7
    encoded.append(size)
    return bytes(encoded) + content
