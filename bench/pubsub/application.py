"""The web process of the bench: the product, or what the tutorial of Channels shows."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

from bench.pubsub import publishing  # noqa: E402
from bench.tutorial import TutorialConsumer  # noqa: E402
from denoise_relay.asgi import relay_application  # noqa: E402

_publishing: list[asyncio.Task[None]] = []

tutorial = ProtocolTypeRouter(
    {"websocket": URLRouter([path("ws/denoise/<uuid:job>/", TutorialConsumer.as_asgi())])}
)
relay = relay_application(django_application)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Also publishes here, where the bench asks for it."""
    if os.environ.get(publishing.PORT) and not _publishing:
        _publishing.append(publishing.listen())
    await (tutorial if os.environ[publishing.WAY] == "tutorial" else relay)(scope, receive, send)
