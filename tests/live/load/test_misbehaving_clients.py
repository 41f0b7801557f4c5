"""Clients that read nothing, vanish or send garbage: the server's memory is bounded, and other
clients are served as before."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import statistics

import httpx
import pytest

from tests.live.cluster import API_KEY, PostgresCluster, over_both_sends, report
from tests.live.load.clients import (
    grown_mb,
    jobs_socket,
    open_sockets,
    ping_seconds,
    text_frame,
    unread_socket,
)
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(120)


@over_both_sends
async def test_viewers_that_never_read(cluster: PostgresCluster) -> None:
    """They request a long journal again and again and read nothing: the server's memory is
    bounded, and other clients are served."""
    cluster.upstream.job_seconds = 12
    web = cluster.web()
    job = await cluster.upload(web)  # it stays queued: there is no worker yet
    cluster.add_events(job, 2000)
    again = text_frame(json.dumps({"unwatch": [job]})) + text_frame(json.dumps({"watch": {job: 0}}))
    async with cluster.watching(job) as (viewer,):
        await viewer.reached(2000)
        alone = [await ping_seconds(web) for _ in range(10)]
        before = web.memory_kb()
        with contextlib.ExitStack() as stack:
            unread = [stack.enter_context(unread_socket(web, "/ws/denoise/")) for _ in range(10)]
            for one in unread:
                one.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    for _ in range(1000):
                        one.sendall(again)  # 1,000 times 600 kB, for 10 sockets: 6 GB
            beside = [await ping_seconds(web) for _ in range(10)]
            growth = grown_mb(web, before)
            report("another client's ping, alone, median", statistics.median(alone))
            report("… beside 10 clients that do not read, median", statistics.median(beside))
            report("memory for 10 clients that do not read (MB, not s)", growth)
            assert growth < 60
            assert statistics.median(beside) < 5 * statistics.median(alone) + 1
            cluster.worker()
            await viewer.finished()
            # They do not delay the end of the process either.
            code, took = await asyncio.to_thread(web.terminate)
            report("web exit after SIGTERM, with 10 clients that do not read", took)
            assert code == 0
    await cluster.finish()


async def test_download_by_a_client_that_reads_nothing(cluster: PostgresCluster) -> None:
    recording = cluster.upstream.result = bytes(60 * 1024 * 1024)
    web = cluster.start()
    job = await cluster.upload(web)
    await cluster.reached(job, status="done")
    before, files = web.memory_kb(), web.descriptors()
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", web.port)))
            slow.sendall(
                f"GET /jobs/{job}/audio/denoised/ HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"x-api-key: {API_KEY}\r\n\r\n".encode()
            )
            assert b"200 OK" in slow.recv(100)
        async with httpx.AsyncClient(base_url=web.url, trust_env=False, timeout=30) as client:
            whole = await client.get(f"/jobs/{job}/audio/denoised/", headers={"x-api-key": API_KEY})
            assert len(whole.content) == len(recording)
        growth = grown_mb(web, before)
    report("memory for 3 stuck downloads of 60 MB (MB, not s)", growth)
    assert growth < 40
    # After they disconnect, the files that were open for them are closed.
    await eventually(lambda: web.descriptors() <= files + 3, within=5)
    await cluster.finish()


@over_both_sends
async def test_five_hundred_clients_connect_and_vanish(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 8
    web = cluster.start()
    job = await cluster.upload(web)
    async with cluster.watching(job) as (viewer,):
        await viewer.reached(3)
        before = web.descriptors(), web.threads(), web.memory_kb()
        for _ in range(10):
            with contextlib.ExitStack() as stack:
                for _ in range(50):
                    client = stack.enter_context(unread_socket(web, f"/ws/denoise/{job}/?after=0"))
                    # With a linger time of 0, close() resets the connection.
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                await asyncio.sleep(0)
        await eventually(lambda: web.descriptors() <= before[0] + 5, within=15)
        await eventually(lambda: web.threads() <= before[1] + 5, within=5)
        assert grown_mb(web, before[2]) < 40
        await eventually(lambda: open_sockets(web) <= 1, within=15)
        await viewer.finished()
        assert viewer.codes == [1000]
    await cluster.finish()


async def test_malformed_messages_and_ten_thousand_watches(cluster: PostgresCluster) -> None:
    web = cluster.start()
    before = web.memory_kb()
    for message in ["{", "[]", "[" * 15000, b"\x00\xff", '{"watch": 7}', "x" * 100_000]:
        async with jobs_socket(web) as client:
            for _ in range(3):
                await client.send(message)
            await asyncio.wait_for(client.wait_closed(), 10)
            assert client.close_code == 4400, message[:20]
    alone = await ping_seconds(web)
    async with jobs_socket(web) as greedy:
        # Ten thousand jobs, fifty at a time: none exists, and the answers are not read.
        for n in range(200):
            ids = [f"00000000-0000-4000-8000-{n:06d}{m:06d}" for m in range(50)]
            await greedy.send(json.dumps({"watch": dict.fromkeys(ids)}))
        beside = await ping_seconds(web)
    report("another client's ping beside 10,000 watches", beside)
    assert beside < 5 * alone + 1
    assert grown_mb(web, before) < 40
    job = await cluster.upload(web)
    copies = cluster.copy_job(job, 120)
    async with jobs_socket(web) as client:
        await client.send(json.dumps({"watch": dict.fromkeys([job, *copies])}))
        answer = {}
        while "error" not in answer:
            answer = json.loads(await asyncio.wait_for(client.recv(), 10))
        assert answer["error"] == "bad_request"
        assert "At most 100" in answer["detail"]
    cluster.jobs = [job]
    await cluster.finish()
