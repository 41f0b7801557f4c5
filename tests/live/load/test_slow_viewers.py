"""Viewers who stop reading while a job runs, and read again after its end."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.live.cluster import PostgresCluster, over_both_sends, report
from tests.live.load.clients import grown_mb, messages_until_closed, text_frame, unread_socket

pytestmark = pytest.mark.timeout(120)

VIEWERS = 20
#: Frames of about 320 bytes: more than the kernel and the server's buffers hold for one viewer.
FRAMES = 3000


@over_both_sends
async def test_what_they_skip_is_progress_only(cluster: PostgresCluster) -> None:
    """What waits for them is bounded, and then they get frames in order, the last one and the
    close; a viewer beside them gets every frame."""
    web = cluster.web()
    job = await cluster.upload(web)  # it stays queued: there is no worker yet
    async with cluster.watching(job) as (reader,):
        await reader.reached(1)
        with contextlib.ExitStack() as stack:
            unread = [
                stack.enter_context(unread_socket(web, f"/ws/denoise/{job}/?after=0"))
                for _ in range(VIEWERS)
            ]
            for client in unread:  # a ping is answered after the journal
                client.sendall(text_frame('{"ping": 1}'))
                came = b""
                while b"pong" not in came:
                    came += client.recv(4096)
            before = web.memory_kb()
            # A position check finds them, and they are live frames then.
            cluster.add_events(job, FRAMES)
            await reader.reached(FRAMES)
            cluster.worker()
            await reader.finished(within=60)
            growth = grown_mb(web, before)
            report("memory for 20 viewers who do not read (MB, not s)", growth)
            for client in unread:
                frames, code = await asyncio.to_thread(messages_until_closed, client)
                numbers = [frame["seq"] for frame in frames]
                assert numbers == sorted(set(numbers))
                assert numbers[0] == 2
                assert len(numbers) < FRAMES, "nobody was slow"
                assert [frame["stage"] == "processing" for frame in frames[-2:]] == [True, False]
                assert code == 1000
    # Unbounded, it would be 1 MB each.
    assert growth < VIEWERS * 0.5
    await cluster.finish()
