"""A stream's connection over TLS.

asyncio's own TLS has a buffer of 256 KiB for each connection, of which the allocator makes up to
600 KiB a stream. Here OpenSSL reads and writes through `ssl.MemoryBIO`, as in anyio.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import cast

from denoise_relay.backends.upstream.stream_connection import StreamConnection


class TlsStreamConnection(StreamConnection):
    """Shakes hands as soon as it is connected; `ready` raises what came of it."""

    def __init__(self, buffer: memoryview, context: ssl.SSLContext, hostname: str) -> None:
        super().__init__(buffer)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)
        self._handshake: asyncio.Future[None] = self._loop.create_future()

    async def ready(self) -> None:
        await self._handshake

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._shake_hands()

    def buffer_updated(self, nbytes: int) -> None:
        self._incoming.write(self._buffer[:nbytes])
        if not self._handshake.done():
            self._shake_hands()
        if self._handshake.done() and not self._handshake.cancelled():
            self._decrypt()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._handshake.done():
            self._refuse(exc or ConnectionError("closed in the TLS handshake"))
        super().connection_lost(exc)

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as exc:
            self._refuse(exc)
        else:
            self._handshake.set_result(None)
        self._flush()  # an alert, too, which says why

    def _refuse(self, fault: Exception) -> None:
        self._handshake.set_exception(fault)
        self._handshake.exception()  # who waited for it may have been cancelled

    def _decrypt(self) -> None:
        # Into the buffer from which it came: OpenSSL has a copy of what was in it.
        try:
            while count := self._tls.read(len(self._buffer), self._buffer):
                self._take(cast("int", count))  # with a buffer, it returns a number
            self.eof_received()  # the peer said goodbye
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as exc:
            self._fail(exc)
        self._flush()  # an answer to a new key, maybe

    # Called by the reader

    def _write(self, data: bytes) -> None:
        self._tls.write(data)
        self._flush()

    def _say_goodbye(self) -> None:
        if self._transport.is_closing():
            return
        with contextlib.suppress(ssl.SSLError):  # nobody waits for the peer's answer
            self._tls.unwrap()
        self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending and not self._transport.is_closing():
            self._transport.write(self._outgoing.read())
