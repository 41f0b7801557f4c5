"""One line for a project's asgi.py: pages, sockets and the embedded worker.

application = relay_application(get_asgi_application())
"""

from __future__ import annotations

from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter

from denoise_relay import urls
from denoise_relay.api import urls as api_urls
from denoise_relay.conf import relay_settings
from denoise_relay.routing import websocket_urlpatterns
from denoise_relay.servers import daphne, daphne_direct, granian, lifespan
from denoise_relay.servers.lifespan import Application, Receive, Scope, Send
from denoise_relay.views import lazy

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
    # Now, and not while a first request waits.
    for patterns in (urls.urlpatterns, api_urls.urlpatterns):
        lazy.load(patterns)
    http = ProtocolTypeRouter({"http": django_application})
    # Without AuthMiddlewareStack, which queries the database before a socket is accepted: while
    # that is away each browser would see an error that says nothing. `live.viewers` does it later.
    websocket = URLRouter(websocket_urlpatterns)
    if daphne.serving():
        limit = body_limit or relay_settings().MAX_UPLOAD_BYTES + FORM_OVERHEAD_BYTES
        daphne.prepare(body_limit=limit, on_start=lifespan.start, on_stop=lifespan.stop)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan.lifespan(receive, send)
        elif scope["type"] != "websocket":
            await http(scope, receive, send)
        elif granian.serving():
            await websocket(scope, *granian.patched(receive, send))
        else:
            if daphne.serving():
                daphne_direct.offer(scope, send)
            await websocket(scope, receive, send)

    return application
