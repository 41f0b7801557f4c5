"""A crash at every point around the POST ends with one upstream job.

Each test stops the worker at one point: by a TCP proxy in front of the database or the
upstream, or by an upstream that answers late. Then the worker is killed with SIGKILL, and
another worker, without a proxy, takes the job over.
"""

from __future__ import annotations

import asyncio
import threading

import pytest

from denoise_relay.testing import answers
from tests.live.cluster import LEASE_SECONDS, PostgresCluster
from tests.live.faults.fault_points import CommitFaultPoint, proxied_worker
from tests.live.recordings import tone
from tests.live.tcp_proxy import TcpProxy
from tests.processes import Process
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(90)

#: In the statement that commits the intent to submit, and in that of the upstream's answer.
INTENT = b'"submitted_at" = '
ACCEPTED = b'"upstream_id" = '


async def kill_and_replace(
    cluster: PostgresCluster, postgres_proxy: TcpProxy, victim: Process, job: str
) -> None:
    """Kill the worker where it is stopped; let another one finish the job."""
    victim.kill()
    postgres_proxy.cut()
    cluster.worker()
    async with cluster.watching(job, viewers=2) as viewers:
        for viewer in viewers:
            await viewer.finished(within=LEASE_SECONDS + 20)


@pytest.mark.parametrize("kind", ["before_the_intent", "after_the_intent"])
async def test_killed_before_the_first_byte(
    cluster: PostgresCluster, postgres_proxy: TcpProxy, kind: str
) -> None:
    committed = kind == "after_the_intent"
    fault = CommitFaultPoint(postgres_proxy, INTENT, committed=committed)
    web, victim = cluster.web(), proxied_worker(cluster, postgres_proxy)
    job = await cluster.upload(web)
    await eventually(fault.reached.is_set)
    if committed:
        await cluster.reached(job, status="submitting")
    assert cluster.job(job)["attempt"] == int(committed)
    await kill_and_replace(cluster, postgres_proxy, victim, job)
    # A committed intent looks like an upload that was lost, so there is a new attempt.
    assert cluster.job(job)["attempt"] == 1 + int(committed)
    assert cluster.upstream.counts["submit"] == 1
    await cluster.finish()


async def test_killed_in_the_middle_of_the_upload(cluster: PostgresCluster) -> None:
    recording = tone(40)  # 3.8 MB
    port = int(cluster.upstream.netloc.rpartition(":")[2])
    with TcpProxy(port) as upstream_proxy:
        passed = 0
        held = threading.Event()

        def stop_in_the_middle(direction: str, data: bytes) -> None:
            nonlocal passed
            passed += len(data) if direction == "up" else 0
            if passed > len(recording) // 2:
                upstream_proxy.hold_up()
                held.set()

        upstream_proxy.on_bytes = stop_in_the_middle
        web = cluster.web()
        victim = cluster.worker(UPSTREAM_URL=f"http://127.0.0.1:{upstream_proxy.port}/api/v1")
        job = await cluster.upload(web, recording)
        await eventually(held.is_set)
        await kill_and_replace(cluster, upstream_proxy, victim, job)
    assert cluster.upstream.counts["submit"] == 2
    await cluster.finish()  # one of the two arrived whole


@pytest.mark.parametrize("kind", ["at_once", "late_in_the_list", "behind_many_others"])
async def test_killed_after_acceptance_before_the_answer(
    cluster: PostgresCluster, postgres_proxy: TcpProxy, kind: str
) -> None:
    upstream = cluster.upstream
    lag = 2 if kind == "late_in_the_list" else 0
    upstream.on_submit(answers.accept(lag_lists=lag) + answers.silence())
    web, victim = cluster.web(), cluster.worker()
    job = await cluster.upload(web)
    await eventually(lambda: upstream.records)
    if kind == "behind_many_others":
        upstream.page_cap = 40
        for number in range(230):
            upstream.add_record(f"another-{number}.wav")
    await kill_and_replace(cluster, postgres_proxy, victim, job)
    assert upstream.counts["submit"] == 1
    assert cluster.job(job)["attempt"] == 1
    if kind != "at_once":
        assert upstream.counts["list"] >= 3
    await cluster.finish()


