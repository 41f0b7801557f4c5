"""1,000 viewers of one job who come back at once, each with the number that it saw last."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping

from bench import large_database as large
from bench.process import daphne, manage, pin_load

VIEWERS = 1000
EVENTS = 50
#: Each has missed between one and so many events.
MISSED = 20
SECONDS = 60.0
TRIES = 100

_MAKE = f"""
from django.utils import timezone
from denoise_relay.models import Event, Job
job = Job.objects.create(original="denoise/none/1.wav", file_name="returning.wav", seq={EVENTS})
Event.objects.bulk_create(
    Event(job=job, seq=n, stage="processing", pct=n, message="Isolating voice", at=timezone.now())
    for n in range(1, {EVENTS} + 1)
)
print(job.pk)
"""


def make_job(url: str) -> str:
    """The id of a running job with `EVENTS` events."""
    environment = large.ENVIRONMENT | {"DATABASE_URL": url}
    return manage(environment, "shell", "--verbosity", "0", "-c", _MAKE)


def come_back(application: str, environment: Mapping[str, str], job: str) -> tuple[float, float]:
    """Seconds until all have what they missed, and the server's CPU milliseconds."""
    with daphne(application, environment) as server, pin_load():
        asyncio.run(_all(server.port, job, 5))  # what is loaded and opened once
        before, begun = server.cpu_seconds(), time.monotonic()
        asyncio.run(_all(server.port, job, VIEWERS))
        return time.monotonic() - begun, (server.cpu_seconds() - before) * 1e3


async def _all(port: int, job: str, viewers: int) -> None:
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
        for number in range(viewers):
            after = EVENTS - 1 - number % MISSED
            group.create_task(_one(port, f"/ws/denoise/{job}/?after={after}"), name="viewer")


async def _one(port: int, path: str) -> None:
    # Daphne refuses sockets that wait for five seconds, and the kernel those that are too many at
    # once; a page tries again.
    for _ in range(TRIES):
        with contextlib.suppress(OSError):
            if await _try(port, path):
                return
        await asyncio.sleep(0.1)
    raise RuntimeError(f"{path} did not answer")


async def _try(port: int, path: str) -> bool:
    """Whether all that was missed came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"Origin: http://127.0.0.1:{port}\r\n\r\n".encode()
        )
        seen = b""
        # Both write the number as JSON, with a space or without.
        while not any(last in seen for last in (b'"seq":%d' % EVENTS, b'"seq": %d' % EVENTS)):
            part = await reader.read(65536)
            if not part:
                return False
            seen = seen[-1024:] + part
        return True
    finally:
        writer.transport.abort()
