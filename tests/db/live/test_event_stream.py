"""Server-Sent Events: resume, ends, heartbeats, headers, and a viewer that leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpRequest
from django.test import AsyncClient
from django.urls import reverse
from pytest_django import Settings

from denoise_relay.frames import Frame
from denoise_relay.live import event_stream
from denoise_relay.live.feed import Feed
from denoise_relay.pubsub.publisher import frame_of
from denoise_relay.runtime import database
from tests.db.factories import end
from tests.db.live.jobs import commit, job_with, publish, publish_end
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("the_feed")]


@pytest.fixture(autouse=True)
def _settings(settings: Settings) -> None:
    settings.DENOISE_RELAY = {"WORKER": "external", "ACCESS_POLICY": "tests.db.live.jobs.anybody"}


async def ask(job_id: Any, query: str = "", **headers: str) -> Any:
    path = reverse("denoise_relay:events", args=[job_id])
    return await AsyncClient().get(path + query, headers=headers)


async def messages(response: Any) -> list[tuple[str, dict[str, Any]]]:
    """The whole stream: `(id, data)` of each message."""
    body = b"".join([part async for part in response.streaming_content]).decode()
    found = []
    for block in body.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":")
        if fields:
            found.append((fields["id"], json.loads(fields["data"])))
    return found


@pytest.mark.parametrize(
    ("query", "last_event_id", "ids"),
    [
        ("", "", ["4"]),
        ("?after=0", "", ["1", "2", "3", "4"]),
        ("?after=2", "", ["3", "4"]),
        ("?after=0", "3", ["4"]),  # what the browser knows is newer than its URL
        ("?after=99", "", ["4"]),
    ],
)
async def test_an_ended_job_is_replayed_and_the_stream_ends(
    query: str, last_event_id: str, ids: list[str]
) -> None:
    job = await job_with(2)
    await database.call(end, job)

    found = await messages(await ask(job.pk, query, **{"Last-Event-ID": last_event_id}))

    assert [number for number, _ in found] == ids
    assert [data["seq"] for _, data in found] == [int(number) for number in ids]
    assert found[-1][1]["stage"] == "done"


async def test_a_viewer_that_has_the_end_gets_204() -> None:
    job = await job_with()
    await database.call(end, job)

    response = await ask(job.pk, **{"Last-Event-ID": "2"})

    assert response.status_code == 204


async def test_a_stream_that_begins_at_the_end_ends() -> None:
    job = await job_with()
    await database.call(end, job)

    async with asyncio.timeout(5):
        parts = [part async for part in event_stream.event_stream(job.pk, 2, encode)]

    assert parts == [event_stream.HEARTBEAT, b"2"]


async def test_headers_keep_proxies_from_holding_events_back() -> None:
    job = await job_with()
    await database.call(end, job)

    response = await ask(job.pk)

    assert response.status_code == 200
    assert response["Content-Type"] == "text/event-stream"
    assert response["Cache-Control"] == "no-cache, no-transform"
    assert response["X-Accel-Buffering"] == "no"


async def test_refusals(settings: Settings) -> None:
    job = await job_with()

    assert (await ask(job.pk, "?after=x")).status_code == 400
    assert (await ask(uuid4())).status_code == 404
    path = reverse("denoise_relay:events", args=[job.pk])
    assert (await AsyncClient().post(path)).status_code == 405
    settings.DENOISE_RELAY = {"WORKER": "external"}
    assert (await ask(job.pk)).status_code == 404


def encode(frame: Frame) -> bytes:
    return b"%d" % frame.seq


async def take(stream: AsyncIterator[bytes], count: int) -> list[bytes]:
    async with asyncio.timeout(5):
        return [await anext(stream) for _ in range(count)]


async def test_journal_first_then_live() -> None:
    job = await job_with(1)
    stream = event_stream.event_stream(job.pk, 1, encode)
    assert await take(stream, 2) == [event_stream.HEARTBEAT, b"2"]
    live = asyncio.create_task(take(stream, 2), name="test-take")
    for pct in (50, 60):
        await publish(job, pct)

    assert await live == [b"3", b"4"]
    await stream.aclose()  # type: ignore[attr-defined]


async def test_a_late_double_does_not_make_seq_fall(the_feed: Feed) -> None:
    job = await job_with(3)
    old = await commit(job, 4)
    stream = event_stream.event_stream(job.pk, 5, encode)
    assert await take(stream, 1) == [event_stream.HEARTBEAT]
    # The job is watched by now, and the feed does not know its newest number yet.
    new = await commit(job, 5)
    the_feed.deliver(frame_of(old))
    the_feed.deliver(frame_of(new))

    assert await take(stream, 1) == [b"6"]
    await stream.aclose()  # type: ignore[attr-defined]


async def test_heartbeats_keep_the_connection_until_the_idle_time_is_over(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0.05)
    settings.DENOISE_RELAY = {"WORKER": "external", "STREAM_IDLE_SECONDS": 0.3}
    job = await job_with()

    async with asyncio.timeout(10):
        parts = [part async for part in event_stream.event_stream(job.pk, None, encode)]

    assert parts[:2] == [event_stream.HEARTBEAT, b"1"]
    assert len(parts) > 3
    assert set(parts[2:]) == {event_stream.HEARTBEAT}


async def test_a_viewer_that_leaves_watches_no_more(the_feed: Feed) -> None:
    job, before = await job_with(), asyncio.all_tasks()
    request = HttpRequest()
    request.method = "GET"
    response = await event_stream.sse_response(job.pk, None, encode)
    parts = aiter(response)

    async def read() -> None:
        async for _ in parts:
            pass

    reading = asyncio.create_task(read(), name="test-read")
    await eventually(lambda: the_feed.viewers == 1)
    reading.cancel()
    await asyncio.wait({reading})

    await eventually(lambda: the_feed.viewers == 0)
    assert asyncio.all_tasks() == before


async def test_many_viewers_share_one_watch(the_feed: Feed) -> None:
    job = await job_with()
    streams = [event_stream.event_stream(job.pk, None, encode) for _ in range(20)]
    for stream in streams:
        assert await take(stream, 2) == [event_stream.HEARTBEAT, b"1"]
    assert the_feed.viewers == 20

    await publish_end(job)

    assert await asyncio.gather(*(take(stream, 1) for stream in streams)) == [[b"2"]] * 20
    for stream in streams:
        await stream.aclose()  # type: ignore[attr-defined]
    assert the_feed.viewers == 0


async def test_a_stream_holds_no_database_connection_of_its_request() -> None:
    job = await job_with(1)
    response = await ask(job.pk)
    held = await sync_to_async(lambda: connection.connection)()
    assert held is None
    await response.streaming_content.aclose()


@pytest.mark.usefixtures("unreadable_journal")
async def test_a_journal_that_cannot_be_read_is_a_503_and_no_empty_stream(the_feed: Feed) -> None:
    job = await job_with()

    response = await ask(job.pk)

    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert the_feed.viewers == 0


@pytest.mark.usefixtures("unreadable_journal")
async def test_a_database_that_is_away_ends_the_stream(the_feed: Feed) -> None:
    job = await job_with()
    async with asyncio.timeout(5):
        parts = [part async for part in event_stream.event_stream(job.pk, None, encode)]

    assert parts == [event_stream.HEARTBEAT]
    assert the_feed.viewers == 0
