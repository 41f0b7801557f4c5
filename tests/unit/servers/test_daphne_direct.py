"""The direct way under Daphne, over real connections of Twisted."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_django import Settings
from twisted.internet import tcp
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from denoise_relay.frames import websocket_message
from denoise_relay.live.sender import DIRECT_SEND
from denoise_relay.servers import daphne_direct
from denoise_relay.servers.daphne_direct import _direct_send, _NoReactor, available

OPEN, CLOSING = 3, 2
#: More than the kernel takes at once.
MUCH = b"x" * 4_000_000


class _Protocol:
    """What Daphne's protocol is to us."""

    _perMessageCompress: Any = None
    autoFragmentSize = 0

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.state = OPEN


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        there.setblocking(False)
        yield here, there


@pytest.fixture
def protocol(sockets: tuple[socket.socket, socket.socket]) -> _Protocol:
    make: Any = tcp.Server
    return _Protocol(make(sockets[0], Protocol(), ("", 0), None, 0, _NoReactor()))


@pytest.fixture
def viewer(sockets: tuple[socket.socket, socket.socket]) -> socket.socket:
    return sockets[1]


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    available.cache_clear()
    yield
    available.cache_clear()


def test_a_message_is_written_at_once(protocol: _Protocol, viewer: socket.socket) -> None:
    send = _direct_send(protocol)
    assert send is not None
    assert send(b"one")
    assert send(b"two")
    assert viewer.recv(100) == b"onetwo"


def test_what_the_kernel_does_not_take_is_twisteds_and_nothing_passes_it(
    protocol: _Protocol, viewer: socket.socket
) -> None:
    send, transport = _direct_send(protocol), protocol.transport
    assert send is not None
    assert send(MUCH)
    assert not send(b"second"), "it would come before the rest of the first"
    came = bytearray()
    while transport.dataBuffer or transport._tempDataBuffer or len(came) < len(MUCH):
        transport.doWrite()
        came += viewer.recv(1_000_000)
    assert came == MUCH
    assert send(b"third")
    assert viewer.recv(100) == b"third"


def test_what_twisted_is_about_to_write_comes_first(
    protocol: _Protocol, viewer: socket.socket
) -> None:
    send = _direct_send(protocol)
    assert send is not None
    protocol.transport.write(b"a ping")
    assert not send(b"message")
    protocol.transport.doWrite()
    assert send(b"message")
    assert viewer.recv(100) == b"a pingmessage"


@pytest.mark.parametrize("end", ["closing", "disconnecting", "lost", "reset"])
def test_a_connection_that_ends_is_left_to_asgi(
    protocol: _Protocol, viewer: socket.socket, end: str
) -> None:
    send = _direct_send(protocol)
    assert send is not None
    if end == "closing":
        protocol.state = CLOSING
    elif end == "disconnecting":
        protocol.transport.disconnecting = True
    elif end == "lost":
        protocol.transport.connected = 0
    else:
        viewer.close()
    assert not send(b"message")


def test_a_client_that_left_during_the_handshake_has_none(protocol: _Protocol) -> None:
    protocol.transport.connectionLost(Failure(ConnectionDone()))
    assert _direct_send(protocol) is None


def test_neither_tls_nor_compression_nor_other_transports_have_it(protocol: _Protocol) -> None:
    protocol._perMessageCompress = object()
    assert _direct_send(protocol) is None
    protocol._perMessageCompress = None
    protocol.transport.TLS = True
    assert _direct_send(protocol) is None
    protocol.transport = object()
    assert _direct_send(protocol) is None


def test_the_installed_versions_have_it() -> None:
    assert available()


def test_the_setting_switches_it_off(settings: Settings) -> None:
    settings.DENOISE_RELAY = {"DIRECT_SENDS": False}
    assert not available()


@pytest.mark.parametrize("changed", ["message", "buffer", "name"])
def test_versions_that_differ_do_not_have_it_and_that_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, changed: str
) -> None:
    if changed == "message":
        monkeypatch.setattr(
            daphne_direct, "websocket_message", lambda text: websocket_message(text) + b"."
        )
    elif changed == "buffer":  # a transport that writes at once, as one day Twisted's may
        monkeypatch.setattr(
            tcp.Server, "write", lambda transport, data: transport.socket.send(data)
        )
    else:
        monkeypatch.setattr(tcp.Server, "doWrite", None)
    with caplog.at_level(logging.WARNING):
        assert [available(), available()] == [False, False]
    assert [record.__dict__["relay_action"] for record in caplog.records] == [
        "direct_sends_unavailable"
    ]


def test_a_middleware_that_wraps_send_sees_all_frames(
    protocol: _Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not Daphne's own, which would load Twisted's default reactor into this process.
    daphne = SimpleNamespace(WebSocketProtocol=_Protocol)
    monkeypatch.setitem(sys.modules, "daphne.ws_protocol", daphne)  # type: ignore[arg-type]

    async def handle_reply(protocol: Any, message: Any) -> None: ...

    send = partial(handle_reply, protocol)

    async def wrapped(message: Any) -> None:
        await send(message)

    scope: dict[str, Any] = {"type": "websocket"}
    daphne_direct.offer(scope, wrapped)
    assert DIRECT_SEND not in scope
    daphne_direct.offer(scope, send)
    assert DIRECT_SEND in scope
