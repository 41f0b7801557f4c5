"""Many jobs, and jobs with many events: bounded memory, and no delay for other viewers."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

import pytest

from denoise_relay.testing import Answer, answers
from denoise_relay.testing.answers import Send, Wait
from tests.live.cluster import PostgresCluster, over_both, report
from tests.live.load.clients import grown_mb
from tests.live.viewers import Viewer, all_reached

pytestmark = pytest.mark.timeout(120)


@over_both
async def test_a_thousand_jobs_at_once(cluster: PostgresCluster) -> None:
    # The default: a shorter lease may expire on a busy machine.
    cluster.environ["DENOISE_RELAY_LEASE_SECONDS"] = "15"
    web = cluster.start(workers=2)
    first = await cluster.upload(web)
    await cluster.reached(first, status="done")
    before = {process: process.memory_kb() for process in cluster.processes()}
    begun = time.monotonic()
    jobs = cluster.copy_job(first, 999)
    async with cluster.watching(*jobs[::100], jobs[-1], viewers=2) as viewers:
        for viewer in viewers:
            await viewer.finished(within=90)
        await cluster.all_ended(within=30)
    report("1,000 jobs from queue to end, two workers", time.monotonic() - begun)
    # No job was claimed twice, and none was posted twice (`finish` counts the posts).
    assert {row["epoch"] for row in cluster.rows("SELECT epoch FROM denoise_relay_job")} == {1}
    for process, kilobytes in before.items():
        assert grown_mb(process, kilobytes) < 60, process.name
    cluster.jobs = [first, *jobs[::50]]
    assert len(cluster.upstream.records) == 1000
    assert set(cluster.upstream.submits().values()) == {1}
    await cluster.finish()


@over_both
async def test_quiet_jobs_beside_a_flood(cluster: PostgresCluster) -> None:
    """One job has 10,000 events a second. In the same worker and web process, the delays of 200
    viewers of 40 other jobs do not change."""
    upstream = cluster.upstream
    upstream.job_seconds, upstream.tick = 18, 0.5
    web = cluster.start()
    worker = cluster.workers[0]
    first = await cluster.upload(web)
    quiet = [first, *cluster.copy_job(first, 39)]
    async with cluster.watching(*quiet, viewers=5) as viewers:
        await all_reached(viewers, 4)
        before_flood = await delays_during(viewers, 3)
        memory = worker.memory_kb(), web.memory_kb()
        upstream.on_progress(flood(seconds=6))
        flooded = await cluster.upload(web)
        async with cluster.watching(flooded, viewers=3) as listeners:
            await cluster.reached(flooded, pct=1)
            during_flood = await delays_during(viewers, 4)
            assert cluster.job(flooded)["status"] == "processing"
            for listener in listeners:
                await listener.finished()
        growth = grown_mb(worker, memory[0]), grown_mb(web, memory[1])
        for viewer in viewers:
            await viewer.finished(within=40)
    for name, delays in (("before the flood", before_flood), ("during the flood", during_flood)):
        report(f"quiet viewers, {name}, median", statistics.median(delays))
        report(f"quiet viewers, {name}, 95th percentile", statistics.quantiles(delays, n=20)[-1])
    assert statistics.median(during_flood) < statistics.median(before_flood) + 0.1
    assert max(growth) < 40, growth
    # At most EVENTS_PER_SECOND rows for each second of the flood, not 10,000.
    assert len(cluster.journal(flooded)) < 10 * 12 + 10
    await cluster.finish()


def flood(seconds: float, rate: int = 10_000, beat: float = 0.02) -> Answer:
    """A stream of `rate` events a second, sent in batches each `beat` seconds."""
    beats = int(seconds / beat)
    steps: list[Any] = list(answers.stream().steps)
    for n in range(beats):
        event = answers.processing(1 + 98 * n / beats, "Working")
        steps += [Send(event, int(rate * beat)), Wait(beat)]
    return Answer(tuple(steps))


async def delays_during(viewers: list[Viewer], seconds: float) -> list[float]:
    """Delays of the frames that arrive within some seconds from now."""
    seen = {viewer: len(viewer.delays) for viewer in viewers}
    await asyncio.sleep(seconds)
    delays = [delay for viewer in viewers for delay in viewer.delays[seen[viewer] :]]
    assert len(delays) > len(viewers), "too few frames to judge"
    return delays
