"""Viewers who stop reading while a job runs, and read again after its end."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.live.cluster import PostgresCluster, over_both_sends, report
from tests.live.load.clients import grown_mb, messages_until_closed, unread_socket
from tests.live.load.test_many_events import flood

pytestmark = pytest.mark.timeout(120)

VIEWERS = 20
#: Makes a frame of 600 bytes.
LONG = "Isolating voice " * 30


@over_both_sends
async def test_what_they_skip_is_progress_only(cluster: PostgresCluster) -> None:
    """What waits for them is bounded, and then they get frames in order, the last one and the
    close; a viewer beside them gets every frame."""
    cluster.environ["DENOISE_RELAY_EVENTS_PER_SECOND"] = "250"
    cluster.upstream.on_progress(flood(seconds=6, message=LONG))
    web = cluster.web()
    job = await cluster.upload(web)
    async with cluster.watching(job) as (reader,):
        await reader.reached(1)
        before = web.memory_kb()
        with contextlib.ExitStack() as stack:
            unread = [
                stack.enter_context(unread_socket(web, f"/ws/denoise/{job}/?after=0"))
                for _ in range(VIEWERS)
            ]
            cluster.worker()
            await reader.finished(within=60)
            growth = grown_mb(web, before)
            report("memory for 20 viewers who do not read (MB, not s)", growth)
            (row,) = cluster.rows(
                "SELECT count(*) AS count, sum(length(message)) AS size FROM denoise_relay_event"
            )
            # Otherwise the kernel's buffers held it all, and nothing was shown.
            assert row["size"] > 2 * 250_000, row
            for client in unread:
                frames, code = await asyncio.to_thread(messages_until_closed, client)
                numbers = [frame["seq"] for frame in frames]
                assert numbers == sorted(set(numbers))
                assert len(numbers) < row["count"], "nobody was slow"
                assert [frame["stage"] == "processing" for frame in frames[-2:]] == [True, False]
                assert code == 1000
    assert growth < VIEWERS * 0.5
    await cluster.finish()
