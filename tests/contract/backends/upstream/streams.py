"""Streams of the tests beside."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.testing import answers
from tests.contract.runs import RecordedRun

HALF = answers.processing(40, "Half way")
HELLO = answers.message("hello")


async def run_to_result(backend: UpstreamBackend, run: RecordedRun) -> None:
    result = await backend.run(run)
    assert result.file is not None
    assert result.file.stat().st_size


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
