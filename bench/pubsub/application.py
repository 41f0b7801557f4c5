"""The web process of the bench: the product, or what the tutorial of Channels shows."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

from bench.pubsub import publishing  # noqa: E402
from denoise_relay.asgi import relay_application  # noqa: E402

_publishing: list[asyncio.Task[None]] = []


class TutorialConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels is untyped
    """A group member per socket, encoding in each consumer."""

    async def connect(self) -> None:
        self.group = self.scope["url_route"]["kwargs"]["job"].hex
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def job_update(self, event: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(event["body"]))


tutorial = ProtocolTypeRouter(
    {"websocket": URLRouter([path("ws/denoise/<uuid:job>/", TutorialConsumer.as_asgi())])}
)
relay = relay_application(django_application)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Also publishes here, where the bench asks for it."""
    if os.environ.get(publishing.PORT) and not _publishing:
        _publishing.append(publishing.listen())
    await (tutorial if os.environ[publishing.WAY] == "tutorial" else relay)(scope, receive, send)
