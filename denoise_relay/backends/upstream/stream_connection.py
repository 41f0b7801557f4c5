"""One connection that carries one response, as httpx's stream of its bytes."""

from __future__ import annotations

import asyncio
from typing import cast

import h11
import httpx

from denoise_relay.backends.upstream.body import Body, OpenBody, body_of
from denoise_relay.exceptions import ProtocolError

#: Of a head; as in httpcore.
MAX_HEAD_BYTES = 100 * 1024
#: Read from the socket at once, and by how much the reader may lag before the socket has to wait.
READ_BYTES = 64 * 1024


class StreamConnection(asyncio.BufferedProtocol, httpx.AsyncByteStream):
    """Send one request, take its head, iterate over its body.

    Raises `httpx.ReadError`, `RemoteProtocolError` and `LocalProtocolError`.
    """

    def __init__(self, buffer: memoryview) -> None:
        """`buffer` may be shared by all connections of one loop: what was read into it is copied
        before the next read."""
        self._buffer = buffer
        self._received: list[bytes] = []
        self._received_bytes = 0
        self._paused = False
        self._ended = False
        self._fault: Exception | None = None
        self._body: Body | None = None
        self._reader: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._closed = self._loop.create_future()
        self._transport: asyncio.Transport

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._take(nbytes)

    def _take(self, nbytes: int) -> None:
        """Keep what is in the buffer for the reader."""
        self._received.append(bytes(self._buffer[:nbytes]))
        self._received_bytes += nbytes
        if self._received_bytes > READ_BYTES and not self._paused:
            self._transport.pause_reading()
            self._paused = True
        self._wake()

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        if self._fault is None:
            self._fault = exc
        if not self._closed.done():
            self._closed.set_result(None)
        self._wake()

    def _fail(self, fault: Exception) -> None:
        """Let the reader read what has come, and then raise."""
        if self._fault is None:
            self._fault = fault
        self.abort()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # Called by the reader

    async def ready(self) -> None:
        """Return once a request can be sent; raises `OSError` when that will never be."""

    def _write(self, data: bytes) -> None:
        self._transport.write(data)

    def _say_goodbye(self) -> None:
        """Tell the peer, before the connection is closed."""

    async def request(self, request: httpx.Request) -> h11.Response:
        """Send the request, which has no body, and return the head of its response."""
        http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        try:
            head = h11.Request(
                method=request.method, target=request.url.raw_path, headers=request.headers.raw
            )
            self._write(http.send(head) or b"")
            http.send(h11.EndOfMessage())
        except h11.LocalProtocolError as exc:
            raise httpx.LocalProtocolError(str(exc)) from exc
        try:
            while not isinstance(event := http.next_event(), h11.Response):
                if event is h11.NEED_DATA:
                    http.receive_data(await self._read())
                elif not isinstance(event, h11.InformationalResponse):
                    raise httpx.RemoteProtocolError("no response to a request")
        except h11.RemoteProtocolError as exc:
            raise httpx.RemoteProtocolError(str(exc)) from exc
        self._body = body_of(event.status_code, dict(event.headers))
        if rest := http.trailing_data[0]:  # of the body, which came together with the head
            self._received.insert(0, rest)
        return event

    def __aiter__(self) -> StreamConnection:
        return self

    async def __anext__(self) -> bytes:
        if (body := self._body) is None:
            raise RuntimeError("the head has not been read")
        while not body.complete:
            if not (data := await self._read()):
                if isinstance(body, OpenBody):
                    break
                raise httpx.RemoteProtocolError("the connection was closed within the body")
            try:
                share = body.feed(data)
            except ProtocolError as exc:
                raise httpx.RemoteProtocolError(str(exc)) from exc
            if share:
                return share
        raise StopAsyncIteration

    async def _read(self) -> bytes:
        """All bytes that have come, or the next; b"" at the end."""
        while not self._received:
            if self._fault is not None:
                raise httpx.ReadError(str(self._fault)) from self._fault
            if self._ended:
                return b""
            if self._paused:
                self._paused = False
                self._transport.resume_reading()
            self._reader = self._loop.create_future()
            await self._reader
        received = self._received
        data = received[0] if len(received) == 1 else b"".join(received)
        received.clear()
        self._received_bytes = 0
        return data

    def abort(self) -> None:
        """Close at once, without a goodbye."""
        self._transport.abort()

    async def aclose(self) -> None:
        """Close, and wait until the socket is closed; at once when that is cancelled."""
        self._say_goodbye()
        self._transport.close()
        try:
            await asyncio.shield(self._closed)
        except asyncio.CancelledError:
            self.abort()
            raise
