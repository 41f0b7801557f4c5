"""The database goes away and comes back: jobs go on, sockets stay, pages say when to return."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import time
from collections.abc import Iterator

import httpx
import pytest
from websockets.asyncio.client import connect

from denoise_relay.testing import answers
from tests.live.cluster import (
    DATABASE,
    KEY,
    WORKING,
    PostgresCluster,
    SqliteCluster,
    Web,
    measured,
)
from tests.live.gate import Gate
from tests.live.traps import CommitTrap
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(90)

OUTAGE_SECONDS = 10.0


@pytest.fixture
def gate(cluster: PostgresCluster) -> Iterator[Gate]:
    """On the way to PostgreSQL."""
    with Gate(cluster.postgres.port) as gate:
        yield gate


def gated(cluster: PostgresCluster, gate: Gate) -> str:
    return cluster.postgres.url(DATABASE, gate.port)


async def test_postgres_restarts_in_the_middle(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 6
    worker, web = cluster.worker(wait=False), cluster.web()
    worker.said(WORKING)
    jobs = await cluster.uploads(web, 4)
    async with (
        cluster.watching(*jobs, viewers=2) as sockets,
        cluster.watching(*jobs, kind="sse") as streams,
    ):
        viewers = [*sockets, *streams]
        for viewer in viewers:
            await viewer.reached(4)
        begun = time.monotonic()
        await asyncio.to_thread(cluster.postgres.restart)
        seen = {viewer: viewer.last or 0 for viewer in viewers}
        for viewer in viewers:
            await viewer.reached(seen[viewer] + 2)
        measured("news again after a restart of PostgreSQL", time.monotonic() - begun)
        for viewer in viewers:
            await viewer.finished()
            assert viewer.saw_everything()
            assert viewer.codes in ([1000], [200])
    await cluster.finish()


async def test_postgres_refuses_for_ten_seconds(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 15
    worker, web = cluster.worker(wait=False), cluster.web()
    worker.said(WORKING)
    jobs = await cluster.uploads(web, 2)
    async with (
        cluster.watching(*jobs, viewers=2) as sockets,
        cluster.watching(*jobs, kind="sse") as streams,
    ):
        viewers = [*sockets, *streams]
        for viewer in viewers:
            await viewer.reached(4)
        await asyncio.to_thread(cluster.postgres.stop)
        back = time.monotonic() + OUTAGE_SECONDS
        try:
            await says_when_to_return(web, jobs[0])
            await asyncio.sleep(back - time.monotonic())
        finally:
            await asyncio.to_thread(cluster.postgres.start)
        begun = time.monotonic()
        seen = {viewer: viewer.last or 0 for viewer in viewers}
        for viewer in viewers:
            await viewer.reached(seen[viewer] + 1)
        measured("news again after PostgreSQL was away for 10 s", time.monotonic() - begun)
        for viewer in viewers:
            await viewer.finished()
            assert viewer.saw_everything()
            assert viewer.codes in ([1000], [200])
    await cluster.finish()


async def says_when_to_return(web: Web, job: str) -> None:
    """Whatever is asked answers 503 in its own language, soon, and says when to come back."""
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
            headers = {"x-api-key": KEY, "Accept": kind}
            answer = await client.request(method, path, headers=headers, files=files)
            assert answer.status_code == 503, (path, answer.status_code, answer.text)
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["Content-Type"].startswith(kind), (path, answer.headers)
            if path.startswith("/api/"):
                assert set(answer.json()) == {"errorCode", "errorMessage"}
        ready = await client.get("/healthz/ready")
        assert ready.status_code == 503
        assert (await client.get("/healthz/live")).status_code == 200
        # A socket that comes now is told to come back, not that something broke.
        async with connect(f"{web.socket_url}{job}/", proxy=None) as socket:
            await asyncio.wait_for(socket.wait_closed(), 8)
            assert socket.close_code == 4012


async def test_socket_is_the_first_to_come_after_a_restart(cluster: PostgresCluster) -> None:
    """No page request has dropped the dead connections: the socket must not meet them."""
    cluster.upstream.on_progress(answers.stream(answers.processing(5)) + answers.silence())
    worker, web = cluster.worker(wait=False), cluster.web()
    worker.said(WORKING)
    job = await cluster.upload(web)
    async with cluster.watching(job, viewers=8) as viewers:
        for viewer in viewers:
            await viewer.reached(2)
        await asyncio.to_thread(cluster.postgres.restart)
        async with cluster.watching(job, viewers=8) as late:
            for viewer in late:
                await viewer.reached(2)
                # At most one of the event path's threads had a dead connection each.
                assert len(viewer.codes) <= 2
            for viewer in [*viewers, *late]:
                await viewer.finished()
    await cluster.finish()


async def test_database_gone_when_a_runner_begins(cluster: PostgresCluster, gate: Gate) -> None:
    """Between the claim and the first look at the job the database is lost: the job is not."""
    web = cluster.web()
    worker = cluster.worker(DATABASE_URL=gated(cluster, gate))
    trap = CommitTrap(gate, b'"lease_owner" = ', committed=True)
    job = await cluster.upload(web)
    await eventually(trap.sprung.is_set)
    await cluster.owned(job)
    await asyncio.to_thread(gate.refuse)
    gate.release()
    await asyncio.sleep(1)
    await asyncio.to_thread(gate.accept)
    async with cluster.watching(job) as (viewer,):
        await viewer.finished()
    assert worker.running
    await cluster.finish()


@pytest.mark.parametrize("kind", ["done", "progress"])
async def test_answer_to_a_commit_is_lost(cluster: PostgresCluster, gate: Gate, kind: str) -> None:
    """The commit happened and nobody knows: it is tried again, and nothing is undone."""
    words = b"'done'" if kind == "done" else b"Running"
    trap = CommitTrap(gate, words, committed=True, statement=b"INSERT")
    web = cluster.web()
    cluster.worker(DATABASE_URL=gated(cluster, gate))
    if kind == "progress":
        cluster.upstream.on_progress(
            answers.stream(answers.processing(50, "Running")) + answers.silence()
        )
    job = await cluster.upload(web)
    await eventually(trap.sprung.is_set)
    if kind == "done":
        await cluster.reached(job, status="done")
    else:
        await cluster.reached(job, pct=50)
    await asyncio.to_thread(gate.cut)
    gate.release()
    async with cluster.watching(job) as (viewer,):
        await viewer.finished()
    async with httpx.AsyncClient(base_url=web.url, trust_env=False) as client:
        audio = await client.get(f"/jobs/{job}/audio/denoised/", headers={"x-api-key": KEY})
    # The worker that was told nothing tries again, is refused, and must not tidy up.
    worker = cluster.workers[0]
    code, _ = await asyncio.to_thread(worker.terminate)
    assert code == 0
    async with httpx.AsyncClient(base_url=web.url, trust_env=False) as client:
        audio = await client.get(f"/jobs/{job}/audio/denoised/", headers={"x-api-key": KEY})
        assert audio.status_code == 200, audio.text
        assert audio.content == cluster.upstream.result
    await cluster.finish()


async def test_worker_ends_in_time_though_the_database_hangs(
    cluster: PostgresCluster, gate: Gate
) -> None:
    cluster.upstream.job_seconds = 4
    web = cluster.web()
    hanging = cluster.worker(DATABASE_URL=gated(cluster, gate))
    job = await cluster.upload(web)
    async with cluster.watching(job) as (viewer,):
        await viewer.reached(4)
        gate.hold_up()
        hanging.signal(signal.SIGTERM)
        begun = time.monotonic()
        heir = cluster.worker()
        await asyncio.to_thread(hanging.ended, 10)
        measured("exit after SIGTERM while the database hangs", time.monotonic() - begun)
        await cluster.owned(job, by=heir)
        await viewer.finished()
    await cluster.finish()


async def test_sqlite_is_never_locked(single: SqliteCluster) -> None:
    """Uploads, recording, lists, the admin and deletions at once, in two processes."""
    single.upstream.job_seconds = 2
    single.upstream.tick = 0.05
    web = single.web(WORKER="embedded", EVENTS_PER_SECOND="20")
    other = single.worker(EVENTS_PER_SECOND="20")
    single.manage("shell", "--no-imports", "-c", MAKE_ADMIN)
    old = [await single.upload(web) for _ in range(3)]
    async with asyncio.timeout(60):
        async with httpx.AsyncClient(base_url=web.url, trust_env=False, timeout=30) as admin:
            page = await admin.get("/admin/login/")
            token = page.text.partition('csrfmiddlewaretoken" value="')[2].partition('"')[0]
            login = {"username": "staff", "password": "x", "csrfmiddlewaretoken": token}
            answer = await admin.post("/admin/login/", data=login)
            assert answer.status_code == 302, answer.text
            stop = asyncio.Event()

            async def read(path: str) -> int:
                times = 0
                while not stop.is_set():
                    answer = await admin.get(path, headers={"x-api-key": KEY})
                    assert answer.status_code == 200, answer.text
                    times += 1
                return times

            readers = [
                asyncio.create_task(read(path))
                for path in ("/admin/denoise_relay/job/", "/", "/api/v1/denoise")
            ]
            try:
                jobs = await single.uploads(web, 10)
                async with single.watching(*jobs, viewers=2) as viewers:
                    for job in old:
                        await single.reached(job, status="done")
                    single.jobs = jobs
                    prune = asyncio.to_thread(delete_ended, single, old)
                    for viewer in viewers:
                        await viewer.finished()
                    await prune
            finally:
                stop.set()
            assert min(await asyncio.gather(*readers)) > 3
    await single.finish()
    assert "database is locked" not in web.text + other.text


def delete_ended(single: SqliteCluster, jobs: list[str]) -> None:
    """Old jobs go while others are written; through the app, which knows their files."""
    ids = ", ".join(f"'{job}'" for job in jobs)
    code = (
        f"from denoise_relay.models import Job; print(Job.objects.filter(pk__in=[{ids}]).delete())"
    )
    text = single.manage("shell", "--no-imports", "-c", code)
    assert "denoise_relay.Job': 3" in text, text


MAKE_ADMIN = (
    "from django.contrib.auth.models import User; "
    "User.objects.create_superuser('staff', password='x')"
)


async def test_sqlite_locked_by_another_program_for_long(single: SqliteCluster) -> None:
    """Longer than its timeout of 5 s: what was to be written is written afterwards."""
    single.upstream.job_seconds = 3
    web = single.web(WORKER="embedded")
    job = await single.upload(web)
    async with single.watching(job) as (viewer,):
        await viewer.reached(4)
        with contextlib.closing(sqlite3.connect(single.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(7)
            other.execute("COMMIT")
        await viewer.finished()
        assert viewer.codes == [1000]
    await single.finish()
