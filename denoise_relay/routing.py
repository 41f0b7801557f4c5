"""WebSocket routes, for a `channels.routing.URLRouter`."""

from __future__ import annotations

from django.urls import path, re_path

from denoise_relay.live.consumers import JobConsumer, ManyConsumer, NowhereConsumer

websocket_urlpatterns = [
    path("ws/denoise/", ManyConsumer.as_asgi()),
    path("ws/denoise/<uuid:job_id>/", JobConsumer.as_asgi()),
    re_path(r"^ws/denoise/.*$", NowhereConsumer.as_asgi()),
]
