"""For operators: readiness, a worker's metrics and log, pruning while jobs run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.live.cluster import PostgresCluster
from tests.live.state_servers import Postgres, Valkey
from tests.ports import free_port
from tests.processes import WebProcess
from tests.waiting import eventually, wait_for

HEALTHY = {"database": "ok", "layer": "ok", "worker": "ok"}


def readiness(web: WebProcess) -> tuple[int, dict[str, str]]:
    answer = httpx.get(f"{web.url}/healthz/ready", trust_env=False, timeout=10)
    return answer.status_code, answer.json()


def becomes(web: WebProcess, expected: tuple[int, dict[str, str]]) -> Callable[[], bool]:
    return lambda: readiness(web) == expected


@pytest.mark.timeout(120)
def test_readiness_includes_the_channel_layer(cluster: PostgresCluster, valkey: Valkey) -> None:
    web = cluster.web()
    wait_for(becomes(web, (200, HEALTHY)), within=15)
    valkey.kill()
    try:
        wait_for(becomes(web, (503, {**HEALTHY, "layer": "failed"})), within=15)
    finally:
        valkey.start()
    wait_for(becomes(web, (200, HEALTHY)), within=30)


@pytest.mark.timeout(120)
async def test_readiness_probes_share_one_query_of_a_frozen_database(
    cluster: PostgresCluster, postgres: Postgres
) -> None:
    web = cluster.web()
    wait_for(becomes(web, (200, HEALTHY)), within=15)
    backends = [
        int(row["pid"])
        for row in cluster.rows("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    ]
    frozen = [postgres.pid, *backends]
    for pid in frozen:
        with contextlib.suppress(ProcessLookupError):  # a connection that has ended since
            os.kill(pid, signal.SIGSTOP)
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:

            async def ask() -> httpx.Response:
                return await client.get(f"{web.url}/healthz/ready")

            first = await ask()
            assert first.status_code == 503
            assert first.json() == {**HEALTHY, "database": "failed"}
            threads = web.threads()
            answers = await asyncio.gather(*(ask() for _ in range(40)))
            assert {answer.status_code for answer in answers} == {503}
            # Forty probes wait for one query. Each request uses a thread of Django for a moment;
            # those that may remain are the four of the event path and the six of the loop.
            await eventually(lambda: web.threads() <= threads + 10)
            # The process itself is alive all the while.
            assert (await client.get(f"{web.url}/healthz/live")).status_code == 200
    finally:
        for pid in reversed(frozen):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    await eventually(lambda: asyncio.to_thread(becomes(web, (200, HEALTHY))), within=30)


@pytest.mark.timeout(120)
async def test_worker_shows_metrics_and_logs_json(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 1.5
    web, port = cluster.web(), free_port()
    worker = cluster.worker("--metrics-port", str(port), wait=False, DENOISE_LOG_JSON="1")
    worker.wait_for_output('"action": "worker_started"')

    def number(name: str, **labels: str) -> float:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == f"denoise_relay_{name}" and labels.items() <= sample.labels.items()
        )

    job = await cluster.upload(web)
    await eventually(lambda: number("runners") == 1)
    await cluster.all_ended()
    await eventually(lambda: number("runners") == 0)
    assert number("events_total", stage="done") == 1
    assert number("publish_latency_seconds_count") == number("events_total")
    assert number("commit_group_entries_count") > 0
    assert number("lease_takeovers_total") == 0

    seq = cluster.job(job)["seq"]
    await eventually(lambda: '"action": "published"' in worker.output)
    lines = [json.loads(line) for line in worker.output.splitlines()]
    ended = [line for line in lines if line.get("action") == "published"]
    assert [(line["job"], line["seq"], line["stage"]) for line in ended] == [(job, seq, "done")]
    await cluster.finish()


@pytest.mark.timeout(60)
def test_metrics_port_that_is_taken_is_one_clear_line(
    cluster: PostgresCluster, valkey: Valkey
) -> None:
    worker = cluster.worker("--metrics-port", str(valkey.port), wait=False)
    assert worker.wait(30) == 1
    assert f"--metrics-port {valkey.port} cannot be used: Address already in use" in worker.output
    assert "Traceback" not in worker.output


@pytest.mark.timeout(120)
async def test_prune_while_jobs_run(cluster: PostgresCluster, tmp_path: Path) -> None:
    web = cluster.web()
    cluster.worker()
    old = await cluster.uploads(web, 6)
    await cluster.all_ended()
    cluster.rows(
        "UPDATE denoise_relay_job SET created_at = created_at - interval '40 days', "
        "started_at = started_at - interval '40 days', "
        "finished_at = finished_at - interval '40 days'"
    )
    cluster.jobs.clear()
    media = tmp_path / "media/denoise"
    files = set(media.rglob("*.*"))
    assert len(files) == 2 * len(old)
    cluster.upstream.job_seconds = 2.0
    jobs = await cluster.uploads(web, 3)
    async with cluster.watching(*jobs):
        await cluster.reached(jobs[0], pct=1)
        output = await asyncio.to_thread(cluster.manage, "denoise_prune", "--days", "30")
        await cluster.finish()
    assert f"Deleted {len(old)} jobs" in output
    assert "12 files, 0 orphaned files." in output
    assert not {file for file in files if file.exists()}
    assert {str(row["id"]) for row in cluster.rows("SELECT id FROM denoise_relay_job")} == set(jobs)
