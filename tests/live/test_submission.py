"""A crash at every point around the POST ends with one upstream job.

Each point is held open on purpose, by a gate on the way to the database or the upstream,
or by an upstream that takes its time; then the worker is killed with SIGKILL and another
one, with nothing in its way, takes the job over.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from denoise_relay.testing import answers
from tests.live.cluster import DATABASE, LEASE_SECONDS, PostgresCluster, silence
from tests.live.gate import Gate
from tests.live.processes import Process
from tests.live.servers import Postgres
from tests.live.traps import CommitTrap
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(90)

INTENT = b'"submitted_at" = '
ACCEPTED = b'"upstream_id" = '


@pytest.fixture
def gate(postgres: Postgres) -> Iterator[Gate]:
    """On the way from one worker to PostgreSQL."""
    with Gate(postgres.port) as gate:
        yield gate


def gated_worker(cluster: PostgresCluster, gate: Gate) -> Process:
    return cluster.worker(DATABASE_URL=cluster.postgres.url(DATABASE, gate.port))


async def die_and_go_on(cluster: PostgresCluster, gate: Gate, victim: Process, job: str) -> None:
    """Kill the worker at the point it is held at; let another one finish the job."""
    victim.kill9()
    gate.cut()
    cluster.worker()
    async with cluster.watching(job, viewers=2) as viewers:
        for viewer in viewers:
            await viewer.finished(within=LEASE_SECONDS + 20)


@pytest.mark.parametrize("kind", ["before_the_intent", "after_the_intent"])
async def test_killed_before_the_first_byte(
    cluster: PostgresCluster, gate: Gate, kind: str
) -> None:
    committed = kind == "after_the_intent"
    trap = CommitTrap(gate, INTENT, committed=committed)
    web, victim = cluster.web(), gated_worker(cluster, gate)
    job = await cluster.upload(web)
    await eventually(trap.sprung.is_set)
    if committed:
        await cluster.reached(job, status="submitting")
    assert cluster.job(job)["attempt"] == int(committed)
    await die_and_go_on(cluster, gate, victim, job)
    # An intent that was committed cannot be told from an upload that was lost: a new attempt.
    assert cluster.job(job)["attempt"] == 1 + int(committed)
    assert cluster.upstream.counts["submit"] == 1
    await cluster.finish()


async def test_killed_in_the_middle_of_the_upload(cluster: PostgresCluster) -> None:
    recording = silence(40)  # 3.8 MB
    port = int(cluster.upstream.netloc.rpartition(":")[2])
    with Gate(port) as gate:
        passed = 0
        held = threading.Event()

        def stop_in_the_middle(direction: str, data: bytes) -> None:
            nonlocal passed
            passed += len(data) if direction == "up" else 0
            if passed > len(recording) // 2:
                gate.hold_up()
                held.set()

        gate.on_bytes = stop_in_the_middle
        web = cluster.web()
        victim = cluster.worker(UPSTREAM_URL=f"http://127.0.0.1:{gate.port}/api/v1")
        job = await cluster.upload(web, recording)
        await eventually(held.is_set)
        await die_and_go_on(cluster, gate, victim, job)
    assert cluster.upstream.counts["submit"] == 2
    await cluster.finish()  # of which one arrived whole


@pytest.mark.parametrize("kind", ["at_once", "late_in_the_list", "behind_many_others"])
async def test_killed_after_acceptance_before_the_answer(
    cluster: PostgresCluster, gate: Gate, kind: str
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
    await die_and_go_on(cluster, gate, victim, job)
    assert upstream.counts["submit"] == 1
    assert cluster.job(job)["attempt"] == 1
    if kind != "at_once":
        assert upstream.counts["list"] >= 3
    await cluster.finish()


@pytest.mark.parametrize("kind", ["before_the_commit", "after_the_commit"])
async def test_killed_after_the_answer(cluster: PostgresCluster, gate: Gate, kind: str) -> None:
    trap = CommitTrap(gate, ACCEPTED, committed=kind == "after_the_commit")
    web, victim = cluster.web(), gated_worker(cluster, gate)
    job = await cluster.upload(web)
    await eventually(trap.sprung.is_set)
    if kind == "after_the_commit":
        await cluster.reached(job, status="processing")
    assert bool(cluster.job(job)["upstream_id"]) == (kind == "after_the_commit")
    await die_and_go_on(cluster, gate, victim, job)
    assert cluster.upstream.counts["submit"] == 1
    await cluster.finish()


async def test_lost_submission_fails_where_the_site_says_so(
    cluster: PostgresCluster, gate: Gate
) -> None:
    trap = CommitTrap(gate, INTENT, committed=True)
    web, victim = cluster.web(), gated_worker(cluster, gate)
    job = await cluster.upload(web)
    await eventually(trap.sprung.is_set)
    await cluster.reached(job, status="submitting")
    victim.kill9()
    gate.cut()
    cluster.worker(ON_LOST_SUBMISSION="fail")
    async with cluster.watching(job) as (viewer,):
        await viewer.finished()
    assert cluster.upstream.counts["submit"] == 0
    await cluster.finish(status="error")


async def test_no_second_post_while_the_history_cannot_be_asked(
    cluster: PostgresCluster, gate: Gate
) -> None:
    upstream = cluster.upstream
    upstream.on_submit(answers.accept() + answers.silence())
    # Longer than the grace: silence of the list is not absence from it.
    upstream.on_list(*[answers.error(503)] * 6)
    web, victim = cluster.web(), cluster.worker()
    job = await cluster.upload(web)
    await eventually(lambda: upstream.records)
    await die_and_go_on(cluster, gate, victim, job)
    assert upstream.counts["list"] > 6
    assert upstream.counts["submit"] == 1
    await cluster.finish()


async def test_killed_between_commit_and_publish(cluster: PostgresCluster) -> None:
    """What was committed and never published is found by the position check."""
    with Gate(cluster.valkey.port) as layer:
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
            # The stream falls silent, is opened again and says 50 %, which is committed.
            await cluster.reached(job, pct=50)
            victim.kill9()
            for viewer in viewers:
                await viewer.reached(cluster.job(job)["seq"], within=3)
            cluster.worker()
            for viewer in viewers:
                await viewer.finished()
    await cluster.finish()
