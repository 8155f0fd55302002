"""How a process hears that it shall end."""

import os
import signal
import threading


def stop_on_signals() -> threading.Event:
    """Set at SIGTERM or SIGINT, from now on. Belongs to the main thread.

    Not by the handler: it runs in the main thread between any two steps, often while that waits for this very event and
    holds its lock, and would wait for the lock for ever.
    """
    stop = threading.Event()
    heard, told = os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.write(told, b"!"))

    def listen() -> None:
        os.read(heard, 1)
        stop.set()

    threading.Thread(target=listen, name="signals", daemon=True).start()
    return stop
