"""The server of the fan-out bench: our feed beside the way tutorials show.

Publishing is asked for by HTTP (`POST /publish/<n>`), so that both publish inside the
server's process and the client closes the loop.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.layers import get_channel_layer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

from denoise_relay.events import Event, Stage  # noqa: E402
from denoise_relay.pubsub import publisher  # noqa: E402
from denoise_relay.routing import websocket_urlpatterns  # noqa: E402

MESSAGE = "Running noise reduction"


class TutorialConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels is untyped
    """One group member per socket, encoding in each consumer."""

    async def connect(self) -> None:
        await self.channel_layer.group_add("job", self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard("job", self.channel_name)

    async def job_update(self, event: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(event["body"]))


async def publish(scope: Any, receive: Any, send: Any) -> None:
    """POST /publish/<job>/<seq>/<tutorial|relay>"""
    _, _, job, seq, way = scope["path"].split("/")
    now = datetime.now(UTC)
    if way == "relay":
        event = Event(
            job=UUID(job), seq=int(seq), stage=Stage.PROCESSING, pct=1.0, message=MESSAGE, at=now
        )
        await publisher.publish([event])
    else:
        body = {"job": job, "seq": int(seq), "stage": "processing", "pct": 1, "message": MESSAGE}
        body["at"] = now.isoformat()
        await get_channel_layer().group_send("job", {"type": "job.update", "body": body})
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


application = ProtocolTypeRouter(
    {
        "http": publish,
        "websocket": URLRouter(
            [path("ws/tutorial/", TutorialConsumer.as_asgi()), *websocket_urlpatterns]
        ),
    }
)
