"""Workers die, freeze and leave: their jobs go on elsewhere, and viewers see only a pause."""

from __future__ import annotations

import signal
import time

import pytest

from tests.live.cluster import LEASE_SECONDS, WORKING, PostgresCluster, elapsed_since, measured
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(90)


async def test_killed_worker_is_replaced_within_its_lease(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 8
    web, other = cluster.web(wait=False), cluster.web(wait=False)
    workers = [cluster.worker(wait=False), cluster.worker(wait=False)]
    web.ready()
    other.ready()
    jobs = await cluster.uploads(web, 4)
    async with (
        cluster.watching(*jobs, webs=[web]) as near,
        cluster.watching(*jobs, webs=[other], kind="sse") as far,
    ):
        for job in jobs:
            await cluster.reached(job, pct=10)
        first = cluster.owner(jobs[0])
        assert first in workers
        theirs = [job for job in jobs if cluster.owner(job) is first]
        first.kill9()
        killed = time.monotonic()
        other_worker = next(worker for worker in workers if worker is not first)
        for job in theirs:
            await cluster.owned(job, by=other_worker, within=LEASE_SECONDS + 2)
        took = elapsed_since(killed)
        for viewer in [*near, *far]:
            await viewer.finished()
            assert viewer.longest_pause() < LEASE_SECONDS + 2
            assert all(code in (1000, 200) for code in viewer.codes), viewer.codes
    measured("takeover after kill -9", took)
    await cluster.finish()
    assert {cluster.job(job)["epoch"] for job in theirs} == {2}


async def test_zombie_is_fenced_and_stops(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 10
    web = cluster.web()
    zombie = cluster.worker()
    (job,) = await cluster.uploads(web, 1)
    async with cluster.watching(job, viewers=2) as viewers:
        await cluster.reached(job, pct=10)
        heir = cluster.worker()
        zombie.freeze()
        await cluster.owned(job, by=heir, within=LEASE_SECONDS + 2)
        await cluster.reached(job, seq=cluster.job(job)["seq"] + 3)
        assert cluster.upstream.open_connections == 2
        zombie.thaw()
        # It notices: its next renewal or its next event is refused, and it lets go.
        await eventually(lambda: cluster.upstream.open_connections == 1, within=3)
        assert cluster.owner(job) is heir
        for viewer in viewers:
            await viewer.finished()
    assert cluster.job(job)["epoch"] == 2
    await cluster.finish()


async def test_sigterm_hands_jobs_back_at_once(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 5
    web, leaving = cluster.web(wait=False), cluster.worker(wait=False)
    web.ready()
    leaving.said(WORKING)
    jobs = await cluster.uploads(web, 3)
    async with cluster.watching(*jobs) as viewers:
        for job in jobs:
            await cluster.reached(job, pct=10)
        heir = cluster.worker()
        leaving.signal(signal.SIGTERM)
        asked = time.monotonic()
        for job in jobs:
            await cluster.owned(job, by=heir, within=2)
        took = elapsed_since(asked)
        assert leaving.ended(within=10) == 0, leaving.text
        left = elapsed_since(asked)
        for viewer in viewers:
            await viewer.finished()
            assert viewer.longest_pause() < LEASE_SECONDS + 2
    measured("takeover after SIGTERM", took)
    measured("exit after SIGTERM", left)
    assert took < 2
    await cluster.finish()


async def test_second_sigterm_exits_now(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 4
    web, stuck = cluster.web(wait=False), cluster.worker(wait=False)
    web.ready()
    stuck.said(WORKING)
    (job,) = await cluster.uploads(web, 1)
    async with cluster.watching(job) as (viewer,):
        await cluster.reached(job, pct=10)
        # Its commits wait for a lock, so a polite stop takes a while.
        with cluster.locked():
            stuck.signal(signal.SIGTERM)
            await eventually(lambda: cluster.upstream.open_connections == 0, within=3)
            assert stuck.running
            asked = time.monotonic()
            stuck.signal(signal.SIGTERM)
            assert stuck.ended(within=2) != 0
            assert elapsed_since(asked) < 1
        cluster.worker()
        await viewer.finished()
    await cluster.finish()
