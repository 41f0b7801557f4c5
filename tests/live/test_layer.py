"""The channel layer fails in every way: viewers converge by the position check, and once the
layer is back, what is committed is seen at once again."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
from collections.abc import AsyncIterator

import pytest

from tests.live.cluster import WORKING, PostgresCluster, measured
from tests.live.servers import Valkey
from tests.live.viewers import Viewer
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(90)

CHECK_SECONDS = 3.0
#: On a busy machine; the position check alone would show CHECK_SECONDS / 2 in the mean.
AT_ONCE_SECONDS = 0.5
FAULT_SECONDS = 5.0


@contextlib.asynccontextmanager
async def restarted(valkey: Valkey) -> AsyncIterator[None]:
    valkey.restart()
    yield


@contextlib.asynccontextmanager
async def frozen(valkey: Valkey) -> AsyncIterator[None]:
    valkey.freeze()
    try:
        await asyncio.sleep(FAULT_SECONDS)
        yield
    finally:
        valkey.thaw()


@contextlib.asynccontextmanager
async def paused(valkey: Valkey) -> AsyncIterator[None]:
    valkey.command("CLIENT", "PAUSE", int(FAULT_SECONDS * 1000), "ALL")
    yield


@contextlib.asynccontextmanager
async def full(valkey: Valkey) -> AsyncIterator[None]:
    valkey.command("CONFIG", "SET", "maxmemory", "1")
    try:
        yield
    finally:
        valkey.command("CONFIG", "SET", "maxmemory", "0")


@contextlib.asynccontextmanager
async def cut_off(valkey: Valkey) -> AsyncIterator[None]:
    """Emptied, and every client thrown out."""
    valkey.command("FLUSHALL")
    for kind in ("pubsub", "normal"):
        valkey.command("CLIENT", "KILL", "TYPE", kind)
    yield


@contextlib.asynccontextmanager
async def gone(valkey: Valkey) -> AsyncIterator[None]:
    valkey.kill()
    try:
        await asyncio.sleep(FAULT_SECONDS)
        yield
    finally:
        valkey.start()


def late(viewer: Viewer) -> float:
    """How long after its commit the terminal frame was seen."""
    return viewer.delays[-1]


FAULTS = {fault.__name__: fault for fault in (restarted, frozen, paused, full, cut_off, gone)}


@pytest.mark.parametrize("fault", FAULTS)
async def test_layer_fails_and_comes_back(cluster: PostgresCluster, fault: str) -> None:
    cluster.upstream.job_seconds = 7
    worker = cluster.worker(wait=False)
    web = cluster.web(POSITION_CHECK_SECONDS=f"{CHECK_SECONDS:g}")
    worker.said(WORKING)
    jobs = await cluster.uploads(web, 3)
    async with cluster.watching(*jobs, viewers=3) as viewers:
        for viewer in viewers:
            await viewer.reached(4)
        async with FAULTS[fault](cluster.valkey):
            for viewer in viewers:
                await viewer.finished()
                # One connection each: no socket was closed for the layer's sake.
                assert viewer.codes == [1000]
                assert viewer.saw_everything()
    worst = max(late(viewer) for viewer in viewers)
    measured(f"terminal frame after its commit, layer {fault}", worst)
    assert worst < CHECK_SECONDS + 2
    await heard_at_once(cluster)
    await cluster.finish()


async def heard_at_once(cluster: PostgresCluster) -> None:
    """The bell rings again: most frames of a new job come faster than any check would."""
    cluster.upstream.job_seconds = 3

    async def rings() -> bool:
        """False while the publishers still leave the layer alone."""
        job = await cluster.upload(cluster.webs[0])
        async with cluster.watching(job) as (viewer,):
            await viewer.finished()
        return statistics.median(viewer.delays) < AT_ONCE_SECONDS

    assert await eventually(rings, within=20)


async def test_layer_absent_at_start(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 3
    cluster.valkey.kill()
    try:
        worker = cluster.worker(wait=False)
        web = cluster.web(POSITION_CHECK_SECONDS=f"{CHECK_SECONDS:g}")
        worker.said(WORKING)
        jobs = await cluster.uploads(web, 2)
        async with cluster.watching(*jobs, viewers=2) as viewers:
            for viewer in viewers:
                await viewer.finished()
                assert late(viewer) < CHECK_SECONDS + 2
                assert viewer.saw_everything()
    finally:
        cluster.valkey.start()
    await heard_at_once(cluster)
    await cluster.finish()


@pytest.mark.parametrize("fault", ["deaf", "half", "doubled", "reordered", "garbled"])
async def test_messages_lost_doubled_reordered(cluster: PostgresCluster, fault: str) -> None:
    cluster.environ |= {
        "DJANGO_SETTINGS_MODULE": "tests.live.unreliable_settings",
        "UNRELIABLE": fault,
    }
    cluster.upstream.job_seconds = 3
    worker, web = cluster.worker(wait=False), cluster.web()
    worker.said(WORKING)
    jobs = await cluster.uploads(web, 5)
    async with (
        cluster.watching(*jobs, viewers=2) as sockets,
        cluster.watching(*jobs, kind="sse") as streams,
    ):
        for viewer in [*sockets, *streams]:
            await viewer.finished()
            assert viewer.saw_everything()
    worst = max(late(viewer) for viewer in [*sockets, *streams])
    measured(f"terminal frame after its commit, messages {fault}", worst)
    assert worst < 1 + 2  # POSITION_CHECK_SECONDS, and a busy machine
    await cluster.finish()
