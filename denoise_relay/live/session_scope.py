"""Puts the session into the scope of a WebSocket, as `channels.sessions` does, and nothing else.

Channels' middleware looks at the session for each message that is sent, which costs a fifth of a
frame's time. No WebSocket message can carry a cookie, so it would do nothing with what it finds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from importlib import import_module
from typing import Any

from django.conf import settings
from django.http.cookie import parse_cookie

Application = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


def with_session(application: Application) -> Application:
    """Wrap an ASGI application of WebSockets; a session that is in the scope already stays."""
    make_session = import_module(settings.SESSION_ENGINE).SessionStore

    async def wrapped(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if "session" not in scope:
            header = dict(scope.get("headers", ())).get(b"cookie", b"").decode("latin-1")
            key = parse_cookie(header).get(settings.SESSION_COOKIE_NAME)
            scope = {**scope, "session": make_session(key)}
        await application(scope, receive, send)

    return wrapped
