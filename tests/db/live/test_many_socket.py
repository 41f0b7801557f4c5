"""The WebSocket of many jobs: watch, unwatch, limits, and messages that are not understood."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from denoise_relay.journal import read
from denoise_relay.live import websocket
from denoise_relay.live.feed import feed
from denoise_relay.models import Job
from denoise_relay.pubsub.publisher import frame_of
from denoise_relay.runtime import database
from tests.db.live.jobs import job_with, publish, publish_end
from tests.db.live.sockets import opened
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("the_feed")]
open_to_all = pytest.mark.usefixtures("open_to_all")


@open_to_all
async def test_many_jobs_on_one_socket() -> None:
    a, b = await job_with(2), await job_with()
    async with opened("/ws/denoise/") as client:
        await client.say({"watch": {str(a.pk): 1, str(b.pk): None}})
        told = [(frame["job"], frame["seq"]) for frame in await client.frames(3)]
        await publish(b, 5)
        await publish_end(a)
        # In order for each job; between jobs there is none.
        live = {(frame["job"], frame["seq"]) for frame in await client.frames(2)}

        assert told == [(str(a.pk), 2), (str(a.pk), 3), (str(b.pk), 1)]
        assert live == {(str(b.pk), 2), (str(a.pk), 4)}
        # What has ended is watched no more, and the socket goes on.
        assert feed().viewers == 1
        await client.say({"unwatch": [str(b.pk), "x", 7]})
        await eventually(lambda: feed().viewers == 0)
        await publish(b, 6)
        await client.say({"ping": "still here"})
        assert await client.frame() == {"pong": "still here"}


@open_to_all
async def test_unknown_jobs_are_answered_and_the_others_watched() -> None:
    job, unknown = await job_with(), str(uuid4())
    async with opened("/ws/denoise/") as client:
        await client.say({"watch": {unknown: 3, str(job.pk): None, "no uuid": None}})

        assert await client.frames(3) == [
            {"job": unknown, "error": "not_found"},
            {**(await _newest(job))},
            {"job": "no uuid", "error": "not_found"},
        ]


async def _newest(job: Job) -> dict[str, Any]:
    event = await database.call(read.latest, job.pk)
    assert event is not None
    return json.loads(frame_of(event).text)  # type: ignore[no-any-return]


@open_to_all
async def test_no_more_jobs_than_allowed() -> None:
    some = [await job_with() for _ in range(4)]
    async with opened("/ws/denoise/") as client:
        await client.say({"watch": {str(job.pk): None for job in some}})
        assert (await client.frame())["detail"] == "At most 3 jobs in one message."
        await client.say({"watch": {str(job.pk): None for job in some[:3]}})
        await client.frames(3)
        await client.say({"watch": {str(some[3].pk): None}})
        assert (await client.frame())["detail"] == "At most 3 jobs on one socket."
        # One that is watched already is no more.
        await client.say({"watch": {str(some[0].pk): None}, "unwatch": [str(some[1].pk)]})
        await client.say({"watch": {str(some[3].pk): None}})
        assert (await client.frame())["job"] == str(some[3].pk)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        '{"watch": []}',
        '{"watch": {"x": -1}}',
        '{"watch": {"x": true}}',
        '{"watch": {"x": 1.5}}',
        '{"unwatch": "x"}',
        '{"ping": [1]}',
        '{"ping": "' + "x" * 65 + '"}',
        "[" * 8000,
        '{"ping": 1e999}',
        '{"ping": "' + "x" * websocket.INPUT_BYTES + '"}',
        b"\x00\xff",
        b'{"ping": 1}',
    ],
    ids=lambda text: repr(text)[:20],
)
async def test_bad_input_is_answered_and_the_third_closes(text: str | bytes) -> None:
    async with opened("/ws/denoise/") as client:
        for _ in range(3):
            if isinstance(text, bytes):
                await client.send_to(bytes_data=text)
            else:
                await client.send_input({"type": "websocket.receive", "text": text})
            answer = await client.frame()
            assert answer["error"] == "bad_request"
            assert answer["detail"]
        assert await client.closed() == 4400
        # What comes after is not heard.
        await client.say({"ping": 1})
        assert await client.receive_nothing()
