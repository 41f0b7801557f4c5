"""GET /denoise/<id>/progress: the contract's events as SSE."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.test import AsyncClient

from denoise_relay import access
from denoise_relay.events import Fact
from denoise_relay.journal import read
from denoise_relay.lifecycle import Status
from denoise_relay.live.feed import feed
from denoise_relay.models import ApiKey
from denoise_relay.pubsub import publisher
from denoise_relay.runtime import database
from tests.db.api.calls import ROOT
from tests.db.factories import append_and_refresh, fail, finish, stored_job
from tests.db.requests import Response, afetch, fetch


@asynccontextmanager
async def feed_stopped_afterwards() -> AsyncIterator[None]:
    """Stop the feed and its threads afterwards, as the server does when it stops."""
    try:
        yield
    finally:
        await feed().stop()
        await asyncio.to_thread(database.close)


def messages(body: bytes) -> list[dict[str, Any]]:
    """The `data:` payloads of an SSE body; anything else in it must be a comment."""
    blocks = [block for block in body.decode().split("\n\n") if not block.startswith(":")]
    assert blocks.pop() == ""
    assert all(block.startswith("data: ") and "\n" not in block for block in blocks)
    return [json.loads(block.removeprefix("data: ")) for block in blocks]


@pytest.mark.django_db(transaction=True)
def test_stream_of_an_ended_job_has_its_last_event_and_closes() -> None:
    secret = access.create_api_key("client")
    key = ApiKey.objects.get()
    done = finish(stored_job(api_key=key))
    failed = fail(stored_job(api_key=key), "No speech found")

    async def scenario() -> list[Response]:
        async with feed_stopped_afterwards(), asyncio.timeout(10):
            return [
                await afetch(f"{ROOT}/{job.pk}/progress", headers={"x-api-key": secret})
                for job in (done, failed)
            ]

    well, badly = async_to_sync(scenario)()

    assert well.status == 200
    assert well["Content-Type"] == "text/event-stream"
    assert "no-cache" in well["Cache-Control"]
    (message,) = messages(well.body)
    assert message == {"stage": "done", "url": message["url"], "denoiseId": str(done.pk)}
    assert message["url"].startswith(f"http://testserver{ROOT}/{done.pk}/audio/denoised?sig=")
    assert fetch(message["url"].removeprefix("http://testserver")).body == b"denoised bytes"
    assert messages(badly.body) == [{"stage": "error", "message": "No speech found"}]


@pytest.mark.django_db(transaction=True)
def test_progress_is_live_and_has_the_contracts_fields() -> None:
    secret = access.create_api_key("client")
    job = stored_job(api_key=ApiKey.objects.get())

    async def publish_some() -> None:
        def write() -> None:
            append_and_refresh(
                job, Fact(pct=15, message="Extracting audio"), status=Status.PROCESSING
            )
            append_and_refresh(job, Fact(pct=62.5))
            fail(job, "Out of paper")

        await sync_to_async(write)()
        events = await sync_to_async(read.after)(job.pk, 1)
        await publisher.publish(events)

    async def scenario() -> list[dict[str, Any]]:
        async with feed_stopped_afterwards(), asyncio.timeout(10):
            path = f"{ROOT}/{job.pk}/progress"
            response = await AsyncClient().get(path, headers={"x-api-key": secret})
            body = b""
            async for chunk in response:
                body += chunk
                if b"Queued" in chunk:
                    await publish_some()
            response.close()
            return messages(body)

    assert async_to_sync(scenario)() == [
        {"stage": "processing", "pct": 0, "message": "Queued"},
        {"stage": "processing", "pct": 15, "message": "Extracting audio"},
        {"stage": "processing", "pct": 62.5},
        {"stage": "error", "message": "Out of paper"},
    ]
