"""Strangers' bytes for a gateway, from a seed: valid messages with something wrong, and plain garbage."""

import random
import socket
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import iso8583

from tests.gateway.pos import Pos, Wire, original, said

CARD = "621234567890123"
SECRETS = (CARD, f"{CARD}=29122010000012345", "B621234567890123^WANG/FANG^2912", "FEDCBA9876543210")
HEARING_SECONDS = 5.0


@dataclass
class Heard:
    """What came back: answers by DE39, and connections that the gateway ended."""

    answers: int = 0
    closed: int = 0
    silent: int = 0


def messages(random_: random.Random) -> Iterator[dict[str, str]]:
    """Valid messages of every type, with secrets in them."""
    while True:
        mti = random_.choice(["0100", "0200", "0201", "0220", "0221", "0400", "0401", "0420", "0800", "0300", "0210"])
        message = said(mti, CARD, random_.randrange(0, 10**12))
        message["3"] = random_.choice(["000000", "200000", "210000", "310000", "990000"])
        message |= {"35": SECRETS[1], "45": SECRETS[2]} if random_.random() < 0.3 else {}
        message |= {"52": SECRETS[3]} if random_.random() < 0.05 else {}
        message |= {"90": original(message)} if random_.random() < 0.5 else {}
        message |= {"62": str(random_.randrange(10**18))} if random_.random() < 0.2 else {}
        message |= {"70": "301"} if mti == "0800" else {}
        yield message


def mutated(random_: random.Random, message: dict[str, str], wire: Wire) -> bytes:
    """A frame of the message with one thing, or several, wrong; sometimes with nothing wrong."""
    way = random_.randrange(8)
    if way == 0:
        del message[random_.choice([name for name in message if name != "t"])]
    elif way == 1:
        name = random_.choice([name for name in message if name not in {"t", "90"}])
        message[name] = "".join(random_.choice(string.printable) for _ in message[name])
    try:
        frame = bytearray(wire.frame(message))
    except iso8583.EncodeError:
        frame = bytearray(wire.frame(said("0200", CARD, 1)))
    if way in {2, 3}:
        for _ in range(random_.randrange(1, 8)):
            frame[random_.randrange(2, len(frame))] = random_.randrange(256)
    elif way == 4:
        frame = frame[: random_.randrange(2, len(frame))]
        frame[:2] = (len(frame) - 2).to_bytes(2, "big")
    elif way == 5:
        frame += random_.randbytes(random_.randrange(1, 50))
        frame[:2] = (len(frame) - 2).to_bytes(2, "big")
    elif way == 6:
        frame[:2] = random_.randrange(65_536).to_bytes(2, "big")
    elif way == 7 and random_.random() < 0.5:
        frame = bytearray(random_.randbytes(random_.randrange(1, 300)))
    return bytes(frame)


def attack(address: str, count: int, seed: int, spec: Any) -> Heard:
    """Send `count` frames, a few on a connection, and listen; every answer must be a message with a DE39."""
    random_, heard, wire = random.Random(seed), Heard(), Wire(spec)
    valid = messages(random_)
    sent = 0
    while sent < count:
        with Pos(address, wire=wire) as pos:
            for _ in range(random_.randrange(1, 12)):
                sent += 1
                try:
                    pos.socket.sendall(mutated(random_, next(valid), wire))
                except OSError:
                    break
            try:
                pos.socket.shutdown(socket.SHUT_WR)
                pos.socket.settimeout(HEARING_SECONDS)
                _hear_all(pos, heard)
            except OSError:
                heard.closed += 1
    return heard


def _hear_all(pos: Pos, heard: Heard) -> None:
    try:
        while True:
            answer = pos.hear()
            assert len(answer["39"]) == 2, answer
            assert int(answer["t"][2]) % 2 == 1
            assert "2" not in answer
            heard.answers += 1
    except TimeoutError:
        heard.silent += 1
    except ConnectionError:
        heard.closed += 1
