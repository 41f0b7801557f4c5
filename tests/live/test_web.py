"""Web processes end, politely or not: viewers come back elsewhere and have missed nothing."""

from __future__ import annotations

import asyncio
import signal

import httpx
import pytest

from tests.live.cluster import (
    WORKING,
    PostgresCluster,
    SqliteCluster,
    Web,
    measured,
)
from tests.live.demo_process import submit
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(90)

GOING_AWAY = 4012


def two_webs(cluster: PostgresCluster, worker: str = "external") -> tuple[Web, Web]:
    webs = cluster.web(wait=False, WORKER=worker), cluster.web(wait=False, WORKER=worker)
    for web in webs:
        web.ready()
    return webs


async def test_sigterm_sends_viewers_elsewhere(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 5
    worker = cluster.worker(wait=False)
    leaving, staying = two_webs(cluster)
    worker.said(WORKING)
    job = await cluster.upload(leaving)
    route = [leaving]
    async with (
        cluster.watching(job, viewers=10, webs=route) as sockets,
        cluster.watching(job, viewers=3, webs=route, kind="sse") as streams,
    ):
        for viewer in [*sockets, *streams]:
            await viewer.reached(3)
        route[:] = [staying]
        code, took = await asyncio.to_thread(leaving.terminate)
        assert code == 0, leaving.text
        measured("web exit after SIGTERM, with 13 viewers", took)
        for viewer in [*sockets, *streams]:
            await viewer.finished()
            assert viewer.saw_everything()
    assert [viewer.codes[0] for viewer in sockets] == [GOING_AWAY] * 10
    await cluster.finish()


@pytest.mark.parametrize("worker", ["external", "embedded"])
async def test_rolling_restart_loses_no_frame(cluster: PostgresCluster, worker: str) -> None:
    cluster.upstream.job_seconds = 14
    if worker == "external":
        cluster.worker(wait=False)
    webs = list(two_webs(cluster, worker))
    if worker == "external":
        cluster.workers[0].said(WORKING)
    jobs = [await cluster.upload(webs[0]), await cluster.upload(webs[1])]
    async with (
        cluster.watching(*jobs, viewers=3, webs=webs) as sockets,
        cluster.watching(*jobs, webs=webs, kind="sse") as streams,
    ):
        viewers = [*sockets, *streams]
        for viewer in viewers:
            await viewer.reached(3)
        for place, web in enumerate(list(webs)):
            code, took = await asyncio.to_thread(web.terminate)
            assert code == 0, web.text
            measured(f"web exit after SIGTERM, worker {worker}", took)
            webs[place] = cluster.web(web.port, WORKER=worker, wait=False)
            await eventually(webs[place].answers, within=20)
        assert all(viewer.seen_end is None for viewer in viewers), "the jobs were too short"
        for viewer in viewers:
            await viewer.finished()
            assert viewer.saw_everything()
            assert viewer.longest_pause() < 5
    await cluster.finish()


async def test_killed_web_process_loses_no_frame(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 5
    worker = cluster.worker(wait=False)
    dying, staying = two_webs(cluster)
    worker.said(WORKING)
    job = await cluster.upload(dying)
    route = [dying]
    async with (
        cluster.watching(job, viewers=5, webs=route) as sockets,
        cluster.watching(job, viewers=2, webs=route, kind="sse") as streams,
    ):
        for viewer in [*sockets, *streams]:
            await viewer.reached(3)
        dying.kill9()
        route[:] = [staying]
        for viewer in [*sockets, *streams]:
            await viewer.finished()
            assert viewer.saw_everything()
            assert viewer.longest_pause() < 3
    await cluster.finish()


async def test_uploaded_on_one_page_and_watched_on_another(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 2
    worker = cluster.worker(wait=False)
    here, there = two_webs(cluster)
    worker.said(WORKING)
    with httpx.Client(base_url=here.url, trust_env=False, timeout=20) as browser:
        job = await asyncio.to_thread(submit, browser)
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    cluster.jobs.append(job)
    async with (
        cluster.watching(job, webs=[there], headers={"Cookie": cookies}) as (viewer,),
        cluster.watching(job, webs=[there], headers={"Cookie": cookies}, kind="sse") as (stream,),
    ):
        await viewer.finished()
        await stream.finished()
        assert viewer.saw_everything()
    async with httpx.AsyncClient(base_url=there.url, trust_env=False) as browser:
        audio = await browser.get(f"/jobs/{job}/audio/denoised/", headers={"Cookie": cookies})
        assert audio.content == cluster.upstream.result
    await cluster.finish()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
async def test_one_process_with_everything_in_it(
    single: SqliteCluster, number: signal.Signals
) -> None:
    """SQLite, no layer, embedded worker: ended in the middle, started again, nothing lost."""
    single.upstream.job_seconds = 6
    web = single.web(WORKER="embedded")
    jobs = await single.uploads(web, 3)
    async with single.watching(*jobs, viewers=2) as viewers:
        for viewer in viewers:
            await viewer.reached(4)
        web.signal(number)
        await asyncio.to_thread(web.ended, 10)
        single.web(web.port, WORKER="embedded", wait=False)
        for viewer in viewers:
            await viewer.finished()
            assert viewer.saw_everything()
    await single.finish()


async def test_second_sigterm_ends_a_web_process_now(cluster: PostgresCluster) -> None:
    web = cluster.web(WORKER="embedded")
    cluster.upstream.job_seconds = 20
    job = await cluster.upload(web)
    await cluster.reached(job, pct=5)
    with cluster.locked():
        web.signal(signal.SIGTERM)
        await eventually(lambda: cluster.upstream.open_connections == 0, within=5)
        assert web.running
        begun = asyncio.get_running_loop().time()
        web.signal(signal.SIGTERM)
        assert await asyncio.to_thread(web.ended, 2) == 128 + signal.SIGTERM
        assert asyncio.get_running_loop().time() - begun < 1
    cluster.upstream.job_seconds = 1
    cluster.web(web.port, WORKER="embedded")
    await cluster.finish()
