"""One owner queues a thousand jobs, and another one comes."""

from __future__ import annotations

import httpx

from tests.live.cluster import PostgresCluster
from tests.live.recordings import SHORT
from tests.waiting import eventually

NUMBERED = """
UPDATE denoise_relay_job j SET turn = n.turn FROM (
    SELECT id, row_number() OVER (ORDER BY created_at) AS turn FROM denoise_relay_job
) n WHERE j.id = n.id
"""


async def test_an_owner_of_a_thousand_jobs_starves_nobody(cluster: PostgresCluster) -> None:
    cluster.upstream.job_seconds = 0.5
    # Both are on this machine.
    cluster.environ["DENOISE_RELAY_MAX_WAITING_PER_ADDRESS"] = "0"
    web = cluster.web()
    cluster.copy_job(await cluster.upload(web), 1000)
    # As a thousand submissions number them, which would take a while.
    cluster.rows(NUMBERED + " RETURNING j.id")
    other = cluster.manage("create_api_key", "other").strip()
    async with httpx.AsyncClient(base_url=web.url, trust_env=False, timeout=30) as client:
        answer = await client.post(
            "/api/v1/denoise",
            headers={"x-api-key": other},
            files={"audio": ("recording.wav", SHORT, "audio/wav")},
        )
    theirs = answer.json()["denoiseId"]
    assert cluster.job(theirs)["message"] == "Queued"
    cluster.worker(MAX_ACTIVE_JOBS="2")
    await eventually(lambda: cluster.job(theirs)["status"] == "done", within=20)
    (row,) = cluster.rows(
        "SELECT count(*) AS n FROM denoise_relay_job WHERE started_at IS NOT NULL"
    )
    # Theirs is the first or the second; the others were claimed until it was done.
    assert row["n"] < 20
    cluster.no_tracebacks()
