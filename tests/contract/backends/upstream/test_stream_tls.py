"""Event streams over TLS."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from denoise_relay.backends.upstream.errors import NotSent, OutcomeUnknown
from denoise_relay.backends.upstream.http import HttpClient
from denoise_relay.testing import answers
from tests.contract.backends.upstream.certificates import certificate_for, trusted
from tests.contract.backends.upstream.streams import HELLO, one_answer, read, serving
from tests.waiting import eventually

HEAD = answers.head(200, answers.STREAM_HEADERS | {"Transfer-Encoding": "chunked"})


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.aclose()


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """A server's, with a certificate for `localhost` that the app trusts."""
    certificate, key = certificate_for("localhost", tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    with trusted(certificate, monkeypatch):
        yield context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_stream_of_many_records(
    http: HttpClient, context: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    context.minimum_version = context.maximum_version = version
    body = os.urandom(1_000_000)
    said_goodbye = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + answers.chunk(body) + b"0\r\n\r\n")
        await writer.drain()
        assert await reader.read() == b""
        said_goodbye.set()

    async with serving(serve, ssl=context) as port:
        assert await read(f"https://localhost:{port}", http) == body
        await asyncio.wait_for(said_goodbye.wait(), 5)


async def test_a_stream_that_ends_with_the_connection(
    http: HttpClient, context: ssl.SSLContext
) -> None:
    async with serving(one_answer, ssl=context) as port:
        assert await read(f"https://localhost:{port}", http) == HELLO


async def test_the_certificate_is_checked_for_the_name(
    http: HttpClient, context: ssl.SSLContext
) -> None:
    async with serving(one_answer, ssl=context) as port:
        with pytest.raises(NotSent, match=r"(?i)certificate"):
            await read(f"https://127.0.0.1:{port}", http)


async def test_a_peer_that_speaks_no_tls(http: HttpClient) -> None:
    async def smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await reader.read()

    async with serving(smtp) as port:
        with pytest.raises(NotSent):
            await read(f"https://127.0.0.1:{port}", http)


async def test_a_peer_that_leaves_in_the_handshake(http: HttpClient) -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)

    async with serving(leave) as port:
        with pytest.raises(NotSent):
            await read(f"https://127.0.0.1:{port}", http)


async def test_a_peer_that_is_silent_in_the_handshake(http: HttpClient) -> None:
    ended = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:  # our end may come as a reset
            ended.set()

    async with serving(silent) as port:
        url = httpx.URL(f"https://127.0.0.1:{port}/")
        transport = http._stream_transport()
        request = httpx.Request("GET", url, extensions={"timeout": {"connect": 0.1}})
        with pytest.raises(httpx.ConnectTimeout):
            await transport.handle_async_request(request)
        await asyncio.wait_for(ended.wait(), 5)


@pytest.mark.parametrize("fault", [b"no record of TLS", b""])
async def test_a_stream_that_breaks(
    http: HttpClient, context: ssl.SSLContext, fault: bytes
) -> None:
    """By bytes that are not TLS, or cut off without a goodbye."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + answers.chunk(HELLO))
        await writer.drain()
        below = writer.transport._ssl_protocol._transport  # type: ignore[attr-defined]
        below.write(fault)
        await asyncio.sleep(0.05)
        below.abort()

    async with serving(serve, ssl=context) as port:
        with pytest.raises(OutcomeUnknown):
            await read(f"https://localhost:{port}", http)


async def test_a_cancel_at_any_moment_leaves_no_connection(
    http: HttpClient, context: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    open_connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_connections
        open_connections += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HEAD + answers.chunk(HELLO))
            await reader.read()
        except asyncio.IncompleteReadError:
            pass
        finally:
            open_connections -= 1

    async with serving(serve, ssl=context) as port:
        for turns in range(40):
            task = asyncio.create_task(read(f"https://localhost:{port}", http), name="read")
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await http.aclose()
        await eventually(lambda: not open_connections)
    assert "never retrieved" not in caplog.text
