"""The channel layer fails: viewers catch up by the position check, and when the layer is back
they see each commit at once again."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
from collections.abc import AsyncIterator

import pytest

from tests.live.cluster import POSITION_CHECK_SECONDS, PostgresCluster, report
from tests.live.faults.faulty_layer import FAULTS as MESSAGE_FAULTS
from tests.live.state_servers import Valkey
from tests.live.viewers import Viewer, all_finished, all_reached
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(90)

CHECK_SECONDS = 3.0
#: The median delay of a frame on a busy machine; with the position check alone it is about
#: CHECK_SECONDS / 2.
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
        valkey.resume()


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
    """Emptied, and every client disconnected."""
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


def terminal_delay(viewers: list[Viewer]) -> float:
    """The longest time from the commit of a terminal frame to its arrival."""
    return max(viewer.delays[-1] for viewer in viewers)


SERVER_FAULTS = {
    fault.__name__: fault for fault in (restarted, frozen, paused, full, cut_off, gone)
}


@pytest.mark.parametrize("fault", SERVER_FAULTS)
async def test_layer_fails_and_comes_back(cluster: PostgresCluster, fault: str) -> None:
    cluster.upstream.job_seconds = 7
    web = cluster.start(POSITION_CHECK_SECONDS=f"{CHECK_SECONDS:g}")
    jobs = await cluster.uploads(web, 3)
    async with cluster.watching(*jobs, viewers=3) as viewers:
        await all_reached(viewers, 4)
        async with SERVER_FAULTS[fault](cluster.valkey):
            await all_finished(viewers)
            for viewer in viewers:
                # One connection each: the fault closed no socket.
                assert viewer.codes == [1000]
    worst = terminal_delay(viewers)
    report(f"terminal frame after its commit, layer {fault}", worst)
    assert worst < CHECK_SECONDS + 2
    await seen_at_once(cluster)
    await cluster.finish()


async def seen_at_once(cluster: PostgresCluster) -> None:
    """Check that the layer is used again: most frames of a new job come faster than by the
    position check."""
    cluster.upstream.job_seconds = 3

    async def is_fast() -> bool:
        """False while the publishers still wait before they use the layer again."""
        job = await cluster.upload(cluster.webs[0])
        async with cluster.watching(job) as (viewer,):
            await viewer.finished()
        return statistics.median(viewer.delays) < AT_ONCE_SECONDS

    assert await eventually(is_fast, within=20)


async def test_layer_absent_at_start(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 3
    cluster.valkey.kill()
    try:
        web = cluster.start(POSITION_CHECK_SECONDS=f"{CHECK_SECONDS:g}")
        jobs = await cluster.uploads(web, 2)
        async with cluster.watching(*jobs, viewers=2) as viewers:
            await all_finished(viewers)
            assert terminal_delay(viewers) < CHECK_SECONDS + 2
    finally:
        cluster.valkey.start()
    await seen_at_once(cluster)
    await cluster.finish()


@pytest.mark.parametrize("fault", MESSAGE_FAULTS)
async def test_messages_are_lost_duplicated_or_reordered(
    cluster: PostgresCluster, fault: str
) -> None:
    cluster.environ |= {
        "DJANGO_SETTINGS_MODULE": "tests.live.faults.faulty_layer_settings",
        "LAYER_FAULT": fault,
    }
    cluster.upstream.job_seconds = 3
    web = cluster.start()
    jobs = await cluster.uploads(web, 5)
    async with cluster.watching_both(*jobs, sockets=2) as (sockets, streams):
        await all_finished([*sockets, *streams])
    worst = terminal_delay([*sockets, *streams])
    report(f"terminal frame after its commit, messages {fault}", worst)
    assert worst < POSITION_CHECK_SECONDS + 2  # on a busy machine
    await cluster.finish()
