"""A worker is killed, frozen or stopped: others take its jobs over, viewers see only a pause."""

from __future__ import annotations

import signal
import time

import pytest

from tests.live.cluster import LEASE_SECONDS, PostgresCluster, over_both, report
from tests.live.faults.fault_points import CommitFaultPoint, proxied_worker
from tests.live.tcp_proxy import TcpProxy
from tests.live.viewers import Viewer
from tests.processes import Process
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(90)


async def only_pause(viewers: list[Viewer]) -> None:
    """Wait until the viewers have seen the end, and check how long they saw nothing."""
    for viewer in viewers:
        await viewer.finished()
        assert viewer.longest_pause() < LEASE_SECONDS + 2


def standing_by(cluster: PostgresCluster) -> Process:
    """A worker that has started, and claims nothing before `resume`: a job need not wait for the
    start of a process, which takes many seconds on a busy machine."""
    worker = cluster.worker()
    worker.freeze()
    return worker


@over_both
async def test_killed_worker_is_replaced_within_its_lease(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 8
    web, other = cluster.start_webs(2, workers=2)
    workers = cluster.workers
    jobs = await cluster.uploads(web, 4)
    async with (
        cluster.watching(*jobs, webs=[web]) as near,
        cluster.watching(*jobs, webs=[other], kind="sse") as far,
    ):
        for job in jobs:
            await cluster.reached(job, pct=10)
        first = cluster.owner(jobs[0])
        assert first in workers
        taken = [job for job in jobs if cluster.owner(job) is first]
        first.kill()
        killed = time.monotonic()
        other_worker = next(worker for worker in workers if worker is not first)
        for job in taken:
            await cluster.owned(job, by=other_worker, within=LEASE_SECONDS + 2)
        took = time.monotonic() - killed
        viewers = [*near, *far]
        await only_pause(viewers)
        for viewer in viewers:
            assert all(code in (1000, 200) for code in viewer.codes), viewer.codes
    report("takeover after kill -9", took)
    await cluster.finish()
    assert {cluster.job(job)["epoch"] for job in taken} == {2}


async def test_frozen_worker_is_fenced_and_stops(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 15
    web = cluster.web()
    successor = standing_by(cluster)
    frozen = cluster.worker()
    (job,) = await cluster.uploads(web, 1)
    async with cluster.watching(job, viewers=2) as viewers:
        await cluster.reached(job, pct=10)
        assert cluster.owner(job) is frozen
        successor.resume()
        frozen.freeze()
        await cluster.owned(job, by=successor, within=LEASE_SECONDS + 2)
        await cluster.reached(job, seq=cluster.job(job)["seq"] + 3)
        assert cluster.upstream.open_connections == 2
        frozen.resume()
        # Its next renewal or its next event is refused, and it stops the job.
        await eventually(lambda: cluster.upstream.open_connections == 1, within=3)
        assert cluster.owner(job) is successor
        for viewer in viewers:
            await viewer.finished()
    assert cluster.job(job)["epoch"] == 2
    await cluster.finish()


@pytest.mark.parametrize(
    "statement", [b'SET "lease_until" = ', b'INSERT INTO "denoise_relay_event"']
)
async def test_frozen_inside_a_transaction_holds_no_job(
    cluster: PostgresCluster, postgres_proxy: TcpProxy, statement: bytes
) -> None:
    """It has locked the rows of its jobs when it stands still: a renewal, or an event."""
    cluster.upstream.job_seconds = 15
    web = cluster.web()
    successor = standing_by(cluster)
    frozen = proxied_worker(cluster, postgres_proxy)
    (job,) = await cluster.uploads(web, 1)
    async with cluster.watching(job, viewers=2) as viewers:
        await cluster.reached(job, pct=10)
        successor.resume()
        # The statement never reaches the server, which has answered the one that locks.
        fault = CommitFaultPoint(postgres_proxy, statement, committed=False)
        await eventually(fault.reached.is_set)
        frozen.freeze()
        await cluster.owned(job, by=successor, within=LEASE_SECONDS + 2)
        frozen.resume()
        postgres_proxy.release()
        await eventually(lambda: cluster.upstream.open_connections == 1, within=5)
        assert cluster.owner(job) is successor
        for viewer in viewers:
            await viewer.finished()
    assert cluster.job(job)["epoch"] == 2
    await cluster.finish()


@over_both
async def test_sigterm_hands_jobs_back_at_once(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 8
    web, (leaving,) = cluster.start(), cluster.workers
    successor = standing_by(cluster)
    jobs = await cluster.uploads(web, 3)
    async with cluster.watching(*jobs) as viewers:
        for job in jobs:
            await cluster.reached(job, pct=10)
        successor.resume()
        leaving.send(signal.SIGTERM)
        asked = time.monotonic()
        for job in jobs:
            await cluster.owned(job, by=successor, within=2)
        took = time.monotonic() - asked
        assert leaving.wait(within=10) == 0, leaving.output
        left = time.monotonic() - asked
        await only_pause(viewers)
    report("takeover after SIGTERM", took)
    report("exit after SIGTERM", left)
    assert took < 2
    await cluster.finish()


async def test_second_sigterm_exits_now(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 4
    web, (stuck,) = cluster.start(), cluster.workers
    (job,) = await cluster.uploads(web, 1)
    async with cluster.watching(job) as (viewer,):
        await cluster.reached(job, pct=10)
        # Its commits wait for a lock, so the first signal does not end it at once.
        with cluster.locked():
            stuck.send(signal.SIGTERM)
            await eventually(lambda: cluster.upstream.open_connections == 0, within=3)
            assert stuck.running
            asked = time.monotonic()
            stuck.send(signal.SIGTERM)
            assert stuck.wait(within=2) != 0
            assert time.monotonic() - asked < 1
        cluster.worker()
        await viewer.finished()
    await cluster.finish()
