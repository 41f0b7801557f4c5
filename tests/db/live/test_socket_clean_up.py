"""What a WebSocket leaves behind, however it ends, and what a slow client gets."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from denoise_relay.journal import read
from denoise_relay.live import shutdown
from denoise_relay.live.feed import Feed
from denoise_relay.live.mailbox import LIMIT
from denoise_relay.runtime import database
from tests.db.live.jobs import job_with, publish, publish_end
from tests.db.live.sockets import application, connected, job_path, opened
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("the_feed")]
open_to_all = pytest.mark.usefixtures("open_to_all")


async def nothing_left(feed: Feed, before: set[asyncio.Task[Any]]) -> None:
    """Wait until the tasks are those from before, and check that nothing is watched or open."""
    await eventually(lambda: asyncio.all_tasks() == before)
    assert (feed.viewers, len(shutdown.sockets)) == (0, 0)


@open_to_all
@pytest.mark.parametrize("path", ["one", "many"])
async def test_a_client_that_leaves_leaves_nothing(the_feed: Feed, path: str) -> None:
    job, before = await job_with(), asyncio.all_tasks()
    async with opened(job_path(job) if path == "one" else "/ws/denoise/") as client:
        if path == "many":
            await client.say({"watch": {str(job.pk): None}})
        await client.frame()
        assert the_feed.viewers == 1

    await nothing_left(the_feed, before)


@open_to_all
async def test_a_client_that_is_cut_off_leaves_nothing(the_feed: Feed) -> None:
    """Daphne cancels an application that outlives its socket, and sends no disconnect."""
    job, before = await job_with(), asyncio.all_tasks()
    client = await connected(job_path(job))
    await client.frame()

    client.future.cancel()
    await asyncio.wait({client.future})

    assert client.future.cancelled()
    await nothing_left(the_feed, before)


@open_to_all
async def test_a_client_that_leaves_during_the_replay_leaves_nothing(
    the_feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, before = await job_with(3), asyncio.all_tasks()
    reading, gate, real = asyncio.Event(), asyncio.Event(), database.read

    async def slow(function: Any, *args: Any, **kwargs: Any) -> Any:
        if function in (read.newest, read.after):
            reading.set()
            await gate.wait()
        return await real(function, *args, **kwargs)

    monkeypatch.setattr(database, "read", slow)
    client = await connected(job_path(job, "?after=0"))
    await reading.wait()
    await client.send_input({"type": "websocket.disconnect", "code": 1006})
    gate.set()
    await client.wait(timeout=5)

    await nothing_left(the_feed, before)


@open_to_all
async def test_a_failure_closes_the_socket_and_leaves_nothing(
    the_feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, before = await job_with(), asyncio.all_tasks()

    def broken(*_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(read, "newest", broken)
    client = await connected(job_path(job))
    assert await client.closed() == 4011
    await client.wait(timeout=5)

    await nothing_left(the_feed, before)


@open_to_all
async def test_a_slow_client_skips_progress_and_gets_the_end() -> None:
    job = await job_with()
    gate, sent = asyncio.Event(), []

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        async def throttled(message: dict[str, Any]) -> None:
            if message["type"] == "websocket.send":
                sent.append(json.loads(message["text"]))
                if len(sent) == 3:
                    await gate.wait()
            await send(message)

        await application(scope, receive, throttled)

    async with opened(job_path(job), app=slow) as client:
        await client.frame()
        await client.say({"ping": 0})  # answered when the replay has ended
        await eventually(lambda: len(sent) == 2)
        await publish(job, 1)
        await eventually(lambda: len(sent) == 3)
        for pct in range(2, 2 * LIMIT):
            await publish(job, pct / 2)
        await publish_end(job)
        gate.set()
        await eventually(lambda: sent[-1].get("stage") == "done")

    numbers = [frame["seq"] for frame in sent if "seq" in frame]
    assert numbers == sorted(set(numbers))
    assert len(sent) <= LIMIT + 3


@pytest.mark.usefixtures("unreadable_journal")
@open_to_all
@pytest.mark.parametrize("path", ["one", "many"])
async def test_a_database_that_is_away_closes_the_socket_with_4012(
    the_feed: Feed, path: str
) -> None:
    job, before = await job_with(), asyncio.all_tasks()
    async with opened(job_path(job) if path == "one" else "/ws/denoise/") as client:
        if path == "many":
            await client.say({"watch": {str(job.pk): None}})
        assert await client.closed() == 4012

    await nothing_left(the_feed, before)
