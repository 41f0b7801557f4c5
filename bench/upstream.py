"""An upstream that stamps each event with the moment it writes it (CLOCK_MONOTONIC)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from uuid import uuid4

#: Slower than EVENTS_PER_SECOND, so that nothing is coalesced.
INTERVAL_SECONDS = 0.15


class StampingUpstream:
    """Speaks just enough of the contract for jobs of `events` progress events each."""

    def __init__(self, events: int, interval: float = INTERVAL_SECONDS) -> None:
        self._events, self._interval = events, interval
        self.url = ""

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[StampingUpstream]:
        """Listen on a free port for as long as the block runs."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v1"
        try:
            yield self
        finally:
            server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            if head.startswith("POST"):
                length = int(head.lower().partition("content-length:")[2].split()[0])
                await reader.readexactly(length)
                await self._json(writer, {"jobId": (job := str(uuid4())), "denoiseId": job})
            elif "/progress" in head.partition("\r\n")[0]:
                await self._stream(writer)
            else:
                await self._json(writer, [])
        writer.close()

    async def _json(self, writer: asyncio.StreamWriter, body: object) -> None:
        content = json.dumps(body).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(content), content)
        )
        await writer.drain()

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        )
        for number in range(self._events):
            await asyncio.sleep(self._interval)
            pct = 100 * number / self._events
            event = {"stage": "processing", "pct": pct, "message": f"{time.monotonic():.6f}"}
            writer.write(b"data: %s\n\n" % json.dumps(event).encode())
            await writer.drain()
        writer.write(b'data: {"stage":"error","message":"measured"}\n\n')
        await writer.drain()
