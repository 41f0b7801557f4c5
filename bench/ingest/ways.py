"""The ways to read event streams: each follows one to its terminal event and counts the others."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast
from uuid import uuid4

#: Follows one stream of `port` to its end.
Follow = Callable[[], Awaitable[None]]
#: Shared by all streams: how many events came.
Tally = Callable[[], None]


def raw(port: int, tally: Tally) -> Follow:
    """A bare `asyncio.Protocol` with a parser that knows this upstream's framing and no other."""

    class Reader(asyncio.Protocol):
        def __init__(self) -> None:
            self.ended = asyncio.get_running_loop().create_future()
            self._buffer = b""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            cast("asyncio.Transport", transport).write(
                b"GET /denoise/x/progress HTTP/1.1\r\nHost: localhost\r\n\r\n"
            )

        def data_received(self, data: bytes) -> None:
            *messages, self._buffer = (self._buffer + data).split(b"\n\n")
            for message in messages:
                event = json.loads(message[message.index(b"data: ") + 6 :])
                if event["stage"] == "processing":
                    tally()
                elif not self.ended.done():
                    self.ended.set_result(None)

    async def follow() -> None:
        loop = asyncio.get_running_loop()
        transport, reader = await loop.create_connection(Reader, "127.0.0.1", port)
        await reader.ended
        transport.close()

    return follow


def aiohttp(port: int, tally: Tally) -> Follow:
    """aiohttp's client, line by line; one session for all."""
    import aiohttp as library

    session: library.ClientSession | None = None

    async def follow() -> None:
        nonlocal session
        if session is None:
            session = library.ClientSession(
                connector=library.TCPConnector(limit=0), timeout=library.ClientTimeout()
            )
        async with session.get(f"http://127.0.0.1:{port}/denoise/x/progress") as response:
            async for line in response.content:
                if line.startswith(b"data: "):
                    if json.loads(line[6:])["stage"] != "processing":
                        return
                    tally()

    return follow


def httpx_sse(port: int, tally: Tally) -> Follow:
    """httpx-sse with a client for each stream (a shared pool is quadratic when streams end)."""
    import httpx
    from httpx_sse import aconnect_sse

    context = httpx.create_ssl_context()

    async def follow() -> None:
        async with (
            httpx.AsyncClient(verify=context, trust_env=False, timeout=None) as client,
            aconnect_sse(client, "GET", f"http://127.0.0.1:{port}/denoise/x/progress") as source,
        ):
            async for message in source.aiter_sse():
                if json.loads(message.data)["stage"] != "processing":
                    return
                tally()

    return follow


def relay(port: int, tally: Tally) -> Follow:
    """denoise_relay: what the `upstream` backend does with a job that was accepted."""
    import django

    django.setup()
    from denoise_relay.backends.base import Assignment
    from denoise_relay.backends.upstream.client import UpstreamClient
    from denoise_relay.backends.upstream.context import RetryPolicy, RunContext
    from denoise_relay.backends.upstream.follower import Follower
    from denoise_relay.backends.upstream.http import HttpClient
    from denoise_relay.conf import RelaySettings

    settings = RelaySettings(UPSTREAM_URL=f"http://127.0.0.1:{port}", API_KEY="bench")
    client = UpstreamClient(settings, HttpClient())
    policy = RetryPolicy.of(settings)
    since = datetime.now(UTC)
    skipped: Counter[str] = Counter()

    @dataclass(slots=True)
    class Counting:
        """A `Run` that counts what is reported."""

        assignment: Assignment

        def report(self, pct: float, message: str) -> None:
            tally()

    async def follow() -> None:
        run = Counting(
            Assignment(
                job=uuid4(),
                source=Path(),
                extension="wav",
                size_bytes=0,
                attempt=1,
                submitted_at=since,
                upstream_id="x",
                workspace=Path(),
            )
        )
        context = RunContext(run=run, client=client, policy=policy, since=since)  # type: ignore[arg-type]
        await Follower(context, "x", skipped).follow()

    return follow


WAYS: dict[str, Callable[[int, Tally], Follow]] = {
    "raw": raw,
    "aiohttp": aiohttp,
    "httpx-sse": httpx_sse,
    "relay": relay,
}
