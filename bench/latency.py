"""From the upstream's write to the viewer's read: the socket beside polling every 500 ms."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
import time

import httpx
from websockets.asyncio.client import connect

from bench.process import Server, daphne, manage
from bench.upstream import StampingUpstream

EVENTS = 80
POLL_SECONDS = 0.5


def run() -> None:
    """Measure both ways of watching the same job and print a table."""
    print(f"\nLatency: upstream write to viewer, {EVENTS} events, journaled in SQLite")
    with tempfile.TemporaryDirectory(prefix="denoise-bench-") as folder:
        for name, latencies in asyncio.run(_measure(folder)).items():
            latencies.sort()
            p50, p99 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
            print(f"{name:38}p50 {p50 * 1e3:8.1f} ms   p99 {p99 * 1e3:8.1f} ms")


async def _measure(folder: str) -> dict[str, list[float]]:
    async with StampingUpstream(EVENTS).serving() as upstream:
        environment = {
            "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3",
            "MEDIA_ROOT": f"{folder}/media",
            "DENOISE_RELAY_BACKEND": "upstream",
            "DENOISE_RELAY_UPSTREAM_URL": upstream.url,
            "DENOISE_RELAY_API_KEY": "bench",
        }
        await asyncio.to_thread(manage, environment, "migrate", "--verbosity", "0")
        server_context = daphne("project.asgi:application", environment)
        server = await asyncio.to_thread(server_context.__enter__)
        try:
            async with asyncio.timeout(60):
                return await _watch(server)
        finally:
            await asyncio.to_thread(server_context.__exit__, None, None, None)


async def _watch(server: Server) -> dict[str, list[float]]:
    base = f"http://127.0.0.1:{server.port}"
    async with httpx.AsyncClient(base_url=base, timeout=30, trust_env=False) as client:
        page = await client.get("/")
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        if found is None:
            raise RuntimeError("the upload page has no form")
        answer = await client.post("/", data={"csrfmiddlewaretoken": found[1], "sample": "1"})
        job = answer.headers["location"].rstrip("/").rpartition("/")[2]
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        socket, polled = await asyncio.gather(
            _by_socket(f"ws://127.0.0.1:{server.port}/ws/denoise/{job}/?after=0", cookies),
            _by_polling(client, f"/jobs/{job}/status/"),
        )
    return {"denoise_relay, WebSocket": socket, "polling every 500 ms, of what it sees": polled}


async def _by_socket(url: str, cookies: str) -> list[float]:
    latencies = []
    async with connect(url, additional_headers={"Cookie": cookies}, proxy=None) as socket:
        async for text in socket:
            stamp = _stamp(json.loads(text)["message"])
            if stamp:
                latencies.append(time.monotonic() - stamp)
    return latencies


async def _by_polling(client: httpx.AsyncClient, path: str) -> list[float]:
    """A new event is late by the time from its write to the poll that shows it."""
    latencies, newest = [], 0.0
    while True:
        status = (await client.get(path)).json()
        stamp = _stamp(status["message"])
        if stamp > newest:
            latencies.append(time.monotonic() - stamp)
            newest = stamp
        if status["stage"] != "processing":
            return latencies
        await asyncio.sleep(POLL_SECONDS)


def _stamp(message: str) -> float:
    return float(message) if re.fullmatch(r"\d+\.\d{6}", message) else 0.0
