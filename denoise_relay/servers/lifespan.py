"""Starts and stops with the ASGI server: the embedded worker, the feed, threads, viewers.

Servers with a lifespan (uvicorn, granian, hypercorn) call it through that; Daphne has none and
calls `start` and `stop` through `servers.daphne`.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from types import FrameType
from typing import Any

from denoise_relay.live import shutdown
from denoise_relay.live.feed import feed
from denoise_relay.media.rendering import renderer
from denoise_relay.runtime import background, database, logs, tuning
from denoise_relay.runtime.executor import enlarge_default_executor
from denoise_relay.worker import embedded

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


async def start() -> None:
    """Accept viewers, start the embedded worker, and receive events."""
    enlarge_default_executor()
    shutdown.reopen()
    await embedded.start()
    feed()
    tuning.tune()


async def stop() -> None:
    """Close all viewers, release jobs, end what is made for downloads, end threads."""
    await shutdown.close_all()
    await embedded.stop()
    await renderer().stop()
    await feed().stop()
    await asyncio.to_thread(database.close)


_drains: set[asyncio.Task[None]] = set()


def _begin_drain() -> None:
    _drains.add(background.spawn(shutdown.close_all(), "denoise-drain"))


def _drain_at_signals() -> None:
    """Close viewers as soon as a signal tells the server to stop. A server ends its lifespan only
    after the last response, and the response of a stream lasts as long as its job."""
    if threading.current_thread() is not threading.main_thread():
        return  # only the main thread can set handlers and gets signals
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        previous = signal.getsignal(number)

        def handle(number: int, frame: FrameType | None, *, previous: Any = previous) -> None:
            loop.call_soon_threadsafe(_begin_drain)
            if callable(previous):
                previous(number, frame)

        signal.signal(number, handle)


async def lifespan(receive: Receive, send: Send) -> None:
    """Serve the `lifespan` scope of ASGI."""
    await receive()
    try:
        await start()
    except Exception as error:  # noqa: BLE001 - the server gets it, and does not start
        logs.logger.exception("The worker did not start", extra=logs.fields("start_failed"))
        await send({"type": "lifespan.startup.failed", "message": repr(error)})
        return
    _drain_at_signals()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await stop()
    await send({"type": "lifespan.shutdown.complete"})
