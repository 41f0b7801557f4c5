"""One HTTP request at a time: all of httpx that this app uses.

Each request has a connection of its own over a shared TLS context. A pool shared by many
streams is quadratic in their number when they end, and loses a slot without end when a request
is cancelled between connect and first write (httpcore 1093); a transport of its own costs
0.04 ms. Event streams have a transport that is made for them (`stream_transport`). Working below
`httpx.AsyncClient` also means: no cookies, no netrc, no proxy from the environment, no redirects,
and no log line with a signed URL.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import httpx

from denoise_relay.backends.upstream.errors import NotSent, OutcomeUnknown, ReadTimeout
from denoise_relay.backends.upstream.stream_connection import READ_BYTES
from denoise_relay.backends.upstream.stream_transport import StreamTransport
from denoise_relay.exceptions import ProtocolError

USER_AGENT = f"denoise-relay/{metadata.version('denoise-relay')}"
#: How long an abandoned request may go on before it is cancelled.
GRACE_SECONDS = 1.0

_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeouts:
    """Time limits of one request, in seconds."""

    #: From the beginning to the end of the response's head, upload included.
    head: float = 20.0
    connect: float = 10.0
    #: Silence while reading.
    read: float = 30.0
    #: One chunk of the upload.
    write: float = 60.0

    def extension(self) -> dict[str, float]:
        return {
            "connect": min(self.connect, self.head),
            "read": self.read,
            "write": self.write,
            "pool": self.connect,
        }


class HttpClient:
    """Sends requests, and owns the tasks of those that were abandoned half-way."""

    def __init__(self) -> None:
        self._abandoned: set[asyncio.Task[None]] = set()
        # One for all streams, as this is used from one event loop.
        self._buffer = memoryview(bytearray(READ_BYTES))

    @contextlib.asynccontextmanager
    async def open(
        self,
        method: str,
        url: httpx.URL,
        *,
        timeouts: Timeouts,
        headers: Mapping[str, str] | None = None,
        content: AsyncIterator[bytes] | None = None,
        sni_hostname: str = "",
        abandon: Callable[[], None] = lambda: None,
        stream: bool = False,
    ) -> AsyncIterator[httpx.Response]:
        """Send a request and hold its response, head read and body not.

        Raises `NotSent` when not one byte has left, `OutcomeUnknown` when it is unclear what the
        server got, both here and while the body is read. `abandon` is called when the
        caller is cancelled while `content` may still be on its way. Of a `stream` (a GET without
        content) the caller bounds the silence itself: `timeouts.read` is not looked at.
        """
        extensions: dict[str, object] = {"timeout": timeouts.extension()}
        if sni_hostname:
            extensions["sni_hostname"] = sni_hostname
        request = httpx.Request(
            method,
            url,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **(headers or {})},
            content=content,
            extensions=extensions,
        )
        transport = self._stream_transport() if stream else _transport()
        with _mapped():
            response = await self._head(transport, request, timeouts.head, abandon)
            try:
                yield response
            finally:
                await self._close(transport, response)

    def _stream_transport(self) -> httpx.AsyncBaseTransport:
        return StreamTransport(_tls(), _keepalive(), self._buffer)

    async def _head(
        self,
        transport: httpx.AsyncBaseTransport,
        request: httpx.Request,
        limit: float,
        abandon: Callable[[], None],
    ) -> httpx.Response:
        sending = asyncio.create_task(
            transport.handle_async_request(request), name=f"denoise-relay {request.method}"
        )
        try:
            # `read` is for each recv, so headers that drip would never time out on their own.
            async with asyncio.timeout(limit):
                # Shielded: a cancel between connect and first write loses the socket.
                return await asyncio.shield(sending)
        except BaseException:
            abandon()
            name = f"denoise-relay {request.method} (abandoned)"
            self._own(_close_abandoned(sending, transport), name)
            raise

    async def _close(self, transport: httpx.AsyncBaseTransport, response: httpx.Response) -> None:
        # In a task of its own: a second cancel during the close would leave the socket open.
        closing = self._own(_close_response(transport, response), "denoise-relay (closing)")
        await asyncio.shield(closing)

    def _own(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned.discard)
        return task

    async def aclose(self) -> None:
        """Wait for abandoned requests; each takes at most three times `GRACE_SECONDS`."""
        while self._abandoned:
            await asyncio.wait(self._abandoned)


async def read_body(response: httpx.Response, limit: int) -> bytes:
    """Read a body of at most `limit` bytes; more raises `ProtocolError`."""
    refuse_encoding(response)
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit:
            raise ProtocolError(f"a body exceeds {limit} bytes")
    return bytes(body)


def refuse_encoding(response: httpx.Response) -> None:
    """Raise `ProtocolError` for a compressed body: 254 KB of gzip can hold 256 MB."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise ProtocolError("a compressed body, although identity was asked for")


async def _close_response(transport: httpx.AsyncBaseTransport, response: httpx.Response) -> None:
    # TLS sends a close and waits for the answer; a dead peer sends none.
    with contextlib.suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(GRACE_SECONDS):
            await response.aclose()
            await transport.aclose()


async def _close_abandoned(
    sending: asyncio.Task[httpx.Response], transport: httpx.AsyncBaseTransport
) -> None:
    """Wait until an abandoned request can be closed, then close it."""
    await asyncio.wait({sending}, timeout=GRACE_SECONDS)
    if not sending.done():
        sending.cancel()
        await asyncio.wait({sending}, timeout=GRACE_SECONDS)
    with contextlib.suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(GRACE_SECONDS):
            # Asking for the exception also keeps asyncio from logging it as never retrieved.
            if sending.done() and not sending.cancelled() and sending.exception() is None:
                await sending.result().aclose()
            await transport.aclose()


@contextlib.contextmanager
def _mapped() -> Iterator[None]:
    """Map httpx's errors to the two that matter: nothing was sent, or the outcome is unknown."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
        raise NotSent(f"{type(exc).__name__}: {exc}") from exc
    except httpx.ReadTimeout as exc:
        raise ReadTimeout from exc
    except (httpx.HTTPError, TimeoutError) as exc:
        raise OutcomeUnknown(f"{type(exc).__name__}: {exc}") from exc


def _transport() -> httpx.AsyncBaseTransport:
    return httpx.AsyncHTTPTransport(
        verify=_tls(), trust_env=False, limits=_LIMITS, socket_options=_keepalive()
    )


@functools.cache
def _tls() -> ssl.SSLContext:
    # 30 ms, once: it reads the CA file. SSL_CERT_FILE and SSL_CERT_DIR are honoured.
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])  # as httpcore does, which shares it
    return context


@functools.cache
def _keepalive() -> list[tuple[int, int, int]]:
    """Have the kernel notice a peer that vanished, below the level of any timeout here."""
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, seconds in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):  # Linux; other systems name some of them differently
            options.append((socket.IPPROTO_TCP, getattr(socket, name), seconds))
    return options
