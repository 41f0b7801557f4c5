"""Web processes are stopped or killed: viewers reconnect elsewhere and miss no event."""

from __future__ import annotations

import asyncio
import signal

import httpx
import pytest

from tests.live.cluster import PostgresCluster, SqliteCluster, over_both, over_both_sends, report
from tests.live.forms import cookie_header, submit
from tests.live.viewers import all_finished, all_reached
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(90)

#: The close code of a process that stops.
GOING_AWAY = 4012


@over_both_sends
async def test_sigterm_sends_viewers_elsewhere(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 5
    leaving, staying = cluster.start_webs(2)
    job = await cluster.upload(leaving)
    route = [leaving]
    async with cluster.watching_both(job, sockets=10, streams=3, webs=route) as (sockets, streams):
        viewers = [*sockets, *streams]
        await all_reached(viewers, 3)
        route[:] = [staying]
        code, took = await asyncio.to_thread(leaving.terminate)
        assert code == 0, leaving.output
        report("web exit after SIGTERM, with 13 viewers", took)
        await all_finished(viewers)
    assert [viewer.codes[0] for viewer in sockets] == [GOING_AWAY] * 10
    await cluster.finish()


@pytest.mark.parametrize("worker", ["external", "embedded"])
async def test_rolling_restart_loses_no_frame(cluster: PostgresCluster, worker: str) -> None:
    cluster.upstream.job_seconds = 14
    webs = cluster.start_webs(2, workers=int(worker == "external"), WORKER=worker)
    jobs = [await cluster.upload(webs[0]), await cluster.upload(webs[1])]
    async with cluster.watching_both(*jobs, sockets=3, webs=webs) as (sockets, streams):
        viewers = [*sockets, *streams]
        await all_reached(viewers, 3)
        for place, web in enumerate(list(webs)):
            code, took = await asyncio.to_thread(web.terminate)
            assert code == 0, web.output
            report(f"web exit after SIGTERM, worker {worker}", took)
            webs[place] = cluster.web(web.port, WORKER=worker, wait=False)
            await eventually(webs[place].answers, within=20)
        assert all(viewer.seen_end is None for viewer in viewers), "the jobs were too short"
        await all_finished(viewers)
        for viewer in viewers:
            assert viewer.longest_pause() < 5
    await cluster.finish()


@over_both
@over_both_sends
async def test_killed_web_process_loses_no_frame(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 5
    killed, staying = cluster.start_webs(2)
    job = await cluster.upload(killed)
    route = [killed]
    async with cluster.watching_both(job, sockets=5, streams=2, webs=route) as (sockets, streams):
        viewers = [*sockets, *streams]
        await all_reached(viewers, 3)
        killed.kill()
        route[:] = [staying]
        await all_finished(viewers)
        for viewer in viewers:
            assert viewer.longest_pause() < 3
    await cluster.finish()


@over_both
async def test_uploaded_on_one_page_and_watched_on_another(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 2
    here, there = cluster.start_webs(2)
    with httpx.Client(base_url=here.url, trust_env=False, timeout=20) as browser:
        job = await asyncio.to_thread(submit, browser)
        cookies = cookie_header(browser)
    cluster.jobs.append(job)
    async with cluster.watching_both(job, webs=[there], headers=cookies) as (sockets, streams):
        await all_finished([*sockets, *streams])
    async with httpx.AsyncClient(base_url=there.url, trust_env=False) as browser:
        audio = await browser.get(f"/jobs/{job}/audio/denoised/", headers=cookies)
        assert audio.content == cluster.upstream.result
    await cluster.finish()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
async def test_single_process_goes_on_after_a_restart(
    sqlite_cluster: SqliteCluster, number: signal.Signals
) -> None:
    """SQLite, no channel layer, an embedded worker: ended during a job and started again."""
    sqlite_cluster.upstream.job_seconds = 6
    web = sqlite_cluster.web(WORKER="embedded")
    jobs = await sqlite_cluster.uploads(web, 3)
    async with sqlite_cluster.watching(*jobs, viewers=2) as viewers:
        await all_reached(viewers, 4)
        web.send(number)
        await asyncio.to_thread(web.wait, 10)
        sqlite_cluster.web(web.port, WORKER="embedded", wait=False)
        await all_finished(viewers)
    await sqlite_cluster.finish()


async def test_second_sigterm_ends_a_web_process_now(cluster: PostgresCluster) -> None:
    web = cluster.web(WORKER="embedded")
    cluster.upstream.job_seconds = 20
    job = await cluster.upload(web)
    await cluster.reached(job, pct=5)
    with cluster.locked():
        web.send(signal.SIGTERM)
        await eventually(lambda: cluster.upstream.open_connections == 0, within=5)
        assert web.running
        begun = asyncio.get_running_loop().time()
        web.send(signal.SIGTERM)
        assert await asyncio.to_thread(web.wait, 2) == 128 + signal.SIGTERM
        assert asyncio.get_running_loop().time() - begun < 1
    cluster.upstream.job_seconds = 1
    cluster.web(web.port, WORKER="embedded")
    await cluster.finish()