@pytest.mark.parametrize("kind", ["before_the_commit", "after_the_commit"])
async def test_killed_after_the_answer(
    cluster: PostgresCluster, postgres_proxy: TcpProxy, kind: str
) -> None:
    fault = CommitFaultPoint(postgres_proxy, ACCEPTED, committed=kind == "after_the_commit")
    web, victim = cluster.web(), proxied_worker(cluster, postgres_proxy)
    job = await cluster.upload(web)
    await eventually(fault.reached.is_set)
    if kind == "after_the_commit":
        await cluster.reached(job, status="processing")
    assert bool(cluster.job(job)["upstream_id"]) == (kind == "after_the_commit")
    await kill_and_replace(cluster, postgres_proxy, victim, job)
    assert cluster.upstream.counts["submit"] == 1
    await cluster.finish()


async def test_lost_submission_fails_if_the_site_forbids_a_second(
    cluster: PostgresCluster, postgres_proxy: TcpProxy
) -> None:
    fault = CommitFaultPoint(postgres_proxy, INTENT, committed=True)
    web, victim = cluster.web(), proxied_worker(cluster, postgres_proxy)
    job = await cluster.upload(web)
    await eventually(fault.reached.is_set)
    await cluster.reached(job, status="submitting")
    victim.kill()
    postgres_proxy.cut()
    cluster.worker(ON_LOST_SUBMISSION="fail")
    async with cluster.watching(job) as (viewer,):
        await viewer.finished()
    assert cluster.upstream.counts["submit"] == 0
    await cluster.finish(status="error")


async def test_no_second_post_while_the_history_cannot_be_read(
    cluster: PostgresCluster, postgres_proxy: TcpProxy
) -> None:
    upstream = cluster.upstream
    upstream.on_submit(answers.accept() + answers.silence())
    # For longer than the grace period: an upload is not lost because the list fails.
    upstream.on_list(*[answers.error(503)] * 6)
    web, victim = cluster.web(), cluster.worker()
    job = await cluster.upload(web)
    await eventually(lambda: upstream.records)
    await kill_and_replace(cluster, postgres_proxy, victim, job)
    assert upstream.counts["list"] > 6
    assert upstream.counts["submit"] == 1
    await cluster.finish()


@pytest.mark.parametrize("cluster", ["postgresql"], indirect=True)
async def test_killed_between_commit_and_publish_on_postgres_alone(
    cluster: PostgresCluster, postgres_proxy: TcpProxy
) -> None:
    """There is no "between": the commit publishes. So no position check is needed."""
    slow = {"POSITION_CHECK_SECONDS": "60"}
    fault = CommitFaultPoint(postgres_proxy, b"The last words", committed=True)
    web = cluster.web(**slow)
    victim = proxied_worker(cluster, postgres_proxy, **slow)
    last_words = answers.processing(10, "The last words")
    cluster.upstream.on_progress(answers.stream(last_words) + answers.silence())
    job = await cluster.upload(web)
    async with cluster.watching(job, viewers=3) as viewers:
        assert await asyncio.to_thread(fault.reached.wait, 20)
        victim.kill()
        await cluster.reached(job, pct=10)
        for viewer in viewers:
            await viewer.reached(cluster.job(job)["seq"], within=1)
        cluster.worker(**slow)
        for viewer in viewers:
            await viewer.finished()
    await cluster.finish()


async def test_killed_between_commit_and_publish(cluster: PostgresCluster) -> None:
    """An event that was committed but not published is found by the position check."""
    with TcpProxy(cluster.valkey.port) as layer:
        web = cluster.web()
        victim = cluster.worker(REDIS_URL=cluster.valkey.url_at(layer.port))
        cluster.upstream.on_progress(answers.stream(answers.processing(10)) + answers.silence())
        job = await cluster.upload(web)
        async with cluster.watching(job, viewers=3) as viewers:
            await cluster.reached(job, pct=10)
            for viewer in viewers:
                await viewer.reached(cluster.job(job)["seq"])
            layer.hold_up()
            cluster.upstream.on_progress(answers.stream(answers.processing(50)) + answers.silence())
            # The stream stalls, is opened again and reports 50 %, which is committed.
            await cluster.reached(job, pct=50)
            victim.kill()
            for viewer in viewers:
                await viewer.reached(cluster.job(job)["seq"], within=3)
            cluster.worker()
            for viewer in viewers:
                await viewer.finished()
    await cluster.finish()
