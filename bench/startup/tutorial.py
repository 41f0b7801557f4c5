"""A consumer that reads the events which its viewer has missed, as one would write it."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qs

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.generic.websocket import AsyncJsonWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

from denoise_relay.models import Event  # noqa: E402


class Progress(AsyncJsonWebsocketConsumer):  # type: ignore[misc]  # Channels is untyped
    """Joins the group of its job, and sends what was missed."""

    async def connect(self) -> None:
        job = self.scope["url_route"]["kwargs"]["job"]
        after = int(parse_qs(self.scope["query_string"].decode())["after"][0])
        self.group = f"job-{job}"
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()
        async for event in Event.objects.filter(job=job, seq__gt=after).order_by("seq"):
            await self.send_json({"seq": event.seq, "pct": event.pct, "message": event.message})

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def job_update(self, event: dict[str, Any]) -> None:
        await self.send_json(event["frame"])


application = ProtocolTypeRouter(
    {
        "websocket": AuthMiddlewareStack(
            URLRouter([path("ws/denoise/<uuid:job>/", Progress.as_asgi())])
        )
    }
)
