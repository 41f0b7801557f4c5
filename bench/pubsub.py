"""Between two processes on PostgreSQL: `NOTIFY` beside a channel layer on Valkey.

A worker journals what the upstream writes, a web process sends it to a viewer. The same figures as
in `latency`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from bench.latency import _watch
from bench.process import ROOT, daphne, manage
from bench.upstream import StampingUpstream
from tests.live.state_servers import Postgres, Valkey

EVENTS = 80


def run() -> None:
    """Measure both and print a table."""
    print(f"\nBetween processes, {EVENTS} events: worker, PostgreSQL, web process, viewer")
    with Postgres() as postgres, Valkey() as valkey:
        for name, settings in {
            "PostgreSQL alone (PUBSUB)": {"DENOISE_RELAY_PUBSUB": "postgresql", "REDIS_URL": ""},
            "channels_redis on Valkey": {"REDIS_URL": valkey.url},
        }.items():
            database = f"bench_{len(name)}"
            with postgres.connect() as connection:
                connection.execute(f"CREATE DATABASE {database}".encode())
            environment = settings | {"DATABASE_URL": postgres.url(database)}
            latencies = sorted(asyncio.run(_measure(environment)))
            p50, p99 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
            print(f"{name:38}p50 {p50 * 1e3:8.1f} ms   p99 {p99 * 1e3:8.1f} ms")


async def _measure(settings: dict[str, str]) -> list[float]:
    async with StampingUpstream(EVENTS).serving() as upstream:
        with tempfile.TemporaryDirectory(prefix="denoise-bench-") as folder:
            environment = settings | {
                "MEDIA_ROOT": f"{folder}/media",
                "DENOISE_RELAY_WORKER": "external",
                "DENOISE_RELAY_BACKEND": "upstream",
                "DENOISE_RELAY_UPSTREAM_URL": upstream.url,
                "DENOISE_RELAY_API_KEY": "bench",
            }
            await asyncio.to_thread(manage, environment, "migrate", "--verbosity", "0")
            with _worker(environment):
                context = daphne("project.asgi:application", environment)
                server = await asyncio.to_thread(context.__enter__)
                try:
                    async with asyncio.timeout(60):
                        return (await _watch(server))["denoise_relay, WebSocket"]
                finally:
                    await asyncio.to_thread(context.__exit__, None, None, None)


@contextlib.contextmanager
def _worker(environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "denoise_worker"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)
