"""Patches Daphne with back-pressure: its `send` never waits and its input queues are unbounded.

Unpatched, 300 messages of 1 MB to a client that reads nothing cost the server 300 MB, and a
client that sends faster than it is answered fills the memory as well. With the patch, `send`
waits while the transport's buffer is full (as a Twisted producer), so a slow viewer's frames stay
in its mailbox, which keeps only the latest; and a socket is not read while its input waits. A
client that reads nothing at all is disconnected by Daphne's ping time-out.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

#: When so many messages of one client wait, its socket is not read.
INPUT_LIMIT = 32
#: The kernel's buffer of each socket (Linux doubles it). By default it grows to 4 MB for a client
#: that does not read, and the work of encoding what it holds is wasted.
SEND_BUFFER_BYTES = 64 * 1024
#: Between two checks whether an unread socket may be read again.
CHECK_SECONDS = 0.05
#: The messages that wait for the client. A close must not: with it a server that stops gets rid
#: of clients that do not read.
WAITING_TYPES = frozenset({"websocket.send", "http.response.body"})

# autobahn's STATE_CLOSED and STATE_CLOSING.
_CLOSED_STATES = (0, 2)


class _Gate:
    """A Twisted IPushProducer that lets others wait until the transport takes more data."""

    # No asyncio.Event, which takes 0.8 KiB for each connection.
    __slots__ = ("_waiting", "closed")

    def __init__(self) -> None:
        self.closed = False
        self._waiting: list[asyncio.Future[None]] = []

    def pauseProducing(self) -> None:
        self.closed = True

    def resumeProducing(self) -> None:
        self._open()

    def stopProducing(self) -> None:
        """The connection is lost: nothing needs to wait any more."""
        self._open()

    def _open(self) -> None:
        self.closed = False
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def wait_open(self) -> None:
        while self.closed:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter


class _SocketGate(_Gate):
    """The gate of a WebSocket, which does not share its transport."""

    __slots__ = ("_transport",)

    def __init__(self, transport: Any) -> None:
        super().__init__()
        self._transport = transport

    def resumeProducing(self) -> None:
        super().resumeProducing()
        if getattr(self._transport, "disconnecting", False):
            # A transport that closes waits for its producer to be unregistered.
            self._transport.unregisterProducer()


class _InputGuard:
    """Stops reading from a client while its messages wait, with one timer at a time.

    What was read already may hold thousands of messages (4,065 in one read of 64 KiB), which still
    come after the pause.
    """

    __slots__ = ("_client", "_timer")

    def __init__(self, client: Any) -> None:
        self._client = client
        self._timer: asyncio.TimerHandle | None = None

    def received(self) -> None:
        """Call this after each message was put into the client's queue."""
        if self._timer is None and self._full:
            self._client.transport.pauseProducing()
            self._look_later()

    @property
    def _full(self) -> bool:
        return bool(self._client.application_queue.qsize() >= INPUT_LIMIT)

    def _look_later(self) -> None:
        self._timer = asyncio.get_event_loop().call_later(CHECK_SECONDS, self._look)

    def _look(self) -> None:
        """Read again when the messages have been handled."""
        self._timer = None
        client = self._client
        if getattr(client.transport, "disconnected", False) or client.state == client.STATE_CLOSED:
            return
        if self._full:
            self._look_later()
        else:
            client.transport.resumeProducing()


def patch() -> None:
    """Give Daphne back-pressure. May be repeated."""
    from daphne.http_protocol import WebRequest
    from daphne.server import Server
    from daphne.ws_protocol import WebSocketProtocol

    if getattr(Server, "_denoise_relay_pressure", False):
        return
    Server._denoise_relay_pressure = True
    handle_reply, opened = Server.handle_reply, WebSocketProtocol.onOpen
    message, finish = WebSocketProtocol.onMessage, WebRequest.finish

    async def reply(self: Any, protocol: Any, event: dict[str, Any]) -> None:
        if event["type"] == "http.response.start" and protocol.channel is not None:
            _watch_request(protocol)
        if event["type"] == "websocket.send" and protocol.state in _CLOSED_STATES:
            # The OSError that ASGI asks for; autobahn raises an exception of its own.
            raise ConnectionResetError("the client has gone")
        await handle_reply(self, protocol, event)
        gate: _Gate | None = getattr(protocol, "_relay_gate", None)
        if gate is not None and gate.closed and event["type"] in WAITING_TYPES:
            await gate.wait_open()

    def onOpen(self: Any) -> None:
        handle = getattr(self.transport, "getHandle", None)
        if handle is not None:  # Unix sockets have it too; a TLS transport may not
            handle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        # Until now, the HTTP channel was the transport's producer.
        self.transport.unregisterProducer()
        self._relay_input = _InputGuard(self)
        self._relay_gate = _SocketGate(self.transport)
        self.transport.registerProducer(self._relay_gate, True)
        opened(self)

    def onMessage(self: Any, payload: bytes, isBinary: bool) -> None:
        message(self, payload, isBinary)
        self._relay_input.received()

    def finished(self: Any) -> None:
        if getattr(self, "_relay_gate", None) is not None:
            self.unregisterProducer()  # otherwise Twisted refuses to finish
            self._relay_gate = None
        finish(self)

    Server.handle_reply = reply
    WebSocketProtocol.onOpen = onOpen
    WebSocketProtocol.onMessage = onMessage
    WebRequest.finish = finished


def _watch_request(request: Any) -> None:
    request._relay_gate = _Gate()
    request.registerProducer(request._relay_gate, True)
