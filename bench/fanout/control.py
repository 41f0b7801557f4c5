"""Tells a server under measurement to publish, by a datagram: cheap, and the same for all.

An HTTP request would cost Daphne as much as a hundred frames.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

#: The environment variable with the UDP port on which the server listens.
PORT = "BENCH_CONTROL_PORT"

_opened = False


def listen(publish: Callable[[int, int], None]) -> None:
    """On the running loop, call `publish(jobs, number)` for each datagram. May be repeated."""
    global _opened
    if _opened:
        return
    _opened = True
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setblocking(False)
    receiver.bind(("127.0.0.1", int(os.environ[PORT])))

    def readable() -> None:
        jobs, number = receiver.recv(64).split()
        publish(int(jobs), int(number))

    asyncio.get_running_loop().add_reader(receiver, readable)
