"""The direct way under Daphne: a frame that is built once goes straight to each viewer's socket.

Daphne's `send` costs seven times as much as the system call: autobahn builds the message anew for
each viewer, and Twisted never writes at once but asks the selector first. So where nothing is in
the way, the bytes are written here. This reaches behind ASGI, into Daphne, autobahn and Twisted.
`available` tries out what is relied on, at the start; and each send looks at the connection: is it
open, without TLS and compression, and does Twisted have nothing to write before? Where
not, the caller uses `send`. What the kernel does not take at once goes to Twisted's buffer, and
`daphne_back_pressure` does the rest.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import MutableMapping
from functools import cache, partial
from typing import Any

from denoise_relay.conf import relay_settings
from denoise_relay.frames import websocket_message
from denoise_relay.live.sender import DIRECT_SEND, DirectSend
from denoise_relay.runtime import logs

#: autobahn's STATE_OPEN.
_OPEN = 3
#: One of each form that a length has in a WebSocket message.
_SIZES = (2, 125, 126, 65535, 65536)


class _Connection:
    """One viewer's connection to Daphne."""

    __slots__ = ("_protocol", "_send", "_transport")

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._transport = protocol.transport
        self._send = protocol.transport.socket.send

    def send(self, message: bytes) -> bool:
        """Write an encoded message, if it can go now; see `live.sender.DirectSend`."""
        transport = self._transport
        if (
            self._protocol.state != _OPEN
            # What Twisted has not written yet comes before us.
            or transport.dataBuffer
            or transport._tempDataBuffer
            or not transport.connected
            or transport.disconnecting
        ):
            return False
        try:
            sent = self._send(message)
        except BlockingIOError:
            sent = 0
        except OSError:
            return False  # it is broken, and `send` notices that, too
        if sent < len(message):
            transport.write(message[sent:])
        return True


def offer(scope: MutableMapping[str, Any], send: Any) -> None:
    """Put the direct way into the scope of a socket, where there is one.

    `send` must be Daphne's own: a middleware around us, which wraps it, is to see all frames.
    """
    if not available() or not isinstance(send, partial) or len(send.args) != 1:
        return
    (protocol,) = send.args
    if isinstance(protocol, sys.modules["daphne.ws_protocol"].WebSocketProtocol):
        # No copy of the scope, which every socket would keep: it is this connection's own.
        scope[DIRECT_SEND] = partial(_direct_send, protocol)


def _direct_send(protocol: Any) -> DirectSend | None:
    """The direct way to a client whose handshake is complete."""
    from twisted.internet import tcp, unix

    transport = protocol.transport
    # Not a subclass, and not TLS, which are other transports around this one.
    plain = type(transport) in (tcp.Server, unix.Server) and not transport.TLS
    # A client that has left meanwhile has no socket any more.
    if not plain or not transport.connected:
        return None
    if protocol._perMessageCompress is not None or protocol.autoFragmentSize:
        return None
    return _Connection(protocol).send


@cache
def available() -> bool:
    """Whether the setting allows the direct way, and the installed versions are as it needs them:
    tried out once, on a connection of our own."""
    if not relay_settings().DIRECT_SENDS:
        return False
    try:
        _check_messages()
        _check_connection()
    except Exception as error:  # noqa: BLE001 - another version may differ in any way
        logs.logger.warning(
            "Frames are sent through ASGI only, because Daphne is not as expected: %r",
            error,
            extra=logs.fields("direct_sends_unavailable", error=repr(error)),
        )
        return False
    return True


class Unexpected(Exception):
    """Something behind ASGI differs from the versions that this was written for."""


def _require(found: bool, what: str) -> None:
    if not found:
        raise Unexpected(what)


def _check_messages() -> None:
    """autobahn would send the same bytes."""
    from autobahn.websocket.protocol import PreparedMessage, WebSocketProtocol

    _require(WebSocketProtocol.STATE_OPEN == _OPEN, "STATE_OPEN")
    for size in _SIZES:
        text = "x" * size
        theirs = PreparedMessage(text.encode(), False, False, True).payloadHybi
        _require(theirs == websocket_message(text), f"a message of {size} bytes")


def _check_connection() -> None:
    """A transport is connected, says what it has not written, and writes it in order."""
    from twisted.internet import tcp
    from twisted.internet.protocol import Protocol

    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        there.settimeout(1)
        make: Any = tcp.Server
        transport = make(here, Protocol(), ("", 0), None, 0, _NoReactor())
        _require(not transport.TLS and bool(transport.connected), "a new connection")
        _require(not transport.disconnecting, "a new connection")
        _require(transport.socket is here, "the socket")
        _require(not transport.dataBuffer and not transport._tempDataBuffer, "empty buffers")
        transport.write(b"first")
        _require(bool(transport.dataBuffer or transport._tempDataBuffer), "a full buffer")
        transport.doWrite()
        _require(not transport.dataBuffer and not transport._tempDataBuffer, "a written buffer")
        transport.socket.send(b"second")
        _require(there.recv(100) == b"firstsecond", "the order")
        too_much = b"x" * 10_000_000
        transport.write(too_much)
        transport.doWrite()
        _require(bool(transport.dataBuffer or transport._tempDataBuffer), "a full socket")


class _NoReactor:
    """What a transport asks of a reactor: here nothing happens by itself."""

    def addReader(self, reader: Any) -> None: ...
    def addWriter(self, writer: Any) -> None: ...
    def removeReader(self, reader: Any) -> None: ...
    def removeWriter(self, writer: Any) -> None: ...
