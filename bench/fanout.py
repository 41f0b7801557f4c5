"""One job, many viewers: server CPU per delivered frame, ours beside the tutorial's way."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from uuid import uuid4

import httpx
from websockets.asyncio.client import ClientConnection, connect

from bench.process import Server, daphne, manage

UPDATES = 30
WARM_UP = 5
TIMEOUT_SECONDS = 30.0

_MAKE_JOB = """
from denoise_relay import access
from denoise_relay.models import ApiKey, Job
secret = access.create_api_key("bench")
Job.objects.create(pk="{job}", api_key=ApiKey.objects.get(), file_name="bench.wav", seq=0)
print(secret)
"""


def run(viewers: int) -> None:
    """Measure both ways in turn and print a table."""
    with tempfile.TemporaryDirectory(prefix="denoise-bench-") as folder:
        job = str(uuid4())
        environment = {
            "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3",
            "MEDIA_ROOT": f"{folder}/media",
            "DENOISE_RELAY_WORKER": "external",
        }
        secret = _make_job(job, environment)
        print(f"\nFan-out: one job, {viewers} viewers, one update at a time")
        print(f"{'':28}{'CPU µs/frame':>14}{'p50 ms':>10}{'p99 ms':>10}{'MiB':>8}")
        figures = {}
        for way in ("tutorial", "relay", "tutorial", "relay"):
            with daphne("bench.application:application", environment) as server:
                measured = asyncio.run(_measure(server, job, secret, way, viewers))
            figures.setdefault(way, []).append(measured[0])
            label = {"tutorial": "a group member per socket", "relay": "denoise_relay"}[way]
            print(
                f"{label:28}{measured[0]:14.0f}{measured[1]:10.1f}{measured[2]:10.1f}"
                f"{measured[3]:8.0f}"
            )
        ratio = statistics.median(figures["tutorial"]) / statistics.median(figures["relay"])
        print(f"{'times less CPU':28}{ratio:14.1f}")


def _make_job(job: str, environment: dict[str, str]) -> str:
    manage(environment, "migrate", "--verbosity", "0")
    code = _MAKE_JOB.format(job=job)
    return manage(environment, "shell", "--verbosity", "0", "-c", code).splitlines()[-1]


async def _measure(
    server: Server, job: str, secret: str, way: str, viewers: int
) -> tuple[float, float, float, float]:
    """Return CPU µs per frame, latency p50 and p99 in ms over all frames, MiB at the end."""
    path = "ws/tutorial/" if way == "tutorial" else f"ws/denoise/{job}/"
    url = f"ws://127.0.0.1:{server.port}/{path}"
    sockets: list[ClientConnection] = []
    latencies: list[float] = []
    try:
        async with (
            asyncio.timeout(300),
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{server.port}", timeout=TIMEOUT_SECONDS, trust_env=False
            ) as client,
        ):
            for _ in range(viewers):
                sockets.append(
                    await connect(
                        url,
                        additional_headers={"x-api-key": secret},
                        compression=None,
                        ping_interval=None,
                        proxy=None,
                    )
                )
            await asyncio.sleep(1)  # the last viewers are still being let in
            spent = 0.0
            for number in range(1, WARM_UP + UPDATES + 1):
                before = server.cpu_seconds()
                begun = time.monotonic()
                seen = asyncio.gather(*(_one(socket, begun) for socket in sockets))
                await client.post(f"/publish/{job}/{number}/{way}")
                took = await asyncio.wait_for(seen, TIMEOUT_SECONDS)
                if number > WARM_UP:
                    latencies += took
                    spent += server.cpu_seconds() - before
    finally:
        await asyncio.gather(*(socket.close() for socket in sockets), return_exceptions=True)
    latencies.sort()
    return (
        spent * 1e6 / (UPDATES * viewers),
        latencies[len(latencies) // 2] * 1e3,
        latencies[int(len(latencies) * 0.99)] * 1e3,
        server.resident_mib(),
    )


async def _one(socket: ClientConnection, begun: float) -> float:
    await socket.recv()
    return time.monotonic() - begun
