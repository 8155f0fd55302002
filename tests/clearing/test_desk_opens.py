"""A desk opens with all of its workers or not at all."""

import socket
import time
from typing import Any

import pytest

from coalition.clearing import desk as desk_module
from coalition.clearing.desk import Desk
from coalition.clearing.frames import READY
from coalition.domain.errors import StoreUnavailable
from coalition.server.front_door import FrontDoor
from tests.clearing.desks import LOOPS, Run


class NotReady:
    """Starts workers, of which the second never says that it is ready: it is silent, or ends at once."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent
        self.ends: list[socket.socket] = []

    def open(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self.ends.append(theirs)
        if len(self.ends) == 1:
            theirs.sendall(READY)
        elif not self._silent:
            theirs.shutdown(socket.SHUT_RDWR)
        return ours


def is_hung_up(end: socket.socket) -> bool:
    """Whether the worker at this end hears that its desk is gone: a reset, too, when nobody read its READY."""
    end.settimeout(30)
    try:
        return end.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


@LOOPS
@pytest.mark.parametrize("silent", [True, False], ids=["silent", "ended"])
def test_a_desk_whose_worker_does_not_come_up_does_not_open_and_hangs_up_on_all(
    monkeypatch: pytest.MonkeyPatch, silent: bool, run: Run
) -> None:
    monkeypatch.setattr(desk_module, "READY_SECONDS", 0.2)
    workers = NotReady(silent=silent)

    async def never() -> None:
        async with Desk(workers.open, 2, batch_max=1, queue_max=1, clock=time.monotonic):
            pytest.fail("it opened")

    started = time.monotonic()
    with pytest.raises(StoreUnavailable, match="worker"):
        run(never())

    assert time.monotonic() - started < 20
    assert 2 == len(workers.ends)
    assert [True, True] == [is_hung_up(end) for end in workers.ends], "a worker would wait for ever"


def test_a_server_whose_desk_does_not_open_says_why_and_serves_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "READY_SECONDS", 0.2)
    nobody: Any = None
    desk = Desk(NotReady(silent=True).open, 2, batch_max=1, queue_max=1, clock=time.monotonic)
    door = FrontDoor(lambda: pytest.fail("served"), nobody, nobody, "127.0.0.1:0", desk=desk)

    with pytest.raises(StoreUnavailable, match="not ready within"):
        door.open()
    door.close()
