"""The load: many viewers in one thread that only read, so that the client is no bottleneck.

A frame has arrived when its last key has: the ways differ in framing, not in the JSON.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence

#: The key that each frame has once.
MARK = b'"at"'
CONNECT_SECONDS = 20.0
#: Connections that are opened at a time: a server's backlog may be short.
AT_A_TIME = 50
WEBSOCKET = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n"
    "Sec-WebSocket-Version: 13\r\nOrigin: http://127.0.0.1:{port}\r\n{headers}\r\n"
)
EVENT_STREAM = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\n{headers}\r\n"
)


class Missed(Exception):
    """Frames did not come in time."""

    def __init__(self, why: str, came: int = 0) -> None:
        super().__init__(why)
        #: Frames that did.
        self.came = came


class Viewers:
    """Open connections, of which each gets one frame per update."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self._poll = select.epoll()
        self._sockets = {one.fileno(): one for one in sockets}
        for number in self._sockets:
            self._poll.register(number, select.EPOLLIN)

    def seen(self, publish: Callable[[], None], frames: int, seconds: float) -> list[float]:
        """Publish, wait until `frames` have arrived, and return how long each took, in seconds.

        Raises `Missed` when they do not within `seconds`.
        """
        latencies: list[float] = []
        tails: dict[int, bytes] = {}
        begun = time.monotonic()
        publish()
        while len(latencies) < frames:
            ready = self._poll.poll(max(0.0, begun + seconds - time.monotonic()))
            if not ready:
                came = len(latencies)
                raise Missed(f"{came} of {frames} frames came within {seconds} s", came)
            for number, _ in ready:
                chunk = self._sockets[number].recv(65536)
                if not chunk:
                    raise Missed("the server closed a connection")
                came = (tails.get(number, b"") + chunk).count(MARK)
                tails[number] = chunk[-3:]
                latencies += [time.monotonic() - begun] * came
        return latencies

    def drain(self, seconds: float) -> None:
        """Read what comes within some seconds, and forget it."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            for number, _ in self._poll.poll(left):
                self._sockets[number].recv(65536)


@contextlib.contextmanager
def connected(port: int, paths: Sequence[str], request: str, headers: str) -> Iterator[Viewers]:
    """One viewer for each path, closed at the end."""
    with contextlib.ExitStack() as stack:
        sockets = []
        for start in range(0, len(paths), AT_A_TIME):
            some = []
            for path in paths[start : start + AT_A_TIME]:
                one = stack.enter_context(
                    socket.create_connection(("127.0.0.1", port), CONNECT_SECONDS)
                )
                one.sendall(request.format(path=path, port=port, headers=headers).encode())
                some.append(one)
            for one in some:
                _read_head(one)
            sockets += some
        yield Viewers(sockets)


def _read_head(one: socket.socket) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        chunk = one.recv(4096)
        if not chunk:
            raise ConnectionError(f"refused: {head[:200]!r}")
        head += chunk
    status = head.split(b" ", 2)[1]
    if status not in (b"101", b"200"):
        raise ConnectionError(f"refused: {head[:200]!r}")
