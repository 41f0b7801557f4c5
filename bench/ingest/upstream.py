"""The upstream of the bench: many event streams, written one event at a time at a steady rate.

Plain sockets in the bench's own process, so that its cost is on another core than the reader's.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

TIMEOUT_SECONDS = 20.0
EVENTS_PER_SECOND = 2000
#: Streams that a reader follows before it is measured.
WARM_UP = 8

_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)


class Upstream:
    """Accepts streams, paces events over them in turn, and ends them all at once."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._streams: list[socket.socket] = []
        self._events = 0

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def accept(self, count: int) -> None:
        """Take so many requests, and answer each with the head of a chunked event stream."""
        for _ in range(count):
            stream, _address = self._listener.accept()
            stream.settimeout(TIMEOUT_SECONDS)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._streams.append(stream)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                if not (data := stream.recv(65536)):
                    raise ConnectionError("a reader left before its request was whole")
                head += data
            stream.sendall(_HEAD)

    def pace(self, seconds: float) -> None:
        """Write `EVENTS_PER_SECOND`, each alone, to the streams in turn."""
        begun = time.perf_counter()
        for number in range(int(seconds * EVENTS_PER_SECOND)):
            delay = begun + number / EVENTS_PER_SECOND - time.perf_counter()
            if delay > 0:
                time.sleep(delay)
            self._events += 1
            pct = self._events % 1000 / 10
            event = b'{"stage":"processing","pct":%.1f,"message":"Isolating voice"}' % pct
            self._streams[number % len(self._streams)].sendall(_chunk(event))

    def end(self) -> None:
        """Send the terminal event on every stream, and close it."""
        ending = _chunk(b'{"stage":"done","url":"http://127.0.0.1/result.wav"}') + b"0\r\n\r\n"
        for stream in self._streams:
            with contextlib.suppress(OSError), stream:
                stream.sendall(ending)
        self._streams.clear()


def _chunk(event: bytes) -> bytes:
    message = b"data: %s\n\n" % event
    return b"%x\r\n%s\r\n" % (len(message), message)


@contextlib.contextmanager
def upstream() -> Iterator[Upstream]:
    """An upstream that listens on a free port of this machine."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        listener.settimeout(TIMEOUT_SECONDS)
        serving = Upstream(listener)
        try:
            yield serving
        finally:
            serving.end()
