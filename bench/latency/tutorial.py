"""The tutorial's relay: each event is saved, then sent to a group, whose consumer encodes it.

An ASGI application; the first viewer makes it follow the upstream of `BENCH_UPSTREAM`.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()

import httpx  # noqa: E402
from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.layers import get_channel_layer  # noqa: E402
from channels.routing import ProtocolTypeRouter  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from httpx_sse import aconnect_sse  # noqa: E402

from denoise_relay.models import Job  # noqa: E402


class Consumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels is untyped
    """One viewer."""

    async def connect(self) -> None:
        await self.channel_layer.group_add("job", self.channel_name)
        await self.accept()
        self.following = asyncio.create_task(follow(), name="bench-follow")

    async def disconnect(self, code: int) -> None:
        self.following.cancel()
        await self.channel_layer.group_discard("job", self.channel_name)

    async def job_update(self, event: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(event["body"]))


async def follow() -> None:
    """Save and send each event of the upstream, until it ends."""
    job, layer = await Job.objects.acreate(file_name="voice.wav"), get_channel_layer()
    url = os.environ["BENCH_UPSTREAM"] + "/progress"
    async with (
        httpx.AsyncClient(timeout=None, trust_env=False) as client,
        aconnect_sse(client, "GET", url) as source,
    ):
        async for sent in source.aiter_sse():
            body = json.loads(sent.data)
            job.stage, job.message = body["stage"], body["message"]
            job.pct, job.seq = body.get("pct", job.pct), job.seq + 1
            await job.asave(update_fields=["stage", "pct", "message", "seq"])
            await layer.group_send("job", {"type": "job.update", "body": body})


application = ProtocolTypeRouter({"http": get_asgi_application(), "websocket": Consumer.as_asgi()})
