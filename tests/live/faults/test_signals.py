"""Workers are killed around a signal: the site hears of each end all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.cluster import LEASE_SECONDS, PostgresCluster
from tests.live.faults.fault_points import CommitFaultPoint, proxied_worker
from tests.live.tcp_proxy import TcpProxy
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(90)

RECEIVING = {"DJANGO_SETTINGS_MODULE": "tests.live.faults.receiving_settings"}


def heard(cluster: PostgresCluster) -> list[str]:
    notes = Path(cluster.environ["MEDIA_ROOT"]) / "signals.txt"
    return notes.read_text().splitlines() if notes.exists() else []


async def all_told(cluster: PostgresCluster) -> None:
    pending = "SELECT id FROM denoise_relay_job WHERE signal_pending"
    await eventually(lambda: cluster.rows(pending) == [], within=LEASE_SECONDS + 5)


async def test_killed_while_receivers_run(cluster: PostgresCluster) -> None:
    web, worker = cluster.web(), cluster.worker(**RECEIVING)
    hang = Path(cluster.environ["MEDIA_ROOT"]) / "hang"
    hang.parent.mkdir(exist_ok=True)
    hang.touch()
    job = await cluster.upload(web)
    await eventually(lambda: heard(cluster) == [f"begun {job}"])
    worker.kill()
    hang.unlink()

    cluster.worker(**RECEIVING)
    await all_told(cluster)

    assert heard(cluster) == [f"begun {job}", f"begun {job}", f"told {job}"]
    await cluster.finish()


async def test_killed_between_the_end_and_its_signal(
    cluster: PostgresCluster, postgres_proxy: TcpProxy
) -> None:
    """The end is committed, and its answer never reaches the worker."""
    web = cluster.web()
    worker = proxied_worker(cluster, postgres_proxy, **RECEIVING)
    fault = CommitFaultPoint(postgres_proxy, b'"finished_at" = ', committed=True)
    job = await cluster.upload(web)
    await eventually(fault.reached.is_set)
    await cluster.reached(job, status="done")
    assert heard(cluster) == []
    worker.kill()

    cluster.worker(**RECEIVING)
    await all_told(cluster)

    assert heard(cluster) == [f"begun {job}", f"told {job}"]
    await cluster.finish()
