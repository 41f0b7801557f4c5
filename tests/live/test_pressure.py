"""Too much of everything: jobs, events, viewers, silence and garbage. Memory stays flat, and
who is quiet is served as if nothing were."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from denoise_relay.testing import Answer, answers
from denoise_relay.testing.answers import Send, Wait
from tests.live.cluster import KEY, WORKING, PostgresCluster, Web, measured
from tests.live.processes import Process
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(120)

MEGABYTES = 1024


def grown(process: Process, before_kb: int) -> float:
    """Megabytes that a process has grown by."""
    return (process.memory_kb() - before_kb) / MEGABYTES


async def site(cluster: PostgresCluster, workers: int = 1) -> Web:
    for _ in range(workers):
        cluster.worker(wait=False)
    web = cluster.web()
    for worker in cluster.workers:
        worker.said(WORKING)
    return web


def clone(cluster: PostgresCluster, job: str, copies: int) -> list[str]:
    """Queue more jobs with the same recording, in one statement."""
    own = {
        "id": "gen_random_uuid()",
        "status": "'queued'",
        "stage": "'processing'",
        "created_at": "now() + n * interval '1 microsecond'",
        "pct": "0",
        "seq": "1",
        "attempt": "0",
        "epoch": "0",
        "upstream_id": "''",
        "result": "''",
        "lease_owner": "''",
        **dict.fromkeys(("lease_until", "submitted_at", "started_at", "finished_at"), "NULL"),
    }
    columns = [str(column) for column in cluster.job(job)]
    chosen = ", ".join(f"{own.get(name, f'j.{name}')}" for name in columns)
    rows = cluster.rows(
        f"WITH made AS (INSERT INTO denoise_relay_job ({', '.join(columns)}) "
        f"SELECT {chosen} FROM denoise_relay_job j, generate_series(1, {copies}) n "
        "WHERE j.id = %s RETURNING id), "
        "told AS (INSERT INTO denoise_relay_event (job_id, seq, stage, pct, message, url, at) "
        "SELECT id, 1, 'processing', 0, 'Queued', '', now() FROM made) SELECT id FROM made",
        job,
    )
    made = [str(row["id"]) for row in rows]
    cluster.jobs += made
    return made


async def test_a_thousand_jobs_at_once(cluster: PostgresCluster) -> None:
    # The default: a short lease may run out on a machine that is busy otherwise.
    cluster.environ["DENOISE_RELAY_LEASE_SECONDS"] = "15"
    web = await site(cluster, workers=2)
    first = await cluster.upload(web)
    await cluster.reached(first, status="done")
    before = {process: process.memory_kb() for process in cluster.processes()}
    begun = time.monotonic()
    jobs = clone(cluster, first, 999)
    async with cluster.watching(*jobs[::100], jobs[-1], viewers=2) as viewers:
        for viewer in viewers:
            await viewer.finished(within=90)
        await cluster.all_ended(within=30)
    measured("1,000 jobs from queue to end, two workers", time.monotonic() - begun)
    # Nobody was claimed twice, and nobody was posted twice (`finish` counts the posts).
    assert {row["epoch"] for row in cluster.rows("SELECT epoch FROM denoise_relay_job")} == {1}
    for process, kilobytes in before.items():
        assert grown(process, kilobytes) < 60, process.name
    cluster.jobs = [first, *jobs[::50]]
    assert len(cluster.upstream.records) == 1000
    assert set(cluster.upstream.submits().values()) == {1}
    await cluster.finish()


async def test_quiet_jobs_beside_a_flood(cluster: PostgresCluster) -> None:
    """One job with 10,000 events a second; 200 quiet viewers of 40 quiet jobs in the same
    worker and web process see their events as soon as before."""
    upstream = cluster.upstream
    upstream.job_seconds, upstream.tick = 18, 0.5
    web = await site(cluster)
    worker = cluster.workers[0]
    first = await cluster.upload(web)
    quiet = [first, *clone(cluster, first, 39)]
    async with cluster.watching(*quiet, viewers=5) as viewers:
        for viewer in viewers:
            await viewer.reached(4)
        calm = await delays_during(viewers, 3)
        before = worker.memory_kb(), web.memory_kb()
        upstream.on_progress(flood(seconds=6))
        loud = await cluster.upload(web)
        async with cluster.watching(loud, viewers=3) as listeners:
            await cluster.reached(loud, pct=1)
            stormy = await delays_during(viewers, 4)
            assert cluster.job(loud)["status"] == "processing"
            for listener in listeners:
                await listener.finished()
        growth = grown(worker, before[0]), grown(web, before[1])
        for viewer in viewers:
            await viewer.finished(within=40)
    for name, delays in (("calm", calm), ("flood", stormy)):
        measured(f"quiet viewers, {name}, median", statistics.median(delays))
        measured(f"quiet viewers, {name}, 95th percentile", statistics.quantiles(delays, n=20)[-1])
    assert statistics.median(stormy) < statistics.median(calm) + 0.1
    assert max(growth) < 40, growth
    # At most EVENTS_PER_SECOND rows for each second of it, not 10,000.
    assert len(cluster.journal(loud)) < 10 * 12 + 10
    await cluster.finish()


def flood(seconds: float, rate: int = 10_000, beat: float = 0.02) -> Answer:
    beats = int(seconds / beat)
    steps: list[Any] = list(answers.stream().steps)
    for n in range(beats):
        event = answers.processing(1 + 98 * n / beats, "So much to say")
        steps += [Send(event, int(rate * beat)), Wait(beat)]
    return Answer(tuple(steps))


async def delays_during(viewers: list[Any], seconds: float) -> list[float]:
    """Delays of the frames that arrive within some seconds from now."""
    seen = {viewer: len(viewer.delays) for viewer in viewers}
    await asyncio.sleep(seconds)
    delays = [delay for viewer in viewers for delay in viewer.delays[seen[viewer] :]]
    assert len(delays) > len(viewers), "too few frames to judge"
    return delays


# Clients that misbehave


async def one_ping(web: Web) -> float:
    """Seconds that a new client takes to connect, ask and be answered."""
    begun = time.monotonic()
    async with many_socket(web) as client:
        await client.send('{"ping": 1}')
        await asyncio.wait_for(client.recv(), 10)
    return time.monotonic() - begun


@contextlib.asynccontextmanager
async def many_socket(web: Web) -> AsyncIterator[ClientConnection]:
    async with connect(
        web.socket_url, additional_headers={"x-api-key": KEY}, proxy=None, ping_interval=None
    ) as client:
        yield client


@contextlib.contextmanager
def deaf_socket(web: Web, path: str) -> Iterator[socket.socket]:
    """A WebSocket that never reads, with the smallest buffer the kernel allows."""
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(10)
        deaf.connect(("127.0.0.1", web.port))
        key = base64.b64encode(os.urandom(16)).decode()
        deaf.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"x-api-key: {KEY}\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in deaf.recv(1024):
            pass
        yield deaf


def text_frame(text: str) -> bytes:
    """A masked WebSocket text frame (with a mask of zeros)."""
    data = text.encode()
    head = (
        bytes([0x81, 0x80 | len(data)])
        if len(data) < 126
        else b"\x81\xfe" + len(data).to_bytes(2, "big")
    )
    return head + bytes(4) + data


def lengthen(cluster: PostgresCluster, job: str, events: int) -> None:
    """Give a job a long story, as a chatty upstream would over hours."""
    cluster.rows(
        "INSERT INTO denoise_relay_event (job_id, seq, stage, pct, message, url, at) "
        f"SELECT %s, n, 'processing', 0, repeat('x', 200), '', now() "
        f"FROM generate_series(%s, {events}) n",
        job,
        cluster.job(job)["seq"] + 1,
    )
    cluster.rows("UPDATE denoise_relay_job SET seq = %s WHERE id = %s", events, job)


async def test_viewers_that_never_read(cluster: PostgresCluster) -> None:
    """They ask for a long story again and again and read none of it: the server's memory is
    bounded, and others are served."""
    cluster.upstream.job_seconds = 12
    web = cluster.web()
    job = await cluster.upload(web)  # no worker yet: it is queued
    lengthen(cluster, job, 2000)
    again = text_frame(json.dumps({"unwatch": [job]})) + text_frame(json.dumps({"watch": {job: 0}}))
    async with cluster.watching(job) as (viewer,):
        await viewer.reached(2000)
        alone = [await one_ping(web) for _ in range(10)]
        before = web.memory_kb()
        with contextlib.ExitStack() as stack:
            deaf = [stack.enter_context(deaf_socket(web, "/ws/denoise/")) for _ in range(10)]
            for one in deaf:
                one.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    for _ in range(1000):
                        one.sendall(again)  # 1,000 times 600 kB, for 10 sockets: 6 GB
            beside = [await one_ping(web) for _ in range(10)]
            growth = grown(web, before)
            measured("another client's ping, alone, median", statistics.median(alone))
            measured("… beside 10 deaf clients, median", statistics.median(beside))
            measured("memory for 10 deaf clients (MB, not s)", growth)
            assert growth < 60
            assert statistics.median(beside) < 5 * statistics.median(alone) + 1
            cluster.worker()
            await viewer.finished()
            # Nor do they hold up a stop.
            code, took = await asyncio.to_thread(web.terminate)
            measured("web exit after SIGTERM, with 10 deaf clients", took)
            assert code == 0
    await cluster.finish()


async def test_download_by_a_client_that_reads_nothing(cluster: PostgresCluster) -> None:
    recording = cluster.upstream.result = bytes(60 * 1024 * 1024)
    web = await site(cluster)
    job = await cluster.upload(web)
    await cluster.reached(job, status="done")
    before, files = web.memory_kb(), web.descriptors()
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", web.port)))
            slow.sendall(
                f"GET /jobs/{job}/audio/denoised/ HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"x-api-key: {KEY}\r\n\r\n".encode()
            )
            assert b"200 OK" in slow.recv(100)
        async with httpx.AsyncClient(base_url=web.url, trust_env=False, timeout=30) as client:
            whole = await client.get(f"/jobs/{job}/audio/denoised/", headers={"x-api-key": KEY})
            assert len(whole.content) == len(recording)
        growth = grown(web, before)
    measured("memory for 3 stuck downloads of 60 MB (MB, not s)", growth)
    assert growth < 40
    # They have gone, and what was open for them is closed.
    await eventually(lambda: web.descriptors() <= files + 3, within=5)
    await cluster.finish()


async def test_five_hundred_that_connect_and_vanish(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 8
    web = await site(cluster)
    job = await cluster.upload(web)
    async with cluster.watching(job) as (viewer,):
        await viewer.reached(3)
        before = web.descriptors(), web.threads(), web.memory_kb()
        for _ in range(10):
            with contextlib.ExitStack() as stack:
                for _ in range(50):
                    gone = stack.enter_context(deaf_socket(web, f"/ws/denoise/{job}/?after=0"))
                    # Closed without a word, by a reset.
                    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                await asyncio.sleep(0)
        await eventually(lambda: web.descriptors() <= before[0] + 5, within=15)
        await eventually(lambda: web.threads() <= before[1] + 5, within=5)
        assert grown(web, before[2]) < 40
        await eventually(lambda: sockets_of(web) <= 1, within=15)
        await viewer.finished()
        assert viewer.codes == [1000]
    await cluster.finish()


def sockets_of(web: Web) -> int:
    """How many sockets the process says it holds."""
    text = httpx.get(f"{web.url}/metrics", trust_env=False).text
    (value,) = [
        float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith("denoise_relay_sockets")
    ]
    return int(value)


async def test_garbage_and_ten_thousand_watches(cluster: PostgresCluster) -> None:
    web = await site(cluster)
    before = web.memory_kb()
    for garbage in ["{", "[]", "[" * 15000, b"\x00\xff", '{"watch": 7}', "x" * 100_000]:
        async with many_socket(web) as client:
            for _ in range(3):
                await client.send(garbage)
            await asyncio.wait_for(client.wait_closed(), 10)
            assert client.close_code == 4400, garbage[:20]
    alone = await one_ping(web)
    async with many_socket(web) as greedy:
        # Ten thousand jobs, fifty at a time; none exists, and the answers are not read.
        for n in range(200):
            ids = [f"00000000-0000-4000-8000-{n:06d}{m:06d}" for m in range(50)]
            await greedy.send(json.dumps({"watch": dict.fromkeys(ids)}))
        beside = await one_ping(web)
    measured("another client's ping beside 10,000 watches", beside)
    assert beside < 5 * alone + 1
    assert grown(web, before) < 40
    job = await cluster.upload(web)
    copies = clone(cluster, job, 120)
    async with many_socket(web) as client:
        await client.send(json.dumps({"watch": dict.fromkeys([job, *copies])}))
        answer = {}
        while "error" not in answer:
            answer = json.loads(await asyncio.wait_for(client.recv(), 10))
        assert answer["error"] == "bad_request"
        assert "At most 100" in answer["detail"]
    cluster.jobs = [job]
    await cluster.finish()
