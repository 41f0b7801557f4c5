"""More jobs than may wait, all at the same time and on two processes."""

from __future__ import annotations

import asyncio

import httpx

from tests.live.cluster import API_KEY, PostgresCluster
from tests.live.recordings import SHORT


async def test_no_more_wait_than_the_limit_allows(cluster: PostgresCluster) -> None:
    cluster.environ["DENOISE_RELAY_MAX_WAITING_PER_OWNER"] = "5"
    webs = [cluster.web() for _ in range(2)]

    async def submit(client: httpx.AsyncClient, number: int) -> httpx.Response:
        return await client.post(
            f"{webs[number % 2].url}/api/v1/denoise",
            headers={"x-api-key": API_KEY},
            files={"audio": ("recording.wav", SHORT, "audio/wav")},
        )

    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        answers = await asyncio.gather(*(submit(client, number) for number in range(20)))
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) == 15
        assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
        taken = [answer.json()["denoiseId"] for answer in answers if answer.status_code == 200]
        cluster.jobs += taken
        # As they are done there is room again.
        cluster.worker()
        await cluster.finish()
        assert (await submit(client, 0)).status_code == 200
    assert len(taken) == 5
