"""A server that stops: sockets are closed with 4012, streams end, and it takes bounded time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from denoise_relay.live import shutdown
from denoise_relay.live.event_stream import HEARTBEAT, event_stream, frame_message
from denoise_relay.live.feed import Feed
from tests.db.live.jobs import job_with
from tests.db.live.sockets import job_path, opened

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("the_feed")]
open_to_all = pytest.mark.usefixtures("open_to_all")


@pytest_asyncio.fixture(autouse=True)
async def _reopened() -> AsyncIterator[None]:
    yield
    shutdown.reopen()


@open_to_all
async def test_sockets_are_closed_with_4012_and_late_ones_at_once() -> None:
    job = await job_with()
    async with opened(job_path(job)) as a, opened("/ws/denoise/") as b:
        await a.frame()
        closing = asyncio.create_task(shutdown.close_all(), name="test-close")
        try:
            assert [await a.closed(), await b.closed()] == [4012, 4012]
            async with opened("/ws/denoise/") as late:
                assert await late.closed() == 4012
        finally:
            await a.disconnect()
            await b.disconnect()
            await closing


async def test_a_stream_that_waits_ends_at_once(the_feed: Feed) -> None:
    job = await job_with()
    stream = event_stream(job.pk, 0, frame_message)
    assert (await anext(stream), (await anext(stream))[:5]) == (HEARTBEAT, b"id: 1")
    waiting = asyncio.create_task(anext(stream, b"ended"), name="test-anext")  # type: ignore[arg-type]
    await asyncio.sleep(0.05)

    async with asyncio.timeout(5):
        await shutdown.close_all()
        assert await waiting == b"ended"

    assert the_feed.viewers == 0
    assert not shutdown.streams


async def test_a_stream_that_opens_late_gets_the_journal_and_ends(the_feed: Feed) -> None:
    job = await job_with(2)
    await shutdown.close_all()

    async with asyncio.timeout(5):
        parts = [part async for part in event_stream(job.pk, 0, lambda frame: b"%d" % frame.seq)]

    assert parts == [HEARTBEAT, b"1", b"2", b"3"]
    assert the_feed.viewers == 0


@open_to_all
async def test_a_client_that_does_not_answer_delays_the_stop_only_so_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutdown, "CLOSING_SECONDS", 0.2)
    job = await job_with()
    async with opened(job_path(job)) as client:
        await client.frame()
        begun = time.monotonic()

        await shutdown.close_all()

        assert 0.2 <= time.monotonic() - begun < 2
        assert await client.closed() == 4012
        assert len(shutdown.sockets) == 1
