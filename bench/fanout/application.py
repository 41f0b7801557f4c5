"""The ASGI application of the servers under measurement: `BENCH_WAY` says which way it serves.

`relay` is the product as a site has it. The others are what people build instead.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import defaultdict
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, ClassVar

import django
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.fanout.settings")
django.setup()

from channels.exceptions import StopConsumer  # noqa: E402
from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.layers import get_channel_layer  # noqa: E402
from channels.routing import URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

from bench.fanout import control, frames  # noqa: E402
from bench.tutorial import TutorialConsumer  # noqa: E402
from denoise_relay.asgi import relay_application  # noqa: E402
from denoise_relay.events import Event, Stage  # noqa: E402
from denoise_relay.pubsub import publisher  # noqa: E402

WAY = os.environ["BENCH_WAY"]
_tasks: set[asyncio.Task[None]] = set()


def _soon(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.get_running_loop().create_task(work, name="bench-publish")
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


class HubConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """No layer: a set of sockets per job, and `socket.send` of one frame for all, unguarded."""

    channel_layer_alias = None
    viewers: ClassVar[defaultdict[Any, set[Any]]] = defaultdict(set)

    async def dispatch(self, message: dict[str, Any]) -> None:
        job = self.scope["url_route"]["kwargs"]["job"]
        if message["type"] == "websocket.connect":
            await self.accept()
            self.socket = self.base_send.args[0].transport.getHandle()
            self.viewers[job].add(self.socket)
        elif message["type"] == "websocket.disconnect":
            self.viewers[job].discard(self.socket)
            raise StopConsumer


def _publish_relay(jobs: int, number: int) -> None:
    now = datetime.now(UTC)
    events = [
        Event(
            job=frames.job_id(job),
            seq=number,
            stage=Stage.PROCESSING,
            pct=1.0,
            message=frames.MESSAGE,
            at=now,
        )
        for job in range(jobs)
    ]
    _soon(publisher.publish(events))


def _publish_tutorial(jobs: int, number: int) -> None:
    async def work() -> None:
        layer = get_channel_layer()
        for job in map(frames.job_id, range(jobs)):
            message = {"type": "job.update", "body": frames.body(job, number)}
            await layer.group_send(job.hex, message)

    _soon(work())


def _publish_hub(jobs: int, number: int) -> None:
    for job in map(frames.job_id, range(jobs)):
        text = json.dumps(frames.body(job, number)).encode()
        frame = b"\x81\x7e" + len(text).to_bytes(2, "big") + text
        for viewer in HubConsumer.viewers[job]:
            viewer.send(frame)


def _publish_eventstream(jobs: int, number: int) -> None:
    from django_eventstream import eventstream

    for job in map(frames.job_id, range(jobs)):
        # What `send_event` does on the loop's thread, after its hop there.
        eventstream.send_event(job.hex, "message", frames.body(job, number), async_publish=False)


_HTTP = get_asgi_application()
_WAYS: dict[str, tuple[Any, Any]] = {
    "relay": (relay_application(_HTTP), _publish_relay),
    "tutorial": (
        URLRouter([path("ws/denoise/<uuid:job>/", TutorialConsumer.as_asgi())]),
        _publish_tutorial,
    ),
    "hub": (URLRouter([path("ws/denoise/<uuid:job>/", HubConsumer.as_asgi())]), _publish_hub),
    "eventstream": (_HTTP, _publish_eventstream),
}
_serve, _publish = _WAYS[WAY]


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Serve one connection; the first one opens the control socket."""
    if scope["type"] != "lifespan":
        control.listen(_publish)
    elif WAY != "relay":
        return
    await _serve(scope, receive, send)
