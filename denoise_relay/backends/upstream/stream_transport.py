"""The transport of event streams: one GET over one connection, read without a timer or a task.

httpx's own transport passes each read through httpcore's pool, anyio and a cancel scope, which for
small events costs more than all the rest. Here the reader is woken by the socket. There is no limit
of time but for connecting: the head has one in `http`, the body in `stream`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable
from itertools import zip_longest
from typing import Any

import httpx

from denoise_relay.backends.upstream.stream_connection import StreamConnection
from denoise_relay.backends.upstream.stream_tls import TlsStreamConnection

#: An address that does not answer for so long gives way to the next.
ADDRESS_SECONDS = 2.0


class StreamTransport(httpx.AsyncBaseTransport):
    """Opens streams; of a request it honours the time limit `connect`. It has no body to send.

    Raises httpx's own `ConnectError`, `ConnectTimeout`, `ReadError`, `RemoteProtocolError`.
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        socket_options: Iterable[tuple[int, int, int]],
        buffer: memoryview,
    ) -> None:
        """`buffer` is read into; all transports of one event loop may share it."""
        self._tls = tls
        self._socket_options = socket_options
        self._buffer = buffer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        seconds = request.extensions.get("timeout", {}).get("connect")
        try:
            async with asyncio.timeout(seconds):
                connection = await self._connect(request.url)
        except TimeoutError as exc:
            raise httpx.ConnectTimeout(f"no connection within {seconds} s") from exc
        except OSError as exc:
            raise httpx.ConnectError(str(exc)) from exc
        try:
            head = await connection.request(request)
        except BaseException:
            connection.abort()
            raise
        return httpx.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=connection,
            extensions={"http_version": b"HTTP/" + head.http_version, "reason_phrase": head.reason},
        )

    async def _connect(self, url: httpx.URL) -> StreamConnection:
        secure = url.scheme == "https"
        host = url.raw_host.decode("ascii")
        connection = (
            TlsStreamConnection(self._buffer, self._tls, host)
            if secure
            else StreamConnection(self._buffer)
        )
        found = await self._socket(host, url.port or (443 if secure else 80))
        # From here on the socket is asyncio's.
        await asyncio.get_running_loop().create_connection(lambda: connection, sock=found)
        try:
            await connection.ready()
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _socket(self, host: str, port: int) -> socket.socket:
        """Connect to the first address that answers, families in turn; raises `OSError`."""
        loop = asyncio.get_running_loop()
        found = _in_turn(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        fault: OSError = OSError(f"{host} has no address")
        for number, (family, kind, protocol, _name, address) in enumerate(found, 1):
            candidate = socket.socket(family, kind, protocol)
            try:
                candidate.setblocking(False)
                for option in self._socket_options:
                    candidate.setsockopt(*option)
                async with asyncio.timeout(ADDRESS_SECONDS if number < len(found) else None):
                    await loop.sock_connect(candidate, address)
                return candidate
            except OSError as exc:  # TimeoutError is one
                candidate.close()
                fault = exc
            except BaseException:
                candidate.close()
                raise
        raise fault


def _in_turn(found: list[Any]) -> list[Any]:
    """Addresses of the first family and of others in turn (RFC 8305)."""
    first = [entry for entry in found if entry[0] == found[0][0]]
    others = [entry for entry in found if entry[0] != found[0][0]]
    pairs = zip_longest(first, others)
    return [entry for pair in pairs for entry in pair if entry is not None]
