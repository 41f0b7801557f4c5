"""WebSocket routes, for a `channels.routing.URLRouter`."""

from __future__ import annotations

from django.urls import path, re_path

from denoise_relay.live.consumers import JobConsumer, ManyConsumer, NowhereConsumer
from denoise_relay.presentation import SHARED_SOCKET

_ROOT = SHARED_SOCKET.removeprefix("/")

websocket_urlpatterns = [
    path(_ROOT, ManyConsumer.as_asgi()),
    path(f"{_ROOT}<uuid:job_id>/", JobConsumer.as_asgi()),
    re_path(rf"^{_ROOT}.*$", NowhereConsumer.as_asgi()),
]
