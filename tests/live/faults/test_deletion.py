"""A job is deleted while a worker runs it and people watch it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.live.cluster import API_KEY, PostgresCluster
from tests.live.viewers import all_finished, all_reached
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(120)


async def test_deleted_while_it_runs_and_is_watched(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 30
    web, _other = cluster.start_webs(2)
    job = await cluster.upload(web)
    async with cluster.watching_both(job, sockets=2, streams=2) as (sockets, streams):
        viewers = [*sockets, *streams]
        await all_reached(viewers, 3)
        async with httpx.AsyncClient(
            base_url=f"{web.url}/api/v1/denoise/", headers={"x-api-key": API_KEY}, trust_env=False
        ) as client:
            assert (await client.delete(job)).status_code == 204
            assert (await client.delete(job)).status_code == 404
        await all_finished(viewers)
    # The runner lets go of the upstream, and leaves nothing.
    await eventually(lambda: cluster.upstream.open_connections == 0, within=10)
    assert cluster.rows("SELECT id FROM denoise_relay_job") == []
    assert cluster.rows("SELECT id FROM denoise_relay_event") == []
    folder = Path(cluster.environ["MEDIA_ROOT"]) / "denoise"
    assert list(folder.iterdir()) == []
    cluster.no_tracebacks()
