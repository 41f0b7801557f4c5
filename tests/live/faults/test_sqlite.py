"""SQLite under several writers, and locked by another program."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3

import httpx
import pytest

from tests.live.cluster import API_KEY, SqliteCluster

pytestmark = pytest.mark.timeout(90)

MAKE_ADMIN = (
    "from django.contrib.auth.models import User; "
    "User.objects.create_superuser('staff', password='x')"
)


async def test_sqlite_is_never_locked(sqlite_cluster: SqliteCluster) -> None:
    """Uploads, recorded events, lists, the admin and deletions at once, in two processes."""
    sqlite_cluster.upstream.job_seconds = 2
    sqlite_cluster.upstream.tick = 0.05
    web = sqlite_cluster.web(WORKER="embedded", EVENTS_PER_SECOND="20")
    other = sqlite_cluster.worker(EVENTS_PER_SECOND="20")
    sqlite_cluster.manage("shell", "--no-imports", "-c", MAKE_ADMIN)
    old = [await sqlite_cluster.upload(web) for _ in range(3)]
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
                    answer = await admin.get(path, headers={"x-api-key": API_KEY})
                    assert answer.status_code == 200, answer.text
                    times += 1
                return times

            readers = [
                asyncio.create_task(read(path))
                for path in ("/admin/denoise_relay/job/", "/", "/api/v1/denoise")
            ]
            try:
                jobs = await sqlite_cluster.uploads(web, 10)
                async with sqlite_cluster.watching(*jobs, viewers=2) as viewers:
                    for job in old:
                        await sqlite_cluster.reached(job, status="done")
                    sqlite_cluster.jobs = jobs
                    prune = asyncio.to_thread(delete_ended, sqlite_cluster, old)
                    for viewer in viewers:
                        await viewer.finished()
                    await prune
            finally:
                stop.set()
            assert min(await asyncio.gather(*readers)) > 3
    await sqlite_cluster.finish()
    assert "database is locked" not in web.output + other.output


def delete_ended(sqlite_cluster: SqliteCluster, jobs: list[str]) -> None:
    """Delete old jobs while others are written; through the app, which deletes their files too."""
    ids = ", ".join(f"'{job}'" for job in jobs)
    code = (
        f"from denoise_relay.models import Job; print(Job.objects.filter(pk__in=[{ids}]).delete())"
    )
    text = sqlite_cluster.manage("shell", "--no-imports", "-c", code)
    assert "denoise_relay.Job': 3" in text, text


async def test_sqlite_locked_by_another_program_for_long(sqlite_cluster: SqliteCluster) -> None:
    """For longer than the timeout of 5 s: what waits is written afterwards."""
    sqlite_cluster.upstream.job_seconds = 3
    web = sqlite_cluster.web(WORKER="embedded")
    job = await sqlite_cluster.upload(web)
    async with sqlite_cluster.watching(job) as (viewer,):
        await viewer.reached(4)
        with contextlib.closing(
            sqlite3.connect(sqlite_cluster.path, isolation_level=None)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(7)
            other.execute("COMMIT")
        await viewer.finished()
        assert viewer.codes == [1000]
    await sqlite_cluster.finish()
