"""A point of sale of an existing estate: speaks ISO 8583 over TCP by the library's own tables, not by the gateway's."""

import itertools
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from zoneinfo import ZoneInfo

import iso8583
from iso8583.specs import default_ascii

MERCHANT, TERMINAL = "CAFE00000000001", "CAFE0001"
PATIENCE_SECONDS = 20.0
_traces = itertools.count(1)


def said(mti: str, card: str = "", amount_minor: int | None = None, **fields: str) -> dict[str, str]:
    """A new message of a till of the cafe, with a trace of its own; `fields` are given as de11="000001"."""
    now = datetime.now(ZoneInfo("Asia/Shanghai"))
    trace = next(_traces)
    message = {
        "t": mti,
        "7": now.strftime("%m%d%H%M%S"),
        "11": f"{trace:06d}",
        "12": now.strftime("%H%M%S"),
        "13": now.strftime("%m%d"),
        "37": f"{trace:012d}",
        "41": TERMINAL,
        "42": MERCHANT,
    }
    if card:
        message["2"] = card
    if amount_minor is not None:
        message |= {"3": "000000", "4": f"{amount_minor:012d}", "49": "156"}
    return message | {name.removeprefix("de"): value for name, value in fields.items()}


def repeated(message: Mapping[str, str]) -> dict[str, str]:
    """The same message with the type of a repeat."""
    return {**message, "t": message["t"][:3] + "1"}


def original(message: Mapping[str, str]) -> str:
    """DE90 of a message that refers to this one."""
    return f"{message['t']}{message['11']}{message['7']}".ljust(42, "0")


def referring(mti: str, message: Mapping[str, str], amount_minor: int | None = None, **fields: str) -> dict[str, str]:
    """A new message about an earlier one of the same till: a reversal, a completion, a refund."""
    about = {name: message[name] for name in ("37", "41", "42")}
    return {**said(mti, amount_minor=amount_minor, **fields), **about, "90": original(message)}


@dataclass(frozen=True)
class Wire:
    """How bytes are made of fields."""

    spec: Any = field(default_factory=lambda: default_ascii)

    def frame(self, message: Mapping[str, str]) -> bytes:
        body, _ = iso8583.encode(dict(message), self.spec)
        return len(body).to_bytes(2, "big") + bytes(body)


class Pos:
    """A connection to a gateway."""

    def __init__(self, address: str, tls: ssl.SSLContext | None = None, wire: Wire | None = None) -> None:
        host, _, port = address.rpartition(":")
        plain = socket.create_connection((host, int(port)), PATIENCE_SECONDS)
        self.socket = tls.wrap_socket(plain, server_hostname=host) if tls else plain
        self._wire = wire or Wire()

    def send(self, message: Mapping[str, str]) -> None:
        self.socket.sendall(self._wire.frame(message))

    def hear(self) -> dict[str, str]:
        body = self._exactly(int.from_bytes(self._exactly(2), "big"))
        fields, _ = iso8583.decode(body, self._wire.spec)
        return fields

    def ask(self, message: Mapping[str, str]) -> dict[str, str]:
        """Send and wait for the answer; checks what every answer repeats."""
        self.send(message)
        answer = self.hear()
        assert answer["t"] == f"{message['t'][:2]}{int(message['t'][2]) + 1}0"
        assert {name: message[name] for name in ("11", "37", "41", "42") if name in message} == {
            name: answer[name] for name in ("11", "37", "41", "42") if name in answer
        }
        assert "2" not in answer
        return answer

    def is_closed(self) -> bool:
        """Wait for the gateway to end the connection without a word."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _exactly(self, length: int) -> bytes:
        got = b""
        while len(got) < length:
            part = self.socket.recv(length - len(got))
            if not part:
                raise ConnectionError("the gateway closed the connection")
            got += part
        return got
