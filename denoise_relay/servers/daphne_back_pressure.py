"""Back-pressure for Daphne, whose `send` never waits and whose input queues have no end.

As shipped, 300 messages of 1 MB to a client that reads nothing cost the server 300 MB, and
a client that sends faster than it is answered fills the memory likewise. Here `send` waits
while the transport's buffer is full (Twisted calls that a producer), so that a slow viewer's
mailbox keeps the latest state instead, and a socket is not read while its input waits.
A client that reads nothing at all is ended by Daphne's ping time-out.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

INPUT_LIMIT = 32
"""Messages of one client that wait for being handled before its socket is left unread."""
SEND_BUFFER_BYTES = 64 * 1024
"""In the kernel, for each socket (Linux doubles it). Left alone it grows to 4 MB for one that
is not read, and the work of encoding what goes in there is done for nobody."""
LOOK_SECONDS = 0.05
WAITS_FOR = frozenset({"websocket.send", "http.response.body"})
"""What may wait. A close may not: it is how a server that stops gets rid of dead clients."""

_GONE = (0, 2)
"""autobahn's STATE_CLOSED and STATE_CLOSING."""


class _Valve:
    """Twisted's IPushProducer, turned round: it tells when the transport takes more."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()

    def pauseProducing(self) -> None:
        self._open.clear()

    def resumeProducing(self) -> None:
        self._open.set()

    def stopProducing(self) -> None:
        """The connection is lost; what is still sent goes nowhere."""
        self._open.set()

    async def passable(self) -> None:
        await self._open.wait()


class _SocketValve(_Valve):
    """The valve of a WebSocket, which has its transport to itself."""

    def __init__(self, transport: Any) -> None:
        super().__init__()
        self._transport = transport

    def resumeProducing(self) -> None:
        super().resumeProducing()
        if getattr(self._transport, "disconnecting", False):
            # A transport waits for its producer before it closes.
            self._transport.unregisterProducer()


def mend() -> None:
    """Give Daphne back-pressure, once."""
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
        if event["type"] == "websocket.send" and protocol.state in _GONE:
            # What ASGI asks for; autobahn raises an exception of its own.
            raise ConnectionResetError("the client has gone")
        await handle_reply(self, protocol, event)
        valve: _Valve | None = getattr(protocol, "_relay_valve", None)
        if valve is not None and event["type"] in WAITS_FOR:
            await valve.passable()

    def onOpen(self: Any) -> None:
        handle = getattr(self.transport, "getHandle", None)
        if handle is not None:  # a Unix socket takes it too; TLS in between may not
            handle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        # Until the upgrade, the HTTP channel was this transport's producer.
        self.transport.unregisterProducer()
        self._relay_valve = _SocketValve(self.transport)
        self.transport.registerProducer(self._relay_valve, True)
        opened(self)

    def onMessage(self: Any, payload: bytes, isBinary: bool) -> None:
        message(self, payload, isBinary)
        if self.application_queue.qsize() >= INPUT_LIMIT:
            self.transport.pauseProducing()
            asyncio.get_event_loop().call_later(LOOK_SECONDS, _read_on, self)

    def finished(self: Any) -> None:
        if getattr(self, "_relay_valve", None) is not None:
            self.unregisterProducer()  # or Twisted refuses to finish
            self._relay_valve = None
        finish(self)

    Server.handle_reply = reply
    WebSocketProtocol.onOpen = onOpen
    WebSocketProtocol.onMessage = onMessage
    WebRequest.finish = finished


def _watch_request(request: Any) -> None:
    request._relay_valve = _Valve()
    request.registerProducer(request._relay_valve, True)


def _read_on(client: Any) -> None:
    """Read from a client again once its messages have been handled."""
    if getattr(client.transport, "disconnected", False) or client.state == client.STATE_CLOSED:
        return
    if client.application_queue.qsize() < INPUT_LIMIT:
        client.transport.resumeProducing()
    else:
        asyncio.get_event_loop().call_later(LOOK_SECONDS, _read_on, client)
