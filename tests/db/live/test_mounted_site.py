"""The URL in a last frame is the viewer's, wherever their site is mounted and whoever published."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.urls import set_script_prefix
from pytest_django import Settings

from denoise_relay.frames import make_frame
from denoise_relay.live.event_stream import event_stream, frame_message
from denoise_relay.live.feed import Feed
from denoise_relay.models import Job
from denoise_relay.pubsub.publisher import frame_of
from denoise_relay.runtime import database
from tests.db.factories import DONE, end
from tests.db.live.jobs import job_with, publish_end
from tests.db.live.sockets import application, job_path, opened
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("the_feed", "open_to_all"),
]


async def mounted(scope: Any, receive: Any, send: Any) -> None:
    """The sockets of a server that mounts the site at `/voice`."""
    path = f"/voice{scope['path']}"
    await application({**scope, "root_path": "/voice", "path": path}, receive, send)


def recording(job: Job) -> str:
    return f"/jobs/{job.pk}/audio/denoised/"


@pytest.mark.parametrize("live", [True, False])
async def test_a_server_that_mounts_the_site(the_feed: Feed, live: bool) -> None:
    job = await job_with()
    if not live:
        await database.call(end, job)
    async with opened(job_path(job), app=mounted) as client, opened(job_path(job)) as other:
        if live:
            await eventually(lambda: the_feed.viewers == 2)
            assert [(await each.frame())["seq"] for each in (client, other)] == [1, 1]
            await publish_end(job)

        assert (await client.frame())["url"] == f"/voice{recording(job)}"
        assert (await other.frame())["url"] == recording(job)


async def test_a_site_with_force_script_name(the_feed: Feed, settings: Settings) -> None:
    settings.FORCE_SCRIPT_NAME = "/forced"
    job = await job_with()
    async with opened(job_path(job)) as client:
        await client.frame()
        await publish_end(job)

        assert (await client.frame())["url"] == f"/forced{recording(job)}"


async def test_a_worker_without_our_pages(the_feed: Feed) -> None:
    """It cannot build the URL, and publishes none."""
    job = await job_with()
    async with opened(job_path(job)) as client:
        await client.frame()
        event = (await database.call(end, job)).event
        assert event is not None
        the_feed.deliver(make_frame(replace(event, url="")))

        assert (await client.frame())["url"] == recording(job)


async def test_a_recording_that_stays_upstream(the_feed: Feed) -> None:
    job, url = await job_with(), "https://cdn.example/clean.wav"
    async with opened(job_path(job), app=mounted) as client:
        await client.frame()
        event = (await database.call(end, job, replace(DONE, url=url))).event
        assert event is not None
        the_feed.deliver(frame_of(event))

        assert (await client.frame())["url"] == url


async def test_a_stream_has_the_prefix_of_its_request(the_feed: Feed) -> None:
    job = await job_with()
    await database.call(end, job)
    set_script_prefix("/voice/")
    try:
        parts = [part async for part in event_stream(job.pk, None, frame_message)]
    finally:
        set_script_prefix("/")

    assert f'"url":"/voice{recording(job)}"'.encode() in parts[-1]
