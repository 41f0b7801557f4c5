"""One line for a project's asgi.py: pages, sockets and the embedded worker.

application = relay_application(get_asgi_application())
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from types import FrameType
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter

from denoise_relay import daphne_support, db, granian_support, log, tasks
from denoise_relay.conf import relay_settings
from denoise_relay.routing import websocket_urlpatterns
from denoise_relay.transport import socket, sse
from denoise_relay.transport.feed import feed
from denoise_relay.views import too_large
from denoise_relay.worker import embedded

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

FORM_OVERHEAD_BYTES = 1024 * 1024
"""What a multipart form may hold beside the file."""


def relay_application(django_application: Any, *, body_limit: int | None = None) -> Application:
    """Route HTTP to Django and WebSockets to us, and run the embedded worker.

    `django_application` is what `get_asgi_application()` returned (call it first: it sets
    Django up). `body_limit` bounds any request body under Daphne, in bytes; default:
    `MAX_UPLOAD_BYTES` and a little. Servers with a lifespan (uvicorn, granian, hypercorn)
    start and stop the worker through it, Daphne through its reactor; neither waits for a
    first request.
    """
    router = ProtocolTypeRouter(
        {
            "http": django_application,
            "websocket": AuthMiddlewareStack(URLRouter(websocket_urlpatterns)),
        }
    )
    if daphne_support.serving():
        limit = body_limit or relay_settings().MAX_UPLOAD_BYTES + FORM_OVERHEAD_BYTES

        def refusal(path: str, size_bytes: int) -> tuple[int, str, bytes]:
            answer = too_large.answer(path, size_bytes, limit)
            return answer.status_code, answer["Content-Type"], answer.content

        daphne_support.prepare(body_limit=limit, refusal=refusal, on_start=_start, on_stop=_stop)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "websocket" and granian_support.serving():
            await router(scope, *granian_support.mended(receive, send))
        else:
            await router(scope, receive, send)

    return application


async def _start() -> None:
    socket.reopen()
    sse.reopen()
    await embedded.start()
    feed()


async def _stop() -> None:
    """Say goodbye to viewers, hand jobs back, free threads."""
    await _farewell()
    await embedded.stop()
    await feed().stop()
    await asyncio.to_thread(db.close)


async def _farewell() -> None:
    """End streams and sockets, with a code that brings viewers back."""
    sse.close_all()
    await socket.close_all()


_partings: set[asyncio.Task[None]] = set()


def _part() -> None:
    _partings.add(tasks.spawn(_farewell(), "denoise-farewell"))


def _part_at_signals() -> None:
    """Say goodbye as soon as the server is told to stop. Servers with a lifespan end it after
    the last response only, and a stream's response ends with its job."""
    if threading.current_thread() is not threading.main_thread():
        return  # no handler can be set here, and no signal arrives here
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        servers_own = signal.getsignal(number)

        def handle(number: int, frame: FrameType | None, *, then: Any = servers_own) -> None:
            loop.call_soon_threadsafe(_part)
            if callable(then):
                then(number, frame)

        signal.signal(number, handle)


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    try:
        await _start()
    except Exception as error:  # noqa: BLE001 - the server is told, and does not start
        log.logger.exception("The worker did not start", extra=log.fields("start_failed"))
        await send({"type": "lifespan.startup.failed", "message": repr(error)})
        return
    _part_at_signals()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await _stop()
    await send({"type": "lifespan.shutdown.complete"})
