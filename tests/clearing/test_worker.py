"""A worker by itself, at the end of its socket: what it does when its server is gone."""

import socket
import threading
import time

from coalition.clearing.frames import READY, commands_frame
from coalition.clearing.worker import work
from coalition.domain.journal import Outcome
from tests.clearing.desks import Interference, lose_the_answer
from tests.clearing.house import House
from tests.clearing.pins import Checker


def test_a_batch_of_a_dead_server_is_not_tried_again(house: House) -> None:
    """Its clients heard nothing and may have paid otherwise since: nothing of it may appear seconds later."""
    token = house.funded_card()
    tries = Interference(house, "locked", lose_the_answer, lambda number: number <= 3)
    ours, theirs = socket.socketpair()
    paused: list[float] = []

    def pause(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == 2:
            ours.close()  # the server is killed

    thread = threading.Thread(target=work, args=(theirs, tries.store(), pause, Checker()))
    thread.start()
    assert READY == ours.recv(len(READY))
    ours.sendall(commands_frame([house.purchase("cafe", token, 10)]))
    thread.join(20)

    assert not thread.is_alive()
    assert 2 == tries.faults == len(paused)
    assert [] == house.query("SELECT entry_id FROM entries WHERE kind = 2")


def test_a_worker_whose_server_dies_before_it_is_ready_ends(house: House) -> None:
    ours, theirs = socket.socketpair()
    ours.close()

    work(theirs, house.store(), time.sleep, Checker())

    assert -1 == theirs.fileno()


def test_a_worker_whose_server_dies_without_having_heard_it_ends(house: House) -> None:
    """The kernel then says that the connection was reset, not that it has ended."""
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=work, args=(theirs, house.store(), time.sleep, Checker()))
    thread.start()
    assert READY == ours.recv(len(READY), socket.MSG_PEEK)
    ours.close()
    thread.join(20)

    assert not thread.is_alive()
    assert -1 == theirs.fileno()


def test_a_worker_finishes_the_try_that_is_under_way_when_its_server_dies(house: House) -> None:
    """Committed and not told is what a kill may leave; the retry gets that answer."""
    token = house.funded_card()
    purchase = house.purchase("cafe", token, 10)
    ours, theirs = socket.socketpair()
    dies = Interference(house, "committed", lambda _: ours.close(), lambda _: True)
    ours.sendall(commands_frame([purchase]))

    work(theirs, dies.store(), time.sleep, Checker())

    assert [(1,)] == house.query("SELECT count(*) FROM entries WHERE kind = 2")
    (answer,) = house.run(purchase)
    assert isinstance(answer, Outcome)
    assert answer.replayed
