"""One line for a project's asgi.py: pages, sockets and the embedded worker.

application = relay_application(get_asgi_application())
"""

from __future__ import annotations

from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter

from denoise_relay.conf import relay_settings
from denoise_relay.live.session_scope import with_session
from denoise_relay.routing import websocket_urlpatterns
from denoise_relay.servers import daphne, daphne_direct, granian, lifespan
from denoise_relay.servers.lifespan import Application, Receive, Scope, Send

#: Room for what a multipart form holds beside the file.
FORM_OVERHEAD_BYTES = 1024 * 1024


def relay_application(django_application: Any, *, body_limit: int | None = None) -> Application:
    """Route HTTP to Django and WebSockets to this app, and run the embedded worker.

    `django_application` is what `get_asgi_application()` returned (call it first: it sets
    Django up). `body_limit` limits each request body under Daphne, in bytes; default:
    `MAX_UPLOAD_BYTES` and `FORM_OVERHEAD_BYTES`. The worker starts and stops with the server,
    not with a first request: through the lifespan of uvicorn, granian and hypercorn, and
    through Daphne's reactor.
    """
    router = ProtocolTypeRouter(
        {
            "http": django_application,
            # Not AuthMiddlewareStack: it queries the database before a socket is accepted, and
            # while that is away each browser would see an error that says nothing.
            "websocket": with_session(URLRouter(websocket_urlpatterns)),
        }
    )
    if daphne.serving():
        limit = body_limit or relay_settings().MAX_UPLOAD_BYTES + FORM_OVERHEAD_BYTES
        daphne.prepare(body_limit=limit, on_start=lifespan.start, on_stop=lifespan.stop)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan.lifespan(receive, send)
        elif scope["type"] == "websocket" and granian.serving():
            await router(scope, *granian.patched(receive, send))
        elif scope["type"] == "websocket" and daphne.serving():
            await router(daphne_direct.with_direct_send(scope, send), receive, send)
        else:
            await router(scope, receive, send)

    return application
