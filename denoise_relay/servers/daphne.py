"""Patches Daphne where it serves us: large bodies, start and stop.

Unpatched, Daphne has no lifespan; at SIGTERM it cancels consumers first, so viewers see 1006;
Twisted parses a form body that nobody reads (a 200 MB upload blocks every user for 13-20 s and
takes 2.7 GB); and no announced length is too long. The patches reach into Daphne's internals, so
they are all in this file and `daphne_back_pressure`, and do nothing under other servers.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from types import FrameType
from typing import Any

from django.http import HttpResponse
from django.urls import NoReverseMatch, reverse

from denoise_relay.api import errors
from denoise_relay.exceptions import UploadRejected
from denoise_relay.runtime import logs
from denoise_relay.servers import daphne_back_pressure, daphne_direct

#: A stop that takes longer is cut off: systemd and others give about ten seconds.
STOP_SECONDS = 8.0
#: How long a refused client may go on sending before the connection is cut.
DRAIN_SECONDS = 10.0
MIB = 1024 * 1024


def serving() -> bool:
    """Whether Daphne is loaded in this process (its reactor may still never run)."""
    return "daphne.server" in sys.modules


def _reactor() -> Any:
    """Daphne's reactor. Imported late, because an early import would install another one."""
    from twisted.internet import reactor

    return reactor


def prepare(
    *,
    body_limit: int,
    on_start: Callable[[], Awaitable[None]],
    on_stop: Callable[[], Awaitable[None]],
) -> None:
    """Patch Daphne once, and call `on_start` on its loop when it runs, `on_stop` at a signal.

    A body longer than `body_limit` is answered by `too_large` and not read.
    """
    _patch_requests(body_limit)
    daphne_back_pressure.patch()
    daphne_direct.available()  # warns at the start if it is not
    reactor = _reactor()
    # Where another server runs the loop, this reactor never runs, and nothing is called.
    reactor.callWhenRunning(_on_running, on_start, on_stop)


def _on_running(
    on_start: Callable[[], Awaitable[None]], on_stop: Callable[[], Awaitable[None]]
) -> None:
    loop = asyncio.get_event_loop()
    _tasks.add(loop.create_task(_run(on_start), name="denoise-start"))
    # runserver's reloader runs the server in another thread, where no handler can be set. It
    # replaces the whole process without a signal.
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda n, f: _on_signal(n, f, loop, on_stop))


_tasks: set[asyncio.Task[None]] = set()
_stopping = False


async def _run(function: Callable[[], Awaitable[None]]) -> None:
    try:
        await function()
    except Exception:  # noqa: BLE001 - pages still work, and healthz/ready reports it
        logs.logger.exception(
            "The embedded worker did not start", extra=logs.fields("start_failed")
        )


def _on_signal(
    number: int,
    _frame: FrameType | None,
    loop: asyncio.AbstractEventLoop,
    on_stop: Callable[[], Awaitable[None]],
) -> None:
    """First signal: close sockets, release leases, then stop Daphne. Second signal: exit now."""
    global _stopping
    if _stopping:
        os._exit(128 + number)
    _stopping = True
    loop.call_soon_threadsafe(
        lambda: _tasks.add(loop.create_task(_stop(on_stop), name="denoise-stop"))
    )


async def _stop(on_stop: Callable[[], Awaitable[None]]) -> None:
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await on_stop()
    except Exception:  # noqa: BLE001 - the process must end
        logs.logger.exception("The stop was not clean", extra=logs.fields("stop_failed"))
    finally:
        _reactor().stop()


def _patch_requests(body_limit: int) -> None:
    """Turn Twisted's form parsing off, and refuse bodies that are too long before reading them."""
    from daphne.http_protocol import WebRequest

    if getattr(WebRequest, "_denoise_relay_patched", False):
        return
    WebRequest._denoise_relay_patched = True
    init, got_length = WebRequest.__init__, WebRequest.gotLength
    chunk, received = WebRequest.handleContentChunk, WebRequest.requestReceived

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        # Twisted 12412. Daphne does not use the parsed form; Django parses the body itself.
        kwargs.setdefault("parsePOSTFormSubmission", False)
        self._relay_bytes = 0
        self._relay_refused = False
        init(self, *args, **kwargs)

    def gotLength(self: Any, length: int | None) -> None:
        if length is None or length <= body_limit:
            got_length(self, length)
        else:
            got_length(self, 0)
            _refuse(self, length, body_limit)

    def handleContentChunk(self: Any, data: bytes) -> None:
        # Counted as well, because a chunked body announces no length.
        self._relay_bytes += len(data)
        if not self._relay_refused and self._relay_bytes > body_limit:
            _refuse(self, self._relay_bytes, body_limit)
        if not self._relay_refused:
            chunk(self, data)

    def requestReceived(self: Any, *args: Any, **kwargs: Any) -> None:
        if self._relay_refused:
            self.channel.loseConnection()
        else:
            received(self, *args, **kwargs)

    WebRequest.__init__ = __init__
    WebRequest.gotLength = gotLength
    WebRequest.handleContentChunk = handleContentChunk
    WebRequest.requestReceived = requestReceived


def _refuse(request: Any, size: int, limit: int) -> None:
    """Answer now, and drop what the client still sends for `DRAIN_SECONDS`.

    Closing at once would reset the connection, and the client would lose the answer before it
    reads it.
    """
    request._relay_refused = True
    # The request has no path yet: Twisted sets it after the body.
    answer = too_large(request.channel._path.decode("latin-1"), size, limit)
    status, kind, content = answer.status_code, answer["Content-Type"], answer.content
    transport = request.channel.transport
    transport.write(
        b"HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
        % (status, HTTPStatus(status).phrase.encode(), kind.encode(), len(content), content)
    )
    _reactor().callLater(DRAIN_SECONDS, _abort, transport)


def too_large(path: str, size_bytes: int, limit_bytes: int) -> HttpResponse:
    """The answer to a body of at least `size_bytes` for `path`, which may have a query."""
    if path.partition("?")[0] == _submission():
        return errors.rejected(UploadRejected(code="too_large"), size_bytes)
    text = f"This is larger than the {limit_bytes // MIB} MB that one request may hold.\n"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")


def _submission() -> str:
    try:
        return reverse("denoise_relay_api:denoise")
    except NoReverseMatch:  # a site without the API
        return ""


def _abort(transport: Any) -> None:
    if not getattr(transport, "disconnected", False):
        transport.abortConnection()
