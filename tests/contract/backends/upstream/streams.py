"""Streams of the tests beside."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.backends.upstream.client import UpstreamClient
from denoise_relay.backends.upstream.http import HttpClient
from denoise_relay.conf import RelaySettings
from denoise_relay.testing import answers
from tests.contract.runs import RecordedRun

HALF = answers.processing(40, "Half way")
HELLO = answers.message("hello")


async def run_to_result(backend: UpstreamBackend, run: RecordedRun) -> None:
    result = await backend.run(run)
    assert result.file is not None
    assert result.file.stat().st_size


def client_of(url: str, http: HttpClient) -> UpstreamClient:
    return UpstreamClient(RelaySettings(UPSTREAM_URL=url, API_KEY="k"), http)


async def read(url: str, http: HttpClient) -> bytes:
    async with client_of(url, http).progress("x") as response:
        return b"".join([chunk async for chunk in response.aiter_raw()])


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def one_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(answers.head(200, answers.STREAM_HEADERS) + HELLO)
    await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def serving(handler: Handler, **options: ssl.SSLContext) -> AsyncIterator[int]:
    """A server on a free port, whose connections are closed at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, **options)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for task in tasks:
            task.cancel()
