"""PostgreSQL restarts, refuses or hangs: jobs go on, sockets stay open, requests get 503."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from websockets.asyncio.client import connect

from denoise_relay.testing import answers
from tests.live.cluster import API_KEY, PostgresCluster, over_both, report
from tests.live.faults.fault_points import CommitFaultPoint, proxied_worker
from tests.live.tcp_proxy import TcpProxy
from tests.live.viewers import Viewer, all_finished, all_reached
from tests.processes import WebProcess
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(90)

OUTAGE_SECONDS = 10.0


@contextlib.asynccontextmanager
async def connected_throughout(
    cluster: PostgresCluster, jobs: list[str]
) -> AsyncIterator[list[Viewer]]:
    """Viewers who have seen some events. The block disturbs the database; afterwards they see
    the rest, each on its first connection."""
    async with cluster.watching_both(*jobs, sockets=2) as (sockets, streams):
        viewers = [*sockets, *streams]
        await all_reached(viewers, 4)
        yield viewers
        await all_finished(viewers)
        for viewer in viewers:
            assert viewer.codes in ([1000], [200])


async def receive_more(viewers: list[Viewer], events: int) -> None:
    """Wait until each viewer has seen some more events from now."""
    seen = {viewer: viewer.last or 0 for viewer in viewers}
    for viewer in viewers:
        await viewer.reached(seen[viewer] + events)


@over_both
async def test_postgres_restarts_in_the_middle(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 6
    web = cluster.start()
    jobs = await cluster.uploads(web, 4)
    async with connected_throughout(cluster, jobs) as viewers:
        begun = time.monotonic()
        await asyncio.to_thread(cluster.postgres.restart)
        await receive_more(viewers, 2)
        report("frames again after a restart of PostgreSQL", time.monotonic() - begun)
    await cluster.finish()


@over_both
async def test_postgres_refuses_for_ten_seconds(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 15
    web = cluster.start()
    jobs = await cluster.uploads(web, 2)
    async with connected_throughout(cluster, jobs) as viewers:
        await asyncio.to_thread(cluster.postgres.stop)
        back = time.monotonic() + OUTAGE_SECONDS
        try:
            await answers_503(web, jobs[0])
            await asyncio.sleep(back - time.monotonic())
        finally:
            await asyncio.to_thread(cluster.postgres.start)
        begun = time.monotonic()
        await receive_more(viewers, 1)
        report("frames again after PostgreSQL was down for 10 s", time.monotonic() - begun)
    await cluster.finish()


async def answers_503(web: WebProcess, job: str) -> None:
    """Check that each kind of request is answered soon with 503, `Retry-After` and its own type."""
    form = {"audio": ("a.wav", b"RIFF", "audio/wav")}
    async with httpx.AsyncClient(base_url=web.url, trust_env=False, timeout=8) as client:
        for method, path, kind in [
            ("GET", "/", "text/html"),
            ("GET", f"/jobs/{job}/", "text/html"),
            ("GET", f"/jobs/{job}/status/", "application/json"),
            ("GET", f"/jobs/{job}/events/", "application/json"),
            ("GET", f"/jobs/{job}/audio/denoised/", "text/html"),
            ("GET", "/api/v1/denoise", "application/json"),
            ("GET", f"/api/v1/denoise/{job}/progress", "application/json"),
            ("POST", "/api/v1/denoise", "application/json"),
        ]:
            files = form if method == "POST" else None
            headers = {"x-api-key": API_KEY, "Accept": kind}
            answer = await client.request(method, path, headers=headers, files=files)
            assert answer.status_code == 503, (path, answer.status_code, answer.text)
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["Content-Type"].startswith(kind), (path, answer.headers)
            if path.startswith("/api/"):
                assert set(answer.json()) == {"errorCode", "errorMessage"}
        ready = await client.get("/healthz/ready")
        assert ready.status_code == 503
        assert (await client.get("/healthz/live")).status_code == 200
        # A new socket is closed with the code that means "connect again", not with an error,
        # whatever it shows.
        for shown in ({"x-api-key": API_KEY}, {"Cookie": f"sessionid={'a' * 32}"}, {}):
            async with connect(
                f"{web.socket_url}{job}/", proxy=None, additional_headers=shown
            ) as socket:
                await asyncio.wait_for(socket.wait_closed(), 8)
                assert socket.close_code == 4012, shown


@over_both
async def test_socket_is_the_first_request_after_a_restart(cluster: PostgresCluster) -> None:
    """No page request has closed the dead database connections before; neither sockets nor event
    streams may fail on them."""
    cluster.upstream.on_progress(answers.stream(answers.processing(5)) + answers.silence())
    web = cluster.start()
    job = await cluster.upload(web)
    async with cluster.watching(job, viewers=8) as viewers:
        await all_reached(viewers, 2)
        await asyncio.to_thread(cluster.postgres.restart)
        async with cluster.watching_both(job, sockets=8, streams=8) as (sockets, streams):
            late = [*sockets, *streams]
            for viewer in late:
                await viewer.reached(2)
                assert viewer.codes == [], "each thread of the event path had a dead connection"
            for viewer in [*viewers, *late]:
                await viewer.finished()
    await cluster.finish()


async def test_database_is_lost_when_a_runner_starts(
    cluster: PostgresCluster, postgres_proxy: TcpProxy
) -> None:
    """The connection is lost between the claim and the first read of the job; the job goes on."""
    web = cluster.web()
    worker = proxied_worker(cluster, postgres_proxy)
    fault = CommitFaultPoint(postgres_proxy, b'"lease_owner" = ', committed=True)
    job = await cluster.upload(web)
    await eventually(fault.reached.is_set)
    await cluster.owned(job)
    await asyncio.to_thread(postgres_proxy.refuse)
    postgres_proxy.release()
    await asyncio.sleep(1)
    await asyncio.to_thread(postgres_proxy.accept)
    async with cluster.watching(job) as (viewer,):
        await viewer.finished()
    assert worker.running
    await cluster.finish()


@pytest.mark.parametrize("kind", ["done", "progress"])
async def test_answer_to_a_commit_is_lost(
    cluster: PostgresCluster, postgres_proxy: TcpProxy, kind: str
) -> None:
    """The commit happened and the worker cannot know: it tries again, and undoes nothing."""
    words = b"'done'" if kind == "done" else b"Running"
    fault = CommitFaultPoint(postgres_proxy, words, committed=True, statement=b"INSERT")
    web = cluster.web()
    proxied_worker(cluster, postgres_proxy)
    if kind == "progress":
        cluster.upstream.on_progress(
            answers.stream(answers.processing(50, "Running")) + answers.silence()
        )
    job = await cluster.upload(web)
    await eventually(fault.reached.is_set)
    if kind == "done":
        await cluster.reached(job, status="done")
    else:
        await cluster.reached(job, pct=50)
    await asyncio.to_thread(postgres_proxy.cut)
    postgres_proxy.release()
    async with cluster.watching(job) as (viewer,):
        await viewer.finished()
    # The worker tries the commit again, is refused, and must not delete the stored result.
    worker = cluster.workers[0]
    code, _ = await asyncio.to_thread(worker.terminate)
    assert code == 0
    async with httpx.AsyncClient(base_url=web.url, trust_env=False) as client:
        audio = await client.get(f"/jobs/{job}/audio/denoised/", headers={"x-api-key": API_KEY})
        assert audio.status_code == 200, audio.text
        assert audio.content == cluster.upstream.result
    await cluster.finish()


async def test_worker_ends_in_time_while_the_database_hangs(
    cluster: PostgresCluster, postgres_proxy: TcpProxy
) -> None:
    cluster.upstream.job_seconds = 4
    web = cluster.web()
    hanging = proxied_worker(cluster, postgres_proxy)
    job = await cluster.upload(web)
    async with cluster.watching(job) as (viewer,):
        await viewer.reached(4)
        postgres_proxy.hold_up()
        hanging.send(signal.SIGTERM)
        begun = time.monotonic()
        successor = cluster.worker()
        await asyncio.to_thread(hanging.wait, 10)
        report("exit after SIGTERM while the database hangs", time.monotonic() - begun)
        await cluster.owned(job, by=successor)
        await viewer.finished()
    await cluster.finish()
